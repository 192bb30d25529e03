"""Section 5, the first rule of thumb: at which level is a map cut?

Tables of IoU under four rules, from a study's "localisation" and "thresholds": a fixed level of
0.5, a level for each cue that was chosen on training images, Otsu's level of each map, and the
oracle, which takes each image's best level and so has seen the answer. The whole image as a mask
(level 0) stands beside them: it needs no map.
"""

import numpy as np
import pandas as pd

from xaiutils.names import in_order, title
from xaiutils.sections.cues import only
from xaiutils.sections.words import estimate
from xaiutils.statistics import mean_interval, summary
from xaiutils.study import Study, open_study, studies_dir

FIXED = 0.5
# classifier, preset -> the stored training images on which levels are chosen for a study that has
# no companion of its own
TRAINING = {
    ("efficientnet_lite0", "fast"): "voc2012-subset-train",
    ("efficientnet_lite0", "full"): "voc2012-subset-full-train",
    ("resnet50", "fast"): "voc2012-subset-resnet50-train",
}


def tuned_levels(train: pd.DataFrame) -> pd.Series:
    """The level of each cue's map with the best mean IoU on the training images, by cue.

    train: the table "thresholds" of the training images; a tie goes to the lowest level.
    """
    means = train.groupby(["cue", "level"], sort=False)["iou"].mean().unstack("level")
    return means.sort_index(axis=1).dropna(how="all").idxmax(axis=1)


def at_levels(thresholds: pd.DataFrame, levels: pd.Series) -> pd.DataFrame:
    """IoU at one level a cue: sample, cue, level, iou."""
    wanted = thresholds["cue"].map(levels)
    return thresholds[np.isclose(thresholds["level"], wanted)].reset_index(drop=True)


def training_images(study: Study) -> Study | None:
    """The study on which levels are chosen: its companion, NAME-train, else the stored training
    images of VOC 2012 with the same classifier and preset; None where neither is here, and for a
    training split, which would judge itself."""
    if study.config.split == "train":
        return None
    borrowed = TRAINING.get((study.config.classifier, study.config.preset))
    for name in (f"{study.name}-train", borrowed):
        if name and (studies_dir() / name / "config.json").exists():
            return open_study(name)
    return None


def training_levels(study: Study) -> pd.Series:
    """`tuned_levels` of the study's `training_images`; empty without any."""
    train = training_images(study)
    if train is None:
        return pd.Series(dtype=float)
    return tuned_levels(train.table("thresholds"))


def levels_sentence(study: Study) -> str:
    """On which images the levels of the rule "tuned" were chosen."""
    train = training_images(study)
    if train is None:
        return "No level is tuned: there are no training images with this classifier and preset."
    n = len(train.sample_ids)
    return (
        f"Tuned: the level with the best mean IoU on the training images of {train.name} (n = {n})."
    )


def by_rule(
    localisation: pd.DataFrame, thresholds: pd.DataFrame, levels: pd.Series
) -> dict[str, pd.DataFrame]:
    """IoU of the explainers' maps under each rule: tables sample, cue, value.

    Rules: "fixed 0.5", "tuned" (where `levels` names the cue), "Otsu", "oracle"; a rule without
    rows is left out.
    """
    maps, curve = only(localisation, ["explainer"]), only(thresholds, ["explainer"])
    fixed = pd.Series(FIXED, curve["cue"].unique(), dtype=float)
    cut = {
        rule: at_levels(curve, level).rename(columns={"iou": "value"})[["sample", "cue", "value"]]
        for rule, level in {"fixed 0.5": fixed, "tuned": levels}.items()
    }
    known = {"Otsu": "iou", "oracle": "iou_oracle"}
    judged = {rule: maps[maps["metric"] == metric] for rule, metric in known.items()}
    return {rule: table for rule, table in (cut | judged).items() if len(table)}


