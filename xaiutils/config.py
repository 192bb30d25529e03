"""What a study is made of: its configuration, the named studies, the tables it writes."""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import numpy as np

from xaiutils.datasets import Dataset, load_dataset
from xaiutils.errors import InputError
from xaiutils.explainers import EXPLAINERS, PRESETS, Explainer, make_explainer
from xaiutils.fusion import FUSIONS
from xaiutils.names import CLASSIFIER_TITLES, in_order
from xaiutils.prompting import PROMPTINGS
from xaiutils.segmenters import REGISTRY, Segmenter, load_segmenter

# Raised when a change in the code changes what units or tables hold: older ones are recomputed.
SCHEMA = 1
EVALUATION_SCHEMA = 2  # the same for what is measured of finished maps
SMALLEST_USIS10K = 1000  # images: each of its splits has more
THRESHOLDS = tuple(k / 40 for k in range(41))  # levels of the normalised map that are tried

TABLES: dict[str, list[str]] = {
    "samples": [
        "sample",
        "label",
        "target",
        "target_name",
        "probability",
        "predicted_name",
        "height",
        "width",
        "object_share",
    ],
    "explanations": ["sample", "explainer", "settings", "seconds", "forward", "backward"],
    "localisation": ["sample", "cue", "metric", "value"],
    "agreement": ["sample", "a", "b", "metric", "value"],
    "thresholds": ["sample", "cue", "level", "iou"],
    "votes": ["sample", "votes", "pixels", "precision", "coverage"],
    "mask_agreement": ["sample", "a", "b", "segmenter", "value"],
    "weights": ["sample", "fusion", "explainer", "weight", "rounds", "dropped"],
    "segmentation": [
        "sample",
        "cue",
        "prompting",
        "segmenter",
        "iou",
        "dice",
        "score",
        "seconds",
    ],
    "proxy": ["sample", "cue", "reference", "coverage", "spill"],
    "errors": ["stage", "sample", "cue", "error", "message"],
}


@dataclass(frozen=True)
class StudyConfig:
    """What is measured. Equal configurations on equal images give equal tables.

    `settings` overrides single settings of explainers: (("lime", (("samples", 500),)),).
    `sam_runtime` is what runs the embedded SAM's encoder; the `sam2_` fields and `device` are the
    options of SAM2 (see `Sam2Segmenter`); `limit` takes the first images only;
    `precision` is that of the compiled classifier; `reading` and `logit` say what a sample is and
    which class is explained (see `load_dataset`).
    """

    name: str = "demo"
    dataset: str = "sample"
    root: str | None = None
    split: str | None = None
    reading: str = "class"
    logit: str = "given"
    limit: int | None = None
    classifier: str = "efficientnet_lite0"
    precision: str | None = "auto"
    preset: str = "fast"
    explainers: tuple[str, ...] = tuple(EXPLAINERS)
    settings: tuple[tuple[str, tuple[tuple[str, object], ...]], ...] = ()
    fusions: tuple[str, ...] = tuple(FUSIONS)
    promptings: tuple[str, ...] = ("dual", "peak", "points", "box", "literal")
    segmenters: tuple[str, ...] = ("embedded_sam", "grabcut", "random_walker", "threshold")
    sam_runtime: str = "openvino"
    sam2_model: str = "sam2.1_hiera_tiny"
    sam2_checkpoint: str | None = None
    sam2_postprocessing: bool = True
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self):
        _check_types(self)
        _known("classifier", [self.classifier], CLASSIFIER_TITLES)
        _known("preset", [self.preset], PRESETS)
        _known("explainer", self.explainers, EXPLAINERS)
        _known("fusion", self.fusions, FUSIONS)
        _known("prompting", self.promptings, PROMPTINGS)
        _known("segmenter", self.segmenters, REGISTRY)
        if not self.explainers or not self.promptings:
            raise InputError("a study needs at least one explainer and one prompting")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit is {self.limit}: it must be at least 1")
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise InputError(f"study name {self.name!r} cannot name a folder")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}: it must be at least 0")
        for explainer, settings in _pairs(self.settings):
            make_explainer(explainer, self.preset, **settings)

    def make_explainers(self) -> dict[str, Explainer]:
        """The explainers with their settings, by name, in the paper's order."""
        given = dict(_pairs(self.settings))
        return {
            name: make_explainer(name, self.preset, **given.get(name, {}))
            for name in in_order(self.explainers)
        }


def _check_types(config: StudyConfig) -> None:
    """A configuration may come from a file that somebody has edited."""
    for key, hint in get_type_hints(StudyConfig).items():
        kinds = (tuple,) if get_origin(hint) is tuple else get_args(hint) or (hint,)
        if not isinstance(value := getattr(config, key), kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise InputError(f"{key} is {value!r}: it must be of type {names}")


def _pairs(settings: tuple) -> list[tuple[str, dict[str, object]]]:
    try:
        return [(explainer, dict(given)) for explainer, given in settings]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"settings are {settings!r}: give pairs of an explainer and pairs of setting and value"
        ) from error


def _known(kind: str, names, known) -> None:
    for name in names:
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}; known: {', '.join(known)}")


STUDIES: dict[str, StudyConfig] = {
    "demo": StudyConfig("demo"),
    "demo-resnet50": StudyConfig("demo-resnet50", classifier="resnet50"),
}


def studies_dir() -> Path:
    """Where studies live: `XAIUTILS_STUDIES`, else data/studies of the repository."""
    given = os.environ.get("XAIUTILS_STUDIES")
    return Path(given) if given else Path(__file__).resolve().parents[1] / "data" / "studies"


def explained(config: StudyConfig) -> str:
    """Which class the study explains: its logit, but for "given" what its data set does give:
    "given" a class for every image, "listed" for those that a folder's labels.csv lists, or none,
    so that it is the top-1 class, "predicted"."""
    if config.logit != "given":
        return config.logit
    return {"sample": "given", "cutouts": "given", "folder": "listed"}.get(
        config.dataset, "predicted"
    )


def is_stand_in(config: StudyConfig, images: int) -> bool:
    """Whether images in USIS10K's layout are fewer than any split of it has, without a limit that
    the study set itself: then they are others, laid out alike."""
    return config.dataset == "usis10k" and config.limit is None and images < SMALLEST_USIS10K


def dataset_of(config: StudyConfig) -> Dataset:
    """The data set as the study asks for it."""
    return load_dataset(
        config.dataset, config.root, config.split, reading=config.reading, logit=config.logit
    )


def segmenter_of(config: StudyConfig, name: str) -> Segmenter:
    """A segmenter as the study asks for it, loaded."""
    options = {"embedded_sam": {"runtime": config.sam_runtime}, "sam2": sam2_options(config)}
    return load_segmenter(name, **options.get(name, {}))


def sam2_options(config: StudyConfig) -> dict[str, object]:
    """The arguments of Sam2Segmenter."""
    return {
        "model": config.sam2_model,
        "checkpoint": config.sam2_checkpoint,
        "device": config.device,
        "apply_postprocessing": config.sam2_postprocessing,
    }


def stream(seed: int, *names: str) -> np.random.Generator:
    """An independent random stream for each purpose, whatever else is computed before it."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])
