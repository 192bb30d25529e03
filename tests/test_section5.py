"""Tables and sentences of section 5 on synthetic tables whose means are known."""

import numpy as np
import pandas as pd
import pytest
import section_tables as given

from xaiutils.metrics.localisation import coverage, iou, spill
from xaiutils.sections import picks, pitfalls, seed_quality, thresholds

NO_LEVELS = pd.Series(dtype=float)
CURVES = pd.DataFrame(columns=["sample", "cue", "level", "iou"])


@pytest.fixture(scope="module")
def seeds():
    return seed_quality.seeds(given.localisation(), given.segmentation())


@pytest.fixture(scope="module")
def found(seeds):
    return seed_quality.seed_correlations(seeds)


def test_four_explainers_one_of_each_family():
    cues = ["lime", "gradcam", "gradcam++", "ig", "scorecam", "fused-mean"]
    assert picks.four(cues) == ["gradcam", "scorecam", "ig", "lime"]
    assert picks.four(["lime", "vargrad", "fused-mean"]) == ["vargrad", "lime"]


def test_agreement_of_masks_and_of_none():
    stored = given.masks().assign(segmenter="embedded_sam")
    other = stored.assign(segmenter="grabcut", value=0.0)
    table = pitfalls.mask_agreement(pd.concat([other, stored]), given.segmentation())
    assert table.equals(given.masks())
    empty = table.head(0)
    assert pitfalls.disagreement(empty, ["gradcam", "lime"]).empty
    assert "not stored" in pitfalls.agreement_sentence(given.agreement(), empty)
    # the maps' agreement remains
    assert len(pitfalls.agreement_change(given.agreement(), empty)) == 6


def test_agreement_before_and_after():
    pairs = pitfalls.agreement_change(given.agreement(), given.masks()).set_index(["a", "b"])
    assert pairs["maps"]["gradcam", "lime"] == pytest.approx(0.3)
    assert pairs["masks"]["gradcam", "scorecam"] == pytest.approx(0.8)
    said = pitfalls.agreement_sentence(given.agreement(), given.masks())
    assert "IoU of 0.30 [0.30, 0.30]" in said and "**0.55 [0.55, 0.55]**" in said
    assert "Grad-CAM and Score-CAM most (0.80)" in said
    mean = pitfalls.disagreement(given.masks(), ["gradcam", "scorecam", "lime"])
    assert mean["s0"] == pytest.approx((0.8 + 0.5 + 0.5) / 3)


def test_seeds_join_map_and_final_masks(seeds):
    assert len(seeds) == 6 * 4 * 3
    row = seeds[(seeds["sample"] == "s2") & (seeds["cue"] == "ig")].set_index("segmenter")
    assert row["seed"].tolist() == pytest.approx([0.1] * 3)
    assert row["oracle"].tolist() == pytest.approx([0.25] * 3)
    assert row["final"]["embedded_sam"] == pytest.approx(0.4)
    assert row["final"]["random_walker"] == pytest.approx(0.0)
    assert seed_quality.refiners_of(seeds) == ["embedded_sam", "grabcut", "random_walker"]


def test_seed_correlations_and_the_ceiling(seeds, found):
    rho = found.set_index(["segmenter", "level"])["rho"]
    assert rho["grabcut", "pooled"] == pytest.approx(1)
    assert rho["embedded_sam", "across images"] == pytest.approx(1)
    assert rho["embedded_sam", "across explainers"] == pytest.approx(
        0.8
    )  # LIME and IG change place
    table = seed_quality.ceiling_table(seeds).set_index("segmenter")
    assert table["above_seed"].to_dict() == pytest.approx(
        {"embedded_sam": 0.75, "grabcut": 1.0, "random_walker": 0.0}
    )
    # SAM: Grad-CAM +0.20 and IG +0.30 beat the oracle's +0.15; Score-CAM +0.15 ties
    assert table["above_oracle"]["grabcut"] == 0
    assert table["missed"].tolist() == [6, 6, 6] and table["rescued"].tolist() == [0, 0, 0]
    said = seed_quality.seed_sentence(seeds, found)
    assert "**GrabCut**: rank correlation **1.00 [1.00, 1.00]** over all pairs" in said
    assert "better than its seed in 75 % of 24 pairs" in said


