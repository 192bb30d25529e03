"""How well one map finds one object: its map, mask and void pixels are arrays (H, W).

Maps are non-negative (negative values count as zero mass); masks are boolean; void pixels are
left out of every measure, of the maximum and the threshold too. A measure that needs the object is
NaN when the mask has no pixel outside void; one that needs a threshold or an order is NaN for a
flat map (see `xaiutils.maps`). All functions return a float.
"""

import numpy as np

from xaiutils.errors import InputError
from xaiutils.maps import (
    BINS,
    as_map,
    as_mask,
    bins,
    is_flat,
    otsu,
    peak,
    positive,
    threshold,
)

__all__ = [
    "coverage",
    "dice",
    "entropy",
    "gini",
    "iou",
    "localisation",
    "normalised_entropy",
    "oracle_threshold",
    "otsu",
    "pointing_game",
    "relevance_mass",
    "relevance_rank",
    "spill",
    "threshold",
]

NAN = float("nan")


def _keep(void: np.ndarray | None, *arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays flattened, without their void pixels."""
    if void is None:
        return [array.ravel() for array in arrays]
    valid = ~as_mask(void, arrays[0].shape, "void")
    return [array[valid] for array in arrays]


def _pair(map, mask, void) -> list[np.ndarray]:
    map = as_map(map)
    return _keep(void, map, as_mask(mask, map.shape))


def _counts(E, S, void) -> tuple[int, int, int]:
    """|E & S|, |E|, |S| outside void."""
    E = np.asarray(E)
    E, S = _keep(void, as_mask(E, E.shape, "E"), as_mask(S, E.shape, "S"))
    return tuple(int(np.count_nonzero(region)) for region in (E & S, E, S))


def iou(E: np.ndarray, S: np.ndarray, void: np.ndarray | None = None) -> float:
    """|E & S| / |E | S| of a mask E against a reference S; NaN if S is empty, 0 if only E is."""
    both, e, s = _counts(E, S, void)
    return both / (e + s - both) if s else NAN


def dice(E: np.ndarray, S: np.ndarray, void: np.ndarray | None = None) -> float:
    """2 |E & S| / (|E| + |S|); NaN if the reference S is empty."""
    both, e, s = _counts(E, S, void)
    return 2 * both / (e + s) if s else NAN


def coverage(E: np.ndarray, S: np.ndarray, void: np.ndarray | None = None) -> float:
    """|E & S| / |S|, the share of the reference S that E finds (section 4); NaN if S is empty."""
    both, _, s = _counts(E, S, void)
    return both / s if s else NAN


def spill(E: np.ndarray, S: np.ndarray, void: np.ndarray | None = None) -> float:
    """|E - S| / |E|, the share of E outside the reference S (section 4); NaN if E or S is empty."""
    both, e, s = _counts(E, S, void)
    return (e - both) / e if e and s else NAN


def oracle_threshold(
    map: np.ndarray, mask: np.ndarray, void: np.ndarray | None = None
) -> tuple[float, float]:
    """The threshold with the best IoU for this very mask, and that IoU: (value, IoU).

    An oracle: it has seen the answer, so it bounds what any threshold could reach and is never a
    result. Tried are the 256 levels of the normalised map; the value is in the map's own units.
    """
    values, inside = _pair(map, mask, void)
    if is_flat(values) or not inside.any():
        return NAN, NAN
    levels = bins(values)
    size = np.bincount(levels, minlength=BINS)[::-1].cumsum()[::-1]
    both = np.bincount(levels[inside], minlength=BINS)[::-1].cumsum()[::-1]
    scores = both / (size + both[0] - both)
    best = int(scores.argmax())
    return float(values[levels >= best].min()), float(scores[best])


def pointing_game(
    map: np.ndarray, mask: np.ndarray, void: np.ndarray | None = None, tolerance: float = 15
) -> float:
    """1 if the map's maximum lies on the mask or nearer than `tolerance` pixels to it, else 0.

    Zhang et al. 2018 (15 px). The distance, in image pixels between pixel centres, must be strictly
    less: a maximum 15 px away misses. Tolerance 0 asks for the mask itself. Among tied maxima the
    deepest counts (`maps.peak`); a constant map never hits, one with NaN is undefined.
    """
    map = as_map(map)
    values, inside = _pair(map, mask, void)
    if not inside.any() or not np.isfinite(values).all():
        return NAN
    point = peak(map, void)
    if point is None:
        return 0.0
    target = mask if void is None else mask & ~void
    return float(_distance(target, point, tolerance) < max(tolerance, 0.5))


def _distance(mask: np.ndarray, point: tuple[int, int], reach: float) -> float:
    """Distance from a pixel to the nearest mask pixel, looked for within `reach`; else infinity."""
    x, y = point
    r = int(np.ceil(reach))
    y0, x0 = max(y - r, 0), max(x - r, 0)
    ys, xs = np.nonzero(mask[y0 : y + r + 1, x0 : x + r + 1])
    return float(np.hypot(ys + y0 - y, xs + x0 - x).min(initial=np.inf))


def relevance_mass(map: np.ndarray, mask: np.ndarray, void: np.ndarray | None = None) -> float:
    """Share of the map's (positive) mass inside the mask; NaN for a map without mass.

    Relevance mass accuracy, Arras et al. 2022. Our reading of the paper's "Effectiveness", which it
    cites without a formula.
    """
    values, inside = _pair(map, mask, void)
    mass = positive(values)
    total = mass.sum(dtype=np.float64)
    if not inside.any() or not 0 < total < np.inf:
        return NAN
    return float(np.clip(mass[inside].sum(dtype=np.float64) / total, 0, 1))


def relevance_rank(map: np.ndarray, mask: np.ndarray, void: np.ndarray | None = None) -> float:
    """Share of the K highest pixels that lie inside the mask of K pixels.

    Relevance rank accuracy, Arras et al. 2022. Pixels tied at the K-th value fill the remaining
    places in equal shares (the expectation over a random order of them); NaN for a flat map.
    """
    values, inside = _pair(map, mask, void)
    k = int(np.count_nonzero(inside))
    if k == 0 or is_flat(values):
        return NAN
    cut = np.partition(values, -k)[-k]
    above, tied = values > cut, values == cut
    share = (k - np.count_nonzero(above)) / np.count_nonzero(tied)
    return float((np.count_nonzero(above & inside) + share * np.count_nonzero(tied & inside)) / k)


def entropy(map: np.ndarray, void: np.ndarray | None = None) -> float:
    """Entropy in nats of the map as a distribution over its pixels; NaN for a map without mass."""
    (values,) = _keep(void, as_map(map))
    mass = positive(values)
    mass = mass[mass != 0].astype(np.float64)
    total = mass.sum()
    if not 0 < total < np.inf:
        return NAN
    p = mass / total
    return max(float(-np.dot(p, np.log(p, where=p > 0, out=np.zeros_like(p)))), 0.0)


def normalised_entropy(map: np.ndarray, void: np.ndarray | None = None) -> float:
    """Entropy over that of the uniform map, H / log N with N pixels outside void: 0 to 1."""
    (values,) = _keep(void, as_map(map))
    return entropy(values) / float(np.log(values.size)) if values.size > 1 else NAN


def gini(map: np.ndarray, void: np.ndarray | None = None) -> float:
    """Gini index of the map's positive part: 0 if uniform, (N - 1) / N for a single pixel."""
    (values,) = _keep(void, as_map(map))
    mass = np.sort(positive(values))
    n, total = mass.size, mass.sum(dtype=np.float64)
    if not 0 < total < np.inf:
        return NAN
    weight = 2.0 * np.arange(1, n + 1) - n - 1
    return max(float(np.dot(weight, mass) / (n * total)), 0.0)


def localisation(
    map: np.ndarray, mask: np.ndarray, void: np.ndarray | None = None, at: float | None = None
) -> dict[str, float]:
    """Every measure of one map against one mask, by name.

    `iou`, `dice`, `coverage` and `spill` are of the map thresholded by Otsu, or `at` a level of the
    map normalised to [0, 1]; `threshold` is that level. `iou_oracle` is the best IoU over 256
    levels chosen with the mask in hand. `pointing_15` and `pointing_0` are the pointing game with
    15 px and without tolerance. Entropy, Gini and threshold do not need the mask.
    """
    if at is not None and not 0 <= at <= 1:
        raise InputError(f"at is {at}: give a level of the normalised map, between 0 and 1")
    map = as_map(map)
    values, inside = _pair(map, mask, void)
    return {
        **_regions(values, inside, at),
        "pointing_15": pointing_game(map, mask, void, 15),
        "pointing_0": pointing_game(map, mask, void, 0),
        "relevance_mass": relevance_mass(values, inside),
        "relevance_rank": relevance_rank(values, inside),
        "entropy": entropy(values),
        "gini": gini(values),
        "iou_oracle": oracle_threshold(values, inside)[1],
    }


def _regions(values: np.ndarray, inside: np.ndarray, at: float | None) -> dict[str, float]:
    """Threshold level and the four measures of the thresholded map; all NaN for a flat map."""
    names = {"iou": iou, "dice": dice, "coverage": coverage, "spill": spill}
    if is_flat(values):
        return dict.fromkeys([*names, "threshold"], NAN)
    low, high = float(values.min()), float(values.max())
    value = otsu(values) if at is None else low + at * (high - low)
    E = threshold(values, value)
    return {name: measure(E, inside) for name, measure in names.items()} | {
        "threshold": (value - low) / (high - low)
    }
