"""One map out of many: pure functions of a stack of maps (K, H, W), fused at the size they have.

Every function normalises each map to [0, 1] (take `maps.positive` first where a sign should not
count), drops flat maps (constant, or not finite) with a count, and returns a `Fusion`. When no map
is left the fused map and the weights are NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xaiutils.errors import InputError
from xaiutils.maps import as_map, normalise, otsu, threshold

EPSILON = 1e-8


@dataclass(frozen=True)
class Fusion:
    """A fused map (H, W) float32 within [0, 1], not stretched again; weights (K,) float64 in the
    order of the maps, summing to 1, 0 for a dropped map; rounds of iteration used; maps dropped."""

    map: np.ndarray
    weights: np.ndarray
    rounds: int = 0
    dropped: int = 0


def _kept(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The normalised maps that are not flat as (k, H, W) float32, and which of the K they are."""
    maps = as_map(maps)
    if maps.ndim != 3 or maps.size == 0:
        raise InputError(f"maps have shape {maps.shape}: give a stack (K, H, W) with K >= 1")
    normal = np.stack([normalise(map) for map in maps]).astype(np.float32)
    kept = np.isfinite(normal).all(axis=(1, 2))
    return normal[kept], kept


def _spread(weights: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Weights of the kept maps at their places among all K."""
    spread = np.zeros(len(kept)) if kept.any() else np.full(len(kept), np.nan)
    spread[kept] = weights
    return spread


def _weighted(normal: np.ndarray, kept: np.ndarray, weights: np.ndarray, rounds=0) -> Fusion:
    """E = sum_k w_k E_k (paper, section 4)."""
    fused = np.tensordot(weights.astype(np.float32), normal, 1)
    fused = np.clip(fused, 0, 1) if kept.any() else np.full(normal.shape[1:], np.nan, np.float32)
    return Fusion(fused, _spread(weights, kept), rounds, int((~kept).sum()))


def mean(maps: np.ndarray, rng: np.random.Generator | None = None) -> Fusion:
    """The plain average, which the paper calls sub-optimal (section 3)."""
    normal, kept = _kept(maps)
    return _weighted(normal, kept, np.full(len(normal), 1 / max(len(normal), 1)))


def maximum(maps: np.ndarray, rng: np.random.Generator | None = None) -> Fusion:
    """The pixelwise maximum; a map's weight is the share of pixels it supplies, ties shared."""
    normal, kept = _kept(maps)
    if not kept.any():
        return _weighted(normal, kept, np.zeros(0))
    fused = normal.max(axis=0)
    supplies = normal == fused
    weights = (supplies / supplies.sum(axis=0)).mean(axis=(1, 2))
    return Fusion(fused, _spread(weights, kept), dropped=int((~kept).sum()))


def random_weights(maps: np.ndarray, rng: np.random.Generator) -> Fusion:
    """Weights drawn evenly from all that sum to 1 (flat Dirichlet): the control for any weighting.

    One number is drawn for every map, dropped ones too, so that map k keeps its draw.
    """
    normal, kept = _kept(maps)
    draws = rng.exponential(size=len(kept))[kept]
    return _weighted(normal, kept, draws / draws.sum())


def best_single(maps: np.ndarray, scores: np.ndarray) -> Fusion:
    """The one map with the highest of `scores` (K,), the first among equals; NaN scores lose.

    With scores that saw the mask this is an oracle; name it so.
    """
    normal, kept = _kept(maps)
    scores = np.asarray(scores, float)
    if scores.shape != kept.shape:
        raise InputError(f"scores have shape {scores.shape}: one for each of {len(kept)} maps")
    scores = np.nan_to_num(scores[kept], nan=-np.inf)
    weights = np.zeros(len(normal))
    weights[scores.argmax() if scores.size else slice(0)] = 1
    return _weighted(normal, kept, weights)


def by_hand(maps: np.ndarray, weights: np.ndarray) -> Fusion:
    """The average with `weights` (K,) that somebody chose, none below 0, brought to the sum 1.

    A dropped map loses its weight to the others. With all weights at 0 nothing is left: NaN.
    """
    normal, kept = _kept(maps)
    weights = np.asarray(weights, float)
    if weights.shape != kept.shape or not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(f"weights: give one for each of {len(kept)} maps, finite and not below 0")
    total = weights[kept].sum()
    if total == 0:
        nothing = np.full(normal.shape[1:], np.nan, np.float32)
        return Fusion(nothing, np.full(len(kept), np.nan), 0, int((~kept).sum()))
    return _weighted(normal, kept, weights[kept] / total)


def entropy_kl_iou(
    maps: np.ndarray,
    rng: np.random.Generator | None = None,
    *,
    a: float = 1.0,
    b: float = 1.0,
    temperature: float = 0.5,
    tolerance: float = 1e-3,
    rounds: int = 10,
    overlap: str = "soft",
) -> Fusion:
    """The paper's per-image weights that favour consensus and confidence (section 4); our reading.

    The paper asks for "high IoU with the running fusion, low entropy, and low KL divergence" and
    gives no formula. Here, from uniform weights,

        score_k = IoU(E_k, F_k) - a H(E_k) / log N - b KL(E_k || F_k),    w = softmax(score / T)

    with F_k the fusion of all other maps under the running weights (with map k in it, a heavy map
    would agree with itself), until no weight moves by `tolerance`, or for `rounds`. H and KL are of
    the maps as distributions over the N pixels, in nats; F_k is mixed with a share of 1e-8 of the
    uniform one, so that KL is finite. A single map has weight 1.

    `overlap="soft"` is sum(min) / sum(max) of the two maps: it moves smoothly with the weights, so
    that the iteration settles, and has no threshold to choose. `overlap="otsu"` is the IoU of both
    maps thresholded by Otsu, as the paper's tables measure it; it jumps, and may end unsettled.
    """
    if overlap not in OVERLAPS:
        raise InputError(f"overlap is {overlap!r}: choose one of {', '.join(OVERLAPS)}")
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}: it must be above 0")
    normal, kept = _kept(maps)
    k = len(normal)
    weights = np.full(k, 1 / max(k, 1))
    used = 0
    if k > 1:
        score = _scorer(normal, a, b, OVERLAPS[overlap])
        moved = np.inf
        while moved >= tolerance and used < rounds:
            before, weights = weights, _softmax(score(weights) / temperature)
            moved, used = np.abs(weights - before).max(), used + 1
    return _weighted(normal, kept, weights, used)


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def _scorer(normal: np.ndarray, a: float, b: float, overlap: Callable) -> Callable:
    """weights (k,) -> score_k (k,) of `entropy_kl_iou`; what does not depend on them is shared."""
    rows = normal.reshape(len(normal), -1)
    n = rows.shape[1]
    p = rows / rows.sum(axis=1, dtype=np.float64, keepdims=True)
    entropy = -np.array([np.dot(q, np.log(q, where=q > 0, out=np.zeros_like(q))) for q in p])

    def score(weights: np.ndarray) -> np.ndarray:
        rest = _others(weights).astype(np.float32) @ rows
        q = rest / rest.sum(axis=1, dtype=np.float64, keepdims=True)
        cross = -np.einsum("kn,kn->k", p, np.log((1 - EPSILON) * q + EPSILON / n))
        agree = np.array([overlap(one, other) for one, other in zip(rows, rest, strict=True)])
        return agree - a * entropy / np.log(n) - b * (cross - entropy)

    return score


def _others(weights: np.ndarray) -> np.ndarray:
    """(k, k): row k holds the weights of all maps but k, summing to 1."""
    others = np.tile(weights + 1e-12, (len(weights), 1))  # a weight of 1 leaves the rest equal
    np.fill_diagonal(others, 0)
    return others / others.sum(axis=1, keepdims=True)


def _soft_iou(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())


def _otsu_iou(one: np.ndarray, other: np.ndarray) -> float:
    one, other = threshold(one, otsu(one)), threshold(other, otsu(other))
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0


OVERLAPS = {"soft": _soft_iou, "otsu": _otsu_iou}

# name -> function(maps, rng); best_single needs scores and by_hand weights: they are not here
FUSIONS: dict[str, Callable[..., Fusion]] = {
    "mean": mean,
    "max": maximum,
    "weighted": entropy_kl_iou,
    "random": random_weights,
}
