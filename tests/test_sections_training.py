"""Tables, sentences and figures on trained segmenters, from tables whose means are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xaiutils.analyses import bias as bias_analysis
from xaiutils.analyses import curves as curves_analysis
from xaiutils.analyses import sweep as sweep_analysis
from xaiutils.analyses import trained as trained_analysis
from xaiutils.figures import sweep as draw_sweep
from xaiutils.figures import training as draw
from xaiutils.sections import bias, curves, sweep, trained

SAMPLES = [f"s{i}" for i in range(6)]
BUMP = np.array([-0.02, -0.01, 0.0, 0.0, 0.01, 0.02])  # mean 0
CAPTION = "n = 6"

# source: (IoU of the training labels, of its own masks, of the head)
SOURCES = {
    "gradcam": (0.50, 0.50, 0.60),
    "scorecam": (0.40, 0.45, 0.55),
    "ig": (0.10, 0.10, 0.20),
    "lime": (0.20, 0.30, 0.36),
    "fused-weighted": (0.55, 0.52, 0.62),
    "truth": (1.0, 1.0, 0.80),
    "centre-box": (0.35, 0.33, 0.40),
}


def texts(figure) -> str:
    found = [text.get_text() for text in figure.texts]
    found += [text.get_text() for ax in figure.axes for text in [ax.title, *ax.get_yticklabels()]]
    return " ".join(" ".join(found).split())  # titles are wrapped


@pytest.fixture(scope="module")
def heads():
    rows = [
        (sample, source, 60, labels, seed + bump, 0.5, 0.4, head + bump, 0.7, 0.3)
        for source, (labels, seed, head) in SOURCES.items()
        for sample, bump in zip(SAMPLES, BUMP)
    ]
    return pd.DataFrame(rows, columns=trained_analysis.COLUMNS)


def test_means_of_heads(heads):
    means = trained.trained_means(heads).set_index("source")
    assert list(means.index) == list(SOURCES)  # the paper's order, then truth and box
    row = means.loc["gradcam"]
    assert row["seed"] == pytest.approx(0.5) and row["mean"] == pytest.approx(0.6)
    assert row["gain"] == row["gain_low"] == row["gain_high"] == pytest.approx(0.1)
    assert row["n"] == 6 and row["undefined"] == 0 and row["labels"] == 60
    assert trained.best_explainer(heads) == "gradcam"
    assert trained.difference(heads, "truth", "gradcam")[0] == pytest.approx(0.2)
    assert trained.difference(heads, "nothing", "gradcam")[3] == 0


def test_labels_and_seeds_order_the_heads(heads):
    found = trained.trained_correlations(heads).set_index(["of", "level"])
    # four explainers in the same order by labels, seeds and heads
    for of in ("labels", "seed"):
        assert found.loc[(of, "of the means"), "rho"] == pytest.approx(1)
        assert found.loc[(of, "across explainers"), "rho"] == pytest.approx(1)
    assert found.loc[("labels", "of the means"), "pairs"] == 24
    assert ("labels", "pooled") not in found.index
    said = trained.trained_sentence(heads, found.reset_index())
    assert "**+0.09 [+0.09, +0.09]** IoU on average" in said  # (0.1 + 0.1 + 0.1 + 0.06) / 4
    assert "True masks (ceiling): +0.20 [+0.20, +0.20]" in said
    assert "Centre box (floor): −0.20 [−0.20, −0.20]" in said


def test_figure_of_heads(heads):
    figure = draw.trained_heads(heads, CAPTION)
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()][-2:] == [
        "True masks (ceiling)",
        "Centre box (floor)",
    ]
    assert left.collections[1].get_offsets()[0, 0] == pytest.approx(0.6)
    assert right.get_title() == "ρ = 1.00 [1.00, 1.00]"
    assert "+0.20 [+0.20, +0.20] IoU better than the best" in texts(figure)


# Curves: the held-out loss is lowest at epoch 2, the truth is best at epoch 1 for even samples and
# at epoch 3 for odd ones


@pytest.fixture(scope="module")
def training():
    rows = []
    for variant, more in (
        ("plain", 0.0),
        ("confidence-weighted", 0.05),
        ("agreement-weighted", -0.01),
    ):
        for epoch, loss, held_out in ((1, 0.6, 0.65), (2, 0.4, 0.5), (3, 0.2, 0.55)):
            for i, sample in enumerate(SAMPLES):
                iou = {1: (0.6, 0.4), 2: (0.5, 0.5), 3: (0.3, 0.6)}[epoch][i % 2] + more
                rows.append((sample, "gradcam", variant, epoch, loss, held_out, iou))
    return pd.DataFrame(rows, columns=curves_analysis.COLUMNS)


def test_rules_of_stopping_by_hand(training):
    stops = curves.stopped(training)
    table = curves.stop_table(stops).set_index(["variant", "rule"]).loc["plain"]
    assert table["epoch"].tolist() == [3, 2, 2]  # truth: 3 for even samples, 1 for odd ones
    assert table["mean"]["last"] == pytest.approx((0.3 + 0.6) / 2)
    assert table["mean"]["pseudo-labels"] == pytest.approx(0.5)
    # each half chose what is worst for the other: feedback from six images is no feedback
    assert table["mean"]["truth"] == pytest.approx((0.3 + 0.4) / 2)
    found = curves.rule_difference(stops, "pseudo-labels", "truth")
    assert found[0] == pytest.approx(0.15) and found[3] == 6
    remedies = curves.remedies(stops).set_index(["source", "variant", "rule"])
    assert remedies.loc[("all", "confidence-weighted", "last"), "mean"] == pytest.approx(0.05)
    assert remedies.loc[("gradcam", "agreement-weighted", "pseudo-labels"), "high"] == (
        pytest.approx(-0.01)
    )


def test_curves_in_words_and_as_a_figure(training):
    said = curves.curves_sentence(training)
    assert "goes from 0.60 to 0.20, that on held-out pseudo-labels from 0.65 to 0.55" in said
    assert "map's confidence changes it by **+0.05 [+0.05, +0.05]**" in said
    figure = draw.blind_training(training, CAPTION)
    assert len(figure.axes) == 3
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([0.6, 0.4, 0.2])
    assert "stopping by pseudo-labels changes the IoU by +0.15" in texts(figure)


@pytest.fixture(scope="module")
def context():
    """Heads halve the seed's rate in the ring and double it far away."""
    rows = []
    for source, seed in {"gradcam": 0.2, "lime": 0.4, "truth": 0.0}.items():
        for sample, bump in zip(SAMPLES, BUMP):
            rows.append((sample, source, "ring", 0.2, seed + bump, (seed + bump) / 2))
            far = 0.01 if source == "truth" else 2 * (seed + bump)
            rows.append((sample, source, "far", 0.5, seed + bump, far))
            rows.append((sample, source, "other classes", 0.0, np.nan, np.nan))
    return pd.DataFrame(rows, columns=bias_analysis.COLUMNS)


