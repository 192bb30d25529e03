"""The ledger on synthetic tables whose means are known by construction."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import section_tables as given

from xaiutils import claims
from xaiutils.claims import Finding, maps, proxy, training
from xaiutils.claims.finding import decide, judge, mean_finding, share_finding
from xaiutils.errors import InputError
from xaiutils.study import StudyConfig, open_study

TABLES = {
    "samples": lambda: given.samples().assign(label="dog"),
    "segmentation": given.segmentation,
    "localisation": given.localisation,
    "proxy": given.proxy,
    "agreement": given.agreement,
    "mask_agreement": lambda: given.masks().assign(segmenter="embedded_sam"),
}


def study(**config):
    """Six images of `given`; Grad-CAM 0.50, Score-CAM 0.45, fused 0.52 and mean 0.55 as maps."""
    return SimpleNamespace(
        name="given",
        config=StudyConfig("given", **config),
        sample_ids=given.SAMPLES,
        tables=list(TABLES),
        table=stored,
    )


def stored(name):
    if name not in TABLES:
        raise InputError(f"no table {name}")
    return TABLES[name]()


def test_every_claim_of_the_paper_stands_in_the_ledger_once():
    table = claims.claims()
    assert table["id"].tolist() == [f"C{k:02d}" for k in range(1, 35)]
    assert set(claims.EVIDENCE) | set(claims.BEYOND) == set(table["id"])
    assert (table["claim"].str.len() > 0).all()


@pytest.mark.parametrize(
    "low, high, points",
    [
        (0.4, 0.6, "for"),
        (0.45, 0.5, "for"),
        (0.1, 0.39, "against"),
        (0.7, 0.8, "against"),
        (0.3, 0.5, "open"),
        (np.nan, np.nan, "open"),
    ],
)
def test_where_an_interval_points(low, high, points):
    assert Finding("q", 0.5, low, high, 40, at_least=0.4, at_most=0.6).points == points


def test_verdicts_follow_from_the_intervals_alone():
    good, bad = (Finding("q", x, x, x, 40, at_least=0) for x in (0.1, -0.1))
    unsure = Finding("q", 0.0, -0.1, 0.1, 40, at_least=0)
    assert judge([good, good])[0] == "supported"
    assert judge([bad, bad])[0] == "not supported"
    assert judge([good, bad])[0] == judge([unsure])[0] == judge([good, unsure])[0] == "mixed"
    assert "q 0.10 [0.10, 0.10], n = 40, claimed at least 0 (for)" in judge([good])[1]


def test_mean_finding_drops_what_is_undefined():
    found = mean_finding("q", pd.Series([0.2, np.nan, 0.4]))
    assert found.n == 2 and found.estimate == pytest.approx(0.3)


def test_evidence_by_hand():
    (score,) = maps.score_cam_iou(study())
    assert score.estimate == pytest.approx(0.45) and score.points == "for"
    gain, six = proxy.fused_maps(study())
    assert gain.estimate == six.estimate == pytest.approx(0.02)  # 0.52 - 0.50
    assert (gain.points, six.points) == ("for", "against")
    (plain,) = proxy.weighted_against_mean(study())
    assert plain.estimate == pytest.approx(-0.03) and plain.points == "against"
    single, floor = proxy.fusion_gain(study())  # 0.72 - 0.70 and 0.72 - 0.45
    assert single.estimate == pytest.approx(0.02) and floor.estimate == pytest.approx(0.27)
    assert "Grad-CAM" in single.quantity and "centre point" in floor.quantity


def test_every_explainer_is_a_finding_of_prompting():
    found = proxy.prompted_against_threshold(study())
    assert [round(f.estimate, 6) for f in found] == [0.2, 0.15, 0.3, -0.02]
    assert judge(found)[0] == "mixed"


def test_few_images_show_a_direction_at_most(monkeypatch):
    row = claims.ledger(study(classifier="resnet50"), ["C01"]).iloc[0]
    assert row["verdict"] == "not tested here"
    assert row["reason"].startswith("n = 6, a direction at most: supported")
    monkeypatch.setattr("xaiutils.claims.finding.FEWEST", 5)
    row = claims.ledger(study(), ["C01"]).iloc[0]
    assert row["verdict"] == "supported" and row["estimate"] == pytest.approx(0.45)
    assert "other classifier (EfficientNet-Lite0)" in row["reason"]


def test_what_cannot_be_decided_says_why(monkeypatch):
    monkeypatch.setattr("xaiutils.claims.finding.FEWEST", 5)
    table = claims.ledger(study(), ["C07", "C16", "C17", "C28"]).set_index("id")
    assert table.loc["C07", "reason"] == "this study has no table stability"
    assert table.loc["C16", "verdict"] == "not tested here"
    assert table.loc["C16", "estimate"] == pytest.approx(0.72)
    assert "SAM2's real weights" in table.loc["C16", "reason"]
    assert table.loc["C28", "n"] == 0 and np.isnan(table.loc["C28", "estimate"])
    assert "embedded SAM, not SAM2" in table.loc["C17", "reason"]
    assert list(table.reset_index().columns) == claims.COLUMNS


def test_a_share_without_spread_has_the_exact_interval():
    none = share_finding("q", pd.Series(np.zeros(31)), at_least=0.05)
    assert (none.estimate, none.low) == (0, 0) and none.points == "open"
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 31))  # Clopper and Pearson
    every = share_finding("q", pd.Series(np.ones(100)), at_least=0.05)
    assert every.high == 1 and every.low == pytest.approx(0.025 ** (1 / 100))
    one = share_finding("q", pd.Series([1.0] + [0.0] * 77), at_least=0.05)
    assert (one.low, one.high) == pytest.approx((0.00032, 0.0694), abs=1e-4)
    assert one.points == "open"
    almost = share_finding("q", pd.Series([1 / 6] + [0.0] * 30), at_least=0.05)
    assert almost.high > none.high and almost.points == "open"  # a hit more is not against
    assert share_finding("q", pd.Series([], dtype=float)).n == 0


def test_findings_on_few_images_are_told_and_decide_nothing():
    many, one = Finding("a", 0.5, 0.4, 0.6, 30, 0.1), Finding("b", 0.5, np.nan, np.nan, 1, 0.1)
    against = Finding("c", -0.3, -0.4, -0.2, 2, 0.1)
    verdict, reason = decide([many, one, against])
    assert verdict == "supported" and "b 0.50, n = 1" in reason and "(against)" in reason
    assert decide([one, against])[0] == "not tested here"


def test_inherited_bias_is_the_order_of_the_images():
    rows = [
        (s, "lime", "ring", 0.2, seed, head)
        for s, seed, head in zip("abcdef", (1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 6, 5))
    ]
    table = pd.DataFrame(rows, columns=["sample", "source", "region", "share", "seed", "head"])
    inherited, amplified = training.bias_amplified(SimpleNamespace(table=lambda name: table))
    assert inherited.estimate == pytest.approx(1 - 6 * 2 / (6 * 35)) and inherited.points == "for"
    assert amplified.estimate == pytest.approx(0) and amplified.points == "open"


def test_significance_needs_the_corrected_test():
    assert Finding("q", 0.2, 0.1, 0.3, 40, 0.0).points == "for"
    assert Finding("q", 0.2, 0.1, 0.3, 40, 0.0, p=0.051).points == "open"
    assert Finding("q", 0.2, 0.1, 0.3, 40, 0.0, p=0.049).points == "for"
    assert Finding("q", -0.2, -0.3, -0.1, 40, 0.0, p=0.01).points == "against"
    assert "n = 40, corrected p = 0.051, claimed" in str(
        Finding("q", 0.2, 0.1, 0.3, 40, 0.0, p=0.051)
    )


def test_an_end_that_rounds_to_a_border_has_three_digits():
    assert "0.003 [−0.001, 0.007], n = 40" in str(Finding("q", 0.003, -0.001, 0.007, 40, 0, 0.1))
    assert "0.03 [0.01, 0.07], n = 40" in str(Finding("q", 0.03, 0.01, 0.07, 40, 0, 0.1))


def test_amplified_bias_and_overfitting_by_hand():
    bias = pd.DataFrame(
        [
            (s, "lime", region, 0.2, 0.1, head)
            for s in "ab"
            for region, head in (("ring", 0.3), ("far", 0.0), ("object", 0.9))
        ],
        columns=["sample", "source", "region", "share", "seed", "head"],
    )
    curves = pd.DataFrame(
        [
            (s, source, "plain", epoch, value, 1 / epoch, 1 / epoch)
            for s in "ab"
            for source in ("lime", "truth")
            for epoch, value in ((1, 0.5), (2, 0.6), (40, 0.4))
        ],
        columns=["sample", "source", "variant", "epoch", "iou", "held_out_loss", "pseudo_loss"],
    )
    given = SimpleNamespace(table=lambda name: bias if name == "bias" else curves)
    *inherited, ring, far = training.bias_amplified(given)
    assert len(inherited) == 2 and np.isnan(inherited[0].estimate)  # two images have no order
    assert (ring.estimate, ring.points) == (pytest.approx(0.2), "for")
    assert (far.estimate, far.points) == (pytest.approx(-0.1), "against")
    (lost,) = training.overfitted(given)
    assert lost.estimate == pytest.approx(-0.2) and lost.n == 2 and lost.points == "for"
    assert "went to 2% of its first" in lost.quantity  # epoch 1 against epoch 40


def test_a_number_without_a_claimed_range_stands_there_and_decides_nothing():
    beside = Finding("beside", 0.3, 0.2, 0.4, 40)
    bad = Finding("q", -0.1, -0.2, -0.05, 40, at_least=0)
    assert judge([bad, beside])[0] == decide([bad, beside])[0] == "not supported"
    assert decide([bad, beside])[1].endswith("beside 0.30 [0.20, 0.40], n = 40")
    assert decide([beside]) == ("not tested here", "beside 0.30 [0.20, 0.40], n = 40")


@pytest.mark.parametrize("side", [0.2, -0.2])
def test_sparse_or_diffuse_is_a_difference_to_either_side(side):
    """Integrated Gradients covers less; its Gini index and entropy differ by `side`."""
    rows = [
        (f"s{i}", cue, metric, value + (change if cue == "ig" else 0) + i / 1000)
        for i in range(40)
        for cue in ("gradcam", "ig")
        for metric, value, change in (
            ("coverage", 0.7, -0.3),
            ("gini", 0.5, side),
            ("entropy", 0.5, -side),
        )
    ]
    table = pd.DataFrame(rows, columns=["sample", "cue", "metric", "value"])
    found = maps.weak_coverage(SimpleNamespace(table=lambda name: table))
    assert judge(found)[0] == "supported"
    assert [round(f.estimate, 6) for f in found] == [-0.3, side, -side]


def test_completeness_is_decided_by_the_most_steps():
    table = pd.DataFrame(
        [(f"s{i}", n, 10 * (1 + e), 10.0) for i in range(40) for n, e in ((32, 0.2), (256, -0.01))],
        columns=["sample", "steps", "attribution_sum", "score_difference"],
    )
    most, few = maps.complete_gradients(SimpleNamespace(table=lambda name: table))
    assert most.estimate == pytest.approx(0.01) and most.points == "for" and few.estimate > 0.19
    assert "256 steps" in most.quantity and not few.decides
    assert decide([most, few])[0] == "supported"


def test_cost_is_passes_and_seconds():
    """Passes in the printed order, seconds the other way round."""
    printed = {"gradcam": 2, "scorecam": 900, "lime": 300, "occlusion": 500}
    rows = [("s", cue, "", 1 / passes, passes, 0) for cue, passes in printed.items()]
    columns = ["sample", "explainer", "settings", "seconds", "forward", "backward"]
    table = pd.concat([pd.DataFrame(rows, columns=columns).assign(sample=s) for s in "abc"])
    passes, seconds = maps.cost_order(SimpleNamespace(table=lambda name: table))
    assert passes.estimate == pytest.approx(-seconds.estimate) and passes.estimate > 0
    assert "passes" in passes.quantity and "seconds" in seconds.quantity


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"dataset": "voc2012", "split": "val"}, "6 of the 1,449 val images"),
        ({"dataset": "voc2012", "split": "train"}, "split train (6 images)"),
        ({"dataset": "kvasir-seg"}, "6 of the 1,000 images"),
        ({"dataset": "usis10k", "split": "val"}, "other images (a stand-in for USIS10K)"),
        ({"dataset": "folder"}, "other images (folder)"),
    ],
)
def test_departures_name_the_images_and_the_preset(config, expected):
    said = claims.departures(study(**config), "C01")
    assert expected in said and "fast preset" in said
    assert "fast preset" not in claims.departures(study(preset="full"), "C01")
    assert "embedded SAM, not SAM2" in "".join(claims.departures(study(**config), "C20"))
    assert "embedded SAM" not in "".join(claims.departures(study(**config), "C14"))


def test_claims_of_voc_are_tested_on_voc_alone(monkeypatch):
    monkeypatch.setattr("xaiutils.claims.finding.FEWEST", 5)
    elsewhere = claims.ledger(study(dataset="kvasir-seg"), ["C12", "C24"]).set_index("id")
    assert set(elsewhere["verdict"]) == {"not tested here"}
    assert elsewhere.loc["C12", "reason"].startswith("claimed of VOC 2012, not of kvasir-seg; here")
    assert "Table 2 has no column for kvasir-seg" in elsewhere.loc["C24", "reason"]
    stand_in = claims.ledger(study(dataset="usis10k", split="val"), ["C24"]).iloc[0]
    assert stand_in["verdict"] == "not tested here"
    assert stand_in["reason"].startswith("these images are a stand-in for USIS10K; here: IoU minus")
    there = claims.ledger(study(dataset="voc2012", split="val"), ["C12"]).iloc[0]
    assert there["verdict"] != "not tested here"


def test_the_stored_best_method_is_compared_at_tuned_levels():
    results = open_study("voc2012-subset-resnet50")
    first, coverage = proxy.best_method(results)
    assert "at levels tuned on training images" in first.quantity
    tuned = pd.read_csv(results.folder / "summary.csv")
    tuned = tuned[tuned["prompting"] == "tuned"].set_index("cue")["mean"]
    cues = [cue for cue in tuned.index if not cue.startswith("fused")]
    named = tuned[["scorecam", "gradcam"]].max()
    others = tuned[[cue for cue in cues if cue not in ("scorecam", "gradcam")]].max()
    assert first.estimate == pytest.approx(named - others, abs=1e-9)
    assert coverage.at_most == 0.9


def test_the_classes_miou_stands_beside_the_printed_one():
    (found,) = proxy.fused_mask(open_study("voc2012-subset-classes"))
    assert found.quantity.startswith("21-class mIoU") and found.n == 78
    assert found.low < found.estimate < found.high < 0.784 and found.points == "against"
    (other,) = proxy.fused_mask(study())
    assert other.quantity.startswith("per-image IoU") and not other.decides
