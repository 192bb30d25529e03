"""Section 4, fusion: the weighted fusion against every other cue, ours and printed."""

import pandas as pd

from xaiutils.names import in_order, title
from xaiutils.sections.cues import FUSED, difference, kind, prompted, thresholded
from xaiutils.sections.words import change, of_explainers


def fused_against(segmentation: pd.DataFrame) -> pd.DataFrame:
    """The weighted fusion minus every other cue and floor, paired: as maps, and as SAM masks.

    Columns of, cue, kind, n, mean, low, high; `of` is "thresholded map" (Otsu) or "SAM mask".
    """
    maps = thresholded(segmentation)
    rows = []
    for of, table in {"thresholded map": maps, "SAM mask": prompted(segmentation)}.items():
        for cue in in_order(table["cue"].unique()):
            if cue != FUSED and kind(cue) != "ceiling":
                mean, low, high, n = difference(table, FUSED, cue)
                rows.append([of, cue, kind(cue), n, mean, low, high])
    return pd.DataFrame(rows, columns=["of", "cue", "kind", "n", "mean", "low", "high"])


def hardest(table: pd.DataFrame, of: str, which: str = "explainer") -> pd.Series | None:
    """The row of `fused_against` with the smallest difference: the best rival on average."""
    rows = table[(table["of"] == of) & (table["kind"] == which)].dropna(subset=["mean"])
    return rows.loc[rows["mean"].idxmin()] if len(rows) else None


def fusion_sentence(table: pd.DataFrame) -> str:
    """Fused against single, against the best single, and against other fusions (C17, C18)."""
    said = []
    for of in ("thresholded map", "SAM mask"):
        single = table[(table["of"] == of) & (table["kind"] == "explainer")]
        rival, other = hardest(table, of), hardest(table, of, "fusion")
        if rival is None:
            continue
        better, surely = of_explainers(single["mean"] > 0), of_explainers(single["low"] > 0)
        said.append(
            f"As {of}s, the weighted fusion has the higher mean IoU against **{better}**, clearly "
            f"against {surely}. Against the best single "
            f"explainer here, {title(rival['cue'])}, the difference is **{change(rival)}** IoU "
            "(the paper says +0.05 or more)."
        )
        if other is not None:
            said.append(
                f"Against the strongest other fusion, {title(other['cue'])}, it is {change(other)}."
            )
    return " ".join(said) or "This study has no weighted fusion."


def published_gain(table2: pd.DataFrame) -> pd.DataFrame:
    """What the paper's own Table 2 gives for fused minus best single: a row a data set.

    Columns dataset, fused, best (IoU), method, difference.
    """
    rows = []
    for dataset, part in table2.groupby("dataset", sort=False):
        iou = part.set_index("method")["iou"]
        single = iou.drop("Fused-Weighted")
        rows.append([dataset, iou["Fused-Weighted"], single.max(), single.idxmax()])
    found = pd.DataFrame(rows, columns=["dataset", "fused", "best", "method"])
    return found.assign(difference=(found["fused"] - found["best"]).round(4))
