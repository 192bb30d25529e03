"""A prompting that is meant to win: many masks of an image, of which a map chooses one.

A saliency map is a poor mask but a good judge. So SAM is asked many times, and the map only picks:

1. *Propose*: a grid of single points, points and boxes at the centre (`shared_prompts`: no map has
   a say in these), and what the map itself suggests (`map_prompts`): its peak, spread points, dual
   points, the boxes around its largest component and around several, at several thresholds.
2. *Unite*: an image may hold several objects, and SAM gives one. Pairs of the masks that the maps
   favour most are united (`unite`).
3. *Feed back*: SAM sees the favoured masks again, as logits with their own box (`refine`).
4. *Measure* every candidate without ground truth (`features`): does it agree with the map, with the
   other explainers' maps, with the other candidates, what does SAM say of it.
5. *Choose* the candidate with the highest weighted sum of these (`scores`).

Two choosers share these steps. "gallery" has four weights, read off training images; that is
tuning, not training, but it did look at their masks. "gallery-learned" is a ridge regression of
the true IoU on all features, so it is fitted on *pixel labels* of training images and is not weak
supervision. Neither sees a mask of the image that it segments. Both are numbers in a JSON file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import cv2
import numpy as np
from scipy import ndimage
from scipy.stats import rankdata

from xaiutils.errors import InputError
from xaiutils.maps import as_map, is_flat, otsu, peak
from xaiutils.prompting import (
    PROMPTINGS,
    Prompts,
    box_from_mask,
    centre_box,
    centre_point,
    largest_component,
)
from xaiutils.segmenters import Segmenter

SIDE = 96  # masks and maps are compared on a grid of 96 x 96
GRID = 6  # 6 x 6 single points
QUANTILES = (0.7, 0.8, 0.9)  # thresholds beside Otsu's, as shares of the pixels below
TOP = 6  # so many favoured masks are united in pairs
REFINED = 3  # and so many are shown to SAM again
SHARPNESS = 20.0  # of that softmax: an agreement higher by 0.05 counts 2.7 times as much
COMPONENT = 0.2  # a component counts from this share of the largest one's area
FEATURES = (
    "map",  # soft IoU of mask and map
    "others",  # the same with every explainer's map, averaged
    "rank",  # soft IoU with the cubed ranks of the map's pixels
    "order",  # how often a pixel inside is higher in the map than one outside
    "order_others",
    "mass",  # share of the map's sum inside
    "centre",  # soft IoU with a blob in the image's centre
    "consensus",  # mean IoU with all candidates
    "supported",  # the same, weighted by how well those agree with the maps (softmax)
    "score",  # the IoU that SAM predicts of its mask
    "stability",  # IoU of the mask cut at logits +1 and -1 (as SAM's mask generator has it)
    "size",  # square root of the area's share of the image
    "area",
    "border",  # share of the image's border covered
    "united",  # 1 for a union of two masks
)


@dataclass(frozen=True)
class Candidate:
    """A mask (H, W) bool with SAM's score and stability, and the logits that can be fed back.

    name: how it came about ("grid 2 3", "gradcam box q80", "grid 2 3 + gradcam peak").
    """

    name: str
    mask: np.ndarray
    score: float
    stability: float
    logits: np.ndarray | None = None

    @cached_property
    def grid(self) -> np.ndarray:
        """The mask on the grid of comparison, (SIDE * SIDE,) float32 shares."""
        return reduce(self.mask).ravel()

    @cached_property
    def border(self) -> float:
        """The share of the image's border that the mask covers."""
        m = self.mask
        return float(np.concatenate([m[0], m[-1], m[:, 0], m[:, -1]]).mean())


def shared_prompts(shape: tuple[int, int], grid: int = GRID) -> dict[str, Prompts]:
    """Prompts that no map has a say in: a grid of points, a point and boxes at the centre."""
    height, width = shape
    steps = (np.arange(grid) + 0.5) / grid
    prompts = {
        f"grid {i} {j}": _point(x * (width - 1), y * (height - 1))
        for i, y in enumerate(steps)
        for j, x in enumerate(steps)
    }
    prompts["centre point"] = centre_point(shape)
    prompts |= {f"centre box {share}": centre_box(shape, share=share) for share in (0.5, 0.7, 0.9)}
    return prompts


