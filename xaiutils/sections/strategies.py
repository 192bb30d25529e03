"""Section 4 and beyond: promptings that are meant to win, against the floors, paired by image.

The table `strategies` has the columns of `segmentation`: the mask galleries of every cue, and the
learned and graph-based fusions. Both tables are read together, so that every strategy stands beside
the floors and ceilings of the same images.
"""

import numpy as np
import pandas as pd

from xaiutils.names import title
from xaiutils.sections.cues import kind, proxy_segmenter
from xaiutils.sections.words import change, estimate, number, short_title
from xaiutils.statistics import paired_difference, summary

GALLERIES = ("gallery", "gallery-learned")
TARGET, MARGIN = 0.75, 0.10  # set before anything was measured: mean IoU, and above the best floor
LABELLED = "fused-stacked"  # a fusion that was fitted on pixel labels
COLUMNS = ["cue", "prompting", "kind", "n", "undefined", "mean", "low", "high"]
GAINS = ["gain", "gain_low", "gain_high"]


def both(segmentation: pd.DataFrame, strategies: pd.DataFrame) -> pd.DataFrame:
    """SAM's masks of both tables on the images that both have; strategies replace equal rows."""
    name = proxy_segmenter(strategies)
    ours, sam = (table[table["segmenter"] == name] for table in (strategies, segmentation))
    table = pd.concat([ours, sam[sam["sample"].isin(ours["sample"])]], ignore_index=True)
    return table.drop_duplicates(["sample", "cue", "prompting"])


def strategy_table(segmentation: pd.DataFrame, strategies: pd.DataFrame) -> pd.DataFrame:
    """Every (cue, prompting) with its IoU and the paired difference from the best plain floor.

    Columns cue, prompting, kind, n, undefined, mean, low, high, gain, gain_low, gain_high; best
    first. The best plain floor is the one of `segmentation` with the highest mean: SAM prompted by
    the image's centre or at random. Its own gain is NaN.
    """
    masks = both(segmentation, strategies)
    table = summary(masks, ["cue", "prompting"], "iou").assign(kind=lambda t: t["cue"].map(kind))
    table = table.sort_values("mean", ascending=False, kind="stable").reset_index(drop=True)
    floor = best_floor(table)
    masks = masks.assign(key=masks["cue"] + "\n" + masks["prompting"])
    gains = [_gain(masks, row, floor) for row in table.itertuples()]
    return table[COLUMNS].assign(**dict(zip(GAINS, np.transpose(gains))))


def best_floor(table: pd.DataFrame) -> pd.Series | None:
    """The row of the best plain floor (no gallery) of a table that is sorted, best first."""
    floors = table[(table["kind"] == "floor") & ~table["prompting"].isin(GALLERIES)]
    floors = floors.dropna(subset=["mean"])
    return floors.iloc[0] if len(floors) else None


def _gain(masks: pd.DataFrame, row, floor: pd.Series | None) -> tuple[float, float, float]:
    key = f"{row.cue}\n{row.prompting}"
    other = None if floor is None else f"{floor['cue']}\n{floor['prompting']}"
    if other is None or key == other:
        return (np.nan,) * 3
    return paired_difference(masks, key, other, "iou", "key")[:3]


def of(table: pd.DataFrame, prompting: str, kinds=("explainer", "fusion")) -> pd.DataFrame:
    """The rows of one prompting whose cue is of some kinds, best first."""
    return table[(table["prompting"] == prompting) & table["kind"].isin(kinds)]


def row_of(table: pd.DataFrame, cue: str, prompting: str) -> pd.Series | None:
    """One row, or None."""
    found = table[(table["cue"] == cue) & (table["prompting"] == prompting)]
    return found.iloc[0] if len(found) else None


def target_met(row: pd.Series) -> bool:
    """Mean IoU and margin over the floor as asked for, the interval of the difference above 0."""
    return bool(row["mean"] >= TARGET and row["gain"] >= MARGIN and row["gain_low"] > 0)


CHOOSERS = {"gallery": "chosen by the map", "gallery-learned": "chosen by a fitted score"}
Chosen = tuple[str, str]  # cue and prompting, picked on training images (`learned`, "selection")


