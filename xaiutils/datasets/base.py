"""What a data set is: samples that are read from disk one by one, and what the loaders share."""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from xaiutils.datasets.mappings import load_mapping
from xaiutils.errors import InputError
from xaiutils.images import read_image

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
READINGS = ("class", "binary")
LONGEST = 200  # bytes of a name: file systems allow 255, of which suffixes need some
RESERVED = "index.json"  # beside the folders of the samples (`run.finish`)
LOGITS = ("given", "predicted", "mapped", "probe")

Skipped = defaultdict[str, list[str]]  # ids by reason
Masks = tuple[np.ndarray, np.ndarray]  # mask and void


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its object.

    image (H, W, 3) uint8 RGB, upright; mask (H, W) bool, the object; void (H, W) bool, pixels that
    no metric counts; label: the object's name; target: the index of the logit to be explained, or
    None: the classifier's top-1. candidates, where not empty: the logits that the label maps to;
    the highest is to be explained (target is set too if it is the only one). Indices are ImageNet
    classes (0..999), or with logit "probe" positions in `learnable(Dataset.train)`.
    """

    id: str
    image: np.ndarray
    mask: np.ndarray
    void: np.ndarray
    label: str
    target: int | None
    candidates: tuple[int, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Named samples that are read from disk at each `load`; nothing is kept in memory.

    ids are unique, also without regard to case, and can name files. skipped: what was left out,
    ids by reason. classes: the data set's class names in their official order. labels: the classes
    in the image of each id (image-level labels), known without reading the image. objects: the
    classes that the mask of each id unites; of a data set that has one class an image, its labels.
    files: the image file of each id, where a data set states it.
    train: with logit "probe" what the probe is trained on, one sample per image; else None.
    """

    name: str
    ids: tuple[str, ...]
    read: Callable[[str], Sample]
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    classes: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    objects: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    files: Mapping[str, Path] = field(default_factory=dict, compare=False)
    train: "Dataset | None" = field(default=None, compare=False)

    def load(self, id: str) -> Sample:
        """The sample; InputError for an unknown id or an unusable file of it."""
        if id not in self.ids:
            raise InputError(f"data set '{self.name}' has no sample '{id}'")
        return self.read(id)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Entry:
    """A sample before it is read: `objects` are the classes that its mask unites, `labels` all
    classes in the image; `mask` is the mask's file (or what else `assemble`'s mask_of takes)."""

    id: str
    image: Path
    mask: object
    objects: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass
class Survey:
    """What `check_dataset` finds in a layout without opening an image."""

    problems: list[str] = field(default_factory=list)
    images: int = 0


def assemble(
    name: str,
    entries: Iterable[Entry],
    mask_of: Callable[[Entry], Masks],
    classes: tuple[str, ...],
    logit: str,
    mapping: str,
    skipped: Skipped,
) -> Dataset:
    """The data set of the entries; with logit "mapped" those without an ImageNet class go to
    `skipped`. InputError if nothing is left."""
    table = load_mapping(mapping, classes) if logit == "mapped" else None
    kept: dict[str, tuple[Entry, tuple[int, ...]]] = {}
    for entry in entries:
        if entry.id in kept:  # the second would hide the first
            other = kept[entry.id][0].image
            raise InputError(f"data set '{name}': {other} and {entry.image} are both '{entry.id}'")
        candidates: tuple[int, ...] = ()
        if table is not None:
            candidates = tuple(sorted({i for c in entry.objects for i in table[c].taken}))
            if not candidates:
                reason = f"no ImageNet class for {' or '.join(entry.objects)}"
                skipped[reason].append(entry.id)
                continue
        kept[entry.id] = entry, candidates
    _refuse_empty(name, kept, skipped)

    def read(id: str) -> Sample:
        entry, candidates = kept[id]
        image = read_image(entry.image)
        if (size := getattr(entry.mask, "size", None)) is not None:  # before it is drawn, so large
            check_size(size, entry.mask, image, entry.image)
        mask, void = mask_of(entry)
        check_size(mask.shape, entry.mask, image, entry.image)
        target = candidates[0] if len(candidates) == 1 else None
        return Sample(id, image, mask, void, ", ".join(entry.objects), target, candidates)

    labels = {id: entry.labels for id, (entry, _) in kept.items()}
    objects = {id: entry.objects for id, (entry, _) in kept.items()}
    frozen = {reason: tuple(ids) for reason, ids in skipped.items()}
    files = {id: entry.image for id, (entry, _) in kept.items()}
    return Dataset(name, unique_ids(name, kept), read, frozen, classes, labels, objects, files)


