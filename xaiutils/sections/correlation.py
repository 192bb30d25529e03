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

from xaiutils.metrics.agreement import ranks
from xaiutils.statistics import estimate_over, mean_defined

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
    return float(spearman_rows(np.ravel(x), np.ravel(y)))


def spearman_rows(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(...,): `spearman` of the rows, x and y (..., K), each by its own finite pairs."""
    keep = np.isfinite(x) & np.isfinite(y)
    count = keep.sum(axis=-1, keepdims=True)
    # what is left out goes to the end, where it moves no rank
    p, q = (keep * (ranks(np.where(keep, v, np.inf)) - (count + 1) / 2) for v in (x, y))
    norm = np.sqrt((p * p).sum(axis=-1) * (q * q).sum(axis=-1))
    defined = (count[..., 0] >= 3) & (norm > 0)
    rho = np.divide((p * q).sum(axis=-1), norm, out=np.full(norm.shape, np.nan), where=defined)
    return np.clip(rho, -1, 1)


def correlations(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Columns level, n (images), pairs, rho, low, high: the four readings and their intervals.

    `table` has the columns sample, cue, `x` and `y`, one row a pair. Percentile bootstrap over
    images, seeded; NaN below three images.
    """
    wide = table.pivot(index="sample", columns="cue", values=[x, y])
    a, b = (wide[name].to_numpy(dtype=np.float64) for name in (x, y))
    n, pairs = len(a), int((np.isfinite(a) & np.isfinite(b)).sum())
    rows = [[level, n, pairs, *reading(level, a, b)] for level in LEVELS]
    return pd.DataFrame(rows, columns=["level", "n", "pairs", "rho", "low", "high"])


def reading(
    level: str, a: np.ndarray, b: np.ndarray, resamples: int = 1000
) -> tuple[float, float, float]:
    """(rho, low, high) of one of `LEVELS` for two quantities (images, cues)."""
    each = spearman_rows(a, b)  # the images' own

    def rho(draws: np.ndarray) -> np.ndarray:
        if level == "across explainers":
            return mean_defined(each[draws])
        p, q = a[draws], b[draws]  # (draws, images, cues)
        if level == "pooled":
            return spearman_rows(p.reshape(len(p), -1), q.reshape(len(q), -1))
        if level == "across images":
            return mean_defined(spearman_rows(p.swapaxes(1, 2), q.swapaxes(1, 2)))
        both = np.isfinite(p) & np.isfinite(q)
        return spearman_rows(*(mean_defined(np.where(both, v, np.nan), axis=1) for v in (p, q)))

    return estimate_over(len(a), rho, resamples)
