"""Cues by their kind, the masks that SAM makes of them, and what a table says of one cue."""

from collections.abc import Sequence

import pandas as pd

from xaiutils.errors import InputError
from xaiutils.evaluation import PROXIES
from xaiutils.names import in_order, title
from xaiutils.statistics import paired_difference, summary
from xaiutils.study import Study

FUSED = "fused-weighted"  # the paper's fusion


def kind(cue: str) -> str:
    """explainer, fusion, floor, ceiling or control."""
    if cue.startswith("fused-"):
        return "fusion"
    before, colon, _ = cue.partition(":")
    return before if colon else "explainer"


def singles(cues) -> list[str]:
    """The explainers among cues, in the paper's order: no fusion, no floor, no ceiling."""
    return in_order(cue for cue in cues if kind(cue) == "explainer")


def explainers(study: Study) -> list[str]:
    """The study's explainers in the paper's order, without fusions."""
    return singles(study.cues)


def explainers_of(table: pd.DataFrame) -> list[str]:
    """The table's explainers, in the order of the paper's Table 2."""
    return singles(table["cue"].unique())


def only(table: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """The rows whose cue is of one of the kinds."""
    return table[table["cue"].map(kind).isin(kinds)]


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its cues by their printed names."""
    return table.assign(cue=table["cue"].map(title))


def proxy_segmenter(segmentation: pd.DataFrame) -> str:
    """The segmenter of the table that stands in for SAM2; InputError when there is none."""
    present = set(segmentation["segmenter"])
    for name in PROXIES:
        if name in present:
            return name
    raise InputError(f"the study has no SAM among its segmenters ({', '.join(sorted(present))})")


def main_prompting(segmentation: pd.DataFrame) -> str:
    """The dual cues of the paper where the study has them, else its first prompting."""
    sam = segmentation[segmentation["segmenter"] == proxy_segmenter(segmentation)]
    kinds = sam["cue"].map(kind)
    present = list(dict.fromkeys(sam["prompting"][kinds.isin(["explainer", "fusion"])]))
    return "dual" if "dual" in present or not present else present[0]


def thresholded(segmentation: pd.DataFrame) -> pd.DataFrame:
    """The maps themselves, cut by Otsu's threshold, as masks: one a (sample, cue)."""
    return segmentation[segmentation["segmenter"] == "threshold"]


def prompted(segmentation: pd.DataFrame) -> pd.DataFrame:
    """SAM's masks, one a (sample, cue): cues with the main prompting, floors and ceilings."""
    sam = segmentation[segmentation["segmenter"] == proxy_segmenter(segmentation)]
    reference = sam["cue"].map(kind).isin(["floor", "ceiling"])
    wanted = reference | (sam["prompting"] == main_prompting(segmentation))
    return sam[wanted].reset_index(drop=True)


def difference(table: pd.DataFrame, a: str, b: str) -> tuple[float, float, float, int]:
    """(mean, low, high, n) of the IoU of cue a minus that of cue b."""
    return paired_difference(table, a, b, "iou")


def ranked(table: pd.DataFrame, kinds: Sequence[str], value: str = "iou") -> pd.DataFrame:
    """Cues of some kinds with n, undefined, mean, low, high; best first, undefined last."""
    return (
        summary(only(table, kinds), "cue", value)
        .sort_values("mean", ascending=False, kind="stable")
        .reset_index(drop=True)
    )


def best_of(table: pd.DataFrame, which: str) -> str | None:
    """The first cue of a kind in a table that is sorted, best first; None if there is none."""
    cues = table.loc[(table["cue"].map(kind) == which) & table["mean"].notna(), "cue"]
    return cues.iloc[0] if len(cues) else None


def look_up(table: pd.DataFrame, **where) -> tuple[float, float, float, int]:
    """(mean, low, high, n) of the one row with these values; NaN and 0 if there is none."""
    for column, value in where.items():
        table = table[table[column] == value]
    if table.empty:
        return float("nan"), float("nan"), float("nan"), 0
    row = table.iloc[0]
    return row["mean"], row["low"], row["high"], int(row["n"])
