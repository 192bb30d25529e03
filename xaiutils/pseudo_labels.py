"""Label images from maps or masks of single classes, and files that training code reads.

A label image is (H, W) uint8: 0 background, the others the numbers of classes. Which classes may
appear comes from image-level labels: they are the keys of the mappings given here.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from xaiutils.datasets.base import is_plain
from xaiutils.errors import InputError
from xaiutils.maps import as_map, as_mask

VOID = 255

Labelled = Iterable[tuple[str, np.ndarray]]  # the image's name and its label image


def label_image(maps: Mapping[int, np.ndarray], level: float | Mapping[int, float]) -> np.ndarray:
    """The class with the highest map among those that reach their level; background elsewhere.

    maps: class number -> (H, W) in [0, 1]; level: one for all, or one a class. Equal values go to
    the lower class number. A map that is all NaN (flat) wins nowhere.
    """
    numbers = _numbers(maps)
    levels = level if isinstance(level, Mapping) else dict.fromkeys(numbers, level)
    stack = np.stack([as_map(maps[number]) for number in numbers])
    reached = stack >= np.array([levels[number] for number in numbers])[:, None, None]
    return _highest(np.where(reached, stack, -np.inf), numbers)


def label_image_of_masks(
    masks: Mapping[int, np.ndarray], scores: Mapping[int, float]
) -> np.ndarray:
    """The class whose mask covers the pixel; where masks overlap, that with the highest score.

    masks: class number -> (H, W) bool; scores: the segmenter's own, NaN where it gives none, which
    stands below every other. Equal scores go to the lower class number.
    """
    numbers = _numbers(masks)
    shape = np.shape(masks[numbers[0]])
    stack = np.stack([as_mask(masks[number], shape) for number in numbers])
    order = np.array([scores[number] for number in numbers], np.float64)
    order = np.where(np.isnan(order), np.finfo(np.float64).min, order)
    return _highest(np.where(stack, order[:, None, None], -np.inf), numbers)


def _numbers(given: Mapping[int, np.ndarray]) -> list[int]:
    """The class numbers in ascending order."""
    numbers = sorted(given)
    if not numbers or numbers[0] < 1 or numbers[-1] >= VOID:
        raise InputError(f"class numbers {numbers}: give at least one, all from 1 to {VOID - 1}")
    return numbers


def _highest(stack: np.ndarray, numbers: list[int]) -> np.ndarray:
    """The number of the first highest layer (N, H, W); 0 where all layers are minus infinity."""
    winner = np.array(numbers, np.uint8)[stack.argmax(axis=0)]
    return np.where(stack.max(axis=0) > -np.inf, winner, 0).astype(np.uint8)


def voc_palette() -> np.ndarray:
    """(256, 3) uint8, the colour map of the VOC devkit: bits of the index, dealt to R, G and B
    from the highest bit down."""
    index = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for step in range(8):
        for channel in range(3):
            bit = (index >> (3 * step + channel)) & 1
            colours[:, channel] |= (bit << (7 - step)).astype(np.uint8)
    return colours


def write_voc(
    folder: str | Path, labelled: Labelled, names: tuple[str, ...], split: str = "train"
) -> list[str]:
    """Label images in the layout of VOC 2012: the names of those written.

    SegmentationClass/NAME.png (palette PNG; void, 255, stays), ImageSets/Segmentation/SPLIT.txt,
    and classes.txt with number and name of every class, which VOC keeps in its documentation.
    """
    masks, lists = Path(folder, "SegmentationClass"), Path(folder, "ImageSets", "Segmentation")
    palette = voc_palette().tobytes()
    written = []
    for name, labels in _checked(labelled):
        picture = Image.fromarray(labels)
        picture.putpalette(palette)
        _save(masks / f"{name}.png", lambda path, picture=picture: picture.save(path))
        written.append(name)
    _text(lists / f"{split}.txt", "".join(f"{name}\n" for name in written))
    lines = (f"{number} {name}\n" for number, name in enumerate(("background", *names)))
    _text(Path(folder, "classes.txt"), "".join(lines))
    return written


def write_coco(
    folder: str | Path,
    labelled: Labelled,
    names: tuple[str, ...],
    suffix: str = ".jpg",
    files: Mapping[str, str] | None = None,
) -> list[str]:
    """Label images as annotations.json in COCO's format: the names of those written.

    One annotation an image and class that appears, as compressed run-length code (pycocotools);
    category ids are the class numbers, image ids count from 1. files: name -> file name; of those
    that it leaves out the file name is name + suffix. A label image's void is no category and is
    not written.
    """
    written, images, annotations = [], [], []
    known = files or {}
    for name, labels in _checked(labelled):
        height, width = labels.shape
        size = {"height": height, "width": width}
        file = known.get(name, name + suffix)
        images.append({"id": len(images) + 1, "file_name": file, **size})
        written.append(name)
        for number in np.setdiff1d(labels, [0, VOID]).tolist():
            row = {"id": len(annotations) + 1, "image_id": len(images), "category_id": number}
            annotations.append(row | run_length(labels == number))
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    text = json.dumps(content, ensure_ascii=False)
    _text(Path(folder, "annotations.json"), text)
    return written


def run_length(mask: np.ndarray) -> dict[str, object]:
    """segmentation (compressed run-length code), area, bbox (x, y, width, height), iscrowd 0."""
    try:
        from pycocotools import mask as coco
    except ImportError as error:
        raise InputError("format coco needs pycocotools: pip install pycocotools") from error
    code = coco.encode(np.asfortranarray(mask, np.uint8))
    return {
        "segmentation": {"size": list(mask.shape), "counts": code["counts"].decode("ascii")},
        "area": int(coco.area(code)),
        "bbox": [float(value) for value in coco.toBbox(code)],
        "iscrowd": 0,
    }


WRITERS = {"voc": write_voc, "coco": write_coco}


def _checked(labelled: Labelled) -> Iterable[tuple[str, np.ndarray]]:
    for name, labels in labelled:
        if not is_plain(name):
            raise InputError(f"image '{name}' cannot name a file")
        if labels.dtype != np.uint8 or labels.ndim != 2:
            raise InputError(f"labels of '{name}' must be (H, W) uint8, not {labels.dtype}")
        yield name, labels


def _text(path: Path, text: str) -> None:
    _save(path, lambda path: path.write_text(text, encoding="utf-8"))


def _save(path: Path, write) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
