"""From a map (H, W) to prompts for a segmenter, and the floors and ceilings beside them.

Points are (x, y) in pixels of the image, pixel centres at whole numbers. `PROMPTINGS` holds
functions (map, rng) -> Prompts, `FLOORS` (shape, rng) -> Prompts that see neither map nor mask,
`CEILINGS` (mask, rng) -> Prompts that are given the ground truth (InputError if the mask is empty).
Nothing can be read from a flat map (`maps.is_flat`): its prompts are empty (`Prompts.empty`), and
what a segmenter would make of them is undefined, NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from xaiutils.errors import InputError
from xaiutils.maps import as_map, as_mask, deepest, is_flat, otsu, peak, threshold

CANDIDATES = 512


@dataclass(frozen=True)
class Prompts:
    """What a segmenter may be told.

    points (N, 2) float32 in (x, y) pixels of the image; labels (N,) int32, 1 foreground and 0
    background; box (4,) float32 x0, y0, x1, y1, the outermost object pixels; foreground and
    background (H, W) bool, the dual-threshold regions; seed (H, W) bool, the map thresholded by
    Otsu.
    """

    points: np.ndarray
    labels: np.ndarray
    box: np.ndarray | None = None
    foreground: np.ndarray | None = None
    background: np.ndarray | None = None
    seed: np.ndarray | None = None

    @property
    def empty(self) -> bool:
        """True when there is neither a foreground point nor a box: nothing to segment."""
        return self.box is None and not (self.labels == 1).any()


def _prompts(positive, negative=(), **rest) -> Prompts:
    """Prompts of two lists of points (x, y)."""
    points = np.array([*positive, *negative], np.float32).reshape(-1, 2)
    labels = np.repeat(np.array([1, 0], np.int32), [len(positive), len(negative)])
    return Prompts(points, labels, **rest)


def dual_threshold(
    map: np.ndarray, foreground: float = 85, background: float = 10, literal: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Foreground and background of a map (H, W) by two percentiles of its values: two (H, W) bool.

    Foreground is at or above the 85th percentile, background at or below the 10th. That is our
    reading of the paper's "top-85% pixels -> foreground, bottom-10% -> background" (section 4);
    `literal=True` takes it at its word: the top 85 %, at or above the 15th percentile.

    The regions never overlap. Equal values cannot be told apart, so regions of a map with plateaus
    are larger than their share (a map that is 0 on half the image has that half as background); the
    map's minimum is never foreground, and what is foreground is not background. Both regions of a
    flat map are empty.
    """
    if not 0 <= background <= foreground <= 100:
        raise InputError(
            f"percentiles {background} and {foreground}: 0 <= background <= foreground"
        )
    map = as_map(map)
    if is_flat(map):
        return np.zeros(map.shape, bool), np.zeros(map.shape, bool)
    upper = 100 - foreground if literal else foreground
    low, high = np.percentile(map, [background, upper])
    above = (map >= high) & (map > map.min())
    return above, (map <= low) & ~above


def core(region: np.ndarray) -> np.ndarray:
    """The inner part of the largest components of a region (H, W) bool; empty only if that is.

    Components (8-connected) of at least half the largest one's area, and of each the pixels at
    least half as deep as its deepest: a point near the border of a thresholded region is the least
    certain of all. Our choice; the paper does not say how points are drawn.
    """
    labels, n = ndimage.label(region, structure=np.ones((3, 3)))
    if n == 0:
        return np.zeros(np.shape(region), bool)
    area = np.bincount(labels.ravel(), minlength=n + 1)
    area[0] = 0
    large = (area >= area.max() / 2)[labels]
    depth = ndimage.distance_transform_edt(np.pad(large, 1))[1:-1, 1:-1]
    deepest_of = ndimage.maximum(depth, labels, np.arange(n + 1))
    return large & (depth >= deepest_of[labels] / 2)


def spread(region: np.ndarray, n: int, rng: np.random.Generator, chosen=()) -> list:
    """`n` more points (x, y) of a region (H, W) bool, far from each other and from those chosen.

    Farthest-point sampling among at most 512 pixels drawn from the region; without a chosen point
    the first is drawn too. Fewer than n when the region has fewer pixels; never one twice.
    """
    ys, xs = np.nonzero(region)
    drawn = rng.permutation(len(xs))[:CANDIDATES]
    candidates = np.stack([xs[drawn], ys[drawn]], axis=1)
    distance = np.full(len(candidates), np.inf)
    for point in chosen:
        distance = np.minimum(distance, np.hypot(*(candidates - point).T))
    points = []
    while len(points) < n and distance.max(initial=0) > 0:
        points.append(candidates[distance.argmax()])
        distance = np.minimum(distance, np.hypot(*(candidates - points[-1]).T))
    return points


