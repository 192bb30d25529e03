"""A folder of one's own: images/, masks/ of the same names, and optionally labels.csv."""

from pathlib import Path

import numpy as np

from xaiutils.datasets.base import (
    SUFFIXES,
    Dataset,
    Sample,
    Survey,
    as_text,
    check_size,
    imagenet_index,
    images_by_stem,
    is_image,
    no_split,
    read_csv,
    skipping,
    with_logit,
)
from xaiutils.errors import InputError
from xaiutils.images import read_image, read_mask

LONE = "no image of this mask"


def load_folder(root: str | Path | None, split: str | None, reading: str, logit: str) -> Dataset:
    if root is None:
        raise InputError("data set 'folder' needs root: the folder that holds images/ and masks/")
    root = Path(root)
    no_split("folder", split)
    images = images_by_stem(root / "images", skipped := skipping())
    gone = {id for ids in skipped.values() for id in ids}
    given = _read_labels(root / "labels.csv", images, gone)
    if lone := lone_masks(root / "masks", {*images, *gone}):
        skipped[LONE] += lone

    def read(id: str) -> Sample:
        label, target = given.get(id, ("object", None))
        return read_pair(id, images[id], mask_of(id, root), label, target)

    labels = {id: (given.get(id, ("object", None))[0],) for id in images}
    classes = tuple(dict.fromkeys(label for (label,) in labels.values()))
    frozen = {reason: tuple(ids) for reason, ids in skipped.items()}
    dataset = Dataset("folder", tuple(images), read, frozen, classes, labels, files=images)
    return with_logit(dataset, {id: target for id, (_, target) in given.items()}, logit)


def read_pair(
    id: str, image_path: Path, mask_path: Path | None, label: str, target: int | None
) -> Sample:
    """A sample from two files; without a mask file the mask is empty: measures of it are NaN."""
    image = read_image(image_path)
    if mask_path is None:
        empty = np.zeros(image.shape[:2], bool)
        return Sample(id, image, empty, empty.copy(), label, target)
    mask, void = read_mask(mask_path)
    check_size(mask.shape, mask_path, image, image_path)
    return Sample(id, image, mask, void, label, target)


def lone_masks(folder: Path, ids: set[str]) -> list[str]:
    """The names of the masks in a folder that belong to no image."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return list(dict.fromkeys(as_text(p.stem) for p in there if is_image(p) and p.stem not in ids))


def mask_of(id: str, root: Path) -> Path | None:
    folder = root / "masks"
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file; it must be the folder of the masks, or be absent")
    candidates = sorted(p for p in folder.iterdir() if p.stem == id and is_image(p))
    if not candidates:
        raise InputError(f"{folder / id}.png: no such mask (nor with another image suffix)")
    if len(candidates) > 1:
        names = " and ".join(str(path) for path in candidates)
        raise InputError(f"{names}: two masks of one image; remove one of them")
    return candidates[0]


def survey_folder(root: str | Path) -> Survey:
    """images/ against masks/, by name."""
    survey = Survey()
    folders = Path(root) / "images", Path(root) / "masks"
    survey.problems += [f"{folder}: no such folder" for folder in folders if not folder.is_dir()]
    if survey.problems:
        return survey
    alike = skipping()
    images, masks = (images_by_stem(folder, alike, empty=True) for folder in folders)
    survey.problems += [f"{folders[0]}: no images ({', '.join(SUFFIXES)})"] if not images else []
    survey.problems += list(alike)
    survey.problems += [f"{images[i]}: an image without a mask" for i in images if i not in masks]
    survey.problems += [f"{masks[i]}: a mask without an image" for i in masks if i not in images]
    survey.images = len(images)
    return survey


def _read_labels(
    path: Path, images: dict[str, Path], skipped: set[str]
) -> dict[str, tuple[str, int | None]]:
    """Label and ImageNet index by id; an image that the file leaves out is called "object".

    InputError for a row of no image, and for two of one, which may be named with its suffix or not.
    """
    if not path.exists():
        return {}
    ids = {image.name: id for id, image in images.items()} | {id: id for id in images}
    labels, rows = {}, {}
    for row in read_csv(path, ("file", "label")):
        if {row["file"], Path(row["file"]).stem} & skipped:
            continue
        if row["file"] not in ids:
            raise InputError(f"{path}: '{row['file']}' is not in {path.parent / 'images'}")
        id = ids[row["file"]]
        if rows.setdefault(id, row["file"]) != row["file"]:
            raise InputError(f"{path}: '{rows[id]}' and '{row['file']}' are the same image")
        index = imagenet_index(row.get("imagenet_index") or "", path)
        labels[id] = (row["label"] or "object", index)
    return labels