def strategy_title(table: pd.DataFrame, chosen: Chosen | None = None) -> str:
    """The finding in one line: of what training images chose, else of the best."""
    found = of(table, "gallery")
    if found.empty:
        return "IoU by prompting strategy"
    best = found.iloc[0] if chosen is None else row_of(table, *chosen)
    best = found.iloc[0] if best is None else best
    return (
        f"A gallery of masks, {CHOOSERS[best['prompting']]}: {number(best['mean'])} "
        f"({title(best['cue'])}), {number(best['gain'], sign=True)} over the best floor"
    )


def strategy_sentence(table: pd.DataFrame, chosen: Chosen | None = None) -> str:
    """What training images chose; the galleries against the floor, the masks that no map proposed
    chosen by the centre, and the best."""
    floor = best_floor(table)
    if floor is None or of(table, "gallery").empty:
        return "This study has no gallery or no floor to compare it with."
    said = [
        f"The best plain floor ({short_title(floor['cue'])}) reaches "
        f"{estimate(floor['mean'], floor['low'], floor['high'])}."
    ]
    if chosen is not None:
        said += [_chosen_sentence(row_of(table, *chosen))]
    for prompting in GALLERIES:
        said += [_prompting_sentence(table, prompting)]
    said += [_control_sentence(table, prompting) for prompting in GALLERIES]
    said += [_oracle_sentence(table)]
    return " ".join(text for text in said if text)


def _prompting_sentence(table: pd.DataFrame, prompting: str) -> str:
    found = of(table, prompting)
    if found.empty:
        return ""
    best, single = found.iloc[0], found[found["kind"] == "explainer"]
    sure = int((single["gain_low"] > 0).sum())
    labels = " (which was fitted on pixel labels)" if best["cue"] == LABELLED else ""
    return (
        f"**{prompting}**: best with {title(best['cue'])}{labels}, "
        f"{estimate(best['mean'], best['low'], best['high'])}, {change(_as_change(best))} over "
        f"that floor; clearly above it for {sure} of {len(single)} explainers. {_verdict(best)}"
    )


def _chosen_sentence(row: pd.Series | None) -> str:
    if row is None:
        return ""
    return (
        f"**Chosen on training images alone, {title(row['cue'])} with {row['prompting']}**: "
        f"{estimate(row['mean'], row['low'], row['high'])}, {change(_as_change(row))} over that "
        f"floor (n = {row['n']}). {_verdict(row)} The cues named "
        "below were picked with these images in view."
    )


def _verdict(row: pd.Series) -> str:
    """Which parts of the target a row meets."""
    if target_met(row):
        return f"It meets the target: {TARGET} or more, and {MARGIN:+.2f} or more over the floor."
    missed = []
    if row["mean"] < TARGET:
        missed += [f"mean IoU of {TARGET}"]
    if row["gain"] < MARGIN:
        missed += [f"{MARGIN:+.2f} over the floor"]
    if not row["gain_low"] > 0:
        missed += ["interval above zero"]
    met = "" if len(missed) == 3 else "; it meets the rest"
    return f"It misses the target's {' and '.join(missed)}{met}."


def _as_change(row: pd.Series) -> pd.Series:
    return pd.Series({"mean": row["gain"], "low": row["gain_low"], "high": row["gain_high"]})


def _control_sentence(table: pd.DataFrame, prompting: str) -> str:
    """The masks that no map proposed, chosen by nearness to the centre: what do maps add?"""
    control = row_of(table, "floor:centre map", prompting)
    if control is None:
        return ""
    best = of(table, prompting).iloc[0]
    return (
        f"**{prompting}** without any explanation, the masks that no map proposed chosen by a blob "
        "in the centre of the image, reaches "
        f"{estimate(control['mean'], control['low'], control['high'])}; {title(best['cue'])} is "
        f"{number(best['mean'] - control['mean'], sign=True)} against it."
    )


def _oracle_sentence(table: pd.DataFrame) -> str:
    ceiling = row_of(table, "ceiling:best of gallery", "gallery")
    if ceiling is None:
        return ""
    return (
        "The best mask of the gallery, picked with the ground truth, has "
        f"{estimate(ceiling['mean'], ceiling['low'], ceiling['high'])}: what lies between is lost "
        "in choosing, what lies above is lost in the gallery."
    )
