"""Pseudo-labels of a finished study as files, for training a segmenter on them.

    python -m xaiutils export --study NAME --to FOLDER --cue fused-weighted --format voc

In the reading "class" the labels are the data set's classes: each image has a map and a mask for
every class in it, which is what image-level labels tell. These differ only where the logit of the
class itself was explained (mapped or probe): with the top-1 logit all classes of an image share
one map, and the first class takes it. In the reading "binary" there is one class, "object".
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xaiutils.errors import InputError
from xaiutils.maps import otsu
from xaiutils.pseudo_labels import VOID, WRITERS, label_image, label_image_of_masks

if TYPE_CHECKING:  # its imports are heavy, and the command line asks this module for its options
    from xaiutils.study import Study

# the data sets with several samples an image in the reading "class", named IMAGE-CLASS
PER_CLASS = ("voc2012", "usis10k")
IN_FOLDERS = ("cub200",)  # the data sets whose lists name an image with the folder of its class
MAP = "map"  # stands where a segmenter's name does: the map itself, cut at a level


@dataclass(frozen=True)
class Exported:
    """The images that were written, and those without a defined map or mask, which were not."""

    images: tuple[str, ...]
    undefined: tuple[str, ...]


def export_pseudo_labels(
    study: "Study",
    folder: str | Path,
    cue: str,
    prompting: str = "dual",
    segmenter: str = "embedded_sam",
    format: str = "voc",
    level: float | None = None,
    void: bool = False,
) -> Exported:
    """Write one label image for each image of the study into an empty or new folder.

    From the segmenter's masks of the cue with that prompting, or, with segmenter "map", from the
    cue's maps cut at `level` (None: Otsu's threshold of each map; prompting is not used). The truth
    is not looked at, except with void: then the data set's void pixels become 255.

    format: "voc" (palette PNG) or "coco" (run-length JSON). COCO names an image by its file, as the
    data set has it (`image_files`); where that is not known, by its name with ".jpg", or, in a
    folder of one's own, by its name alone.

    Raises InputError for a name that the study has not, a study with tables only, a level outside
    0 to 1 or without a map to cut, a folder that holds something, and an unknown format.
    """
    _check(study, Path(folder), cue, prompting, segmenter, format, level)
    view, undefined = LabelImages(study), []

    def labelled() -> Iterator[tuple[str, np.ndarray]]:
        for image in view.samples:
            if segmenter == MAP:
                labels = view.of_maps(image, cue, level)
            else:
                labels = view.of_masks(image, cue, prompting, segmenter)
            if labels is None:
                undefined.append(image)
                continue
            if void:
                labels[view.void(image)] = VOID
            yield image, labels

    if format == "coco":
        # for files that are not known: a folder's may have any suffix, those of the others are JPEG
        ending = "" if study.config.dataset == "folder" else ".jpg"
        options = {"suffix": ending, "files": image_files(study, view.samples)}
    else:
        options = {"split": study.config.split or "train"}
    written = WRITERS[format](folder, labelled(), view.names, **options)
    return Exported(tuple(written), tuple(undefined))


def _check(study, folder: Path, cue, prompting, segmenter, format, level) -> None:
    if format not in WRITERS:
        raise InputError(f"unknown format {format!r}: choose {' or '.join(WRITERS)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: not an empty folder; choose another, or a new one")
    if level is not None and (segmenter != MAP or not 0 <= level <= 1):
        raise InputError(f"level {level}: from 0 to 1, and with segmenter {MAP!r} only")
    if segmenter == MAP:
        if cue not in study.cues:
            raise InputError(f"study {study.name!r} has no cue {cue!r}; it has {study.cues}")
        return
    table = study.table("segmentation")[["cue", "prompting", "segmenter"]].drop_duplicates()
    if (cue, prompting, segmenter) not in set(table.itertuples(index=False, name=None)):
        known = [", ".join(map(str, table[column].unique())) for column in table]
        raise InputError(
            f"study {study.name!r} has no masks of {segmenter!r} from {cue!r} ({prompting}); cues: "
            f"{known[0]}; promptings: {known[1]}; segmenters: {known[2]}, {MAP}"
        )


def class_names(study: "Study") -> tuple[str, ...]:
    """The classes in the order of their numbers 1, 2, ...: the data set's, or "object" alone."""
    if study.config.reading == "binary":
        return ("object",)
    names = study.dataset.classes
    if len(names) >= VOID:
        raise InputError(
            f"data set {study.dataset.name!r} has {len(names)} classes, a label image "
            f"holds {VOID - 1}: use the reading binary"
        )
    return names


