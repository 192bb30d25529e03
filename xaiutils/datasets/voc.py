"""Pascal VOC 2012, segmentation task.

    VOCdevkit/VOC2012/{JPEGImages, SegmentationClass, ImageSets/Segmentation}

Masks are palette PNGs: 0 background, 1-20 the classes, 255 void.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xaiutils.datasets.base import (
    Dataset,
    Entry,
    Masks,
    Skipped,
    Survey,
    assemble,
    choose_split,
    complete,
    find_root,
    is_plain,
    read_lines,
    skipping,
)
from xaiutils.errors import InputError
from xaiutils.images import read_indices

# index i of the masks is CLASSES[i - 1]
_NAMES = """
aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person
pottedplant sheep sofa train tvmonitor
"""
CLASSES = tuple(_NAMES.split())
VOID = 255
SPLITS = ("train", "val", "trainval")


def load_voc2012(root: str | Path | None, split: str | None, reading: str, logit: str) -> Dataset:
    """One sample per image and class, "2007_000175-sheep": the mask is that class, all other
    classes are background, 255 is void. Reading "binary": one per image, "2007_000175", all
    objects against the background.

    Which classes an image has is read from its mask here, once; the images are not opened. One
    whose mask is unusable is skipped with the reason.
    """
    split = choose_split("voc2012", split, SPLITS, default="val")
    base = find_voc(root)
    skipped = skipping()
    pairs = ((id, *_paths(base, id)) for id in read_split(base, split))
    entries = _entries(complete(pairs, skipped), reading, skipped)
    return assemble("voc2012", entries, read_object, CLASSES, logit, "voc2012", skipped)


def read_object(entry: Entry) -> Masks:
    """The entry's classes, and void."""
    indices = read_voc_mask(entry.mask)
    wanted = np.zeros(256, bool)
    wanted[[1 + CLASSES.index(label) for label in entry.objects]] = True
    return wanted[indices], indices == VOID


def read_voc_mask(path: Path) -> np.ndarray:
    """The class indices 0..20 and 255, (H, W) uint8."""
    indices = read_indices(path)
    inner = indices[indices != VOID]
    if inner.size and inner.max() > len(CLASSES):
        raise InputError(f"{path}: index {inner.max()} is no class of VOC 2012 (0 to 20, and 255)")
    return indices


def read_split(base: Path, split: str) -> list[str]:
    """The image names of an official list; "trainval" is both lists, sorted."""
    if split == "trainval":
        return sorted({id for part in SPLITS[:2] for id in read_split(base, part)})
    path = base / "ImageSets" / "Segmentation" / f"{split}.txt"
    ids = read_lines(path)
    if bad := [id for id in ids if not is_plain(id)]:
        raise InputError(f"{path}: '{bad[0]}' is no image name")
    return list(dict.fromkeys(ids))


def find_voc(root: str | Path | None) -> Path:
    """The folder VOC2012: `root` itself, or in `root` (a VOCdevkit, or what holds one)."""
    return find_root("voc2012", root, "ImageSets/Segmentation", ("VOCdevkit/VOC2012", "VOC2012"))


def survey_voc2012(root: str | Path) -> Survey:
    """The lists train and val against JPEGImages and SegmentationClass."""
    base, survey = find_voc(root), Survey()
    for split in SPLITS[:2]:
        try:
            pairs = [_paths(base, id) for id in read_split(base, split)]
        except InputError as error:
            survey.problems.append(str(error))
            continue
        survey.problems += [
            f"{path}: missing, but in {split}.txt"
            for pair in pairs
            for path in pair
            if not path.exists()
        ]
        survey.images += sum(image.exists() for image, _ in pairs)
    for mask in sorted((base / "SegmentationClass").glob("*.png")):
        if not _paths(base, mask.stem)[0].exists():
            survey.problems.append(f"{mask}: a mask without an image")
    return survey


def _paths(base: Path, id: str) -> tuple[Path, Path]:
    return base / "JPEGImages" / f"{id}.jpg", base / "SegmentationClass" / f"{id}.png"


def _entries(pairs: Iterator[tuple], reading: str, skipped: Skipped) -> Iterator[Entry]:
    for id, image, mask in pairs:
        try:
            counts = np.bincount(read_voc_mask(mask).ravel(), minlength=256)
        except InputError as error:
            skipped[str(error)].append(id)
            continue
        labels = tuple(c for number, c in enumerate(CLASSES, 1) if counts[number])
        if not labels:
            skipped["no object in the mask"].append(id)
        elif reading == "binary":
            yield Entry(id, image, mask, labels, labels)
        else:
            for label in labels:
                yield Entry(f"{id}-{label}", image, mask, (label,), labels)
