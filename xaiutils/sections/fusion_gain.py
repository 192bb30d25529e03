"""Section 4, fusion: the weighted fusion against every other cue, ours and printed."""

import pandas as pd

from xaiutils.comparison import ALPHA, paired_tests, wide_table
from xaiutils.names import title
from xaiutils.sections.cues import FUSED, kind, prompted, thresholded
from xaiutils.sections.words import change, of_explainers

OF = {"thresholded map": thresholded, "SAM mask": prompted}


def fused_against(segmentation: pd.DataFrame) -> pd.DataFrame:
    """The weighted fusion minus every other cue and floor, paired: as maps, and as SAM masks.

    Columns of, cue, kind, n, mean, low, high, p_holm (Wilcoxon's test, Holm's correction over the
    rows of `of`); `of` is "thresholded map" (Otsu) or "SAM mask".
    """
    found = []
    for of, table in OF.items():
        wide = wide_table(table(segmentation), "iou")
        rivals = [cue for cue in wide if cue != FUSED and kind(cue) != "ceiling"]
        pairs = [(FUSED, cue) for cue in rivals if FUSED in wide]
        tests = paired_tests(wide, pairs).rename(columns={"b": "cue"})
        found.append(tests.assign(of=of, kind=tests["cue"].map(kind)))
    columns = ["of", "cue", "kind", "n", "mean", "low", "high", "p_holm"]
    return pd.concat(found, ignore_index=True)[columns]


def hardest(table: pd.DataFrame, of: str, which: str = "explainer") -> pd.Series | None:
    """The row of `fused_against` with the smallest difference: the best rival on average."""
    rows = table[(table["of"] == of) & (table["kind"] == which)].dropna(subset=["mean"])
    return rows.loc[rows["mean"].idxmin()] if len(rows) else None


def fusion_sentence(table: pd.DataFrame) -> str:
    """Fused against single, against the best single, and against other fusions (C17, C18)."""
    said = []
    for of in OF:
        single = table[(table["of"] == of) & (table["kind"] == "explainer")]
        rival, other = hardest(table, of), hardest(table, of, "fusion")
        if rival is None:
            continue
        better, surely = of_explainers(single["mean"] > 0), of_explainers(single["low"] > 0)
        tested = of_explainers((single["mean"] > 0) & (single["p_holm"] < ALPHA))
        said.append(
            f"As {of}s, the weighted fusion has the higher mean IoU against **{better}**, clearly "
            f"against {surely}, with a corrected p below 0.05 against {tested}. Against the best "
            f"single explainer here, {title(rival['cue'])}, the difference is **{change(rival)}** "
            "IoU (the paper says +0.05 or more)."
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