def suffix(label: str) -> str:
    """What the data sets of `PER_CLASS` add to an image's name for the sample of a class."""
    return f"-{label.replace(' ', '-')}"


def image_of(sample: str, label: str, dataset: str) -> str:
    """The image of a sample: its id, in the data sets of `PER_CLASS` without the class's ending."""
    return sample.removesuffix(suffix(label)) if dataset in PER_CLASS else sample


def image_files(study: "Study", samples: Mapping[str, Mapping[int, str]]) -> dict[str, str]:
    """Image -> the name of its file, of CUB with its folder ("CLASS/NAME.jpg", as in images.txt).

    samples: `LabelImages.samples`, of which several may share an image. Images whose file is not
    known are left out: all of a data set that states no files, or is not there.
    """
    try:
        files = study.dataset.files
    except InputError:
        return {}
    found = {image: files.get(next(iter(each.values()))) for image, each in samples.items()}
    parts = 2 if study.config.dataset in IN_FOLDERS else 1
    return {image: "/".join(path.parts[-parts:]) for image, path in found.items() if path}


class LabelImages:
    """A finished study read as label images; its tables are read once, its arrays when asked for.

    names: the classes of the numbers 1, 2, ...; samples: image -> class number -> sample, in the
    study's order; maps: (sample, cue) of the maps that are there; scores: of the masks that are
    there, by (sample, cue, prompting, segmenter), NaN where the segmenter gives none.
    """

    def __init__(self, study: "Study"):
        self.study = study
        self.names = class_names(study)
        self.samples = _samples(study, self.names)
        table = study.table("localisation")[["sample", "cue"]].drop_duplicates()
        self.maps = dict.fromkeys(table.itertuples(index=False, name=None))
        table = study.table("segmentation")
        table = table[table["seconds"].notna()]  # prompts that say nothing took no time: no mask
        keys = ["sample", "cue", "prompting", "segmenter"]
        self.scores = table.set_index(keys)["score"].to_dict()

    def of_maps(self, image: str, cue: str, level: float | None = None) -> np.ndarray | None:
        """(H, W) uint8 from the cue's maps, each cut at `level` or by Otsu; None if all are flat.

        Otsu's threshold is over all pixels, void ones too: a pseudo-label cannot know them. (The
        tables of a study leave them out.)
        """
        maps = self.defined(image, cue)
        if not maps:
            return None
        levels = {n: otsu(map) for n, map in maps.items()} if level is None else level
        return label_image(maps, levels)

    def defined(self, image: str, cue: str) -> dict[int, np.ndarray]:
        """Class number -> the cue's map (H, W) in [0, 1]; flat and missing ones left out."""
        there = {n: id for n, id in self.samples[image].items() if (id, cue) in self.maps}
        maps = {n: self.study.saliency(id, cue) for n, id in there.items()}
        return {n: map for n, map in maps.items() if np.isfinite(map).all()}

    def of_masks(self, image: str, cue: str, prompting: str, segmenter: str) -> np.ndarray | None:
        """(H, W) uint8 from the segmenter's masks by its scores; None if no class has a mask."""
        key = (cue, prompting, segmenter)
        scores = {
            n: self.scores[id, *key]
            for n, id in self.samples[image].items()
            if (id, *key) in self.scores
        }
        if not scores:
            return None
        masks = {n: self.study.mask(self.samples[image][n], *key) for n in scores}
        return label_image_of_masks(masks, scores)

    def void(self, image: str) -> np.ndarray:
        """(H, W) bool, the data set's void pixels."""
        return self.study.sample(next(iter(self.samples[image].values()))).void


def _samples(study: "Study", names: tuple[str, ...]) -> dict[str, dict[int, str]]:
    numbers = {name: number for number, name in enumerate(names, 1)}
    images: dict[str, dict[int, str]] = {}
    for row in study.table("samples").itertuples():
        if study.config.reading == "binary":
            images[row.sample] = {1: row.sample}
            continue
        image = image_of(row.sample, row.label, study.config.dataset)
        images.setdefault(image, {})[numbers[row.label]] = row.sample
    return images


def export(args: argparse.Namespace) -> int:
    """Run the command: open the study (computing what is missing of a named one) and write."""
    from xaiutils.study import open_study

    study = open_study(args.study)
    found = export_pseudo_labels(
        study,
        Path(args.to),
        args.cue,
        args.prompting,
        args.segmenter,
        args.format,
        args.level,
        args.void,
    )
    print(f"{args.to}: {len(found.images)} label images ({args.format}) of study {study.name}")
    if found.undefined:
        shown = ", ".join(found.undefined[:5])
        print(f"  {len(found.undefined)} images without a defined map or mask left out: {shown}")
    return 0
