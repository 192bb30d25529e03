"""Section 5, heuristics: how far does each rule of thumb move the result?

Pure functions of the table of the analysis "sweep": one factor at a time around the defaults.
"""

import numpy as np
import pandas as pd

from xaiutils.names import title
from xaiutils.sections.trained import NOT_MEASURED
from xaiutils.sections.words import estimate
from xaiutils.statistics import interval_over, mean_defined, summary

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

    The range is that of the values' means, each over images and cues; "explainer" is the range over
    cues at the default prompts. Intervals are a bootstrap over images of the whole computation. A
    range is never negative and grows with the number of options: "drawing" (the same settings, five
    random draws) says how large it is by chance.
    """
    rows = []
    groups = dict(list(table.groupby(["factor", "result"], sort=False)))
    same = table[(table["factor"] == "foreground points") & (table["value"] == "3")]
    if same["cue"].nunique() > 1:
        groups["explainer", SAM] = same.assign(value=same["cue"])
    for (factor, result), part in groups.items():
        wide = part.groupby(["sample", "value"], sort=False)["iou"].mean().unstack()
        means = wide.mean()
        if means.notna().sum() > 1:
            low, high = _interval(wide.to_numpy())
            ends = [means.idxmax(), means.idxmin(), means.max() - means.min(), low, high]
            rows.append([factor, result, len(wide), int(means.notna().sum()), *ends])
    columns = ["factor", "result", "n", "options", "best", "worst", "range", "low", "high"]
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("range", ascending=False, kind="stable").reset_index(drop=True)


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Bootstrap over images (rows) of the range of the columns' means, undefined left out."""

    def spread(draws: np.ndarray) -> np.ndarray:
        means = mean_defined(values[draws], axis=1)
        defined = np.isfinite(means)
        high, low = np.where(defined, means, -np.inf), np.where(defined, means, np.inf)
        return np.where(defined.any(axis=1), high.max(axis=1) - low.min(axis=1), np.nan)

    return interval_over(len(values), spread)


def sweep_sentence(found: pd.DataFrame) -> str:
    """The factors in words, largest first; `found` of `sweep_ranges`."""
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
