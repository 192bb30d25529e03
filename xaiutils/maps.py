"""What is done to a single map before it meets a mask, another map or a segmenter.

A map is a real array of any shape unless (H, W) is asked for. `void` and `valid` are boolean arrays
of the map's shape. A map is *flat* when its range is at most one millionth of its largest magnitude
(a resized constant map differs by a rounding error here and there), or when a value or the range is
not finite in the map's own type: a flat map has no maximum, no threshold and no order.
"""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from xaiutils.errors import InputError

BINS = 256
FLAT = 1e-6
BORDER = 0.05  # of the side: the band along the borders of a map
BAND = 1 - (1 - 2 * BORDER) ** 2  # its share of the area


def as_map(map: np.ndarray) -> np.ndarray:
    """The map as float32 or float64, whichever it is already (else float32); no copy if it fits."""
    map = np.asarray(map)
    return map if map.dtype in (np.float32, np.float64) else map.astype(np.float32)


def as_mask(mask: np.ndarray, shape: tuple[int, ...], name: str = "mask") -> np.ndarray:
    """The boolean array `mask`, or an InputError when its dtype or its shape is another."""
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise InputError(f"{name} must be boolean, not {mask.dtype}: threshold it first")
    if mask.shape != tuple(shape):
        raise InputError(f"{name} has shape {mask.shape}, the map {tuple(shape)}: resize the map")
    return mask


def positive(map: np.ndarray) -> np.ndarray:
    """The positive part, max(map, 0), as a new float array."""
    return np.maximum(as_map(map), 0)


def is_flat(map: np.ndarray) -> bool:
    """True for an empty or (nearly) constant map and for one with a value that is not finite."""
    map = as_map(map)
    if map.size == 0:
        return True
    low, high = map.min(), map.max()
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(high - low):
            return True
    low, high = float(low), float(high)
    return high - low <= FLAT * max(abs(low), abs(high))


def normalise(map: np.ndarray) -> np.ndarray:
    """The map brought to [0, 1] by its minimum and maximum, same shape; a flat map becomes all NaN.

    Signs are not treated: a negative value is low, not strong. Take `positive` first if that is
    what the explainer means.
    """
    map = as_map(map)
    if is_flat(map):
        return np.full_like(map, np.nan)
    low, high = map.min(), map.max()
    return (map - low) / (high - low)


def bins(map: np.ndarray) -> np.ndarray:
    """The bin, 0 to 255, of every value of the normalised map (uint8). The map must not be flat."""
    return np.minimum(normalise(map) * BINS, BINS - 1).astype(np.uint8)


def otsu(map: np.ndarray, valid: np.ndarray | None = None) -> float:
    """Otsu's threshold of one map, in the map's own units; NaN for a flat map.

    Found on 256 bins of the map normalised to [0, 1] (`skimage.filters.threshold_otsu`), over the
    pixels of `valid` only. Returned is the smallest value of the upper class, so that
    `map >= otsu(map)` is Otsu's upper class exactly.
    """
    map = as_map(map)
    values = map.ravel() if valid is None else map[as_mask(valid, map.shape, "valid")]
    if is_flat(values):
        return float("nan")
    levels = bins(values)
    last_below = threshold_otsu(hist=np.bincount(levels, minlength=BINS))
    return float(values[levels > last_below].min())


def threshold(map: np.ndarray, value: float) -> np.ndarray:
    """The mask `map >= value`; all False when the value is NaN (a flat map has no threshold)."""
    return as_map(map) >= value


def deepest(mask: np.ndarray) -> tuple[int, int]:
    """(x, y) of the pixel farthest from every pixel outside the mask; what lies beyond the image's
    border is outside too. The first in row-major order among equals. InputError if it is empty.
    """
    ys, xs = np.nonzero(mask)
    if ys.size == 0:
        raise InputError("mask is empty: it has no deepest pixel")
    y0, x0 = ys.min(), xs.min()
    box = mask[y0 : ys.max() + 1, x0 : xs.max() + 1]
    depth = ndimage.distance_transform_edt(np.pad(box, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x0 + x), int(y0 + y)


def peak(map: np.ndarray, void: np.ndarray | None = None) -> tuple[int, int] | None:
    """(x, y) of the maximum of a map (H, W) outside `void`; None for a flat map.

    Ties (a superpixel or an occluded patch that is uniformly highest; within one millionth of the
    range): the deepest pixel of the plateau, not its first corner. The red dot of the figures, the
    first prompt and the pointing game all use this one pixel.
    """
    map = as_map(map)
    valid = np.ones(map.shape, bool) if void is None else ~as_mask(void, map.shape, "void")
    values = map[valid]
    if is_flat(values):
        return None
    low, high = values.min(), values.max()
    return deepest(valid & (map >= high - FLAT * (high - low)))


def border_share(map: np.ndarray, share: float = BORDER) -> float:
    """Share of the map's mass within `share` of the side from any border."""
    band = max(round(share * len(map)), 1)
    inner = map[band:-band, band:-band]
    return float(1 - inner.sum() / map.sum())
