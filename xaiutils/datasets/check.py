"""What is missing or damaged on disk, and the row of Table 1 that the disk gives."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from xaiutils.cutouts.sources import DRAWING, open_library
from xaiutils.datasets import DATASETS, load_dataset
from xaiutils.datasets.base import Survey, as_text
from xaiutils.datasets.cub import survey_cub200
from xaiutils.datasets.facts import FACTS
from xaiutils.datasets.folder import survey_folder
from xaiutils.datasets.kvasir import survey_kvasir
from xaiutils.datasets.usis10k import annotation_file, survey_usis10k
from xaiutils.datasets.voc import survey_voc2012
from xaiutils.errors import InputError

SURVEYS: dict[str, Callable[[str | Path], Survey]] = {
    "folder": survey_folder,
    "voc2012": survey_voc2012,
    "cub200": survey_cub200,
    "usis10k": survey_usis10k,
    "kvasir-seg": partial(survey_kvasir, "kvasir-seg"),
    "kvasir-sessile": partial(survey_kvasir, "kvasir-sessile"),
}
WHOLE = {"voc2012": ("trainval",), "cub200": ("all",), "usis10k": ("train", "val", "test")}
DESCRIBED = WHOLE | {"voc2012": ("val",)}  # what Table 1 counts: VOC's val, all of the others


def check_dataset(name: str, root: str | Path | None, full: bool = False) -> list[str]:
    """One line for everything that is missing or does not belong; empty if all is well.

    Compares lists, images and masks by name, and the number of images with the official one.
    full: loads every sample as well (minutes for the largest), so that damaged files and masks of
    another size show. "sample" is always loaded, and so are the files of "cutouts".
    InputError for an unknown name or a root without the layout.
    """
    if name not in DATASETS:
        raise InputError(f"unknown data set '{name}': choose one of {', '.join(DATASETS)}")
    if name == "sample":
        return _unusable(name, root, None)
    if name == "cutouts":
        return _cutouts(root)
    if root is None:
        raise InputError(f"data set '{name}' needs root: the folder to check")
    survey = SURVEYS[name](root)
    problems = list(survey.problems)
    if name in FACTS and survey.images != FACTS[name].images:
        problems.append(f"{root}: {survey.images} of the official {FACTS[name].images} images")
    for split in _splits(WHOLE, name, root) if full else ():
        problems += _unusable(name, root, split)
    return list(dict.fromkeys(map(as_text, problems)))  # a survey and a load may find the same


def describe_dataset(name: str, root: str | Path | None) -> dict[str, object]:
    """The data set's row of Table 1 as it is on disk: dataset, classes, images, domain, split.

    classes are those with at least one object. VOC counts its validation images, as the table
    seems to (1,450 printed, 1,449 official); the others all splits that are there. The paper's
    "Sessile-Kvasir-SEG, 1,000 images" has the count of Kvasir-SEG; its sessile subset has 196.
    """
    if name not in FACTS:
        raise InputError(f"Table 1 has no data set '{name}': choose one of {', '.join(FACTS)}")
    labels: dict[str, tuple[str, ...]] = {}
    splits = _splits(DESCRIBED, name, root)
    for split in splits:
        labels |= load_dataset(name, root, split, reading="binary").labels
    classes = {label for present in labels.values() for label in present}
    return {
        "dataset": FACTS[name].title,
        "classes": len(classes),
        "images": len(labels),
        "domain": FACTS[name].domain,
        "split": " + ".join(split or "all" for split in splits),
    }


def _splits(parts: dict[str, tuple], name: str, root: str | Path | None) -> list[str | None]:
    splits = parts.get(name, (None,))
    return [s for s in splits if name != "usis10k" or annotation_file(root, s).exists()]


def _cutouts(root: str | Path | None) -> list[str]:
    """The cut-outs of a folder (None: bundled and installed ones) that cannot be used."""
    library = open_library(root)
    problems = [
        as_text(f"{file}: {reason}")
        for reason, files in library.skipped.items()
        for file in files
        if reason != DRAWING  # Tux Paint's package has those, too
    ]
    for name in library.names:
        try:
            library.cutout(name)
        except InputError as error:
            problems.append(as_text(str(error)))
    return problems


def _unusable(name: str, root: str | Path | None, split: str | None) -> list[str]:
    """What is wrong with the samples that cannot be loaded."""
    try:
        dataset = load_dataset(name, root, split, reading="binary")
    except InputError as error:
        return [str(error)]
    # what begins with "no" is missing, of which the survey tells, or not meant to be there
    failures = [reason for reason in dataset.skipped if not reason.startswith("no ")]
    for id in tqdm(dataset.ids, desc="checking", disable=None):
        try:
            dataset.load(id)
        except InputError as error:
            failures.append(str(error))
    return failures
