"""How far does a choice move the mean? The range over its options, with an interval over images."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from xaiutils.statistics import estimate_over, mean_defined


def by_option(table: pd.DataFrame, option: str, value: str, group: str | None = None) -> np.ndarray:
    """A tidy table as values (images, groups, options), options in the table's order.

    What is in no group is averaged by image; NaN where an image lacks an option.
    """
    keys = [name for name in (group, option) if name]
    each = table.groupby(["sample", *keys], sort=False, observed=True)[value].mean()
    levels = [each.index.get_level_values(key).unique() for key in ["sample", *keys]]
    whole = each.reindex(pd.MultiIndex.from_product(levels)).to_numpy(dtype=np.float64)
    shape = [len(level) for level in levels]
    return whole.reshape(shape[0], shape[1] if group else 1, shape[-1])


def mean_range(values: np.ndarray) -> tuple[float, float, float]:
    """(range, low, high): largest minus smallest mean over images of the options of a group,
    averaged over the groups. `values` as of `by_option`; NaN left out.

    Percentile bootstrap over images of the whole. A range is never negative and grows with the
    number of options, so that its interval does not reach zero even where nothing matters: hold it
    against the range of options that are the same.
    """
    return estimate_over(len(values), ranges(values))


def range_gap(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """(difference, low, high) of two ranges on the same images, bootstrapped together."""
    first, second = ranges(a), ranges(b)
    return estimate_over(len(a), lambda draws: first(draws) - second(draws))


def ranges(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The range of `values` (images, groups, options) for draws (B, images) of the images: (B,)."""

    def of(draws: np.ndarray) -> np.ndarray:
        means = mean_defined(values[draws], axis=1)  # (B, groups, options)
        defined = np.isfinite(means)
        high = np.where(defined, means, -np.inf).max(axis=-1)
        low = np.where(defined, means, np.inf).min(axis=-1)
        return mean_defined(np.where(defined.any(axis=-1), high - low, np.nan))

    return of