def test_amplification_by_hand(context):
    found = bias.amplification(context).set_index(["source", "region"])
    assert found.loc[("all", "ring"), "mean"] == pytest.approx(-0.15)
    assert found.loc[("all", "far"), "mean"] == pytest.approx(0.3)
    assert found.loc[("lime", "far"), ["seed", "head"]].tolist() == pytest.approx([0.4, 0.8])
    assert "other classes" not in found.index.get_level_values("region")
    extra = bias.beyond_truth(context).set_index("region")
    assert extra.loc["far", "mean"] == pytest.approx(0.6 - 0.01)
    rho = bias.inheritance(context).set_index(["region", "level"])
    assert rho.loc[("far", "across images"), "rho"] == pytest.approx(1)


def test_bias_in_words_and_as_a_figure(context):
    said = bias.bias_sentence(context)
    assert "seeds label 30.0 % as object, heads trained on them 15.0 %" in said.splitlines()[0]
    assert "clearly more for all 2 explainers" in said.splitlines()[1]
    figure = draw.context(context, CAPTION)
    assert len(figure.axes) == 2
    assert "ring around the object −15 points, far background +30 points" in texts(figure)


def test_a_region_that_one_image_has_is_drawn_without_intervals(context):
    rows = [(SAMPLES[0], s, "other classes", 0.2, 0.3, 0.4) for s in ("gradcam", "lime")]
    more = pd.concat([context, pd.DataFrame(rows, columns=context.columns)])
    figure = draw.context(more, CAPTION)
    assert len(figure.axes) == 3 and "(n = 1)" in figure.axes[2].get_title()
    left, right = figure.axes[2].get_xlim()
    assert left < 0 < 40 < right


