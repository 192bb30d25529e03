"""Which way an estimate points.

A handful of photographs cannot support or refute a claim about a data set. What they can show is a
direction, and that is all that is printed: `direction: for`, `direction: against` or `direction:
open` (the 95 % interval holds both, or there are fewer than five images). A claim that the study
has no data for is `not tested here`, with the reason.
"""

import numpy as np
import pandas as pd

FEWEST = 5  # images below which a bootstrap interval is not believed
COLUMNS = ["claim", "the paper says", "measured", "n", "estimate", "low", "high", "verdict"]


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
