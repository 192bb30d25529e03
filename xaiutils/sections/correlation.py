"""Rank correlation of two quantities that every image has for every cue.

With one value a (image, cue) there are four different questions, and the answers need not agree:

- pooled: over all pairs, whatever image or cue they belong to;
- across images: given the explainer, on which images does it work? (mean over cues);
- across explainers: given the image, which explainer works? (mean over images);
- of the means: which explainer works on average? (one value a cue: few points).

Intervals resample images, since the values of one image are not independent of each other.
"""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from xaiutils.statistics import interval_over

LEVELS: dict[str, str] = {
    "pooled": "all pairs pooled",
    "across images": "across images, given the explainer",
    "across explainers": "across explainers, given the image",
    "of the means": "of the explainers' means",
}


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of the pairs where both are finite; ties share their rank.

    NaN below three pairs or where one of the two is constant.
    """
    x, y = np.ravel(x), np.ravel(y)
    keep = np.isfinite(x) & np.isfinite(y)
    if keep.sum() < 3:
        return float("nan")
    x, y = rankdata(x[keep]), rankdata(y[keep])
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt((x @ x) * (y @ y))
    return float(np.clip(x @ y / norm, -1, 1)) if norm > 0 else float("nan")


def spearman_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(R,): `spearman` of each row of x with the row of y, both (R, K); whole rows all at once."""
    found, count = np.full(len(x), np.nan), x.shape[1]
    whole = (np.isfinite(x) & np.isfinite(y)).all(axis=1)
    if whole.any() and count >= 3:
        p, q = (rankdata(each[whole], axis=1) - (count + 1) / 2 for each in (x, y))
        norm = np.sqrt((p * p).sum(axis=1) * (q * q).sum(axis=1))
        with np.errstate(invalid="ignore"):
            found[whole] = np.clip((p * q).sum(axis=1) / norm, -1, 1)
    for row in np.flatnonzero(~whole):
        found[row] = spearman(x[row], y[row])
    return found


def correlations(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Columns level, n (images), pairs, rho, low, high: the four readings and their intervals.

    `table` has the columns sample, cue, `x` and `y`, one row a pair. Percentile bootstrap over
    images, seeded; NaN below three images.
    """
    wide = table.pivot(index="sample", columns="cue", values=[x, y])
    a, b = (wide[name].to_numpy(dtype=np.float64) for name in (x, y))
    n, pairs = len(a), int((np.isfinite(a) & np.isfinite(b)).sum())
    each = spearman_rows(a, b)
    rows = []
    for level in LEVELS:

        def rho(draw: np.ndarray, level: str = level) -> float:
            return _rho(level, a[draw], b[draw], each[draw])

        low, high = interval_over(n, rho)
        rows.append([level, n, pairs, _rho(level, a, b, each), low, high])
    return pd.DataFrame(rows, columns=["level", "n", "pairs", "rho", "low", "high"])


def _rho(level: str, a: np.ndarray, b: np.ndarray, each: np.ndarray) -> float:
    """One reading for values (images, cues); `each` are the images' own correlations."""
    if level == "pooled":
        return spearman(a, b)
    if level == "across explainers":
        return _mean(each)
    if level == "across images":
        return mean_of_columns(a, b)
    both = np.isfinite(a) & np.isfinite(b)
    columns = [(_mean(p[keep]), _mean(q[keep])) for p, q, keep in zip(a.T, b.T, both.T)]
    return spearman(*np.array(columns).T)


def mean_of_columns(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman of each pair of columns of (images, cues), averaged: the reading across images."""
    return _mean(spearman_rows(a.T, b.T))


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")