def threshold_rules(
    localisation: pd.DataFrame, thresholds: pd.DataFrame, levels: pd.Series
) -> pd.DataFrame:
    """The means of `by_rule`: rule, cue, level (of the rule "tuned"), n, undefined, mean, low,
    high."""
    tables = by_rule(localisation, thresholds, levels)
    rows = [summary(table, "cue").assign(rule=rule) for rule, table in tables.items()]
    joined = pd.concat(rows, ignore_index=True)
    tuned = joined["rule"] == "tuned"
    joined["level"] = joined["cue"].map(levels).where(tuned).astype(float)
    order = {cue: i for i, cue in enumerate(in_order(joined["cue"].unique()))}
    joined = joined.sort_values("cue", key=lambda x: x.map(order), kind="stable")
    columns = ["rule", "cue", "level", "n", "undefined", "mean", "low", "high"]
    return joined[columns].reset_index(drop=True)


def whole_image(thresholds: pd.DataFrame) -> pd.DataFrame:
    """IoU of the mask that is the whole image: sample, value. It is any map cut at level 0."""
    found = thresholds[thresholds["level"] == 0].groupby("sample", sort=False)["iou"].first()
    return found.rename("value").reset_index()


GAPS = {
    "tuned - Otsu": ("tuned", "Otsu"),
    "Otsu - whole image": ("Otsu", "whole"),
    "tuned - whole image": ("tuned", "whole"),
}


def rule_gaps(
    localisation: pd.DataFrame, thresholds: pd.DataFrame, levels: pd.Series
) -> pd.DataFrame:
    """Differences of IoU between rules, paired by image: gap, cue, n, undefined, mean, low, high.

    Gaps: what tuning adds to Otsu, and what either adds to the whole image as a mask.
    """
    whole = whole_image(thresholds).set_index("sample")["value"]
    found = {
        rule: table.set_index(["cue", "sample"])["value"]
        for rule, table in by_rule(localisation, thresholds, levels).items()
    }
    rows = []
    for gap, (a, b) in GAPS.items():
        if a not in found:
            continue
        other = found[a].index.get_level_values("sample").map(whole) if b == "whole" else found[b]
        table = (found[a] - other).rename("value").reset_index()
        rows.append(summary(table, "cue").assign(gap=gap))
    joined = pd.concat(rows, ignore_index=True)
    return joined[["gap", "cue", "n", "undefined", "mean", "low", "high"]]


def gaps_sentence(gaps: pd.DataFrame, thresholds: pd.DataFrame, levels: pd.Series) -> str:
    """Who falls short of the whole image, and what a tuned level changes."""
    whole = mean_interval(whole_image(thresholds)["value"])
    by_gap = {gap: part.set_index("cue") for gap, part in gaps.groupby("gap", sort=False)}
    said = [f"The whole image as a mask, which needs no map, has an IoU of {estimate(*whole)}."]
    otsu = by_gap["Otsu - whole image"]
    below, above = otsu[otsu["high"] < 0], otsu[otsu["low"] > 0]
    said.append(
        f"Clearly above it at Otsu's level: {_named(above)}; clearly below: {_named(below)}."
    )
    if "tuned - Otsu" in by_gap:
        gain = by_gap["tuned - Otsu"]
        most, least = (gain.loc[pick] for pick in (gain["mean"].idxmax(), gain["mean"].idxmin()))
        said.append(
            f"A level tuned on training images changes the IoU by {_gap(least)} to {_gap(most)} "
            "against Otsu's."
        )
        still = by_gap["tuned - whole image"]
        said.append(f"Clearly above the whole image then: {_named(still[still['low'] > 0])}.")
        nothing = levels[(levels == 0) & levels.index.isin(still.index)]
        if len(nothing):
            said.append(
                f"For {_named(nothing)} the best level on the training images is 0: on average no "
                "other cut of these maps was worth more than the whole image."
            )
    return " ".join(said)


def _named(rows: pd.DataFrame | pd.Series) -> str:
    return ", ".join(title(cue) for cue in in_order(rows.index)) or "none"


def _gap(row: pd.Series) -> str:
    return f"{estimate(row['mean'], row['low'], row['high'], sign=True)} ({title(row.name)})"
