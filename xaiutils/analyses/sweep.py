"""sweep: how the result moves with each rule of thumb, one at a time, the others at their defaults.

On `SUBSET` images, evenly spaced over the study, and the maps `CUES`. Factors and their values:

- threshold: the level of the map in [0, 1] at which it is cut, or Otsu's;
- foreground points, background points: how many SAM gets (defaults 3 and 2);
- foreground percentile, background percentile: where the regions begin that points are drawn from;
- superpixels: of LIME, explained anew with `LIME_SAMPLES` samples each;
- drawing: the same defaults with another random seed. No choice at all: what moves less than this
  does not matter.

result "map" is the thresholded map itself, "SAM" the mask that the prompts get; for "threshold"
SAM is prompted by the box of the largest component, the prompt that depends on the threshold.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xaiutils.config import stream
from xaiutils.datasets import Sample
from xaiutils.evaluation import to_image
from xaiutils.explainers import EXPLAINERS, Query, make_explainer, saliency
from xaiutils.maps import otsu, threshold
from xaiutils.metrics.localisation import iou
from xaiutils.prompting import Prompts, box_from_mask, largest_component, points_from_map
from xaiutils.segmenters import Segmenter
from xaiutils.study import Study

VERSION = 1
COLUMNS = ["sample", "cue", "factor", "value", "result", "iou"]
SUBSET = 13
CUES = ("gradcam", "scorecam", "lime", "fused-weighted")
LIME_SAMPLES = 256

OTSU = "Otsu"
THRESHOLDS = (OTSU, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
POINTS = {  # factor: (argument of points_from_map, values; the default is among them)
    "foreground points": ("n_foreground", (1, 2, 3, 5, 8)),
    "background points": ("n_background", (0, 1, 2, 4, 8)),
    "foreground percentile": ("foreground", (50, 70, 85, 95, 99)),
    "background percentile": ("background", (2, 10, 25, 50)),
}
SUPERPIXELS = (25, 50, 100, 200)
DRAWINGS = 5


def units(study: Study) -> list[str]:
    """At most `SUBSET` samples, evenly spaced."""
    ids = study.sample_ids
    places = np.unique(np.linspace(0, len(ids) - 1, min(SUBSET, len(ids))).round().astype(int))
    return [ids[place] for place in places]


def measure(study: Study, unit: str) -> list[dict]:
    """The rows of one sample: every cue under every value of every factor."""
    sample, segmenter = study.sample(unit), study.segmenter("embedded_sam")
    segmenter.set_image(sample.image)
    rows = []
    for cue in CUES:
        if cue in study.cues:
            map = study.saliency(unit, cue)
            rows += cut(sample, segmenter, cue, map)
            rows += pointed(study, sample, segmenter, cue, map)
    rows += superpixels(study, sample, segmenter)
    return [{"sample": unit, **row} for row in rows]


def cut(sample: Sample, segmenter: Segmenter, cue: str, map: np.ndarray) -> Iterator[dict]:
    """The map cut at each threshold, and SAM from the box of what is left."""
    for value in THRESHOLDS:
        mask = threshold(map, otsu(map) if value == OTSU else value)
        row = {"cue": cue, "factor": "threshold", "value": str(value)}
        yield {
            **row,
            "result": "map",
            "iou": _iou(mask if np.isfinite(map).all() else None, sample),
        }
        nothing = np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
        box = box_from_mask(largest_component(mask)) if mask.any() else None
        yield {**row, "result": "SAM", "iou": _sam(segmenter, sample, Prompts(*nothing, box=box))}


def pointed(
    study: Study, sample: Sample, segmenter: Segmenter, cue: str, map: np.ndarray
) -> Iterator[dict]:
    """SAM from points: each of `POINTS`, then `DRAWINGS` other draws of the defaults."""
    seed = study.config.seed
    for factor, (argument, values) in POINTS.items():
        for value in values:
            rng = stream(seed, sample.id, f"{cue} dual")  # the study's own draw
            prompts = points_from_map(map, rng, **{argument: value})
            yield _row(cue, factor, value, _sam(segmenter, sample, prompts))
    for draw in range(DRAWINGS):
        prompts = points_from_map(map, stream(seed, sample.id, f"{cue} draw {draw}"))
        yield _row(cue, "drawing", draw, _sam(segmenter, sample, prompts))


def superpixels(study: Study, sample: Sample, segmenter: Segmenter) -> Iterator[dict]:
    """LIME with more or fewer superpixels: its thresholded map, and SAM with default points."""
    classifier = study.classifier
    targets = study.table("samples").set_index("sample")["target"]
    query = Query(classifier, classifier.preprocess(sample.image), int(targets[sample.id]))
    lime = replace(make_explainer("lime"), samples=LIME_SAMPLES)
    for count in SUPERPIXELS:
        explainer = replace(lime, superpixels=count)
        raw = explainer.attribute(query, stream(study.config.seed, sample.id, "lime"))
        map = to_image(saliency(raw, EXPLAINERS["lime"].sign), sample.mask.shape)
        defined = np.isfinite(map).all()
        mask = threshold(map, otsu(map)) if defined else None
        yield _row("lime", "superpixels", count, _iou(mask, sample), "map")
        prompts = points_from_map(map, stream(study.config.seed, sample.id, "lime dual"))
        yield _row("lime", "superpixels", count, _sam(segmenter, sample, prompts))


def _row(cue: str, factor: str, value, iou: float, result: str = "SAM") -> dict:
    return {"cue": cue, "factor": factor, "value": str(value), "result": result, "iou": iou}


def _iou(mask: np.ndarray | None, sample: Sample) -> float:
    return float("nan") if mask is None else iou(mask, sample.mask, sample.void)


def _sam(segmenter: Segmenter, sample: Sample, prompts: Prompts) -> float:
    """IoU of SAM's mask; NaN where the prompts say nothing."""
    return float("nan") if prompts.empty else _iou(segmenter.predict(prompts).mask, sample)