def map_prompts(map: np.ndarray, rng: np.random.Generator) -> dict[str, Prompts]:
    """What a map (H, W) suggests: points, and boxes at several thresholds; none for a flat map."""
    map = as_map(map)
    if is_flat(map):
        return {}
    prompts = {name: _plain(PROMPTINGS[name](map, rng)) for name in ("peak", "points", "dual")}
    levels = {"otsu": otsu(map)} | {f"q{100 * q:.0f}": np.quantile(map, q) for q in QUANTILES}
    boxes = {}
    for name, level in levels.items():
        region = (map >= level) & (map > map.min())
        boxes.setdefault(_corners(largest_component(region)), f"box {name}")
        boxes.setdefault(_corners(_large_components(region)), f"all {name}")
    prompts |= {name: _box(corners) for corners, name in boxes.items()}
    region = largest_component(map >= levels["otsu"])
    prompts["box + peak"] = Prompts(*_labelled([peak(map)]), box=box_from_mask(region))
    return prompts


def _point(x: float, y: float) -> Prompts:
    return Prompts(*_labelled([(x, y)]))


def _labelled(points: list) -> tuple[np.ndarray, np.ndarray]:
    return np.array(points, np.float32).reshape(-1, 2), np.ones(len(points), np.int32)


def _box(corners: tuple) -> Prompts:
    return Prompts(*_labelled([]), box=np.array(corners, np.float32))


def _plain(prompts: Prompts) -> Prompts:
    return Prompts(prompts.points, prompts.labels)


def _corners(mask: np.ndarray) -> tuple:
    return tuple(box_from_mask(mask).tolist())


def _large_components(region: np.ndarray) -> np.ndarray:
    """The components (8-connected) of at least `COMPONENT` of the largest one's area."""
    labels, n = ndimage.label(region, structure=np.ones((3, 3)))
    area = np.bincount(labels.ravel(), minlength=n + 1)
    area[0] = 0
    return (area >= COMPONENT * area.max())[labels]


def propose(
    segmenter: Segmenter, prompts: Mapping[str, Prompts], prefix: str = ""
) -> list[Candidate]:
    """A candidate for each of the prompts, on the image that is set; empty masks are left out."""
    found = []
    for name, prompt in prompts.items():
        found += _candidate(f"{prefix}{name}", segmenter.predict(prompt))
    return found


def _candidate(name: str, prediction) -> list[Candidate]:
    if not prediction.mask.any():
        return []
    logits = prediction.logits
    stability = float("nan")
    if logits is not None:
        stability = np.count_nonzero(logits > 1) / max(np.count_nonzero(logits > -1), 1)
    return [Candidate(name, prediction.mask, prediction.score, float(stability), logits)]


def unite(candidates: Sequence[Candidate], favour: np.ndarray) -> list[Candidate]:
    """Unions of the `TOP` favoured masks, two by two, where they are mostly apart.

    Pairs that overlap by more than half of the smaller are one object seen twice, and left out, and
    so is what is favoured twice. The union's score and stability are the lower of the two.
    """
    top = _distinct([candidates[i] for i in np.argsort(-favour, kind="stable")], TOP)
    found = []
    for a, b in combinations(top, 2):
        overlap = np.count_nonzero(a.mask & b.mask)
        if overlap <= 0.5 * min(a.mask.sum(), b.mask.sum()):
            worst = min(a.score, b.score), min(a.stability, b.stability)
            found.append(Candidate(f"{a.name} + {b.name}", a.mask | b.mask, *worst))
    return found


def _distinct(candidates: Sequence[Candidate], n: int, same: float = 0.9) -> list[Candidate]:
    """The first n whose masks differ: IoU below `same` with all before them."""
    kept = []
    for candidate in candidates:
        if all(soft_iou(candidate.grid[None], other.grid)[0] < same for other in kept):
            kept.append(candidate)
        if len(kept) == n:
            break
    return kept


def refine(
    segmenter: Segmenter, candidates: Sequence[Candidate], favour: np.ndarray
) -> list[Candidate]:
    """SAM's second look at the `REFINED` favoured masks: their logits and their box go back."""
    order = [candidates[i] for i in np.argsort(-favour, kind="stable")]
    found = []
    for each in _distinct([c for c in order if c.logits is not None], REFINED):
        again = segmenter.predict(_box(_corners(each.mask)), logits=each.logits)
        found += _candidate(f"{each.name}, again", again)
    return found