def points_from_map(
    map: np.ndarray,
    rng: np.random.Generator,
    n_foreground: int = 3,
    n_background: int = 2,
    foreground: float = 85,
    background: float = 10,
    literal: bool = False,
) -> Prompts:
    """Points from the dual-threshold regions of a map (H, W), with regions and seed filled in.

    The first point is the map's maximum (`maps.peak`); the other foreground points, and the
    background points, are spread over the `core` of their region. Few background points: many of
    them make SAM miss the object.
    """
    if n_foreground < 1 or n_background < 0:
        raise InputError(
            f"{n_foreground} foreground and {n_background} background points: "
            "at least 1 and 0 are needed"
        )
    map = as_map(map)
    above, below = dual_threshold(map, foreground, background, literal)
    regions = {"foreground": above, "background": below, "seed": threshold(map, otsu(map))}
    first = peak(map)
    if first is None:
        return _prompts([], **regions)
    inner = spread(core(above), n_foreground - 1, rng, [first]) if n_foreground > 1 else []
    outer = spread(core(below), n_background, rng) if n_background else []
    return _prompts([first, *inner], outer, **regions)


def box_from_mask(mask: np.ndarray) -> np.ndarray:
    """Box (4,) float32 x0, y0, x1, y1 of a mask's outermost pixels, inclusive."""
    ys, xs = np.nonzero(mask)
    if ys.size == 0:
        raise InputError("mask is empty: it has no box")
    return np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 8-connected component of a mask (H, W) bool; empty only if the mask is."""
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    return labels == 1 + np.bincount(labels.ravel(), minlength=2)[1:].argmax()


def _peak(map: np.ndarray, rng: np.random.Generator) -> Prompts:
    """The maximum alone."""
    return points_from_map(map, rng, 1, 0)


def _points(map: np.ndarray, rng: np.random.Generator) -> Prompts:
    """Three foreground points."""
    return points_from_map(map, rng, 3, 0)


def dual(map: np.ndarray, rng: np.random.Generator) -> Prompts:
    """Three foreground and two background points: the paper's dual cues, in our reading."""
    return points_from_map(map, rng)


def literal_prompts(map: np.ndarray, rng: np.random.Generator) -> Prompts:
    """As `dual`, foreground being the top 85 % of the pixels as the paper literally says."""
    return points_from_map(map, rng, literal=True)


def _with_box(prompts: Prompts) -> Prompts:
    """The prompts with the box around the largest component of their seed."""
    if not prompts.seed.any():
        return prompts
    return replace(prompts, box=box_from_mask(largest_component(prompts.seed)))


def _box(map: np.ndarray, rng: np.random.Generator) -> Prompts:
    """The box alone."""
    prompts = _with_box(points_from_map(map, rng, 1, 0))
    return replace(prompts, points=prompts.points[:0], labels=prompts.labels[:0])


def _dual_box(map: np.ndarray, rng: np.random.Generator) -> Prompts:
    """The points of `dual` and the box."""
    return _with_box(dual(map, rng))


PROMPTINGS: dict[str, Callable[[np.ndarray, np.random.Generator], Prompts]] = {
    "peak": _peak,
    "points": _points,
    "dual": dual,
    "box": _box,
    "dual+box": _dual_box,
    "literal": literal_prompts,
}


def _size(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"shape is {tuple(shape)}: give the image's (height, width)")
    return shape


def centre_point(shape: tuple[int, int], rng: np.random.Generator | None = None) -> Prompts:
    """Floor: one point at the centre of an image of shape (H, W)."""
    h, w = _size(shape)
    return _prompts([((w - 1) / 2, (h - 1) / 2)])


def centre_box(
    shape: tuple[int, int], rng: np.random.Generator | None = None, share: float = 0.5
) -> Prompts:
    """Floor: a box at the centre with `share` of the width and `share` of the height (so that the
    default covers a quarter of the image)."""
    h, w = _size(shape)
    if not 0 < share <= 1:
        raise InputError(f"share is {share}: it must be above 0 and at most 1")
    x, y = (
        max(share * side - 1, 0) / 2 for side in (w, h)
    )  # inclusive: a box of n pixels spans n-1
    cx, cy = (w - 1) / 2, (h - 1) / 2
    return _prompts([], box=np.array([cx - x, cy - y, cx + x, cy + y], np.float32))


def random_points(shape: tuple[int, int], rng: np.random.Generator, n: int = 3) -> Prompts:
    """Floor: `n` foreground points drawn evenly from all pixels (repetition possible)."""
    h, w = _size(shape)
    return _prompts(rng.integers((w, h), size=(n, 2)))


def _truth(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    mask = as_mask(mask, mask.shape)
    if not mask.any():
        raise InputError("mask is empty: there is no object to point at")
    return mask


def click(mask: np.ndarray, rng: np.random.Generator | None = None) -> Prompts:
    """Ceiling: one point, the pixel deepest inside the mask (H, W) bool."""
    return _prompts([deepest(_truth(mask))])


def five_clicks(mask: np.ndarray, rng: np.random.Generator) -> Prompts:
    """Ceiling: the deepest pixel and four more spread over the `core` of the mask."""
    first = deepest(_truth(mask))
    return _prompts([first, *spread(core(mask), 4, rng, [first])])


def true_box(mask: np.ndarray, rng: np.random.Generator | None = None) -> Prompts:
    """Ceiling: the mask's box."""
    return _prompts([], box=box_from_mask(_truth(mask)))


FLOORS: dict[str, Callable[[tuple[int, int], np.random.Generator], Prompts]] = {
    "centre point": centre_point,
    "centre box": centre_box,
    "random points": random_points,
}

CEILINGS: dict[str, Callable[[np.ndarray, np.random.Generator], Prompts]] = {
    "click": click,
    "five clicks": five_clicks,
    "true box": true_box,
}