@pytest.fixture(scope="module")
def swept():
    """Threshold moves IoU by 0.3, points by 0.1, drawing by 0.02; LIME is 0.2 below Grad-CAM."""
    effects = {
        ("threshold", "map"): {"Otsu": 0.3, "0.2": 0.1, "0.5": 0.0},
        ("foreground points", "SAM"): {"1": -0.1, "3": 0.0},
        ("drawing", "SAM"): {"0": 0.0, "1": 0.02},
    }
    rows = [
        (sample, cue, factor, value, result, level + effect + bump)
        for (factor, result), values in effects.items()
        for value, effect in values.items()
        for cue, level in {"gradcam": 0.6, "lime": 0.4}.items()
        for sample, bump in zip(SAMPLES, BUMP)
    ]
    return pd.DataFrame(rows, columns=sweep_analysis.COLUMNS)


def test_ranges_by_hand(swept):
    found = sweep.sweep_ranges(swept).set_index("factor")
    assert list(found.index) == ["threshold", "explainer", "foreground points", "drawing"]
    assert found["range"].tolist() == pytest.approx([0.3, 0.2, 0.1, 0.02])
    assert found["low"].tolist() == pytest.approx([0.3, 0.2, 0.1, 0.02])
    assert found.loc["threshold", "best"] == "Otsu" and found.loc["threshold", "worst"] == "0.5"
    assert found.loc["explainer", "best"] == "gradcam"
    said = sweep.sweep_sentence(found.reset_index(), swept)
    assert "threshold, thresholded map: **0.30 [0.30, 0.30]** IoU between Otsu" in said
    assert "two largest differ by 0.10 [0.10, 0.10]: the first clearly more" in said
    assert "moves the mean IoU by 0.02" in said and said.endswith("as much: none.")


def test_undefined_results_are_left_out_of_ranges(swept):
    some = swept.copy()
    some.loc[(some["sample"] == "s0") & (some["value"] == "0.5"), "iou"] = np.nan
    found = sweep.sweep_ranges(some).set_index("factor")
    assert np.isfinite(found.loc["threshold", ["range", "low", "high"]].astype(float)).all()


def test_sweep_figure(swept):
    figure = draw_sweep.sweep(swept, CAPTION)
    assert len(figure.axes) == 3 + 1
    assert "the threshold moves the mean IoU of the thresholded map by 0.30" in texts(figure)
    assert "another random draw by 0.02" in texts(figure)
    bars = [bar.get_width() for bar in figure.axes[-1].patches]
    assert bars == pytest.approx([0.3, 0.2, 0.1, 0.02])


def test_nothing_measured_is_said_so():
    for analysis, sentence, figure in (
        (curves_analysis, curves.curves_sentence, draw.blind_training),
        (bias_analysis, bias.bias_sentence, draw.context),
    ):
        empty = pd.DataFrame(columns=analysis.COLUMNS)
        assert sentence(empty) == trained.NOT_MEASURED
        assert trained.NOT_MEASURED in texts(figure(empty, CAPTION))
    for table in (
        bias.amplification(pd.DataFrame(columns=bias_analysis.COLUMNS)),
        curves.stop_table(curves.stopped(pd.DataFrame(columns=curves_analysis.COLUMNS))),
    ):
        assert table.empty and trained.or_note(table)["note"].tolist() == [trained.NOT_MEASURED]
    empty = pd.DataFrame(columns=trained_analysis.COLUMNS)
    assert trained.trained_means(empty).empty
    assert (
        trained.trained_sentence(empty, trained.trained_correlations(empty)) == trained.NOT_MEASURED
    )
    assert trained.NOT_MEASURED in texts(draw.trained_heads(empty, CAPTION))
    assert draw_sweep.sweep(pd.DataFrame(columns=sweep_analysis.COLUMNS), CAPTION).texts
    empty = pd.DataFrame(columns=sweep_analysis.COLUMNS)
    assert sweep.sweep_sentence(sweep.sweep_ranges(empty), empty) == trained.NOT_MEASURED


def test_the_tables_of_no_study_have_no_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path))
    study = SimpleNamespace(name="here", tables=["samples"])
    table, note = trained.measured(study, "curves")
    assert table.empty and list(table.columns) == curves_analysis.COLUMNS
    assert "analyse --study here curves" in note
    own = SimpleNamespace(name="here", tables=["curves"], table=lambda name: name)
    assert trained.measured(own, "curves") == ("curves", "")
    assert trained.foot("", CAPTION) == CAPTION
    assert trained.foot("**From study x** (n = 9)", CAPTION) == "From study x (n = 9)"
