"""Labels that cost no annotator: what each source of pseudo-labels says of a study's images.

A *source* is an explainer or a fusion (its map, thresholded by Otsu), SAM's masks of the fused
maps, and two that bound them: the true masks, and a box at the centre of every image.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from xaiutils.classifiers import load_classifier
from xaiutils.config import stream
from xaiutils.datasets import Sample
from xaiutils.errors import InputError
from xaiutils.explainers import EXPLAINERS
from xaiutils.maps import otsu, threshold
from xaiutils.metrics.localisation import iou
from xaiutils.names import AGREEMENT, BOX, CONFIDENCE, PLAIN, SAM, TRUTH, VARIANTS
from xaiutils.prompting import PROMPTINGS, centre_box
from xaiutils.store import digest, read_unit, write_unit
from xaiutils.study import Study
from xaiutils.training import Head, cell_means, confidence, encode, fit, grid_labels, head_from

FUSIONS = ("fused-weighted", "fused-mean")
BACKBONE = "efficientnet_lite0"  # whatever the study explains: one yardstick for all of them


def sources(study: Study) -> list[str]:
    """The study's explainers and fusions in the paper's order, then SAM, truth and centre box."""
    cues = study.cues
    found = [cue for cue in cues if cue in EXPLAINERS or cue in FUSIONS]
    return [*found, *([SAM] if FUSIONS[0] in cues else []), TRUTH, BOX]


def pseudo_mask(study: Study, sample: Sample, source: str) -> np.ndarray | None:
    """What the source labels as object, (H, W) bool; None where it says nothing (a flat map).

    Otsu's threshold of the whole map: without masks nobody knows which pixels are void. The study's
    own tables leave them out, so that its IoUs differ a little.
    """
    if source == TRUTH:
        return sample.mask
    if source == BOX:
        return _box_mask(sample.mask.shape)
    map = study.saliency(sample.id, FUSIONS[0] if source == SAM else source)
    if not np.isfinite(map).all():
        return None
    return _sam_mask(study, sample, map) if source == SAM else threshold(map, otsu(map))


def _box_mask(shape: tuple[int, int]) -> np.ndarray:
    """The floor's centre box, half as wide and half as high as the image."""
    x0, y0, x1, y1 = np.round(centre_box(shape).box).astype(int)
    mask = np.zeros(shape, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def _sam_mask(study: Study, sample: Sample, map: np.ndarray) -> np.ndarray:
    """The study's own mask where it has one, else SAM asked now with the same prompts."""
    config, cue = study.config, FUSIONS[0]
    if "embedded_sam" in config.segmenters and "dual" in config.promptings:
        return study.mask(sample.id, cue, "dual", "embedded_sam")
    segmenter = study.segmenter("embedded_sam")
    segmenter.set_image(sample.image)
    prompts = PROMPTINGS["dual"](map, stream(config.seed, sample.id, f"{cue} dual"))
    return segmenter.predict(prompts).mask


@lru_cache(maxsize=4)
def features_of(study: Study) -> np.ndarray:
    """(N, 472, 40, 40) float16 features of the study's images in their order, kept in memory.

    1.5 MB and a tenth of a second of two cores an image.
    """
    model = load_classifier(BACKBONE, None).model
    return np.stack([encode(model, study.sample(id).image) for id in study.sample_ids])


@dataclass(frozen=True)
class Labelled:
    """Training images as a head takes them; those without a label are left out.

    ids (n,); features (n, C, h, w) float16; labels and weights (n, h, w) float32; label_iou (n,):
    IoU of each image's pseudo-label with its true mask.
    """

    ids: list[str]
    features: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    label_iou: np.ndarray

    def take(self, which: np.ndarray) -> "Labelled":
        """The images at the places `which` (integers)."""
        ids = [self.ids[i] for i in which]
        arrays = self.features, self.labels, self.weights, self.label_iou
        return Labelled(ids, *(array[which] for array in arrays))


def labelled(study: Study, source: str, variant: str = PLAIN) -> Labelled:
    """The images of a (training) study with a source's pseudo-labels.

    Void pixels count for nothing with the true masks only: whoever has no masks does not know
    them. The variants weight each cell of the grid:

    - "confidence-weighted": by the mean of `training.confidence` of the map (none for SAM, truth
      and box, which have no map: as "plain");
    - "agreement-weighted": by the share of explainers whose thresholded map says the same.
    """
    if variant not in VARIANTS:
        raise InputError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    kept, found = [], []
    for place, id in enumerate(study.sample_ids):
        sample = study.sample(id)
        mask = pseudo_mask(study, sample, source)
        if mask is None:
            continue
        label, weight = grid_labels(mask, sample.void if source == TRUTH else None)
        weight = np.clip(weight * _extra_weight(study, id, source, variant, label), 0, 1)
        kept.append(place)
        found.append((label, weight, iou(mask, sample.mask, sample.void)))
    if not kept:
        raise InputError(f"study {study.name!r}: no image has a label from {source!r}")
    labels, weights, scores = (np.stack(values) for values in zip(*found, strict=True))
    ids = [study.sample_ids[place] for place in kept]
    return Labelled(ids, features_of(study)[kept], labels, weights, scores)


def _extra_weight(study: Study, id: str, source: str, variant: str, label: np.ndarray):
    """(h, w) in [0, 1], or 1."""
    if variant == AGREEMENT:
        share = votes_of(study)[id]
        return share * label + (1 - share) * (1 - label)
    if variant == CONFIDENCE and source not in (SAM, TRUTH, BOX):
        map = study.saliency(id, source)
        return np.clip(cell_means(confidence(map, otsu(map))), 0, 1)
    return 1.0


@lru_cache(maxsize=2)
def votes_of(study: Study) -> dict[str, np.ndarray]:
    """By sample the share of explainers whose thresholded map holds a cell, (h, w) float32."""
    found = {}
    for id in study.sample_ids:
        sample, cues = study.sample(id), [cue for cue in study.cues if cue in EXPLAINERS]
        masks = [pseudo_mask(study, sample, cue) for cue in cues]
        masks = [grid_labels(mask)[0] for mask in masks if mask is not None]
        found[id] = np.mean(masks, axis=0) if masks else np.full((1, 1), 0.5, np.float32)
    return found


def train_on(data: Labelled, study: Study, source: str, **options) -> Head:
    """A head for these labels; its random stream is the study's, named by the source."""
    rng = stream(study.config.seed, "head", source)
    return fit(data.features, data.labels, data.weights, rng, **options)


HEADS = 1  # raised when a change of the code changes the heads


def trained_head(study: Study, source: str) -> tuple[Head, dict]:
    """The head that a source's labels of the companion's images train, from its file or now.

    Beside it {"labels": images that had one, "label_iou": their labels' mean IoU}. The file depends
    on all maps and masks of the companion and on the seed.
    """
    key = digest(HEADS, source, study.companion.maps_key(""), study.config.seed)
    path = study.folder / "units" / "heads" / f"{source}.{key}.npz"
    unit = read_unit(path)
    if unit is None:
        data = labelled(study.companion, source)
        head = train_on(data, study, source)
        unit = (
            {"labels": len(data.ids), "label_iou": float(data.label_iou.mean())},
            {name: values.numpy() for name, values in head.state_dict().items()},
        )
        write_unit(path, unit[0], **unit[1])
    return head_from(unit[1]), unit[0]
