"""Where cut-outs and photographic grounds come from: one library a folder.

library = open_library()             # the bundled photographs, and Tux Paint's where installed
library = open_library("my_rgba")    # any folder of RGBA images
library = open_library("cutouts")    # what `python -m xaiutils.cutouts fetch` filled
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from xaiutils.cutouts.compose import Cutout, as_cutout
from xaiutils.cutouts.grounds import CANVAS, SYNTHETIC, as_ground, enlarged, largest_free_square
from xaiutils.datasets.base import imagenet_index, is_image, read_csv
from xaiutils.datasets.mappings import MAPPINGS_ROOT, TAKEN
from xaiutils.datasets.sample import load_sample
from xaiutils.errors import InputError

TABLE = MAPPINGS_ROOT / "cutouts_imagenet.csv"
TOP = 5  # an object is recognised where a class of its is among as many likeliest ones
INSTALLED = Path("/")  # Debian puts tuxpaint-stamps-default and tuxpaint-data below it
STAMPS = Path("usr/share/tuxpaint/stamps/animals")
TEMPLATES = Path("usr/share/tuxpaint/templates")
DRAWING = "a drawing, or not in the table"
BUNDLED = "photo-"  # beginning of the names of bundled cut-outs and patches

# Photographs of tuxpaint-data without an animal or a thing that ImageNet names, by habitat.
GROUNDS = {
    "trees": (
        "redwoods_above",
        "sun_behind_leaves",
        "trees_above",
        "trees_at_dusk",
    ),
    "land": ("mudstone", "cliff", "corn_maze", "mossy_log"),
    "water": ("ocean_waves", "ocean_splash", "rocks"),
    "other": ("wool_mill_machine", "burnt_bark", "sun_behind_clouds"),
}
UNUSUAL = {
    "trees": ("ocean_waves", "ocean_splash", "wool_mill_machine"),
    "land": ("ocean_waves", "ocean_splash", "wool_mill_machine", "sun_behind_clouds"),
    "water": ("corn_maze", "burnt_bark", "wool_mill_machine", "redwoods_above"),
    "other": ("ocean_splash", "corn_maze"),
}


@dataclass(frozen=True)
class Entry:
    """What is known of a cut-out: ImageNet classes that its name stands for, its habitat, whether
    EfficientNet-Lite0 recognises it on grey ("yes", "no", or "" where it was not asked)."""

    label: str
    indices: tuple[int, ...] = ()
    habitat: str = "other"
    recognised: str = ""
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Library:
    """Named cut-outs and photographic grounds; skipped: file names by reason; root: the folder
    that the files are in (None: bundled photographs only)."""

    entries: Mapping[str, Entry]
    files: Mapping[str, Path]
    grounds: Mapping[str, Path]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    root: Path | None = None

    @property
    def names(self) -> list[str]:
        return sorted(self.entries)

    @property
    def recognised(self) -> list[str]:
        """The cut-outs that the classifier recognises, by the table; all where it was not asked."""
        asked = any(entry.recognised for entry in self.entries.values())
        return [n for n in self.names if self.entries[n].recognised == "yes" or not asked]

    def folders(self, name: str) -> tuple[str, ...]:
        """The folders below the root that a cut-out's file is in; of a bundled one, none."""
        if name not in self.files or self.root is None:
            return ()
        return self.files[name].relative_to(self.root).parts[:-1]

    def cutout(self, name: str) -> Cutout:
        if name not in self.entries:
            raise InputError(
                f"no cut-out named {name!r}; there are {', '.join(self.names[:9])} ..."
            )
        if name.startswith(BUNDLED) and name not in self.files:
            return bundled_cutout(name.removeprefix(BUNDLED))
        return _read(self.files[name])

    def ground(self, name: str, seed: int, side: int = CANVAS) -> np.ndarray:
        """A synthetic ground, a photograph of this library, or "photo-<id>": a bundled patch."""
        if name in self.grounds:
            return as_ground(self.grounds[name], seed, side)
        if name.startswith(BUNDLED):
            return bundled_patch(name.removeprefix(BUNDLED), side)
        if name not in SYNTHETIC:
            known = ", ".join([*SYNTHETIC, *self.grounds])
            raise InputError(f"no ground named {name!r}; there are {known}")
        return as_ground(name, seed, side)


@lru_cache(maxsize=256)
def _read(path: Path) -> Cutout:
    return as_cutout(path)


