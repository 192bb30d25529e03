"""A study: a configuration, and what it produced. Runs the grid, stores every result, resumes.

    study = open_study("demo")          # runs it first where something is missing or stale
    study.table("localisation")         # tidy tables, one Parquet file each
    study.saliency("cat", "gradcam")    # stored maps and masks

A unit of work is one explanation (image, explainer, settings) or the evaluation of one image. Each
is a file named by a digest of all that it depends on: what is there and whole is never computed
again, and a changed setting recomputes only what depends on it. What runs a study is imported when
something has to run: who reads one does not wait for torch.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from xaiutils import __version__
from xaiutils.config import (
    EVALUATION_SCHEMA,
    SCHEMA,
    STUDIES,
    TABLES,
    StudyConfig,
    dataset_of,
    explained,
    is_stand_in,
    segmenter_of,
    stream,
    studies_dir,
)
from xaiutils.datasets import Dataset, Sample
from xaiutils.errors import InputError, UnusableFile
from xaiutils.evaluation import to_image
from xaiutils.explainers import EXPLAINERS, saliency
from xaiutils.names import CLASSIFIER_TITLES, EXPLAINED, SEGMENTER_TITLES, in_order, sam2_title
from xaiutils.segmenters import Segmenter
from xaiutils.store import other_version, read_json, read_unit, read_whole, stated, unpack

if TYPE_CHECKING:
    from xaiutils.classifiers import FrozenClassifier

__all__ = [
    "STUDIES",
    "TABLES",
    "Study",
    "StudyConfig",
    "open_study",
    "run_study",
    "stream",
    "studies_dir",
]


class Study:
    """A stored study, read lazily."""

    def __init__(self, config: StudyConfig, folder: Path):
        self.config = config
        self.folder = folder
        self._segmenters: dict[str, Segmenter] = {}

    @property
    def name(self) -> str:
        return self.config.name

    def table(self, name: str) -> pd.DataFrame:
        """One of the tidy tables (`TABLES`), or that of an analysis (`xaiutils.analyses`)."""
        path = self.folder / f"{name}.parquet"
        if path.exists():
            return read_whole(path)
        if name in TABLES:
            raise InputError(f"{path}: not found; run `python -m xaiutils run --study {self.name}`")
        raise InputError(
            f"study {self.name!r} has no table {name!r}; it has {', '.join(self.tables)}; analyses "
            f"are made by `python -m xaiutils analyse --study {self.name} NAME`"
        )

    @property
    def tables(self) -> list[str]:
        """The names of the tables that are here."""
        return sorted(path.stem for path in self.folder.glob("*.parquet"))

    @cached_property
    def sample_ids(self) -> list[str]:
        return self.table("samples")["sample"].tolist()

    @cached_property
    def cues(self) -> list[str]:
        """Explainers, then fusions, in the order of the paper's Table 2."""
        return in_order(self.table("localisation")["cue"].unique())

    @cached_property
    def dataset(self) -> Dataset:
        return dataset_of(self.config)

    @cached_property
    def classifier(self) -> FrozenClassifier:
        """The classifier that the study explains, with its probe where it has one."""
        from xaiutils.probe import load_probe, with_probe
        from xaiutils.run import load_classifier

        classifier = load_classifier(self.config.classifier, self.config.precision)
        if self.config.logit != "probe":
            return classifier
        return with_probe(classifier, load_probe(self.folder / "probe.json"))

    def segmenter(self, name: str) -> Segmenter:
        """One of the segmenters with the study's settings, loaded at the first call."""
        if name not in self._segmenters:
            self._segmenters[name] = segmenter_of(self.config, name)
        return self._segmenters[name]

    @cached_property
    def companion(self) -> Study:
        """The same study of the training split, NAME-train: choices are made there, never here."""
        return open_study(f"{self.name}-train")

    @property
    def has_arrays(self) -> bool:
        """False for a stored study whose tables alone are here, without maps and masks."""
        return (self.folder / "units").is_dir()

    def sample(self, id: str) -> Sample:
        """The image with its mask, from the data set."""
        return self.dataset.load(id)

    def raw(self, id: str, explainer: str) -> np.ndarray:
        """(S, S) float32, signed as the method gives it."""
        found = self._units(id)
        if explainer not in found["explanations"]:
            raise InputError(f"study {self.name!r} has no map of {explainer!r} for sample {id!r}")
        unit = read_unit(self.folder / "units" / id / found["explanations"][explainer])
        if unit is None:
            raise InputError(f"the map of {explainer!r} for {id!r} is damaged: run the study again")
        return unit[1]["map"]

    def saliency(self, id: str, cue: str) -> np.ndarray:
        """(H, W) float32 in [0, 1] at image size; all NaN for a flat map."""
        return to_image(self._small(id, cue), self._shapes[id])

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, int]]:
        """(H, W) of each sample's image: asked for with every map, so the table is read once."""
        table = self.table("samples")
        return dict(zip(table["sample"], zip(table["height"].tolist(), table["width"].tolist())))

    def _small(self, id: str, cue: str) -> np.ndarray:
        if cue in EXPLAINERS:
            return saliency(self.raw(id, cue), EXPLAINERS.sign(cue))
        _, arrays = self._evaluation(id)
        if cue not in arrays:
            raise InputError(f"study {self.name!r} has no cue {cue!r}; it has {self.cues}")
        return arrays[cue]

    def mask(self, id: str, cue: str, prompting: str, segmenter: str) -> np.ndarray:
        """(H, W) bool: what the segmenter made of the cue's prompts."""
        meta, arrays = self._evaluation(id)
        key = [cue, prompting, segmenter]
        if key not in meta["masks"]:
            raise InputError(
                f"study {self.name!r} has no mask of {segmenter!r} from {cue!r} ({prompting}) for "
                f"{id!r}: not asked for, or undefined (flat map)"
            )
        return unpack(arrays["masks"][meta["masks"].index(key)], tuple(meta["shape"]))

    def maps_key(self, unit: str) -> list[str]:
        """What the maps and masks of a sample depend on, or all, where `unit` names no sample."""
        found = [self._index[unit]] if unit in self._index else self._index.values()
        return sorted(file for each in found for file in _files(each))

    @cached_property
    def _index(self) -> dict:
        path = self.folder / "units" / "index.json"
        if not path.exists():
            raise InputError(
                f"study {self.name!r} has tables only, no maps or masks; to compute them run "
                f"`python -m xaiutils run --study {self.name}` where its images are"
            )
        return read_json(path)

    def _units(self, id: str) -> dict:
        if id not in self._index:
            raise InputError(f"study {self.name!r} has no sample {id!r}")
        return self._index[id]

    def _evaluation(self, id: str) -> tuple[dict, dict[str, np.ndarray]]:
        unit = read_unit(self.folder / "units" / id / self._units(id)["evaluation"])
        if unit is None:
            raise InputError(f"the evaluation of {id!r} is damaged: run the study again")
        return unit

    def caption(self) -> str:
        """n, data set, classifier, explained class, settings and segmenters, for captions."""
        config = self.config
        several = config.reading == "class" and config.dataset in ("voc2012", "usis10k")
        each = "samples (image and class)" if several else "images"
        data = " ".join([each, "of", config.dataset, *([config.split] if config.split else [])])
        if config.dataset == "sample":
            data = "bundled photographs"
        elif is_stand_in(config, len(self.sample_ids)):
            data = f"{each} in the layout of {config.dataset} (a stand-in, not USIS10K)"
        titles = {"sam2": sam2_title(config.sam2_model, config.sam2_postprocessing)}
        sams = [name for name in config.segmenters if "sam" in name]
        names = [titles.get(name, SEGMENTER_TITLES[name]) for name in sams]
        return ", ".join(
            [
                f"n = {len(self.sample_ids)} {data}",
                CLASSIFIER_TITLES[config.classifier],
                f"{EXPLAINED[explained(config)]} explained",
                f"{config.preset} preset",
                *names,
                f"seed {config.seed}",
            ]
        )


