"""Kvasir-SEG (1,000 images) and its sessile subset (196).

    Kvasir-SEG/{images/*.jpg, masks/*.jpg}
    sessile-main-Kvasir-SEG/{images, masks}

The masks are JPEGs of three equal channels; grey > 127 is polyp. ImageNet-1k has no polyp or
anything near it, so that only the predicted logit or a probe can be explained.
"""

from pathlib import Path

from xaiutils.datasets.base import (
    Dataset,
    Entry,
    Masks,
    Survey,
    assemble,
    choose_split,
    complete,
    find_root,
    images_by_stem,
    is_plain,
    read_lines,
    skipping,
)
from xaiutils.datasets.folder import LONE, survey_folder
from xaiutils.errors import InputError
from xaiutils.images import read_mask

CLASSES = ("polyp",)
FOLDERS = {"kvasir-seg": "Kvasir-SEG", "kvasir-sessile": "sessile-main-Kvasir-SEG"}
LISTS = "https://github.com/DebeshJha/2020-MediaEval-Medico-polyp-segmentation"


def load_kvasir_seg(
    root: str | Path | None, split: str | None, reading: str, logit: str
) -> Dataset:
    """One sample per image, id the file's stem. The archive has no split; the authors publish
    train.txt and val.txt (880 and 120 names) on their GitHub page, to be put beside images/.
    Names that cannot be told apart or are no UTF-8 are skipped and counted."""
    return _load("kvasir-seg", root, split, logit)


def load_kvasir_sessile(
    root: str | Path | None, split: str | None, reading: str, logit: str
) -> Dataset:
    """As Kvasir-SEG; 196 images of the same archive that show sessile polyps."""
    return _load("kvasir-sessile", root, split, logit)


def survey_kvasir(name: str, root: str | Path) -> Survey:
    return survey_folder(_base(name, root))


def _load(name: str, root: str | Path | None, split: str | None, logit: str) -> Dataset:
    split = choose_split(name, split, ("train", "val"), default="all")
    base = _base(name, root)
    images = images_by_stem(base / "images", skipped := skipping())
    masks = images_by_stem(base / "masks", odd := skipping())
    for reason, names in odd.items():
        if ids := [id for id in names if images.pop(id, None)]:  # they have no other fault
            skipped[reason] += ids
    gone = {id for names in skipped.values() for id in names}
    if lone := [id for id in masks if id not in images and id not in gone]:
        skipped[LONE] += lone
        gone |= set(lone)
    listed = list(images) if split == "all" else _read_split(base, split)
    absent = base / "absent"  # stands for what is in neither folder; it never exists
    ids = [id for id in listed if id not in gone]
    pairs = ((id, images.get(id, absent), masks.get(id, absent)) for id in ids)
    entries = (
        Entry(id, image, mask, CLASSES, CLASSES) for id, image, mask in complete(pairs, skipped)
    )
    return assemble(name, entries, _read_mask, CLASSES, logit, "kvasir", skipped)


def _read_mask(entry: Entry) -> Masks:
    return read_mask(entry.mask)


def _read_split(base: Path, split: str) -> list[str]:
    path = base / f"{split}.txt"
    if not path.exists():
        raise InputError(f"{path}: no such list; {LISTS} has it, or leave split out for all images")
    ids = [line.removesuffix(".jpg") for line in read_lines(path)]
    if bad := [id for id in ids if not is_plain(id)]:
        raise InputError(f"{path}: '{bad[0]}' is no image name")
    return list(dict.fromkeys(ids))


def _base(name: str, root: str | Path | None) -> Path:
    return find_root(name, root, "images", (FOLDERS[name],))