def open_library(root: str | Path | None = None) -> Library:
    """The cut-outs of a folder; None: the bundled photographs, and Tux Paint's where installed.

    A folder that `fetch` filled is read as Debian's. In any other, every image with transparency is
    a cut-out; labels.csv (file, label, optionally imagenet_index) may name them. Files without
    alpha, with an empty one, or unreadable are skipped and counted. InputError if none is left.
    """
    if root is None:
        return _joined(_bundled(), _tuxpaint(INSTALLED))
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of cut-outs")
    if (root / STAMPS).is_dir():
        return _joined(_bundled(), _tuxpaint(root))
    return _folder(root)


def _joined(a: Library, b: Library) -> Library:
    skipped = {
        k: (*a.skipped.get(k, ()), *b.skipped.get(k, ())) for k in {**a.skipped, **b.skipped}
    }
    return Library(
        {**a.entries, **b.entries},
        {**a.files, **b.files},
        {**a.grounds, **b.grounds},
        skipped,
        b.root,
    )


def table() -> dict[str, Entry]:
    """data/mappings/cutouts_imagenet.csv by cut-out."""
    rows = read_csv(TABLE, ("class", "match", "indices", "reason", "habitat", "recognised"))
    return {row["class"]: _entry(row) for row in rows}


def _entry(row: dict[str, str]) -> Entry:
    taken = row["indices"].split(";") if row["match"] in TAKEN else []
    indices = tuple(imagenet_index(text, TABLE) for text in taken)
    label = row["class"].removeprefix(BUNDLED)
    return Entry(label, indices, row["habitat"], row["recognised"], row["reason"])


def _bundled() -> Library:
    return Library({n: e for n, e in table().items() if n.startswith(BUNDLED)}, {}, {})


def _tuxpaint(root: Path) -> Library:
    known = table()
    files = {p.stem: p for p in sorted((root / STAMPS).rglob("*.png")) if p.stem in known}
    drawings = [p.name for p in sorted((root / STAMPS).rglob("*.png")) if p.stem not in known]
    names = [name for group in GROUNDS.values() for name in group]
    grounds = {n: root / TEMPLATES / f"{n}.jpg" for n in names}
    return Library(
        {name: known[name] for name in files},
        files,
        {name: path for name, path in grounds.items() if path.exists()},
        {DRAWING: tuple(drawings)} if drawings else {},
        root,
    )


def _folder(root: Path) -> Library:
    labels, files, skipped = _labels(root), {}, {}
    for path in sorted(root.iterdir()):
        if not is_image(path):
            continue
        try:
            as_cutout(path)
        except InputError as error:
            reason = str(error).removeprefix(f"{path}: ").split(",")[0]
            skipped[reason] = (*skipped.get(reason, ()), path.name)
            continue
        files[path.stem] = path
    if not files:
        counts = "; ".join(f"{len(names)} x {reason}" for reason, names in skipped.items())
        raise InputError(f"{root}: no usable cut-out ({counts or 'no images'}); save RGBA images")
    entries = {stem: labels.get(path.name, Entry(stem)) for stem, path in files.items()}
    return Library(entries, files, {}, skipped, root)


def _labels(root: Path) -> dict[str, Entry]:
    path = root / "labels.csv"
    if not path.exists():
        return {}
    found = {}
    for row in read_csv(path, ("file", "label")):
        if not (root / row["file"]).exists():
            raise InputError(f"{path}: '{row['file']}' is not in {root}")
        index = imagenet_index(row.get("imagenet_index") or "", path)
        found[row["file"]] = Entry(row["label"] or "object", () if index is None else (index,))
    return found


@lru_cache(maxsize=32)
def bundled_cutout(id: str) -> Cutout:
    """A bundled photograph's object, cut out by its mask (a hard edge, softened when placed)."""
    sample = load_sample(None, None, "class", "given").load(id)
    alpha = (sample.mask * 255).astype(np.uint8)
    return as_cutout(np.dstack([sample.image, alpha]), f"{BUNDLED}{id}")


@lru_cache(maxsize=32)
def bundled_patch(id: str, side: int = CANVAS) -> np.ndarray:
    """The largest square of a bundled photograph without its object, enlarged to `side`.

    Blurred by the enlargement, since these photographs are small.
    """
    sample = load_sample(None, None, "class", "given").load(id)
    y, x, size = largest_free_square(sample.mask)
    return enlarged(np.ascontiguousarray(sample.image[y : y + size, x : x + size]), side)


def write_recognised(found: Mapping[str, bool], path: Path = TABLE) -> None:
    """Enter into the table which cut-outs the classifier recognised."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if row["class"] in found:
            row["recognised"] = "yes" if found[row["class"]] else "no"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