def test_refinement(seeds):
    table = seed_quality.refinement(seeds).set_index(["segmenter", "cue"])
    assert table["mean"]["grabcut", "lime"] == pytest.approx(0.1)
    assert table["mean"]["embedded_sam", "lime"] == pytest.approx(-0.02)
    said = seed_quality.refinement_sentence(table.reset_index())
    assert "**random walker**: **−0.10** on average" in said
    assert "clearly worse for all 4 explainers" in said
    assert "the largest gain is Integrated Gradients' (+0.30 [+0.30, +0.30])" in said


def test_label_free_agreement_is_the_iou_of_seed_and_mask():
    rng = np.random.default_rng(0)
    E, S = rng.random((2, 20, 20)) > 0.6
    row = {"sample": "s", "cue": "lime", "reference": "own proxy"}
    values = [
        row | {"coverage": coverage(E, S), "spill": spill(E, S)},
        row | {"coverage": 0.0, "spill": 1.0},
        row | {"coverage": np.nan, "spill": np.nan},
    ]
    found = seed_quality.label_free(pd.DataFrame(values))["value"]
    assert found[0] == pytest.approx(iou(E, S))
    assert found[1] == 0 and np.isnan(found[2])


def test_ranking(seeds, found):
    order = seed_quality.ranking(seeds, given.proxy())
    assert order.index.tolist() == ["gradcam", "scorecam", "lime", "ig"]
    assert order["grabcut"]["ig"] == pytest.approx(0.2)
    rows = seed_quality.ranking_correlations(seeds, found, given.proxy()).set_index("segmenter")
    assert rows["rho"]["grabcut"] == pytest.approx(1)
    assert rows["rho"]["embedded_sam"] == pytest.approx(0.8)
    said = seed_quality.ranking_sentence(rows.reset_index(), order)
    assert said.startswith("As seeds, Grad-CAM is first and Integrated Gradients last.")
    assert "- embedded SAM: rank correlation with the seeds' order **0.80" in said
    assert "first Grad-CAM, last LIME" in said


def test_choices():
    rules = thresholds.by_rule(given.localisation(), CURVES.head(0), NO_LEVELS)
    assert list(rules) == ["Otsu", "oracle"]
    found = pitfalls.choices(rules, given.segmentation()).set_index("choice")
    assert found["range"]["explainer (SAM mask)"] == pytest.approx(0.42)
    assert found["range"]["prompting (SAM mask)"] == pytest.approx(0.2)
    assert found["best"]["explainer (thresholded map)"] == "Grad-CAM"
    assert "threshold rule (thresholded map)" not in found.index  # one rule is no choice
    bare = thresholds.threshold_rules(given.localisation(), CURVES.head(0), NO_LEVELS)
    said = pitfalls.choices_sentence(found.reset_index(), bare)
    assert said.startswith("- explainer (SAM mask): **0.42 [0.42, 0.42]** IoU between the best (G")
    assert "would add **0.15** to Otsu's mean IoU of 0.34" in said


def test_sizes():
    table = pitfalls.sizes(given.samples(), given.localisation(), given.segmentation())
    assert table["seed"].tolist() == pytest.approx((0.3375 + given.BUMP).tolist())
    found = pitfalls.size_correlations(table).set_index("of")
    assert found["rho"]["final"] == pytest.approx(0.9856, abs=1e-3)  # one tie in the bumps
    known = {"sample": list("abcd"), "object_share": [0.1, 0.2, 0.3, 0.4], "seed": [0.1] * 4}
    said = pitfalls.size_sentence(pd.DataFrame(known | {"final": [0.2, 0.4, 0.8, 0.6]}))
    assert "**undefined** for the thresholded maps" in said and "**0.80 [" in said
    assert (
        "smaller half of the objects have a mean IoU of 0.30, those of the larger half 0.70" in said
    )
