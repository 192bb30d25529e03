"""How an estimate is printed, and which way it points.

A handful of photographs cannot support or refute a claim about a data set. What they can show is a
direction, and that is all that is printed: `direction: for`, `direction: against` or `direction:
open` (the 95 % interval holds both, or there are fewer than five images). A claim that the study
has no data for is `not tested here`, with the reason.
"""

import numpy as np
import pandas as pd

FEWEST = 5  # images below which a bootstrap interval is not believed
COLUMNS = ["claim", "the paper says", "measured", "n", "estimate", "low", "high", "verdict"]


def estimate(
    mean: float, low: float = np.nan, high: float = np.nan, sign: bool = False, digits: int = 2
) -> str:
    """ "0.55 [0.48, 0.61]", without the interval where it is undefined; "undefined" for NaN."""
    if not np.isfinite(mean):
        return "undefined"
    values = [mean, low, high] if np.isfinite(mean + low + high) else [mean]
    text = [number(value, digits, sign) for value in values]
    return text[0] if len(text) == 1 else f"{text[0]} [{text[1]}, {text[2]}]"


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """Fixed digits with a true minus; zero has no minus: "0.00", never "−0.00"."""
    value = round(value, digits) + 0.0
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def percent(mean: float, low: float = np.nan, high: float = np.nan) -> str:
    """ "55 % [48, 61]" of a share; "undefined" for NaN."""
    if not np.isfinite(mean):
        return "undefined"
    interval = f" [{100 * low:.0f}, {100 * high:.0f}]" if np.isfinite(low + high) else ""
    return f"{100 * mean:.0f} %{interval}"


def direction(low: float, high: float, at_least: float = -np.inf, at_most: float = np.inf) -> str:
    """Where the interval [low, high] lies relative to the claimed range.

    For: inside it; against: outside it; open: across its border, or no interval.
    """
    if not np.isfinite(low + high):
        return "direction: open"
    if at_least <= low and high <= at_most:
        return "direction: for"
    if high < at_least or low > at_most:
        return "direction: against"
    return "direction: open"


def verdict(
    claim: str,
    says: str,
    measured: str,
    found: tuple[float, float, float, int],
    at_least: float = -np.inf,
    at_most: float = np.inf,
) -> list:
    """One row: `found` is (estimate, low, high, n), the claim holds in [at_least, at_most]."""
    value, low, high, n = found
    if not np.isfinite(value):
        return not_tested(claim, says, "not measured in this study")
    points = direction(low, high, at_least, at_most) if n >= FEWEST else "direction: open"
    return [claim, says, measured, n, value, low, high, points]


def not_tested(claim: str, says: str, reason: str) -> list:
    """One row for a claim that this study has no data for."""
    nan = float("nan")
    return [claim, says, "", 0, nan, nan, nan, f"not tested here: {reason}"]


def verdict_table(rows: list[list]) -> pd.DataFrame:
    """The rows as a table, with the columns of `COLUMNS`."""
    return pd.DataFrame(rows, columns=COLUMNS)


def possessive(name: str) -> str:
    """ "Grad-CAM's", "Integrated Gradients'"."""
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def count(k: int, n: int, of: str) -> str:
    """ "7 of 9 explainers", "all 9 explainers", "none of 9 explainers"."""
    if k == n and n > 1:
        return f"all {n} {of}"
    return f"{k if k else 'none'} of {n} {of}"


def as_markdown(
    table: pd.DataFrame, merge: dict[str, tuple[str, str, str]] | None = None, digits: int = 2
) -> str:
    """A table in Markdown, for reading: nothing is cut off, a dash where nothing is known.

    merge: new column -> the columns of an estimate and its interval, which it replaces:
    {"IoU": ("mean", "low", "high")} prints "0.55 [0.48, 0.61]".
    """
    table = table.copy()
    for name, (mean, low, high) in (merge or {}).items():
        text = [
            estimate(*row, digits=digits) if pd.notna(row[0]) else np.nan
            for row in table[[mean, low, high]].to_numpy(dtype=float)
        ]
        table.insert(table.columns.get_loc(mean), name, text)
        table = table.drop(columns=[mean, low, high])
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy(dtype=object)]
    return "\n".join(f"| {' | '.join(_cell(value, digits) for value in line)} |" for line in lines)


def _cell(value: object, digits: int) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else number(value, digits)
    return str(value).replace("|", "\\|")
