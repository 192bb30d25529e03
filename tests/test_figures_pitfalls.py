"""Figures of notebook 4: what was drawn, read back from the artists."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import section_tables as given
from test_figures_proxy import CAPTION, Squares, labels, texts

from xaiutils.figures import pitfalls as draw
from xaiutils.sections import pitfalls, seed_quality, thresholds


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def seeds():
    return seed_quality.seeds(given.localisation(), given.segmentation())


@pytest.fixture(scope="module")
def found(seeds):
    return seed_quality.seed_correlations(seeds)


def test_masks_of_four():
    study = Squares()
    figure = draw.masks_of_four(study, ["s0"], pd.Series({"s0": 0.55}))
    heads = [ax.get_title() for ax in figure.axes]
    assert heads == [
        *["photograph", "Grad-CAM", "Score-CAM", "Integrated Grad.", "LIME", "Fused, weighted"]
    ]
    below = [ax.get_xlabel() for ax in figure.axes]
    assert below == ["agree: 0.55", "IoU 0.68", "IoU 0.58", "IoU 0.38", "no mask", "IoU 0.70"]
    study.has_arrays = False
    assert not draw.masks_of_four(study, ["s0"], pd.Series({"s0": 0.55})).axes


def test_agreement_matrix_has_maps_above_and_masks_below():
    figure = draw.agreement_matrix(given.agreement(), given.masks(), CAPTION)
    values = figure.axes[0].images[0].get_array()
    assert labels(figure.axes[0]) == ["Grad-CAM", "Score-CAM", "Integrated Gradients", "LIME"]
    assert values[0, 1] == pytest.approx(0.3) and values[1, 0] == pytest.approx(0.8)
    assert np.isnan(np.ma.filled(values, np.nan)[2, 2])
    assert "0.30 of the maps, 0.55 of their SAM masks" in texts(figure)
    bare = draw.agreement_matrix(given.agreement(), given.masks().head(0), CAPTION)
    assert "no SAM masks" in texts(bare)
    none = draw.agreement_matrix(given.agreement().head(0), given.masks().head(0), CAPTION)
    assert not none.axes and "no two explainers" in texts(none)


def test_seed_against_final(seeds, found):
    figure = draw.seed_against_final(seeds, found, CAPTION)
    titles = [ax.get_title() for ax in figure.axes]
    assert [t.split("\n")[0] for t in titles] == ["embedded SAM", "GrabCut", "random walker"]
    assert titles[1].endswith("ρ = 1.00 [1.00, 1.00]")
    scatters = [c for c in figure.axes[0].collections if len(c.get_offsets()) == 6]
    assert len(scatters) == 4
    assert scatters[0].get_offsets()[2].tolist() == pytest.approx([0.5, 0.7])
    assert "75 % (embedded SAM), 100 % (GrabCut), 0 % (random walker)" in texts(figure).replace(
        "\n", " "
    )


def test_correlation_levels(found):
    figure = draw.correlation_levels(found, CAPTION)
    (ax,) = figure.axes
    assert labels(ax)[0] == "all pairs pooled" and len(labels(ax)) == 4
    points = [c for c in ax.collections if c.get_label() == "GrabCut"]
    assert points[0].get_offsets()[:, 0].tolist() == pytest.approx([1, 1, 1, 1])


def test_refinement_gain(seeds):
    figure = draw.refinement_gain(seed_quality.refinement(seeds), CAPTION)
    (ax,) = figure.axes
    points = {c.get_label(): c.get_offsets() for c in ax.collections}
    assert points["random walker"][:, 0].tolist() == pytest.approx([-0.1] * 4)
    assert points["embedded SAM"][3, 0] == pytest.approx(-0.02)
    assert "GrabCut +0.10, random walker −0.10" in texts(figure)


def test_rank_chart(seeds, found):
    order = seed_quality.ranking(seeds, given.proxy())
    rho = seed_quality.ranking_correlations(seeds, found, given.proxy())
    figure = draw.rank_chart(order, rho, CAPTION)
    ax = figure.axes[0]
    lines = {tuple(line.get_ydata()[:4]) for line in ax.lines}
    # Grad-CAM and Score-CAM keep their places, IG and LIME change them after SAM only
    assert lines == {(1, 1, 1, 1), (2, 2, 2, 2), (3, 4, 3, 3), (4, 3, 4, 4)}
    assert ".50" in texts(figure) and "ρ = 0.80" in texts(figure)
    undefined = draw.rank_chart(order, rho.assign(rho=np.nan), CAPTION)
    assert "nan" not in texts(undefined)


def test_heuristics():
    cues = ("gradcam", "scorecam", "ig", "lime")
    curve = pd.DataFrame(
        [(s, c, level, 0.3 + level) for s in given.SAMPLES for c in cues for level in (0, 0.5)],
        columns=["sample", "cue", "level", "iou"],
    )
    tables = given.localisation(), curve, pd.Series(0.5, cues)
    rules = thresholds.threshold_rules(*tables)
    found = pitfalls.choices(thresholds.by_rule(*tables), given.segmentation())
    figure = draw.heuristics(rules, found, 0.3, CAPTION)
    left, right = figure.axes
    assert labels(left) == ["Grad-CAM", "Score-CAM", "Integrated Gradients", "LIME"]
    points = [tuple(offset) for c in left.collections for offset in c.get_offsets()]
    tuned = [round(y, 2) for x, y in points if x == pytest.approx(0.8)]
    assert tuned == [0.27, 1.27, 2.27, 3.27, 0.09, 1.09, 2.09, 3.09]  # fixed 0.5, tuned to 0.5
    assert any(line.get_linestyle() == "--" and line.get_xdata()[0] == 0.3 for line in left.lines)
    widths = [bar.get_width() for bar in right.patches]
    assert widths == sorted(widths, reverse=True) and widths[0] == pytest.approx(0.4625)
    assert "The threshold rule (thresholded map) moves the mean IoU by 0.46" in texts(figure)


def test_size_against_iou():
    table = pitfalls.sizes(given.samples(), given.localisation(), given.segmentation())
    figure = draw.size_against_iou(table, CAPTION)
    (ax,) = figure.axes
    points = {c.get_label(): c.get_offsets() for c in ax.collections}
    assert points["SAM mask"][:, 0].tolist() == pytest.approx([1, 2, 5, 10, 30, 60])
    assert points["thresholded map"][2, 1] == pytest.approx(0.3375)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["1", "2", "5", "10", "20", "50", "100"]
    assert "IoU of SAM's masks: clear rank correlation (ρ = 0.99" in texts(figure)
