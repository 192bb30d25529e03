"""Means and other estimates over images, with bootstrap intervals."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

LEVEL = 0.95
FEWEST = 30  # images; fewer show a direction at most, and decide no claim
RESAMPLES = 2000
BLOCK = 20_000  # indices at once: enough to be fast, few enough for any number of images


def mean_interval(values, level: float = LEVEL) -> tuple[float, float, float]:
    """(mean, low, high): the mean over images and its percentile bootstrap interval.

    NaN values (undefined) are excluded. The interval is NaN below two values, and has no width
    where all values are equal. Resampling is seeded: equal values give equal intervals.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    if x.size < 2:
        return (float(x.mean()) if x.size else float("nan")), float("nan"), float("nan")
    found = bootstrap(
        (x,),
        np.mean,
        confidence_level=level,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(x.mean()), float(found.low), float(found.high)


def mean_defined(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """The means along an axis of what is finite; NaN where nothing is."""
    defined = np.isfinite(values)
    total = np.where(defined, values, 0).sum(axis=axis)
    size = defined.sum(axis=axis)
    return np.divide(total, size, out=np.full(size.shape, np.nan), where=size > 0)


def interval_over(
    n: int,
    estimate: Callable[[np.ndarray], np.ndarray],
    resamples: int = 1000,
    level: float = LEVEL,
) -> tuple[float, float]:
    """(low, high): percentile bootstrap of any estimate over n images.

    `estimate` takes draws with replacement, indices (B, n), and gives a value each, (B,), NaN where
    it is undefined: these draws are left out. Seeded; NaN below three images or where no draw is
    defined.
    """
    found = [estimate(block) for block in draws(n, resamples)]
    return percentiles(np.concatenate(found) if found else [], level)


def estimate_over(
    n: int, estimate: Callable[[np.ndarray], np.ndarray], resamples: int = 1000
) -> tuple[float, float, float]:
    """(value, low, high): any estimate of the n images themselves and its `interval_over` them."""
    return float(estimate(np.arange(n)[None])[0]), *interval_over(n, estimate, resamples)


def draws(n: int, resamples: int = 1000) -> Iterator[np.ndarray]:
    """Seeded draws with replacement of n images: indices in blocks (b, n), `resamples` draws in
    all; none below three images. The draws do not depend on the blocks."""
    rng = np.random.default_rng(0)
    step = max(BLOCK // max(n, 1), 1)
    for start in range(0, resamples if n >= 3 else 0, step):
        yield rng.integers(n, size=(min(step, resamples - start), n))


def percentiles(found: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """(low, high) of the values that are no NaN; NaN without any."""
    found = np.array(found, dtype=np.float64)
    found = found[np.isfinite(found)]
    if not found.size:
        return float("nan"), float("nan")
    tail = 50 * (1 - level)
    low, high = np.percentile(found, [tail, 100 - tail])
    return float(low), float(high)


def summary(table: pd.DataFrame, by: str | Sequence[str], value: str = "value") -> pd.DataFrame:
    """One row a group with n (defined values), undefined (how many are NaN), mean, low, high."""
    keys = [by] if isinstance(by, str) else list(by)
    rows = []
    for group, part in table.groupby(keys, sort=False, observed=True):
        x = part[value].to_numpy(dtype=np.float64)
        mean, low, high = mean_interval(x)
        defined = int(np.isfinite(x).sum())
        rows.append([*group, defined, len(x) - defined, mean, low, high])
    return pd.DataFrame(rows, columns=[*keys, "n", "undefined", "mean", "low", "high"])


def paired_difference(table: pd.DataFrame, a: str, b: str, value: str = "value", cue: str = "cue"):
    """Mean of a - b over the images that have both, with its interval: (mean, low, high, n).

    `table` has the columns sample, `cue` and `value`; `a` and `b` are two of its cues.
    """
    wide = table[table[cue].isin([a, b])].pivot(index="sample", columns=cue, values=value)
    if a not in wide or b not in wide:
        return float("nan"), float("nan"), float("nan"), 0
    difference = (wide[a] - wide[b]).dropna()
    return *mean_interval(difference), len(difference)
