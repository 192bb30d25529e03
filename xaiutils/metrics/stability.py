"""How much a map moves when nothing that matters has changed."""

from collections.abc import Callable

import numpy as np

from xaiutils.errors import InputError

Explain = Callable[[np.ndarray], np.ndarray]


def max_sensitivity(
    explain: Explain,
    image: np.ndarray,
    rng: np.random.Generator,
    radius: float = 0.02,
    samples: int = 10,
) -> float:
    """max over draws of ||E(x + d) - E(x)|| / ||E(x)||, d uniform in an L-infinity ball.

    Yeh et al. 2019, as captum.metrics.sensitivity_max. `explain` maps an image (C, S, S) to its
    map (S, S); `radius` is a share of the image's range max - min. NaN where the map of the
    undisturbed image is zero everywhere or not finite.
    """
    if radius <= 0 or samples < 1:
        raise InputError(f"radius {radius} must be above 0 and samples {samples} at least 1")
    reference = np.asarray(explain(image), dtype=np.float64)
    size = np.linalg.norm(reference)
    if not 0 < size < np.inf:
        return float("nan")
    reach = radius * float(image.max() - image.min())
    moved = [
        np.linalg.norm(explain(image + rng.uniform(-reach, reach, image.shape)) - reference)
        for _ in range(samples)
    ]
    return float(max(moved) / size)


def spread(maps: np.ndarray) -> float:
    """Mean over pixels of the standard deviation over maps (N, H, W), over the mean map's mean.

    For maps of other seeds or of mild augmentations that were undone. Non-negative maps; NaN where
    they are zero everywhere.
    """
    maps = np.asarray(maps, dtype=np.float64)
    if maps.ndim != 3 or len(maps) < 2:
        raise InputError(f"maps have shape {maps.shape}: give a stack (N, H, W) with N >= 2")
    level = maps.mean()
    return float(maps.std(axis=0).mean() / level) if 0 < level < np.inf else float("nan")
