"""Section 5, heuristics: how far does each rule of thumb move the result?

Pure functions of the table of the analysis "sweep": one factor at a time around the defaults.
"""

import numpy as np
import pandas as pd

from xaiutils.names import title
from xaiutils.sections.ranges import by_option, mean_range, range_gap
from xaiutils.sections.trained import NOT_MEASURED
from xaiutils.sections.words import estimate
from xaiutils.statistics import summary

DEFAULTS = {
    "threshold": "Otsu",
    "foreground points": "3",
    "background points": "2",
    "foreground percentile": "85",
    "background percentile": "10",
    "superpixels": "",  # the study's own number is not among the values
    "drawing": "",
}
MAP, SAM = "map", "SAM"


def sweep_means(table: pd.DataFrame) -> pd.DataFrame:
    """A row a factor, result, cue and value, in the order tried: n, undefined, mean, low, high."""
    return summary(table, ["factor", "result", "cue", "value"], "iou")


def sweep_ranges(table: pd.DataFrame) -> pd.DataFrame:
    """How far each factor moves the mean IoU: factor, result, n, options, best, worst, range, low,
    high; largest range first.

    The range is that of the values' means over images, for each cue by itself, averaged over the
    cues; best and worst are the values with the extreme means over both; "explainer" is the range
    over cues at the default prompts. A range is never negative (`ranges.mean_range`): "drawing"
    (the same settings, five random draws) says how large it is by chance.
    """
    rows = []
    for (factor, result), values in _values(table).items():
        part, wide = values
        means = part.groupby("value", sort=False)["iou"].mean()
        if means.notna().sum() > 1:
            ends = means.idxmax(), means.idxmin()
            rows.append([factor, result, len(wide), means.count(), *ends, *mean_range(wide)])
    columns = ["factor", "result", "n", "options", "best", "worst", "range", "low", "high"]
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("range", ascending=False, kind="stable").reset_index(drop=True)


def _values(table: pd.DataFrame) -> dict[tuple[str, str], tuple[pd.DataFrame, np.ndarray]]:
    """By factor and result the rows, and the IoU (images, cues, values)."""
    groups = dict(list(table.groupby(["factor", "result"], sort=False)))
    same = table[(table["factor"] == "foreground points") & (table["value"] == "3")]
    if same["cue"].nunique() > 1:
        groups["explainer", SAM] = same.assign(value=same["cue"], cue="any")
    return {key: (part, by_option(part, "value", "iou", "cue")) for key, part in groups.items()}


def lead(table: pd.DataFrame, found: pd.DataFrame) -> tuple[float, float, float]:
    """(difference, low, high) of the two largest ranges of `sweep_ranges`: which matters more?"""
    values = _values(table)
    first, second = (values[row.factor, row.result][1] for row in found.head(2).itertuples())
    return range_gap(first, second)


def sweep_sentence(found: pd.DataFrame, table: pd.DataFrame) -> str:
    """The factors in words, largest first; `found` of `sweep_ranges` of the table."""
    if found.empty:
        return NOT_MEASURED
    said = [
        f"- {row.factor}, {_result(row.result)}: **{estimate(row.range, row.low, row.high)}** IoU "
        + (
            f"over {row.options} draws"
            if row.factor == "drawing"
            else f"between {title(row.best)} (best) and {title(row.worst)} (worst) of {row.options}"
        )
        for row in found.itertuples()
    ]
    said = [f"On {found['n'].max()} images:\n", *said]
    if len(found) > 1:
        gap = lead(table, found)
        clear = "the first clearly more" if gap[1] > 0 else "which of them matters more stays open"
        said.append(f"\nThe two largest differ by {estimate(*gap)}: {clear}.")
    chance = found[found["factor"] == "drawing"]
    if len(chance):
        limit = chance["range"].iloc[0]
        small = found[(found["range"] <= 2 * limit) & (found["factor"] != "drawing")]
        names = ", ".join(dict.fromkeys(small["factor"])) or "none"
        said.append(
            f"\nAnother draw of points from the same regions moves the mean IoU by "
            f"{limit:.2f}; these move it by less than twice as much: {names}."
        )
    return "\n".join(said)


def _result(result: str) -> str:
    return "thresholded map" if result == MAP else "SAM mask"
