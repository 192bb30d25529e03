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
    """(R,): `spearman` of each row of x with the row of y, both (R, K)."""
    if x.shape[1] < 3 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return np.array([spearman(a, b) for a, b in zip(x, y)])
    x, y = (rankdata(each, axis=1) for each in (x, y))
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (x, y))
    norm = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.divide((x * y).sum(axis=1), norm, where=norm > 0, out=np.full(len(x), np.nan))


def correlations(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Columns level, n (images), pairs, rho, low, high: the four readings and their intervals.

    `table` has the columns sample, cue, `x` and `y`, one row a pair. Percentile bootstrap over
    images, seeded; NaN below three images.
    """
    wide = table.pivot(index="sample", columns="cue", values=[x, y])
    a, b = (wide[name].to_numpy(dtype=np.float64) for name in (x, y))
    n, pairs = len(a), int((np.isfinite(a) & np.isfinite(b)).sum())
    each = np.array([spearman(p, q) for p, q in zip(a, b)])
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
    return _mean(_columns(a, b))


def _columns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman of each pair of columns; all at once where nothing is undefined."""
    if len(a) < 3 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.array([spearman(p, q) for p, q in zip(a.T, b.T)])
    x, y = (rankdata(values, axis=0) - (len(a) + 1) / 2 for values in (a, b))
    norm = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    with np.errstate(invalid="ignore"):
        return np.clip((x * y).sum(axis=0) / norm, -1, 1)


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else float("nan")
