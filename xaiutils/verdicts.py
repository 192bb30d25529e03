"""How an estimate is printed, and which way it points.

A handful of photographs cannot support or refute a claim about a data set. What they can show is a
direction, and that is all that is printed: `direction: for`, `direction: against` or `direction:
open` (the 95 % interval holds both). A claim that the study has no data for is `not tested here`,
with the reason.
"""

import numpy as np
import pandas as pd

COLUMNS = ["claim", "the paper says", "measured", "n", "estimate", "low", "high", "verdict"]


def estimate(mean: float, low: float = np.nan, high: float = np.nan, sign: bool = False) -> str:
    """ "0.55 [0.48, 0.61]", without the interval where it is undefined; "undefined" for NaN."""
    if not np.isfinite(mean):
        return "undefined"
    form = "{:+.2f}" if sign else "{:.2f}"
    text = form.format(mean)
    if np.isfinite(low) and np.isfinite(high):
        text += f" [{form.format(low)}, {form.format(high)}]"
    return text.replace("-", "−")


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
    points = direction(low, high, at_least, at_most)
    return [claim, says, measured, n, value, low, high, points]


def not_tested(claim: str, says: str, reason: str) -> list:
    """One row for a claim that this study has no data for."""
    nan = float("nan")
    return [claim, says, "", 0, nan, nan, nan, f"not tested here: {reason}"]


def verdict_table(rows: list[list]) -> pd.DataFrame:
    """The rows as a table, with the columns of `COLUMNS`."""
    return pd.DataFrame(rows, columns=COLUMNS)


def listed(names: list[str]) -> str:
    """ "a", "a and b", "a, b and c"; "none" for nothing."""
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def count(k: int, n: int, of: str) -> str:
    """ "7 of 9 explainers", "all 9 explainers", "none of 9 explainers"."""
    if k == n and n > 1:
        return f"all {n} {of}"
    return f"{k if k else 'none'} of {n} {of}"