def reduce(map: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A map or mask (H, W) averaged down to (side, side) float32."""
    return cv2.resize(np.asarray(map, np.float32), (side, side), interpolation=cv2.INTER_AREA)


def soft_iou(masks: np.ndarray, map: np.ndarray) -> np.ndarray:
    """sum(m f) / (sum(m) + sum(f) - sum(m f)) of every row of masks (n, N) with f (N,): (n,).

    For a binary m it is sum(min) / sum(max), the IoU of masks carried over to a map in [0, 1].
    """
    both = masks @ map
    return both / np.maximum(masks.sum(axis=1) + map.sum() - both, 1e-9)


def favour_of(candidates: Sequence[Candidate], maps: Sequence[np.ndarray]) -> np.ndarray:
    """How well each candidate agrees with the maps (H, W): mean soft IoU, (n,)."""
    masks = np.stack([c.grid for c in candidates])
    return np.mean([soft_iou(masks, reduce(map).ravel()) for map in _defined(maps)], axis=0)


def features(
    candidates: Sequence[Candidate], map: np.ndarray, others: Sequence[np.ndarray]
) -> np.ndarray:
    """(n, len(FEATURES)) float64: what can be said of each candidate without ground truth.

    map: the cue's (H, W) in [0, 1]; others: those of all explainers that it stands for (for a
    single explainer itself alone). InputError where the map is flat: it can choose nothing.
    """
    if is_flat(map):
        raise InputError("map is flat: it cannot choose among masks")
    masks = np.stack([c.grid for c in candidates])
    map, others = reduce(map).ravel(), [reduce(other).ravel() for other in _defined(others)]
    area = masks.mean(axis=1)
    ranks, agree = _ranks(map), np.mean([soft_iou(masks, other) for other in others], axis=0)
    between = _pairwise(masks)
    columns = [
        soft_iou(masks, map),
        agree,
        soft_iou(masks, ranks**3),
        _order(masks, ranks),
        np.mean([_order(masks, _ranks(other)) for other in others], axis=0),
        masks @ map / map.sum(),
        soft_iou(masks, _blob().ravel()),
        between.mean(axis=1),
        between @ _softmax(SHARPNESS * agree),
        np.clip([c.score for c in candidates], 0, 1),
        np.nan_to_num([c.stability for c in candidates]),
        np.sqrt(area),
        area,
        np.array([c.border for c in candidates]),
        np.array([" + " in c.name for c in candidates], float),
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _defined(maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [map for map in maps if not is_flat(map)]


def _ranks(map: np.ndarray) -> np.ndarray:
    return ((rankdata(map) - 0.5) / map.size).astype(np.float32)


def _order(masks: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The area under the ROC curve of the map for each mask; 0.5 for a mask of the whole image."""
    area = masks.mean(axis=1)
    inside = masks @ ranks / np.maximum(masks.sum(axis=1), 1e-9)
    return np.where(area < 1 - 1e-6, (inside - area / 2) / np.maximum(1 - area, 1e-6), 0.5)


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def _pairwise(masks: np.ndarray) -> np.ndarray:
    """(n, n) soft IoU of the masks with each other."""
    both, size = masks @ masks.T, masks.sum(axis=1)
    return both / np.maximum(size[:, None] + size - both, 1e-9)


def centre_map(shape: tuple[int, int]) -> np.ndarray:
    """A blob in the centre of an image (H, W): the control that stands in for an explanation.

    Gaussian with a standard deviation of a quarter of each side, (H, W) float32 in [0, 1].
    """
    y, x = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in shape)
    return np.exp(-8 * (y[:, None] ** 2 + x[None] ** 2))


def _blob() -> np.ndarray:
    return centre_map((SIDE, SIDE))


def gallery(
    segmenter: Segmenter, candidates: Sequence[Candidate], maps: Sequence[np.ndarray]
) -> list[Candidate]:
    """The candidates with their unions and what SAM makes of the favoured ones again.

    maps (H, W) decide what is favoured; the image is the segmenter's. As they are if all are flat.
    """
    if not _defined(maps) or not candidates:
        return list(candidates)
    favour = favour_of(candidates, maps)
    return [*candidates, *unite(candidates, favour), *refine(segmenter, candidates, favour)]


def scores(table: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
    """The weighted sum of the features (n, len(FEATURES)) of each candidate: (n,).

    InputError for a weight of an unknown feature.
    """
    unknown = set(weights) - set(FEATURES)
    if unknown:
        raise InputError(f"weights: unknown features {sorted(unknown)}; known: {FEATURES}")
    return table @ np.array([weights.get(name, 0.0) for name in FEATURES])