def _refuse_empty(name: str, kept: Mapping, skipped: Skipped) -> None:
    if kept:
        return
    counts = "; ".join(f"{len(ids)} x {reason}" for reason, ids in skipped.items())
    hint = (
        "; explain the predicted logit or a probe instead"
        if any(reason.startswith("no ImageNet class") for reason in skipped)
        else ""
    )
    raise InputError(f"data set '{name}': no usable sample ({counts or 'an empty list'}){hint}")


def complete(pairs: Iterable[tuple[str, Path, Path]], skipped: Skipped) -> Iterator[tuple]:
    """Those (id, image, mask) whose two files exist; the ids of the others go to `skipped`."""
    for id, image, mask in pairs:
        if not image.exists():
            skipped["no image file"].append(id)
        elif not mask.exists():
            skipped["no mask file"].append(id)
        else:
            yield id, image, mask


def skipping() -> Skipped:
    return defaultdict(list)


def check_size(size: tuple[int, ...], mask: object, image: np.ndarray, image_path: Path) -> None:
    """InputError, naming both files, unless a mask of `size` (H, W) is as large as its image."""
    if size != image.shape[:2]:
        raise InputError(
            f"{mask} is {size[1]} x {size[0]} px, but its image {image_path} is "
            f"{image.shape[1]} x {image.shape[0]} px (width x height, upright)"
        )


def unique_ids(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """The ids; InputError for one that cannot name a file, or twins without regard to case."""
    seen: dict[str, str] = {}
    for id in ids:
        if not is_plain(id):
            raise InputError(f"data set '{name}': '{id}' cannot name a file")
        if seen.setdefault(id.casefold(), id) != id:
            raise InputError(f"data set '{name}': {seen[id.casefold()]} and {id} are the same name")
    return tuple(seen.values())


def is_plain(name: str) -> bool:
    """Whether a name from a list is that of a file in a folder, and leads nowhere else."""
    return (
        bool(name)
        and len(name.encode(errors="replace")) <= LONGEST
        and not name.startswith(".")
        and not set(name) & set('/\\:\0<>"|?*')
    )


def find_root(name: str, root: str | Path | None, marker: str, inside: tuple[str, ...]) -> Path:
    """The first of `root` and the folders `inside` it that holds `marker`."""
    if root is None:
        raise InputError(f"data set '{name}' needs root: the folder that `data fetch` filled")
    for folder in (Path(root), *(Path(root, part) for part in inside)):
        if (folder / marker).exists():
            return folder
    raise InputError(
        f"{root}: holds no {name}: there must be {marker} in it or in {inside[0]}; "
        f"`python -m xaiutils data fetch {name}` gets it"
    )


def choose_split(name: str, split: str | None, known: tuple[str, ...], default: str) -> str:
    if split is None:
        return default
    if split not in known:
        raise InputError(f"data set '{name}' has no split '{split}': choose {' or '.join(known)}")
    return split


def no_split(name: str, split: str | None) -> None:
    if split is not None:
        raise InputError(f"data set '{name}' has no splits, but split is '{split}'")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, stripped, without the empty ones."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a UTF-8 list ({error})") from error
    return [line.strip() for line in lines if line.strip()]


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def images_by_stem(
    folder: Path, skipped: Skipped | None = None, empty: bool = False
) -> dict[str, Path]:
    """The folder's images by stem, sorted; hidden files and other file types are left out.

    Names that cannot be told apart or stored go to `skipped`; without one they raise InputError.
    So does a folder without images, unless it may be `empty`.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    alike: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(filter(is_image, folder.iterdir())):
        alike[path.stem.casefold()].append(path)
    found: dict[str, Path] = {}
    for paths in alike.values():
        reason = _unusable_name(paths)
        if reason is None:
            found[paths[0].stem] = paths[0]
        elif skipped is None:
            raise InputError(reason)
        else:
            skipped[reason] += dict.fromkeys(as_text(path.stem) for path in paths)
    if not found and not empty:
        raise InputError(f"{folder}: no images ({', '.join(SUFFIXES)})")
    return found


def _unusable_name(paths: list[Path]) -> str | None:
    """Why images of one name, but for its case and suffix, cannot be samples; None if they can."""
    path = as_text(paths[0])
    if len(paths) > 1:
        return f"{path} and {as_text(paths[1])} have the same name; rename one of them"
    if as_text(paths[0].name) != paths[0].name:
        return f"{path}: its name is not UTF-8; rename it"
    if paths[0].stem == RESERVED:
        return f"{path}: a study has a file of that name; rename it"
    return None


def as_text(name: str | Path) -> str:
    """A file's name as tables and pages can hold it: what is no UTF-8 as its escape."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def read_csv(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
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
    counts = Counter(row[columns[0]] for row in rows)
    if twice := sorted(key for key, count in counts.items() if count > 1):
        raise InputError(f"{path}: {columns[0]} {', '.join(twice)} stands there more than once")
    if not rows:
        raise InputError(f"{path}: has no rows")
    return rows


