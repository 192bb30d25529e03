"""What SAM's mask depends on, for a few photographs: `xaiutils.explain_sam` as a table.

The mask is that of one point, the maximum of the weighted fusion's map. kind "occlusion": 1 - IoU
of the mask with itself when the patch is hidden. kind "prompt": IoU of the mask with that of a
point at the patch's centre. row and col count from the top left.
"""

import numpy as np

from xaiutils.config import stream
from xaiutils.explain_sam import occlusion_map, prompt_map
from xaiutils.maps import is_flat
from xaiutils.prompting import PROMPTINGS
from xaiutils.sections.cues import FUSED, explainers
from xaiutils.sections.picks import photographs
from xaiutils.study import Study

COLUMNS = ["sample", "kind", "row", "col", "value"]
VERSION = 1
SEGMENTER = "embedded_sam"
SAMPLES = 2
PATCHES = (6, 6)
POINTS = (12, 12)


def units(study: Study) -> list[str]:
    """Two photographs, of most and of least agreement of the explainers: 37 embeddings each."""
    return photographs(study, SAMPLES)


def cue_of(study: Study) -> str:
    """The map whose maximum is the point: the weighted fusion, or the first explainer."""
    return FUSED if FUSED in study.cues else explainers(study)[0]


def measure(study: Study, unit: str) -> list[dict]:
    sample, cue = study.sample(unit), cue_of(study)
    map = study.saliency(unit, cue)
    if is_flat(map):
        return []
    segmenter = study.segmenter(SEGMENTER)
    prompts = PROMPTINGS["peak"](map, stream(study.config.seed, unit, f"{cue} peak"))
    hiding = occlusion_map(segmenter, sample.image, prompts, PATCHES)
    moving = prompt_map(segmenter, segmenter.predict(prompts).mask, POINTS)
    return [
        {"sample": unit, "kind": kind, "row": row, "col": col, "value": float(value)}
        for kind, grid in (("occlusion", hiding), ("prompt", moving))
        for (row, col), value in np.ndenumerate(grid)
    ]
