"""Does the classifier depend on the pixels that a map ranks high? Deletion and insertion curves.

`f` takes a batch (B, C, H, W) in the dtype of `image` and returns (B,) scores (array or CPU tensor
without gradient). `image` and `baseline` are (C, H, W), `map` (H, W). Both functions return
(fractions, scores, auc): scores (n,) float64 after the given fractions (n,) of the pixels, both end
points among them, and the trapezoid area over the fraction. A flat map orders nothing: its scores
and area are NaN and f is not called.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from xaiutils.errors import InputError
from xaiutils.maps import as_map, is_flat

Curve = tuple[np.ndarray, np.ndarray, float]


def blurred(image: np.ndarray, sigma: float = 10.0) -> np.ndarray:
    """The image (C, H, W) under a Gaussian of `sigma` pixels, each channel for itself, same dtype.

    The default baseline. Sigma 10 (for inputs of 224 px) is our reading; Petsiuk et al. 2018 blur
    less (11 x 11 window, sigma 5).
    """
    image = as_map(image)
    return gaussian_filter(image, sigma=(0, sigma, sigma))


def deletion(
    f: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    map: np.ndarray,
    baseline: np.ndarray | None = None,
    steps: int = 32,
    batch: int = 64,
) -> Curve:
    """The image loses its highest pixels first, all channels together, to the baseline.

    Petsiuk et al. 2018 (RISE). A low area is good. Ties go in row-major order.
    """
    image = as_map(image)
    return _curve(f, image, _baseline(image, baseline), map, steps, batch)


def insertion(
    f: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    map: np.ndarray,
    baseline: np.ndarray | None = None,
    steps: int = 32,
    batch: int = 64,
) -> Curve:
    """The highest pixels of the image enter the baseline first. A high area is good."""
    image = as_map(image)
    return _curve(f, _baseline(image, baseline), image, map, steps, batch)


def _baseline(image: np.ndarray, baseline: np.ndarray | None) -> np.ndarray:
    return blurred(image) if baseline is None else np.asarray(baseline, image.dtype)


def _curve(f, start, end, map, steps: int, batch: int) -> Curve:
    map = as_map(map)
    if start.ndim != 3 or start.shape != end.shape or start.shape[1:] != map.shape:
        raise InputError(
            f"image {start.shape}, baseline {end.shape} and map {map.shape} do not fit: "
            "give image and baseline as (C, H, W) and the map as (H, W)"
        )
    if steps < 1:
        raise InputError(f"steps is {steps}: at least 1 is needed")
    counts = np.round(np.linspace(0, map.size, steps + 1)).astype(int)
    fractions = counts / map.size
    if is_flat(map):
        return fractions, np.full(len(counts), np.nan), float("nan")
    rank = _ranking(map)
    scores = [
        np.asarray(f(np.where((rank < some[:, None, None])[:, None], end, start)))
        for some in np.array_split(counts, -(-len(counts) // batch))
    ]
    scores = np.concatenate(scores).astype(np.float64)
    return fractions, scores, float(np.trapezoid(scores, fractions))


def _ranking(map: np.ndarray) -> np.ndarray:
    """(H, W) int: 0 for the highest pixel, then in falling order, ties in row-major order."""
    rank = np.empty(map.size, int)
    rank[np.argsort(-map, axis=None, kind="stable")] = np.arange(map.size)
    return rank.reshape(map.shape)
