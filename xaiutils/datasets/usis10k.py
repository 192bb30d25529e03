"""USIS10K: salient objects under water, seven classes.

    USIS10K/{train, val, test}/*.jpg
    USIS10K/multi_class_annotations/multi_class_{train, val, test}_annotations.json   (COCO)

What ImageNet-1k has of the seven (data/mappings/usis10k_imagenet.csv): coral reef for reefs, scuba
diver for human divers, wreck for wrecks-ruins, sixteen kinds for fish; nothing for aquatic plants,
robots and the sea-floor.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
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
    find_root,
    is_plain,
    skipping,
)
from xaiutils.errors import InputError
from xaiutils.store import parse_json

# The order of the authors' MultiClassUSIS10KInsSegDataset; "wrecks/ruins" cannot name a file.
CLASSES = ("wrecks-ruins", "fish", "reefs", "aquatic plants", "human divers", "robots", "sea-floor")
SPLITS = ("train", "val", "test")
LARGEST = 65_535  # pixels a side, as in JPEG


@dataclass(frozen=True)
class Annotated:
    """An image of the JSON file: its size in pixels, and by class the polygons (N, 2) float32 in
    COCO's coordinates, where the first pixel's centre is (0.5, 0.5)."""

    file: str
    size: tuple[int, int]  # (H, W)
    polygons: dict[str, list[np.ndarray]]

    def __str__(self) -> str:
        return f"annotation of {self.file}"


def load_usis10k(root: str | Path | None, split: str | None, reading: str, logit: str) -> Dataset:
    """One sample per image and class, "val_00001-fish": the union of that class's instances.
    Reading "binary": one per image, the union of all. No void.

    The polygons of the split stay in memory, as float32; no image or mask does.
    """
    split = choose_split("usis10k", split, SPLITS, default="test")
    file = annotation_file(root, split)
    if not file.exists():
        there = [part for part in SPLITS if annotation_file(root, part).exists()]
        raise InputError(f"{file}: no such file; splits that are there: {', '.join(there)}")
    skipped = skipping()
    annotated = read_annotations(file)
    entries = _entries(file.parents[1] / split, annotated, reading, skipped)
    return assemble("usis10k", entries, _draw, CLASSES, logit, "usis10k", skipped)


def survey_usis10k(root: str | Path) -> Survey:
    """Every split that has its JSON file or its folder: the one against the other."""
    base, survey = _base(root), Survey()
    for split in SPLITS:
        file = annotation_file(base, split)
        if not file.exists():
            survey.problems.append(f"{file}: no such file")
            continue
        try:
            annotated = read_annotations(file)
        except InputError as error:
            survey.problems.append(str(error))
            continue
        files = {image.file for image in annotated}
        present = {p.name for p in (base / split).glob("*.jpg") if is_plain(p.name)}
        survey.images += len(files & present)
        survey.problems += [f"{base / split / f}: missing" for f in sorted(files - present)]
        survey.problems += [
            f"{base / split / f}: an image without annotations" for f in sorted(present - files)
        ]
    return survey


def read_annotations(path: Path) -> list[Annotated]:
    """The images of a COCO file with their polygons, sorted by file name."""
    try:
        content = parse_json(path.read_bytes())
        classes = {c["id"]: _class(c["name"], path) for c in content["categories"]}
        images = {
            i["id"]: Annotated(str(i["file_name"]), (_side(i["height"]), _side(i["width"])), {})
            for i in content["images"]
        }
        _refuse_twins([i["id"] for i in content["images"]], "image id", path)
        _refuse_twins([image.file for image in images.values()], "file_name", path)
        for annotation in content["annotations"]:
            image, category = annotation["image_id"], annotation["category_id"]
            if image not in images or category not in classes:
                raise InputError(
                    f"{path}: an annotation names image_id {image}, category_id {category}, of "
                    "which the file does not have both"
                )
            if shapes := _polygons(annotation["segmentation"], path):
                images[image].polygons.setdefault(classes[category], []).extend(shapes)
        if bad := [i.file for i in images.values() if not is_plain(i.file)]:
            raise InputError(f"{path}: '{bad[0]}' is no image name")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a COCO annotation file ({error!r})") from error
    return sorted(images.values(), key=lambda image: image.file)


def _refuse_twins(names: list, what: str, path: Path) -> None:
    """Of two images of one name the first would vanish."""
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{path}: {what} {twice[0]} stands there more than once")


def _class(name: str, path: Path) -> str:
    name = name.replace("/", "-")
    if name not in CLASSES:
        raise InputError(f"{path}: category '{name}' is no class of USIS10K")
    return name


def _side(pixels: object) -> int:
    if not isinstance(pixels, int | float) or not 1 <= pixels <= LARGEST:
        raise ValueError(f"height or width {pixels}: not within 1 and {LARGEST} px")
    return int(pixels)


def _polygons(segmentation: object, path: Path) -> list[np.ndarray]:
    if isinstance(segmentation, dict):
        raise InputError(f"{path}: holds run-length masks; USIS10K's are polygons")
    if not isinstance(segmentation, list):
        raise InputError(f"{path}: a segmentation is {segmentation!r}, not polygons")
    with np.errstate(over="ignore"):  # what overflows is refused as infinite
        shapes = [np.asarray(shape, np.float32).reshape(-1, 2) for shape in segmentation]
    if not all(np.isfinite(shape).all() for shape in shapes):
        raise InputError(f"{path}: holds a polygon with NaN or infinite coordinates")
    return [shape for shape in shapes if len(shape) >= 3]  # two points hold no pixel


def _entries(
    folder: Path, annotated: list[Annotated], reading: str, skipped: Skipped
) -> Iterator[Entry]:
    for image in annotated:
        id, path = Path(image.file).stem, folder / image.file
        labels = tuple(c for c in CLASSES if c in image.polygons)
        if not path.exists():
            skipped["no image file"].append(id)
        elif not labels:
            skipped["no object annotated"].append(id)
        elif reading == "binary":
            yield Entry(id, path, image, labels, labels)
        else:
            for label in labels:
                yield Entry(f"{id}-{label.replace(' ', '-')}", path, image, (label,), labels)


def _draw(entry: Entry) -> Masks:
    mask = np.zeros(entry.mask.size, bool)
    for label in entry.objects:
        for shape in entry.mask.polygons[label]:
            mask |= fill_polygon(shape, mask.shape)
    return mask, np.zeros_like(mask)


def fill_polygon(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool: the pixels whose centre lies in the polygon, by the even-odd rule.

    points (N, 2) x, y; the first pixel's centre is (0.5, 0.5). COCO's own tool decides some border
    pixels otherwise. Every edge that crosses a row flips all pixels right of the crossing.
    """
    height, width = size
    rows = np.arange(height) + 0.5
    x0, y0 = points.T.astype(np.float64)
    x1, y1 = np.roll(points, -1, axis=0).T.astype(np.float64)
    edge, row = np.nonzero((y0[:, None] <= rows) != (y1[:, None] <= rows))
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    crossing = x0[edge] + (rows[row] - y0[edge]) * slope
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
    flips = np.bincount(row * (width + 1) + column, minlength=height * (width + 1))
    return np.cumsum(flips.reshape(height, width + 1)[:, :width], axis=1) % 2 == 1


def annotation_file(root: str | Path | None, split: str) -> Path:
    """The JSON file of a split, whether it exists or not; its folder lies in that of the data."""
    return _base(root) / "multi_class_annotations" / f"multi_class_{split}_annotations.json"


def _base(root: str | Path | None) -> Path:
    return find_root("usis10k", root, "multi_class_annotations", ("USIS10K",))
