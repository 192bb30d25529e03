"""IoU against the number of corrective clicks, from an explanation's cues and from nothing.

`start` is "none", each explainer and the weighted fusion (its dual cues, as the study drew them),
or a reference: the centre box, which knows nothing of the image, and the true box.
"""

import numpy as np

from xaiutils.clicks import simulate
from xaiutils.config import stream
from xaiutils.explainers import EXPLAINERS
from xaiutils.maps import is_flat
from xaiutils.prompting import CEILINGS, FLOORS, Prompts, dual
from xaiutils.sections.cues import FUSED
from xaiutils.study import Study

COLUMNS = ["sample", "start", "clicks", "iou"]
VERSION = 2
SEGMENTER = "embedded_sam"
CLICKS = 8


def units(study: Study) -> list[str]:
    return study.sample_ids


def measure(study: Study, unit: str) -> list[dict]:
    sample = study.sample(unit)
    truth = sample.mask & ~sample.void
    if not truth.any():  # nothing to click on
        return []
    segmenter = study.segmenter(SEGMENTER)
    segmenter.set_image(sample.image)
    rows = []
    for start, prompts in starts(study, unit, truth).items():
        values, _ = simulate(segmenter, prompts, sample.mask, sample.void, CLICKS)
        rows += [
            {"sample": unit, "start": start, "clicks": k, "iou": v} for k, v in enumerate(values)
        ]
    return rows


def starts(study: Study, id: str, truth: np.ndarray) -> dict[str, Prompts | None]:
    """What each start tells the segmenter before the first click; a flat map tells nothing."""
    seed, found = study.config.seed, {"none": None}
    for cue in study.cues:
        if cue in EXPLAINERS or cue == FUSED:
            found[cue] = start_prompts(study, id, cue)
    rng = stream(seed, id, "clicks")
    found["floor:centre box"] = FLOORS["centre box"](truth.shape, rng)
    found["ceiling:true box"] = CEILINGS["true box"](truth, rng)
    return found


def start_prompts(study: Study, id: str, cue: str) -> Prompts | None:
    """The dual cues of one map, the same that the study gave its segmenter; None of a flat map."""
    map = study.saliency(id, cue)
    if is_flat(map):
        return None
    return dual(map, stream(study.config.seed, id, f"{cue} dual"))
