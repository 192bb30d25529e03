"""The level at which a map is cut: rules, levels tuned elsewhere, the whole image as the floor."""

from types import SimpleNamespace

import pandas as pd
import pytest

from xaiutils.sections import thresholds
from xaiutils.study import open_study

LEVELS = (0.0, 0.25, 0.5)


def curve(cue, *values):
    return [("s", cue, level, value) for level, value in zip(LEVELS, values)]


def frame(*curves):
    rows = [row for rows in curves for row in rows]
    return pd.DataFrame(rows, columns=["sample", "cue", "level", "iou"])


def images(n=4):
    """Two explainers on n images: the whole image 0.2, Otsu's level 0.3 (gradcam) or 0.1 (ig)."""
    rows, judged = [], []
    for i in range(n):
        for cue, at_quarter, otsu in (("gradcam", 0.5, 0.3), ("ig", 0.15, 0.1)):
            for level, value in zip(LEVELS, (0.2, at_quarter, 0.05)):
                rows.append((f"s{i}", cue, level, value))
            judged += [(f"s{i}", cue, "iou", otsu), (f"s{i}", cue, "iou_oracle", 0.6)]
    curves = pd.DataFrame(rows, columns=["sample", "cue", "level", "iou"])
    return pd.DataFrame(judged, columns=["sample", "cue", "metric", "value"]), curves


def test_levels_are_chosen_on_one_set_and_applied_to_another():
    train = frame(curve("gradcam", 0.1, 0.6, 0.5), curve("ig", 0.4, 0.2, 0.1))
    levels = thresholds.tuned_levels(train)
    assert levels.to_dict() == {"gradcam": 0.25, "ig": 0.0}
    other = frame(curve("gradcam", 0.9, 0.3, 0.8), curve("ig", 0.2, 0.7, 0.7))
    found = thresholds.at_levels(other, levels)
    assert found["iou"].tolist() == [0.3, 0.2]  # not the best of these images


def test_a_tie_goes_to_the_lowest_level_in_any_order():
    tie = frame(curve("gradcam", 0.1, 0.6, 0.6))
    for table in (tie, tie.iloc[::-1]):
        assert thresholds.tuned_levels(table).to_dict() == {"gradcam": 0.25}


def test_rules_means_and_levels():
    localisation, curves = images()
    levels = pd.Series({"gradcam": 0.25, "ig": 0.0})
    rules = thresholds.threshold_rules(localisation, curves, levels).set_index(["rule", "cue"])
    assert rules["mean"]["fixed 0.5", "gradcam"] == pytest.approx(0.05)
    assert rules["mean"]["tuned", "gradcam"] == pytest.approx(0.5)
    assert rules["mean"]["tuned", "ig"] == pytest.approx(0.2)
    assert rules["mean"]["Otsu", "ig"] == pytest.approx(0.1)
    assert rules["mean"]["oracle", "ig"] == pytest.approx(0.6)
    assert rules["level"].dropna().to_dict() == {("tuned", "gradcam"): 0.25, ("tuned", "ig"): 0.0}
    bare = thresholds.threshold_rules(localisation, curves, pd.Series(dtype=float))
    assert set(bare["rule"]) == {"fixed 0.5", "Otsu", "oracle"}


def test_gaps_are_paired_and_said():
    localisation, curves = images()
    levels = pd.Series({"gradcam": 0.25, "ig": 0.0})
    gaps = thresholds.rule_gaps(localisation, curves, levels)
    mean = gaps.set_index(["gap", "cue"])["mean"]
    assert mean["tuned - Otsu", "gradcam"] == pytest.approx(0.2)
    assert mean["Otsu - whole image", "gradcam"] == pytest.approx(0.1)
    assert mean["Otsu - whole image", "ig"] == pytest.approx(-0.1)
    assert mean["tuned - whole image", "ig"] == pytest.approx(0)
    said = thresholds.gaps_sentence(gaps, curves, levels)
    assert "has an IoU of 0.20 [0.20, 0.20]" in said
    assert "at Otsu's level: Grad-CAM; clearly below: Integrated Gradients." in said
    assert "by +0.10 [+0.10, +0.10] (Integrated Gradients) to +0.20 [+0.20, +0.20] (Gra" in said
    assert "For Integrated Gradients the best level on the training images is 0" in said


def test_without_levels_nothing_is_said_of_tuning():
    localisation, curves = images()
    none = pd.Series(dtype=float)
    gaps = thresholds.rule_gaps(localisation, curves, none)
    assert set(gaps["gap"]) == {"Otsu - whole image"}
    said = thresholds.gaps_sentence(gaps, curves, none)
    assert "tuned" not in said and "clearly below" in said


def study(name, split="val", classifier="efficientnet_lite0", preset="fast"):
    config = SimpleNamespace(split=split, classifier=classifier, preset=preset)
    return SimpleNamespace(name=name, config=config)


def test_whose_training_images():
    named = {
        "voc2012-subset": "voc2012-subset-train",
        "voc2012-subset-classes": "voc2012-subset-classes-train",
        "mine": "voc2012-subset-train",
    }
    assert {name: thresholds.training_images(study(name)).name for name in named} == named
    assert thresholds.training_images(study("x", classifier="resnet50")).name == (
        "voc2012-subset-resnet50-train"
    )
    assert thresholds.training_images(study("x", classifier="swin_t")) is None
    assert thresholds.training_images(study("voc2012-subset-train", "train")) is None
    assert "No level is tuned" in thresholds.levels_sentence(study("x", classifier="swin_t"))
    assert "images of voc2012-subset-train (n = 60)" in thresholds.levels_sentence(study("mine"))


def test_no_training_images_where_no_study_is_stored(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path))
    assert thresholds.training_images(study("mine")) is None
    assert thresholds.training_levels(study("mine")).empty


@pytest.mark.parametrize("name", ["voc2012-subset", "voc2012-subset-resnet50"])
def test_the_stored_summary_states_the_tuned_levels_of_the_training_images(name):
    results = open_study(name)
    summary = pd.read_csv(results.folder / "summary.csv")
    tuned = summary[summary["prompting"] == "tuned"].set_index("cue")["mean"]
    cut = thresholds.at_levels(results.table("thresholds"), thresholds.training_levels(results))
    again = cut.groupby("cue")["iou"].mean()
    assert len(tuned) == 13 and (again - tuned).abs().max() < 1e-12
