"""True positive, false positive and false negative pixels of every class, image and cue.

The mean IoU over the split and its bootstrap over images follow from these rows alone
(`xaiutils.sections.miou`). What is judged is the image's label image, as `xaiutils.export` writes
it, on three routes:

- "otsu": the maps, each cut by its own threshold;
- "level": the maps cut at each of `LEVELS`; which one counts is chosen on training images;
- a segmenter's name: its masks from the dual prompts of each cue, and from floors and ceilings.

In the reading "class" the truth holds all classes of the image, also those that the study has no
sample of (no mapped logit): these are missed. Images without any sample are not there. In the
reading "binary" the classes are background and object.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from xaiutils.config import THRESHOLDS
from xaiutils.datasets import Dataset, load_dataset
from xaiutils.export import PER_CLASS, LabelImages, suffix
from xaiutils.metrics.confusion import confusion, counts
from xaiutils.names import in_order
from xaiutils.pseudo_labels import VOID, label_image
from xaiutils.study import Study

COLUMNS = ["image", "cue", "route", "level", "of", "class", "tp", "fp", "fn"]
VERSION = 1
LEVELS = THRESHOLDS[::2]
BACKGROUND = "background"
NAN = float("nan")


def units(study: Study) -> list[str]:
    """The images; each may have several samples, one a class."""
    return list(_view(study).samples)


def measure(study: Study, unit: str) -> list[dict]:
    """Rows of one image: cue, route, level (NaN but for "level"), of (classes with background),
    class and its three counts. Classes without any count have no row, except background. Where no
    class has a defined map or mask there is one row of background with NaN counts."""
    view = _view(study)
    truth, names = true_labels(view, unit), (BACKGROUND, *view.names)
    rows = []
    for cue, route, level, labels in label_images(view, unit):
        head = {"image": unit, "cue": cue, "route": route, "level": level, "of": len(names)}
        rows += [head | row for row in class_rows(truth, labels, names)]
    return rows


def class_rows(truth: np.ndarray, labels: np.ndarray | None, names: tuple[str, ...]) -> list[dict]:
    """class, tp, fp and fn of one label image against the true one."""
    if labels is None:
        return [{"class": BACKGROUND, "tp": NAN, "fp": NAN, "fn": NAN}]
    table = counts(confusion(truth, labels, len(names))).tolist()
    return [
        {"class": name, **dict(zip(("tp", "fp", "fn"), row))}
        for name, row in zip(names, table)
        if any(row) or name == BACKGROUND
    ]


def label_images(view: LabelImages, image: str) -> Iterator[tuple]:
    """(cue, route, level, label image or None) of one image."""
    for cue in in_order(cue for _, cue in view.maps):
        yield cue, "otsu", NAN, view.of_maps(image, cue)
        maps = view.defined(image, cue)
        for level in LEVELS:
            yield cue, "level", level, label_image(maps, level) if maps else None
    for cue, prompting, segmenter in routes(view):
        yield cue, segmenter, NAN, view.of_masks(image, cue, prompting, segmenter)


def routes(view: LabelImages) -> list[tuple[str, str, str]]:
    """(cue, prompting, segmenter) of the masks that are judged; the thresholded maps are not."""
    keys = dict.fromkeys(key[1:] for key in view.scores)
    return [
        (cue, prompting, segmenter)
        for cue, prompting, segmenter in keys
        if prompting == "dual" or cue.startswith(("floor:", "ceiling:"))
    ]


def true_labels(view: LabelImages, image: str) -> np.ndarray:
    """The true label image, (H, W) uint8, void 255; of overlapping classes the last one counts."""
    config, samples = view.study.config, view.samples[image]
    whole = _whole(config.dataset, config.root, config.split, config.reading)
    if config.reading == "class" and config.dataset in PER_CLASS:
        present = whole.labels[next(iter(samples.values()))]
        samples = {whole.classes.index(name) + 1: image + suffix(name) for name in present}
    labels = None
    for number, id in sorted(samples.items()):
        sample = whole.load(id)
        labels = np.zeros(sample.mask.shape, np.uint8) if labels is None else labels
        labels[sample.mask] = number
        labels[sample.void] = VOID
    return labels


@lru_cache(maxsize=1)  # its tables are the same for every unit
def _view(study: Study) -> LabelImages:
    return LabelImages(study)


@lru_cache(maxsize=1)  # listing a split reads every mask of it once; no image is kept
def _whole(dataset: str, root: str | None, split: str | None, reading: str) -> Dataset:
    """The split with all its classes, whatever logit the study explains."""
    return load_dataset(dataset, root, split, reading=reading, logit="predicted")