def open_study(name: str, progress: bool = True) -> Study:
    """A study by name; a named one is completed first where something is missing.

    A study that is only stored (its images are not here) is opened as it is, unless a process that
    ended between its tables left some of one run and some of another: UnusableFile. Whether a
    finished one still is what the code and the images give is checked by `run_study`, which takes
    ten seconds.
    """
    folder = studies_dir() / name
    stored = folder / "config.json"
    if name in STUDIES:
        study = Study(STUDIES[name], folder)
        return study if _finished(study) else run_study(STUDIES[name], progress)
    if not stored.exists():
        known = sorted(
            {*STUDIES, *(path.parent.name for path in folder.parent.glob("*/config.json"))}
        )
        raise InputError(f"unknown study {name!r}; known: {', '.join(known)}")
    study = Study(read_config(stored), folder)
    if strange := _of_another_run(folder):
        raise UnusableFile(
            f"{folder}: {', '.join(strange)} and config.json are of different runs; run the study "
            "again"
        )
    return study


def _of_another_run(folder: Path) -> list[str]:
    """The tables of another run than config.json, as far as they state one: older ones do not."""
    run = read_json(folder / "config.json").get("run")
    runs = {name: stated(folder / f"{name}.parquet").get("run", run) for name in TABLES}
    return [f"{name}.parquet" for name, found in runs.items() if found != run]


def _files(found: dict) -> list[str]:
    """The unit files of one sample, from its entry in the index."""
    return [*found["explanations"].values(), found["evaluation"]]


def _finished(study: Study) -> bool:
    """Whether these settings and this version wrote the study, and all that it names is there."""
    try:
        stored = read_json(study.folder / "config.json")
        same = read_config(study.folder / "config.json") == study.config
        versions = stored.get("evaluation"), stored.get("xaiutils")
        units = study.folder / "units"
        files = [units / id / f for id, found in study._index.items() for f in _files(found)]
    except (InputError, OSError):
        return False
    files += [study.folder / f"{name}.parquet" for name in TABLES]
    same = same and versions == (EVALUATION_SCHEMA, __version__)
    return same and all(f.is_file() for f in files) and not _of_another_run(study.folder)


def read_config(path: Path) -> StudyConfig:
    """The configuration in a study's config.json or plan.json; InputError for another version."""
    stored = read_json(path)
    found = stored.get("schema") if isinstance(stored, dict) else None
    if found != SCHEMA:
        raise InputError(other_version(path, found, SCHEMA))
    try:
        values = {key: _tuples(value) for key, value in stored["config"].items()}
        return StudyConfig(**values)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: holds no study's settings ({error}); run it again") from error


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def run_study(config: StudyConfig, progress: bool = True) -> Study:
    """Compute what is missing of a study, gather its tables, and return it (`run.complete`)."""
    from xaiutils.run import complete

    study = Study(config, studies_dir() / config.name)
    complete(config, study.folder, study.dataset, progress)
    return study
