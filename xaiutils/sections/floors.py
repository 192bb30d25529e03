"""Section 4, floors and ceilings: SAM without any explanation, and with the truth."""

import pandas as pd

from xaiutils.comparison import ALPHA, paired_tests, wide_table
from xaiutils.names import title
from xaiutils.sections.cues import best_of, kind, prompted, ranked
from xaiutils.sections.words import estimate, of_explainers, short_title


def floor_table(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Every cue, floor and ceiling with the IoU of its SAM mask, best first.

    Columns cue, kind, n, undefined, mean, low, high, and the paired difference from the best floor:
    gain, gain_low, gain_high, p_holm (Wilcoxon's test, Holm's correction over the rows; NaN for
    that floor itself and where the study has no floor). The best floor is the one with the highest
    mean.
    """
    masks = prompted(segmentation)
    table = ranked(masks, ["explainer", "fusion", "floor", "ceiling"])
    table.insert(1, "kind", table["cue"].map(kind))
    floor = best_of(table, "floor")
    pairs = [(cue, floor) for cue in table["cue"] if floor and cue != floor]
    tests = paired_tests(wide_table(masks, "iou"), pairs).set_index("a")
    named = {"mean": "gain", "low": "gain_low", "high": "gain_high", "p_holm": "p_holm"}
    return table.join(tests[[*named]].rename(columns=named).astype(float), on="cue")


def floor_title(table: pd.DataFrame) -> str:
    """The finding of `floor_table` in one line."""
    single = table[table["kind"] == "explainer"]
    floor = best_of(table, "floor")
    if floor is None:
        return "IoU of the SAM mask, by cue"
    mean = table.loc[table["cue"] == floor, "mean"].iloc[0]
    above = of_explainers(single["gain_low"] > 0)
    return f"Clearly above the best floor ({short_title(floor)}, {mean:.2f}): {above}"


def floor_sentence(table: pd.DataFrame) -> str:
    """Explainers against the best floor and the ceilings (C18, C19)."""
    single, floor = table[table["kind"] == "explainer"], best_of(table, "floor")
    if floor is None or single.empty:
        return "This study has no floors, so what the explanations add cannot be told."
    row, top = table[table["cue"] == floor].iloc[0], single.iloc[0]
    corrected = (single["gain"] > 0) & (single["p_holm"] < ALPHA)
    better, surely, worse, tested = (
        of_explainers(holds)
        for holds in (
            single["gain"] > 0,
            single["gain_low"] > 0,
            single["gain_high"] < 0,
            corrected,
        )
    )
    text = (
        "Without any explanation, SAM reaches "
        f"**{estimate(row['mean'], row['low'], row['high'])}** from the best floor "
        f"({short_title(floor)}). Above it on average: **{better}**; with an interval of the "
        f"paired difference above zero: {surely}, with a corrected p below 0.05: {tested}; with an "
        f"interval below zero: {worse}. "
    )
    text += (
        f"The best explainer, {title(top['cue'])}, adds "
        f"{estimate(top['gain'], top['gain_low'], top['gain_high'], sign=True)} to it. "
    )
    ceilings = table[table["kind"] == "ceiling"]
    said = [
        f"{short_title(row.cue)} {estimate(row.mean, row.low, row.high)}"
        for row in ceilings.itertuples()
    ]
    return text + (f"From the ground truth SAM reaches: {'; '.join(said)}." if said else "")
