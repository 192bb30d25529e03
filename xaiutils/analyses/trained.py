"""trained: segmenters trained on each source of pseudo-labels, judged on images they never saw.

For each source (`teachers.sources`) a head is trained on the pseudo-labels of the companion
study's images (the training split) and run on this study's; true masks judge, void left out. Rows:

- labels, label_iou: how many training images had a label, and those labels' mean IoU;
- seed_iou, seed_coverage, seed_spill: the source's own mask of this very image, untrained;
- iou, coverage, spill: the trained head's mask of it.
"""

import numpy as np

from xaiutils.metrics.localisation import coverage, iou, spill
from xaiutils.study import Study
from xaiutils.teachers import features_of, pseudo_mask, sources, trained_head
from xaiutils.training import predict

VERSION = 1
COMPANION = True
MEASURES = {"iou": iou, "coverage": coverage, "spill": spill}
COLUMNS = ["sample", "source", "labels", "label_iou"]
COLUMNS += [f"seed_{name}" for name in MEASURES] + list(MEASURES)


def units(study: Study) -> list[str]:
    """The sources that the training images have too."""
    there = sources(study.companion)
    return [source for source in sources(study) if source in there]


def measure(study: Study, unit: str) -> list[dict]:
    """One row a sample for a source."""
    head, facts = trained_head(study, unit)
    known = {"source": unit, **facts}
    rows = []
    for id, features in zip(study.sample_ids, features_of(study), strict=True):
        sample = study.sample(id)
        seed = pseudo_mask(study, sample, unit)
        mask = predict(head, features, sample.mask.shape)
        rows.append({"sample": id, **known, **judge(seed, sample, "seed_"), **judge(mask, sample)})
    return rows


def judge(mask: np.ndarray | None, sample, prefix: str = "") -> dict[str, float]:
    """IoU, coverage and spill of a mask against the truth; NaN where there is no mask."""
    return {
        prefix + name: float("nan") if mask is None else of(mask, sample.mask, sample.void)
        for name, of in MEASURES.items()
    }
