"""Data sets of images with object masks, behind one `load_dataset(name, root, split)`."""

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xaiutils.errors import InputError
from xaiutils.images import read_image, read_mask

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
SAMPLE_ROOT = Path(__file__).resolve().parents[1] / "data" / "sample"


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its object.

    image (H, W, 3) uint8 RGB, upright; mask (H, W) bool, the object; void (H, W) bool, pixels that
    no metric counts; label: the object's name; target: the ImageNet class index (0..999) to be
    explained, or None: the classifier's top-1.
    """

    id: str
    image: np.ndarray
    mask: np.ndarray
    void: np.ndarray
    label: str
    target: int | None


@dataclass(frozen=True)
class Dataset:
    """Named samples that are read from disk at each `load`; nothing is kept in memory.

    ids are unique, also without regard to case, and can name files.
    """

    name: str
    ids: tuple[str, ...]
    read: Callable[[str], Sample]

    def load(self, id: str) -> Sample:
        """The sample; InputError for an unknown id or an unusable file of it."""
        if id not in self.ids:
            raise InputError(f"data set '{self.name}' has no sample '{id}'")
        return self.read(id)

    def __len__(self) -> int:
        return len(self.ids)


def load_dataset(name: str, root: str | Path | None = None, split: str | None = None) -> Dataset:
    """A data set by name.

    - "sample": the bundled photographs (`data/sample`, described in its manifest.csv), each file
      checked against its SHA-256 at every load. No split.
    - "folder": `root`/images/* with `root`/masks/<same stem>.*, and optionally `root`/labels.csv
      (columns file, label, imagenet_index). Without a masks folder every pixel is void and the
      mask is empty, so that every metric against it is NaN. No split.

    Raises InputError for an unknown name, a root or split that does not fit, or a layout that
    cannot be used; what is wrong with one sample only is raised when that sample is loaded.
    """
    if name not in DATASETS:
        raise InputError(f"unknown data set '{name}': choose one of {', '.join(DATASETS)}")
    return DATASETS[name](root, split)


def load_sample(root: str | Path | None, split: str | None) -> Dataset:
    root = SAMPLE_ROOT if root is None else Path(root)
    _no_split("sample", split)
    manifest = root / "manifest.csv"
    if not manifest.exists():
        raise InputError(
            f"{manifest}: not found; the bundled photographs are part of the repository, "
            "so install the package editable (`pip install -e .`) from a clone"
        )
    columns = ("id", "file", "mask", "object", "imagenet_index", "image_sha256", "mask_sha256")
    rows = {row["id"]: row for row in _read_csv(manifest, columns)}

    def read(id: str) -> Sample:
        row = rows[id]
        image, mask = root / row["file"], root / row["mask"]
        _verify(image, row["image_sha256"])
        _verify(mask, row["mask_sha256"])
        target = _imagenet_index(row["imagenet_index"], manifest)
        return _sample(id, image, mask, row["object"], target)

    return Dataset("sample", tuple(rows), read)


def load_folder(root: str | Path | None, split: str | None) -> Dataset:
    if root is None:
        raise InputError("data set 'folder' needs root: the folder that holds images/ and masks/")
    root = Path(root)
    _no_split("folder", split)
    images = _by_stem(root / "images")
    labels = _read_labels(root / "labels.csv", images)

    def read(id: str) -> Sample:
        label, target = labels.get(id, ("object", None))
        return _sample(id, images[id], _mask_of(id, root), label, target)

    return Dataset("folder", tuple(images), read)


DATASETS: dict[str, Callable[[str | Path | None, str | None], Dataset]] = {
    "sample": load_sample,
    "folder": load_folder,
}


def _sample(
    id: str, image_path: Path, mask_path: Path | None, label: str, target: int | None
) -> Sample:
    image = read_image(image_path)
    if mask_path is None:
        empty = np.zeros(image.shape[:2], bool)
        return Sample(id, image, empty, ~empty, label, target)
    mask, void = read_mask(mask_path)
    if mask.shape != image.shape[:2]:
        raise InputError(
            f"{mask_path} is {mask.shape[1]} x {mask.shape[0]} px, but its image {image_path} is "
            f"{image.shape[1]} x {image.shape[0]} px (width x height, upright)"
        )
    return Sample(id, image, mask, void, label, target)


def _by_stem(folder: Path) -> dict[str, Path]:
    """The folder's images by stem, sorted; hidden files and other file types are left out."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    seen: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if _is_image(path):
            other = seen.setdefault(path.stem.casefold(), path)
            if other != path:
                raise InputError(f"{other} and {path} have the same name; rename one of them")
            found[path.stem] = path
    if not found:
        raise InputError(f"{folder}: no images ({', '.join(SUFFIXES)})")
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _mask_of(id: str, root: Path) -> Path | None:
    folder = root / "masks"
    if not folder.is_dir():
        return None
    candidates = sorted(p for p in folder.iterdir() if p.stem == id and _is_image(p))
    if not candidates:
        raise InputError(f"{folder / id}.png: no such mask (nor with another image suffix)")
    if len(candidates) > 1:
        names = " and ".join(str(path) for path in candidates)
        raise InputError(f"{names}: two masks of one image; remove one of them")
    return candidates[0]


def _read_labels(path: Path, images: dict[str, Path]) -> dict[str, tuple[str, int | None]]:
    """Label and ImageNet index by id; an image that the file leaves out is called "object"."""
    if not path.exists():
        return {}
    ids = {image.name: id for id, image in images.items()} | {id: id for id in images}
    labels = {}
    for row in _read_csv(path, ("file", "label")):
        if row["file"] not in ids:
            raise InputError(f"{path}: '{row['file']}' is not in {path.parent / 'images'}")
        index = _imagenet_index(row.get("imagenet_index") or "", path)
        labels[ids[row["file"]]] = (row["label"] or "object", index)
    return labels


def _read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows, stripped; the first of `columns` must be unique."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            rows = [{k: v.strip() for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a UTF-8 CSV file ({error})") from error
    if missing:
        raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}")
    keys = [row[columns[0]] for row in rows]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"{path}: {columns[0]} {', '.join(twice)} stands there more than once")
    if not rows:
        raise InputError(f"{path}: has no rows")
    return rows


def _imagenet_index(text: str, path: Path) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) < 1000):
        raise InputError(f"{path}: imagenet_index '{text}' is not a whole number from 0 to 999")
    return int(text)


def _no_split(name: str, split: str | None) -> None:
    if split is not None:
        raise InputError(f"data set '{name}' has no splits, but split is '{split}'")


def _verify(path: Path, expected: str) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file; restore it with `git checkout`")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise InputError(
            f"{path}: expected SHA-256 {expected}, found {found}; restore it with `git checkout`"
        )
