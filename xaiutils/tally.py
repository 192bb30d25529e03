"""The summary of a study that is too large to hold in memory, or to resample.

    samples <= LARGE    `run.summarise`: means with percentile bootstrap intervals
    more                means with normal intervals, from sums over the stored tables

The bootstrap draws n values 2,000 times for every row of the summary. The mean of so many images
is normally distributed, so that both intervals agree: beyond `LARGE` only the cheaper is taken.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xaiutils.run import summarise
from xaiutils.statistics import LEVEL
from xaiutils.store import read_whole

LARGE = 20_000  # samples
KEYS = ["cue", "prompting", "segmenter", "metric"]


def summary_of(folder: Path, samples: int, large: int = LARGE) -> pd.DataFrame:
    """The summary of the tables that are stored in `folder`, of a study of so many samples."""
    if samples > large:
        return streamed_summary(folder)
    names = ("segmentation", "localisation")
    return summarise({name: read_whole(folder / f"{name}.parquet") for name in names})


def streamed_summary(folder: Path) -> pd.DataFrame:
    """As `run.summarise`, with normal intervals; memory does not grow with the tables."""
    masks = moments(folder / "segmentation.parquet", KEYS[:3], ["iou", "dice"])
    maps = moments(folder / "localisation.parquet", ["cue", "metric"], ["value"])
    maps = maps[~maps["metric"].isin(["iou", "dice"])]
    parts = [masks[masks["of"] == of].assign(metric=of) for of in ("iou", "dice")]
    parts.append(maps.assign(prompting="otsu", segmenter="threshold"))
    found = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return intervals(found)[[*KEYS, "n", "undefined", "mean", "low", "high"]]


def moments(path: Path, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """A row a group and column `of` of values: n (finite ones), undefined, total, squares."""
    names = ["n", "undefined", "total", "squares"]
    with pq.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            return pd.DataFrame(columns=[*keys, "of", *names])
    parts = []
    with pq.ParquetFile(path, read_dictionary=list(keys), page_checksum_verification=True) as file:
        for k in range(file.num_row_groups):
            table = file.read_row_group(k, [*keys, *values])
            parts += [moments_of(table, keys, of) for of in values]
    joined = pd.concat(parts, ignore_index=True)
    return joined.groupby([*keys, "of"], sort=False)[names].sum().reset_index()


def moments_of(table: pa.Table, keys: Sequence[str], of: str) -> pd.DataFrame:
    """The same of one part of a table and one of its columns."""
    finite = pc.fill_null(pc.is_finite(table[of]), False)  # an undefined value is stored as null
    x = pc.if_else(finite, table[of], 0.0)
    columns = [pc.cast(finite, "int64"), pc.cast(pc.invert(finite), "int64"), x, pc.multiply(x, x)]
    names = ["n", "undefined", "total", "squares"]
    whole = pa.table([*(table[key] for key in keys), *columns], names=[*keys, *names])
    found = whole.group_by(list(keys), use_threads=False).aggregate([(c, "sum") for c in names])
    frame = found.rename_columns([*found.column_names[: len(keys)], *names]).to_pandas()
    return frame.astype(dict.fromkeys(keys, str)).assign(of=of)


def intervals(sums: pd.DataFrame) -> pd.DataFrame:
    """mean, low, high from n, total and squares; NaN for an interval below two values."""
    from scipy.stats import norm

    n = sums["n"].to_numpy(dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums["total"].to_numpy(dtype=float) / n
        spread = np.sqrt(np.maximum(sums["squares"].to_numpy(dtype=float) / n - mean**2, 0) / n)
    half = np.where(n > 1, norm.ppf((1 + LEVEL) / 2) * spread, np.nan)
    return sums.assign(mean=mean, low=mean - half, high=mean + half)
