"""How far maps of the same image agree with each other.

Stacks are maps (K, H, W) float and masks (K, H, W) bool; `void` (H, W) bool is left out. Pairwise
measures return a symmetric (K, K) float64 array whose rows and columns are NaN where a map is flat
(`xaiutils.maps.is_flat`): it has no threshold and no order to agree on.
"""

from itertools import combinations

import numpy as np

from xaiutils.errors import InputError
from xaiutils.maps import as_map, as_mask, is_flat, positive

EPSILON = 1e-8


def _rows(stack: np.ndarray, void: np.ndarray | None) -> np.ndarray:
    """(K, H, W) -> (K, N), the N pixels outside void."""
    if stack.ndim != 3:
        raise InputError(f"stack has shape {stack.shape}: give K arrays of one size as (K, H, W)")
    if void is None:
        return stack.reshape(len(stack), -1)
    return stack[:, ~as_mask(void, stack.shape[1:], "void")]


def _blank(table: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """The (K, K) table with NaN in the rows and columns of what is undefined."""
    return np.where(bad[:, None] | bad, np.nan, table)


def _stack_masks(masks: np.ndarray) -> np.ndarray:
    masks = np.asarray(masks)
    return as_mask(masks, masks.shape, "masks")


def pairwise_iou(masks: np.ndarray, void: np.ndarray | None = None) -> np.ndarray:
    """(K, K) IoU of masks (K, H, W). One empty mask of two: 0; both empty: NaN."""
    rows = _rows(_stack_masks(masks), void).astype(np.float32)  # exact up to 2**24 pixels
    both = (rows @ rows.T).astype(np.float64)
    size = np.diag(both)
    union = size[:, None] + size[None, :] - both
    return np.divide(both, union, where=union > 0, out=np.full_like(union, np.nan))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks 1 to N along the last axis (..., N), float64; tied values share their mean rank.

    `scipy.stats.rankdata` at several times its speed (an unstable sort will do: ties are averaged).
    """
    order = np.argsort(values, axis=-1)
    ordered = np.take_along_axis(values, order, axis=-1)
    n = values.shape[-1]
    starts, ends = np.ones(values.shape, bool), np.ones(values.shape, bool)  # of equal values
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    ends[..., :-1] = starts[..., 1:]
    first = np.maximum.accumulate(np.where(starts, np.arange(n), 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, np.arange(n), n)[..., ::-1], axis=-1)[..., ::-1]
    ranked = np.empty(values.shape)
    np.put_along_axis(ranked, order, (first + last) / 2 + 1, axis=-1)
    return ranked


def spearman(maps: np.ndarray, void: np.ndarray | None = None) -> np.ndarray:
    """(K, K) Spearman rank correlation of maps (K, H, W), ties averaged: every map ranked once."""
    rows = _rows(as_map(maps), void)
    flat = np.array([is_flat(row) for row in rows], bool)
    scores = np.zeros(rows.shape)
    for k in np.flatnonzero(~flat):
        centred = ranks(rows[k]) - (rows.shape[1] + 1) / 2
        scores[k] = centred / np.linalg.norm(centred)
    return _blank(np.clip(scores @ scores.T, -1, 1), flat)


def top_overlap(maps: np.ndarray, void: np.ndarray | None = None, share: float = 0.1) -> np.ndarray:
    """(K, K) share of the highest `share` of the pixels that two maps (K, H, W) have in common.

    Exactly k = round(share * N) places are given out: pixels above the k-th value take one each,
    pixels tied with it an equal part of the rest; the overlap is the sum of the smaller part of
    both, over k. A map overlaps itself by 1, two independent ones by about `share`.
    """
    rows = _rows(as_map(maps), void)
    k = max(round(share * rows.shape[1]), 1)
    places = [_places(row, k) for row in rows]
    overlap = np.full((len(rows), len(rows)), np.nan)
    for i, j in np.ndindex(*overlap.shape):
        if i <= j and places[i] is not None and places[j] is not None:
            common = np.minimum(places[i], places[j]).sum(dtype=np.float64) / k
            overlap[i, j] = overlap[j, i] = min(common, 1)
    return overlap


def _places(values: np.ndarray, k: int) -> np.ndarray | None:
    if is_flat(values):
        return None
    cut = np.partition(values, -k)[-k]
    above, tied = values > cut, values == cut
    part = (k - np.count_nonzero(above)) / np.count_nonzero(tied)
    return above + np.float32(part) * tied


def _distributions(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows as distributions, float64, and which rows are none (no mass, or not finite: left 0)."""
    p = positive(rows).astype(np.float64)
    total = p.sum(axis=1)
    bad = ~((total > 0) & (total < np.inf))
    p[bad] = 0
    p /= np.where(bad, 1, total)[:, None]
    return p, bad


def pairwise_kl(
    maps: np.ndarray, void: np.ndarray | None = None, epsilon: float = EPSILON
) -> np.ndarray:
    """(K, K) Kullback-Leibler divergences KL(map_i || map_j) in nats; not symmetric. See `kl`."""
    p, bad = _distributions(_rows(as_map(maps), void))
    log_q = np.log((1 - epsilon) * p + epsilon / max(p.shape[1], 1))
    own = np.array([np.dot(row, np.log(row, where=row > 0, out=np.zeros_like(row))) for row in p])
    return _blank(np.maximum(own[:, None] - p @ log_q.T, 0), bad)


def kl(
    p: np.ndarray, q: np.ndarray, void: np.ndarray | None = None, epsilon: float = EPSILON
) -> float:
    """KL(p || q) in nats of two maps (H, W) taken as distributions over their pixels.

    Pixels where p is 0 contribute 0. So that a pixel where only q is 0 costs much but not infinity,
    q is mixed with the uniform distribution: (1 - epsilon) q + epsilon / N. That keeps the result
    non-negative, bounds it by log(N / epsilon), and changes it by about epsilon where q has mass.
    NaN for a map without mass.
    """
    p, q = as_map(p), as_map(q)
    if p.shape != q.shape:
        raise InputError(f"p has shape {p.shape}, q {q.shape}: resize one to the other")
    return float(pairwise_kl(np.stack([p, q]), void, epsilon)[0, 1])


def votes(masks: np.ndarray) -> np.ndarray:
    """How many of the masks (K, H, W) hold each pixel: (H, W) int64, 0 to K."""
    return _stack_masks(masks).sum(axis=0)


def matrices(
    maps: np.ndarray, masks: np.ndarray, void: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The (K, K) arrays `iou` (of the masks), `spearman` and `top10` (of the maps) by name."""
    maps, masks = as_map(maps), _stack_masks(masks)
    if maps.shape != masks.shape:
        raise InputError(f"maps have shape {maps.shape}, masks {masks.shape}: they must be equal")
    flat = np.array([is_flat(row) for row in _rows(maps, void)], bool)
    return {
        "iou": _blank(pairwise_iou(masks, void), flat),
        "spearman": spearman(maps, void),
        "top10": top_overlap(maps, void),
    }


def agreement(
    maps: dict[str, np.ndarray], masks: dict[str, np.ndarray], void: np.ndarray | None = None
) -> list[tuple[str, str, str, float]]:
    """Rows (a, b, metric, value) for every unordered pair of maps, in the order of `maps`.

    `maps` name -> (H, W) float, `masks` the same names -> (H, W) bool (each map thresholded).
    Metrics are those of `matrices`, all symmetric.
    """
    names = list(maps)
    if set(names) != set(masks):
        raise InputError(f"masks must have the names of maps; differ: {set(names) ^ set(masks)}")
    if len(names) < 2:
        return []
    tables = matrices(
        np.stack([maps[name] for name in names]), np.stack([masks[name] for name in names]), void
    )
    return [
        (names[i], names[j], metric, float(table[i, j]))
        for metric, table in tables.items()
        for i, j in combinations(range(len(names)), 2)
    ]
