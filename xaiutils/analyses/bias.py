"""bias: where seeds light up context, and whether a segmenter trained on seeds does so more.

On every image of the study and for every source, the share of a region's pixels that is labelled
as object, by the seed (the source's mask of this image) and by the head that was trained on the
source's labels of the training images. Regions, all outside void:

- object: the true mask, all classes;
- ring: background nearer to the object than `RING` of the image's diagonal;
- far: the other background;
- explained class, other classes: where the explained ImageNet class belongs to one of the data
  set's classes in the image and there are others too (horse and rider), the two parts of the mask.

A region that is empty, and the seed of a flat map, give NaN.
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from xaiutils.analyses import trained
from xaiutils.datasets import Dataset, Sample, load_dataset
from xaiutils.datasets.mappings import load_mapping
from xaiutils.study import Study
from xaiutils.teachers import features_of, pseudo_mask, trained_head
from xaiutils.training import predict

VERSION = 1
COMPANION = True
COLUMNS = ["sample", "source", "region", "share", "seed", "head"]
RING = 0.05  # of the diagonal: about 30 px of a VOC image
WITH_CLASSES = ("voc2012", "usis10k")  # data sets that know a class reading

units = trained.units


def measure(study: Study, unit: str) -> list[dict]:
    """One row a sample and region for a source."""
    head, _ = trained_head(study, unit)
    rows = []
    for id, features in zip(study.sample_ids, features_of(study), strict=True):
        sample = study.sample(id)
        masks = pseudo_mask(study, sample, unit), predict(head, features, sample.mask.shape)
        for region, pixels in {**regions(sample), **class_regions(study, sample)}.items():
            rates = [rate(mask, pixels) for mask in masks]
            share = float(pixels[~sample.void].mean()) if (~sample.void).any() else float("nan")
            found = {"share": share, "seed": rates[0], "head": rates[1]}
            rows.append({"sample": id, "source": unit, "region": region, **found})
    return rows


def rate(mask: np.ndarray | None, region: np.ndarray) -> float:
    """The share of a region (H, W) that a mask labels as object; NaN without either."""
    return float(mask[region].mean()) if mask is not None and region.any() else float("nan")


def regions(sample: Sample, width: float = RING) -> dict[str, np.ndarray]:
    """Object, ring and far, each (H, W) bool; nothing is near an empty mask."""
    mask, valid = sample.mask & ~sample.void, ~sample.void
    near = np.zeros(mask.shape, bool)
    if mask.any():
        near = ndimage.distance_transform_edt(~mask) <= width * np.hypot(*mask.shape)
    return {"object": mask, "ring": near & valid & ~mask, "far": valid & ~near & ~mask}


def class_regions(study: Study, sample: Sample) -> dict[str, np.ndarray]:
    """The explained class and the other classes of the image, where both are there."""
    config = study.config
    labels = study.dataset.labels.get(sample.id, ())
    if config.dataset not in WITH_CLASSES or config.reading != "binary" or len(labels) < 2:
        return {}
    target = _targets(study)[sample.id]
    table = load_mapping(config.dataset, study.dataset.classes)
    explained = [label for label in labels if target in table[label].taken]
    if not explained:
        return {}
    each = _by_class(study)
    names = {label: f"{sample.id}-{label.replace(' ', '-')}" for label in labels}
    parts = {label: each.load(name).mask & ~sample.void for label, name in names.items()}
    own = np.logical_or.reduce([parts[label] for label in explained])
    return {"explained class": own, "other classes": np.logical_or.reduce([*parts.values()]) & ~own}


@lru_cache(maxsize=2)
def _by_class(study: Study) -> Dataset:
    config = study.config
    return load_dataset(
        config.dataset, config.root, config.split, reading="class", logit="predicted"
    )


@lru_cache(maxsize=2)
def _targets(study: Study) -> dict[str, int]:
    return study.table("samples").set_index("sample")["target"].astype(int).to_dict()
