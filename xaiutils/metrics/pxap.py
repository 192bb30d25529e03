"""Pixel average precision of maps over a whole split (PxAP; Choe et al., CVPR 2020).

    total = sum(score_histogram(map, mask, void) for map, mask, void in split)
    pxap(total)

The area under the precision-recall curve of all pixels of all images, one threshold for the whole
split swept from above to below: it asks for no threshold, but for maps whose values mean the same
on every image. The authors define it for OpenImages, and for the masks of CUB in their later
article (TPAMI 2022).

As in the authors' code: thresholds 0, 0.001, ..., 0.999, and 1 in a bin of its own; the sum of
precision times the step in recall, without interpolation. What differs: it is a share, not a
percentage; maps are compared at image size, not at 224 x 224, so that a large image weighs more
than a small one; a map need not reach 0 and 1, and a flat map has no histogram (their code refuses
both); void may be any pixels, while theirs are the ignored boxes outside the object.
"""

import numpy as np

from xaiutils.errors import InputError
from xaiutils.maps import as_map, as_mask

STEPS = 1000


def score_histogram(
    map: np.ndarray, mask: np.ndarray, void: np.ndarray | None = None
) -> np.ndarray:
    """(2, 1001) int64: pixels outside and inside the mask by their value, of one map in [0, 1].

    Bin k holds k / 1000 <= value < (k + 1) / 1000, the last one value = 1. All zero for a map that
    is all NaN (flat): it adds nothing, and the caller counts it. Histograms of images are added.
    """
    map = as_map(map)
    mask = as_mask(mask, map.shape)
    valid = np.ones(map.shape, bool) if void is None else ~as_mask(void, map.shape, "void")
    values, inside = map[valid], mask[valid]
    if np.isnan(values).all():
        return np.zeros((2, STEPS + 1), np.int64)
    if not (values.min() >= 0 and values.max() <= 1):
        raise InputError("map must lie in [0, 1] without NaN: normalise it first")
    # searched for, not multiplied out: 0.29 * 1000 is below 290
    edges = np.append(np.arange(STEPS) / STEPS, 1).astype(map.dtype)
    bins = np.searchsorted(edges, values, side="right") - 1
    size = STEPS + 1
    return np.bincount(bins + size * inside, minlength=2 * size).reshape(2, size)


def pxap(histogram: np.ndarray) -> float | np.ndarray:
    """Average precision of the summed histograms (..., 2, 1001); NaN without a mask pixel."""
    fp, tp = np.moveaxis(np.asarray(histogram, np.float64)[..., ::-1].cumsum(axis=-1), -2, 0)
    predicted = tp + fp
    precision = np.divide(tp, predicted, where=predicted > 0, out=np.zeros_like(tp))
    steps = np.diff(tp, axis=-1, prepend=0)
    positives = tp[..., -1]
    area = (precision * steps).sum(axis=-1)
    found = np.divide(area, positives, where=positives > 0, out=np.full(area.shape, np.nan))
    return float(found) if found.ndim == 0 else found
