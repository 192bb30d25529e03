"""The texture of the maps: grid, speckle, smoothness, borders; and how superpixels fit objects.

Rows sample, explainer, metric, value. Of each saliency map at the network's input, (S, S):

- `grid_energy`: spectral power of its edges at Occlusion's stride (`grid_energy`);
- `grid_edges`: share of its edges that lie on the lines of that grid; by chance 1 / stride;
- `total_variation`: summed differences of neighbours over summed values, per pixel (speckle: high);
- `high_frequency`: share of its spectral power in periods below `PERIOD` pixels;
- `border_share`: share of its mass in the outer `maps.BORDER` of the side (19 % of the area).

Of the superpixels that LIME and KernelSHAP hide, with explainer "superpixels" (`fit`):
`boundary_recall`, `boundary_chance`, `undersegmentation`, `best_iou`.

A flat map has no texture: NaN.
"""

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries

from xaiutils.analyses.faithfulness import raw_maps, superpixel_counts
from xaiutils.explainers import EXPLAINERS, saliency
from xaiutils.explainers.superpixels import slic_labels
from xaiutils.maps import border_share, is_flat
from xaiutils.study import Study

COLUMNS = ["sample", "explainer", "metric", "value"]
VERSION = 1
PERIOD = 8  # pixels: finer than any part of an object at 224 px
TOLERANCE = 2  # pixels, the usual one for boundary recall
STRIDE = 8  # where the study has no Occlusion


def units(study: Study) -> list[str]:
    return study.sample_ids


def measure(study: Study, unit: str) -> list[dict]:
    stride = getattr(study.config.make_explainers().get("occlusion"), "stride", STRIDE)
    rows = []
    for name, raw in raw_maps(study, unit).items():
        found = texture(saliency(raw, EXPLAINERS[name].sign), stride)
        rows += [(name, metric, value) for metric, value in found.items()]
    counts = set(superpixel_counts(study).values())
    if counts:  # LIME and KernelSHAP share theirs unless told otherwise
        found = superpixel_fit(study, unit, max(counts))
        rows += [("superpixels", metric, value) for metric, value in found.items()]
    return [dict(zip(COLUMNS, (unit, *row))) for row in rows]


def texture(map: np.ndarray, stride: int) -> dict[str, float]:
    """The measures of a non-negative map (S, S)."""
    if is_flat(map):
        return dict.fromkeys(
            ["grid_energy", "grid_edges", "total_variation", "high_frequency", "border_share"],
            float("nan"),
        )
    map = map.astype(np.float64)
    return {
        "grid_energy": grid_energy(map, stride),
        "grid_edges": grid_edges(map, stride),
        "total_variation": total_variation(map),
        "high_frequency": high_frequency(map),
        "border_share": border_share(map),
    }


def edge_profiles(map: np.ndarray) -> list[np.ndarray]:
    """For columns and for rows, how strong the edge at each position is: (S,) each.

    Position x holds the summed absolute difference between line x - 1 and line x, 0 for x = 0.
    """
    steps = [np.abs(np.diff(map, axis=axis)).sum(axis=1 - axis) for axis in (1, 0)]
    return [np.r_[0.0, step] for step in steps]


def grid_energy(map: np.ndarray, stride: int) -> float:
    """Share of the power of the edge profiles at the frequency 1 / stride and its harmonics.

    The map's own spectrum would not do: a map that is constant on cells of the stride has its zeros
    just there. Profiles of both directions are pooled, their means left out. Equally strong lines
    of the grid give nearly 1, white noise (stride - 1) / (S - 1). NaN without any edge.
    """
    at_grid, total = 0.0, 0.0
    for profile in edge_profiles(map):
        profile = profile[: len(profile) // stride * stride]
        power = np.abs(np.fft.fft(profile)) ** 2
        power[0] = 0
        at_grid += power[:: len(profile) // stride].sum()
        total += power.sum()
    return float(at_grid / total) if total > 0 else float("nan")


def grid_edges(map: np.ndarray, stride: int) -> float:
    """Share of the edges' strength at multiples of the stride; 1 for a map constant on its cells,
    about 1 / stride for one that knows no grid. NaN without any edge."""
    profiles = edge_profiles(map)
    on_grid, total = (sum(p[::step].sum() for p in profiles) for step in (stride, 1))
    return float(on_grid / total) if total > 0 else float("nan")


def total_variation(map: np.ndarray) -> float:
    """sum |E(x + 1, y) - E(x, y)| + |E(x, y + 1) - E(x, y)|, over the sum of E."""
    steps = np.abs(np.diff(map, axis=0)).sum() + np.abs(np.diff(map, axis=1)).sum()
    return float(steps / map.sum())


def high_frequency(map: np.ndarray, period: float = PERIOD) -> float:
    """Share of spectral power, mean left out, at radial frequencies above 1 / period per pixel.

    Under a Hann window, so that the jump from one border to the opposite one does not count.
    """
    window = np.hanning(len(map))[:, None] * np.hanning(map.shape[1])
    centred = (map - np.average(map, weights=window)) * window
    power = np.abs(np.fft.fft2(centred)) ** 2
    frequency = np.hypot(np.fft.fftfreq(len(map))[:, None], np.fft.fftfreq(map.shape[1]))
    return float(power[frequency > 1 / period].sum() / power.sum())


def superpixel_fit(study: Study, id: str, count: int) -> dict[str, float]:
    """`fit` of the superpixels of one sample, at the network's input."""
    sample, preprocess = study.sample(id), study.classifier.preprocess
    labels = slic_labels(preprocess.to_rgb(preprocess(sample.image)), count)
    mask, void = (
        cv2.resize(part.astype(np.uint8), labels.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        for part in (sample.mask, sample.void)
    )
    return fit(labels, mask, void)


def fit(labels: np.ndarray, mask: np.ndarray, void: np.ndarray) -> dict[str, float]:
    """How well superpixels (labels 0..K-1) can follow an object; all arrays (H, W).

    - boundary_recall: share of the object's border that has a superpixel border within 2 px;
    - boundary_chance: share of all pixels that have one, what a border drawn blindly would get;
    - undersegmentation: sum over superpixels of the smaller part, inside or outside the object,
      over the object's size (Neubert and Protzel 2012 divide by the image's);
    - best_iou: the IoU of the best union of whole superpixels, above which no surrogate over
      superpixels can come.

    Void pixels count nowhere. NaN for an object without pixels, or without a border (recall).
    """
    near = distance_transform_edt(~find_boundaries(labels)) <= TOLERANCE
    border, valid = find_boundaries(mask, mode="inner") & ~void, ~void
    if not (mask & valid).any():
        return dict.fromkeys(
            ["boundary_recall", "boundary_chance", "undersegmentation", "best_iou"], float("nan")
        )
    inside = np.bincount(labels[valid & mask], minlength=labels.max() + 1)
    outside = np.bincount(labels[valid & ~mask], minlength=labels.max() + 1)
    order = np.argsort(-inside / np.maximum(inside + outside, 1), kind="stable")
    ious = inside[order].cumsum() / (inside.sum() + outside[order].cumsum())
    return {
        "boundary_recall": float(near[border].mean()) if border.any() else float("nan"),
        "boundary_chance": float(near[valid].mean()),
        "undersegmentation": float(np.minimum(inside, outside).sum() / inside.sum()),
        "best_iou": float(ious.max()),
    }
