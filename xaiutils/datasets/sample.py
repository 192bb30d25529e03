"""The bundled photographs, `data/sample`."""

import hashlib
from pathlib import Path

from xaiutils.datasets.base import Dataset, Sample, imagenet_index, no_split, read_csv, with_logit
from xaiutils.datasets.folder import read_pair
from xaiutils.errors import InputError

SAMPLE_ROOT = Path(__file__).resolve().parents[2] / "data" / "sample"
COLUMNS = ("id", "file", "mask", "object", "imagenet_index", "image_sha256", "mask_sha256")


def load_sample(root: str | Path | None, split: str | None, reading: str, logit: str) -> Dataset:
    root = SAMPLE_ROOT if root is None else Path(root)
    no_split("sample", split)
    manifest = root / "manifest.csv"
    if not manifest.exists():
        raise InputError(
            f"{manifest}: not found; the bundled photographs are part of the repository, "
            "so install the package editable (`pip install -e .`) from a clone"
        )
    rows = {row["id"]: row for row in read_csv(manifest, COLUMNS)}

    def read(id: str) -> Sample:
        row = rows[id]
        image, mask = root / row["file"], root / row["mask"]
        _verify(image, row["image_sha256"])
        _verify(mask, row["mask_sha256"])
        target = imagenet_index(row["imagenet_index"], manifest)
        return read_pair(id, image, mask, row["object"], target)

    labels = {id: (row["object"],) for id, row in rows.items()}
    classes = tuple(dict.fromkeys(row["object"] for row in rows.values()))
    dataset = Dataset("sample", tuple(rows), read, classes=classes, labels=labels)
    if logit == "given":
        return dataset
    targets = {id: imagenet_index(row["imagenet_index"], manifest) for id, row in rows.items()}
    return with_logit(dataset, targets, logit)


def _verify(path: Path, expected: str) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file; restore it with `git checkout`")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise InputError(
            f"{path}: expected SHA-256 {expected}, found {found}; restore it with `git checkout`"
        )
