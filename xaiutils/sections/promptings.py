"""Section 4, prompting: what SAM adds to a thresholded map, and how the prompts matter."""

from collections.abc import Sequence

import pandas as pd

from xaiutils.names import in_order, title
from xaiutils.sections.cues import kind, only, prompted, proxy_segmenter, thresholded
from xaiutils.sections.words import change, estimate, of_explainers
from xaiutils.statistics import summary

PROMPTING_NAMES = {
    "peak": "the maximum alone",
    "points": "three points",
    "dual": "dual cues",
    "box": "a box",
    "dual+box": "dual cues and a box",
    "literal": "dual cues, literal 85 %",
}

# A thresholded map against the mask that it prompts


def gain_pairs(segmentation: pd.DataFrame) -> pd.DataFrame:
    """SAM's masks with, beside their iou, that of the Otsu mask (iou_map) and the gain.

    Only the (sample, cue) where both are defined.
    """
    pairs = prompted(segmentation).merge(
        thresholded(segmentation)[["sample", "cue", "iou"]],
        on=["sample", "cue"],
        suffixes=("", "_map"),
    )
    return pairs.dropna(subset=["iou", "iou_map"]).assign(gain=lambda t: t["iou"] - t["iou_map"])


def prompting_gain(segmentation: pd.DataFrame) -> pd.DataFrame:
    """SAM's mask against the Otsu mask of the same map, for each explainer and fusion.

    Columns cue; threshold, prompted (mean IoU over the images that have both), each with its _low
    and _high; n, mean, low, high (the paired difference, prompted minus threshold). Largest
    difference first.
    """
    pairs = gain_pairs(segmentation)
    table = summary(pairs, "cue", "gain").drop(columns="undefined").set_index("cue")
    for name, column in {"prompted": "iou", "threshold": "iou_map"}.items():
        each = summary(pairs, "cue", column).set_index("cue")[["mean", "low", "high"]]
        each.columns = [name, f"{name}_low", f"{name}_high"]
        table = each.join(table)
    return table.sort_values("mean", ascending=False, kind="stable").reset_index()


def prompting_gain_sentence(table: pd.DataFrame) -> str:
    """How many explainers gain, how surely, and which gains most and least (C15)."""
    single = table[table["cue"].map(kind) == "explainer"]
    if single.empty:
        return "No explainer of this study has both a thresholded and a prompted mask."
    best, worst = single.iloc[0], single.iloc[-1]
    better, surely = of_explainers(single["mean"] > 0), of_explainers(single["low"] > 0)
    return (
        f"SAM's mask is better on average than the thresholded map for **{better}**; the interval "
        f"of the paired difference lies above zero for {surely}. "
        f"{title(best['cue'])} gains most ({change(best)}), {title(worst['cue'])} least "
        f"({change(worst)}). Over the explainers the mean IoU goes from "
        f"{single['threshold'].mean():.2f} to {single['prompted'].mean():.2f}."
    )


# Promptings


def promptings(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Mean IoU of each (cue, prompting): rows cues in order, columns promptings, Otsu first.

    The last row, "mean", is over the explainers only.
    """
    both = _every_prompting(segmentation, ["explainer", "fusion"])
    wide = both.pivot_table(index="cue", columns="prompting", values="iou", sort=False)
    wide = wide.loc[in_order(wide.index), _prompting_order(wide.columns)]
    wide.loc["mean"] = wide.loc[[c for c in wide.index if kind(c) == "explainer"]].mean()
    return wide.rename_axis(columns=None)


def _every_prompting(segmentation: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """Otsu's masks and SAM's of every prompting, for cues of some kinds."""
    sam = segmentation[segmentation["segmenter"] == proxy_segmenter(segmentation)]
    return only(pd.concat([thresholded(segmentation), sam]), kinds)


def _prompting_order(names) -> list[str]:
    known = ["otsu", "peak", "points", "dual", "box", "dual+box", "literal"]
    return [*[n for n in known if n in names], *[n for n in names if n not in known]]


def prompting_means(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Each prompting's IoU averaged over the explainers of an image, then over images.

    Columns prompting, n, undefined, mean, low, high, in the order of `promptings`.
    """
    both = _every_prompting(segmentation, ["explainer"])
    each = both.groupby(["prompting", "sample"], as_index=False, sort=False)["iou"].mean()
    table = summary(each, "prompting", "iou").set_index("prompting")
    return table.loc[_prompting_order(table.index)].reset_index()


def explainers_prompted(segmentation: pd.DataFrame) -> pd.DataFrame:
    """SAM's masks of the explainers under every prompting."""
    both = _every_prompting(segmentation, ["explainer"])
    return both[both["prompting"] != "otsu"]


def prompting_name(prompting: str) -> str:
    """The printed name of a prompting; an unknown one prints as it is."""
    return PROMPTING_NAMES.get(prompting, prompting)


def prompting_sentence(means: pd.DataFrame, grid: pd.DataFrame) -> str:
    """How far apart promptings are, beside how far apart explainers are."""
    sam = means[means["prompting"] != "otsu"].dropna(subset=["mean"])
    if sam.empty:
        return "No prompting of this study gave a defined mask."
    best, worst = sam.loc[sam["mean"].idxmax()], sam.loc[sam["mean"].idxmin()]
    low = estimate(worst["mean"], worst["low"], worst["high"])
    main = "dual" if "dual" in grid else best["prompting"]
    single = grid.loc[[c for c in grid.index if kind(c) == "explainer" and c != "mean"], main]
    return (
        f"Averaged over the explainers, the best prompting is "
        f"**{prompting_name(best['prompting'])}** "
        f"({estimate(best['mean'], best['low'], best['high'])}) and the worst "
        f"**{prompting_name(worst['prompting'])}** ({low}): "
        f"{best['mean'] - worst['mean']:.2f} IoU apart with the same maps and the same SAM. "
        f"Prompted by {prompting_name(main)}, the best and the worst explainer are "
        f"{single.max() - single.min():.2f} apart ({title(single.idxmax())} {single.max():.2f}, "
        f"{title(single.idxmin())} {single.min():.2f})."
    )
