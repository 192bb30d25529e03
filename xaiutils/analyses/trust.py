"""What can be known of a map and of its mask without the ground truth, and their IoUs.

Scores, for every explainer and two fusions (`CUES`); signs and names stand in `xaiutils.trust`:

- entropy (over log N), gini: of the map; map_area: the share of the image that Otsu's threshold
  keeps;
- agreement: mean IoU of the thresholded map with those of the explainers (itself left out);
- weight: the explainer's weight in the weighted fusion of this image;
- probability: the classifier's, of the explained class;
- sam_score: the IoU that SAM predicts for its mask from the dual cues; mask_area: its size;
- jitter: mean IoU of that mask with those of `DRAWS` other draws of the cues, each moved a little;
- mask_agreement: mean IoU of that mask with the masks of the explainers (itself left out);
- map_mask: IoU of thresholded map and mask.

map_iou and mask_iou are the truth that they are to predict. Void pixels, which are part of the
ground truth, are left out of these two only.
"""

from dataclasses import replace

import numpy as np

from xaiutils.config import stream
from xaiutils.maps import is_flat, otsu, threshold
from xaiutils.metrics.agreement import pairwise_iou
from xaiutils.metrics.localisation import gini, iou, normalised_entropy
from xaiutils.prompting import Prompts, dual
from xaiutils.sections.cues import explainers
from xaiutils.segmenters import Segmenter
from xaiutils.study import Study

COLUMNS = ["sample", "cue", "score", "value"]
VERSION = 1
SEGMENTER = "embedded_sam"
FUSED = ("fused-weighted", "fused-mean")
DRAWS = 4
MOVE = 0.01  # standard deviation of the jitter, of the image's longest side: 5 px of 500
NAN = float("nan")


def units(study: Study) -> list[str]:
    return study.sample_ids


def measure(study: Study, unit: str) -> list[dict]:
    sample = study.sample(unit)
    single = explainers(study)
    cues = [*single, *(cue for cue in FUSED if cue in study.cues)]
    maps = {cue: study.saliency(unit, cue) for cue in cues}
    seeds = {cue: None if is_flat(map) else threshold(map, otsu(map)) for cue, map in maps.items()}
    segmenter = study.segmenter(SEGMENTER)
    segmenter.set_image(sample.image)
    seed = study.config.seed
    prompted = {cue: prompted_mask(segmenter, maps[cue], (seed, unit, cue)) for cue in cues}
    masks = {cue: found[0] for cue, found in prompted.items()}
    agreement, mask_agreement = mean_overlap(seeds, single), mean_overlap(masks, single)
    rest = known(study, unit)
    rows = []
    for cue in cues:
        mask, score, stability = prompted[cue]
        found = {
            "entropy": normalised_entropy(maps[cue]),
            "gini": gini(maps[cue]),
            "map_area": area(seeds[cue]),
            "agreement": agreement[cue],
            "weight": rest["weights"].get(cue, NAN),
            "probability": rest["probability"],
            "sam_score": score,
            "mask_area": area(mask),
            "jitter": stability,
            "mask_agreement": mask_agreement[cue],
            "map_mask": overlap(seeds[cue], mask),
            "map_iou": truth(seeds[cue], sample),
            "mask_iou": truth(mask, sample),
        }
        rows += [{"sample": unit, "cue": cue, "score": s, "value": v} for s, v in found.items()]
    return rows


def known(study: Study, unit: str) -> dict:
    """The probability of the explained class, and the weights of the weighted fusion by cue."""
    samples, weights = study.table("samples"), study.table("weights")
    weights = weights[(weights["sample"] == unit) & (weights["fusion"] == "weighted")]
    return {
        "probability": float(samples.set_index("sample").loc[unit, "probability"]),
        "weights": dict(zip(weights["explainer"], weights["weight"].astype(float))),
    }


def prompted_mask(segmenter: Segmenter, map: np.ndarray, key: tuple) -> tuple:
    """(mask, its score, stability) from the dual cues of a map; (None, NaN, NaN) of a flat one.

    key: seed, sample and cue, which name the random streams; the mask is the study's own.
    """
    if is_flat(map):
        return None, NAN, NAN
    seed, id, cue = key
    base = segmenter.predict(dual(map, stream(seed, id, f"{cue} dual")))
    others = []
    for k in range(DRAWS):
        draw = stream(seed, id, f"{cue} jitter {k}")
        others.append(segmenter.predict(jittered(dual(map, draw), map.shape, draw)).mask)
    stability = np.nanmean([overlap(base.mask, other) for other in others])
    return base.mask, float(base.score), float(stability)


def jittered(prompts: Prompts, shape: tuple[int, int], rng: np.random.Generator) -> Prompts:
    """The prompts with every point moved by a normal step of `MOVE` times the longest side."""
    height, width = shape
    step = rng.normal(0, MOVE * max(shape), prompts.points.shape)
    moved = np.clip(np.rint(prompts.points + step), 0, [width - 1, height - 1])
    return replace(prompts, points=moved.astype(np.float32))


def area(mask: np.ndarray | None) -> float:
    """The share of the image that a mask covers."""
    return NAN if mask is None else float(mask.mean())


def overlap(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """IoU of two masks, the same in either order; NaN if one is missing or both are empty."""
    if a is None or b is None:
        return NAN
    return float(pairwise_iou(np.stack([a, b]))[0, 1])


def mean_overlap(masks: dict[str, np.ndarray | None], single: list[str]) -> dict[str, float]:
    """Mean IoU of each cue's mask with those of the other cues in `single`; NaN without any."""
    present = [cue for cue in masks if masks[cue] is not None]
    if not present:
        return dict.fromkeys(masks, NAN)
    table = pairwise_iou(np.stack([masks[cue] for cue in present]))
    found = dict.fromkeys(masks, NAN)
    for row, cue in zip(table, present):
        others = [v for v, o in zip(row, present) if o in single and o != cue and np.isfinite(v)]
        if others:
            found[cue] = float(np.mean(others))
    return found


def truth(mask: np.ndarray | None, sample) -> float:
    """IoU with the object outside void."""
    return NAN if mask is None else iou(mask, sample.mask, sample.void)