def imagenet_index(text: str, path: Path) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < 1000):
        raise InputError(
            f"{path}: imagenet_index '{text[:20]}' is not a whole number from 0 to 999"
        )
    return int(text)


def with_logit(dataset: Dataset, targets: Mapping[str, int | None], logit: str) -> Dataset:
    """A data set that states its own targets, for the logit asked for.

    "given" leaves it as it is, "predicted" drops the targets, "mapped" drops the samples without.
    """
    if logit == "given":
        return dataset

    def read(id: str) -> Sample:
        sample = dataset.read(id)
        target = sample.target if logit == "mapped" else None
        candidates = () if target is None else (target,)
        parts = (sample.id, sample.image, sample.mask, sample.void, sample.label)
        return Sample(*parts, target, candidates)

    skipped = skipping()
    kept = list(dataset.ids)
    if logit == "mapped":
        kept = [id for id in dataset.ids if targets.get(id) is not None]
        skipped["no ImageNet class given"] += [id for id in dataset.ids if targets.get(id) is None]
        _refuse_empty(dataset.name, dict.fromkeys(kept), skipped)
    found = {reason: tuple(ids) for reason, ids in skipped.items() if ids}
    frozen = {**dataset.skipped, **found}
    labels = {id: dataset.labels[id] for id in kept}
    files = {id: dataset.files[id] for id in kept if id in dataset.files}
    return Dataset(dataset.name, tuple(kept), read, frozen, dataset.classes, labels, files=files)


def with_probe_logit(dataset: Dataset, train: Dataset) -> Dataset:
    """The data set with the logits of a probe that is trained on `train`: a sample's candidates
    are those of its objects. Samples without one go to `skipped`."""
    logits = learnable(train)
    candidates, skipped = {}, skipping()
    for id in dataset.ids:
        found = tuple(logits.index(label) for label in dataset.objects[id] if label in logits)
        if found:
            candidates[id] = found
        else:
            skipped[f"no probe logit for {' or '.join(dataset.objects[id])}"].append(id)
    _refuse_empty(dataset.name, candidates, skipped)

    def read(id: str) -> Sample:
        found = candidates[id]
        target = found[0] if len(found) == 1 else None
        return replace(dataset.read(id), target=target, candidates=found)

    frozen = {**dataset.skipped, **{reason: tuple(ids) for reason, ids in skipped.items()}}
    return replace(dataset, ids=tuple(candidates), read=read, skipped=frozen, train=train)


def learnable(train: Dataset) -> tuple[str, ...]:
    """The classes, in official order, that some images of a training split show and some do not.

    The others have nothing to be told from. InputError if fewer than two are left.
    """
    counts = {c: sum(c in train.labels[id] for id in train.ids) for c in train.classes}
    found = tuple(c for c, count in counts.items() if 0 < count < len(train))
    if len(found) < 2:
        raise InputError(
            f"data set '{train.name}': a probe needs two classes that some of its {len(train)} "
            f"training images show and some do not, here {', '.join(found) or 'none'}; "
            "explain the predicted logit instead"
        )
    return found
