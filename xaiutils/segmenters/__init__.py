"""Segmenters: an image once, then a mask for each set of prompts.

    segmenter = load_segmenter("embedded_sam")
    segmenter.set_image(image)              # (H, W, 3) uint8: the costly step, once an image
    prediction = segmenter.predict(prompts)  # mask (H, W) bool, score

Prompts come from `xaiutils.prompting`; points are (x, y), boxes (x0, y0, x1, y1), both in pixels of
the image. A segmenter keeps one image (or its embedding) and nothing of earlier ones.
"""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from xaiutils.errors import InputError
from xaiutils.prompting import Prompts

# Imported when asked for: each brings a library that the others do not need.
REGISTRY = {
    "embedded_sam": ("xaiutils.segmenters.embedded_sam", "EmbeddedSam"),
    "sam2": ("xaiutils.segmenters.sam2", "Sam2Segmenter"),
    "grabcut": ("xaiutils.segmenters.grabcut", "GrabCut"),
    "random_walker": ("xaiutils.segmenters.random_walker", "RandomWalker"),
    "threshold": ("xaiutils.segmenters.threshold", "Threshold"),
}


@dataclass(frozen=True)
class Prediction:
    """A mask and how good its segmenter believes it to be.

    mask: (H, W) bool. score: the IoU that the SAMs predict for it (a regression, which may pass 1
    a little), NaN for segmenters that predict none.
    logits: the SAMs' (256, 256) float32 mask before it is resized and cut at zero; handed to
    `predict(prompts, logits=...)` it is refined. None for the others.
    """

    mask: np.ndarray
    score: float = float("nan")
    logits: np.ndarray | None = None


class Segmenter(ABC):
    """What the segmenters share: `set_image` once, `predict` many.

    needs: the fields of Prompts that it works from; each alternative is a tuple of fields that
    must all be given, and one alternative is enough ("points": at least one foreground point).
    """

    needs: tuple[tuple[str, ...], ...]
    size: tuple[int, int] | None = None  # (H, W) of the image that is set
    turn: int = 0  # images set so far: who shares a segmenter sees whether another came since

    def set_image(self, image: np.ndarray) -> None:
        """Take an (H, W, 3) uint8 RGB image; raises InputError for anything else."""
        self.size = None  # should this fail, there is no image rather than a half-set one
        self.turn += 1
        check_image(image)
        self._prepare(image)
        self.size = image.shape[:2]

    @abstractmethod
    def predict(self, prompts: Prompts) -> Prediction:
        """The mask that the prompts ask for.

        Raises InputError without an image, without the prompts that it `needs`, and for points,
        box or regions that do not fit the image.
        """

    def predict_many(self, prompts: list[Prompts]) -> list[Prediction]:
        """One prediction for each of the prompts, in their order, on the same image."""
        return [self.predict(each) for each in prompts]

    @abstractmethod
    def _prepare(self, image: np.ndarray) -> None:
        """Keep what `predict` needs of the image; the caller's array may change afterwards."""

    def _check(self, prompts: Prompts) -> None:
        if self.size is None:
            raise InputError(f"{type(self).__name__} has no image: call set_image first")
        if not any(all(_given(prompts, field) for field in fields) for fields in self.needs):
            wanted = ", or ".join(" and ".join(fields) for fields in self.needs)
            wanted = wanted.replace("points", "a foreground point")
            raise InputError(f"{type(self).__name__} needs prompts with {wanted}")
        check_prompts(prompts, self.size)


def load_segmenter(name: str, **options) -> Segmenter:
    """A segmenter by name (see REGISTRY) with its options, which are its class's arguments."""
    if name not in REGISTRY:
        raise InputError(f"unknown segmenter '{name}': choose one of {', '.join(REGISTRY)}")
    module, cls = REGISTRY[name]
    build = getattr(import_module(module), cls)
    known = list(inspect.signature(build).parameters)
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise InputError(f"segmenter '{name}' has no option '{option}': it knows {listed}")
    return build(**options)


def check_image(image: np.ndarray) -> None:
    """Raise InputError unless the image is (H, W, 3) uint8 with at least one pixel."""
    shape, dtype = np.shape(image), getattr(image, "dtype", type(image).__name__)
    if len(shape) != 3 or shape[2] != 3 or min(shape) == 0 or dtype != np.uint8:
        raise InputError(f"image: expected (H, W, 3) uint8, got {shape} {dtype}")


def check_prompts(prompts: Prompts, size: tuple[int, int]) -> None:
    """Raise InputError for prompts that do not fit an image of `size` (H, W)."""
    height, width = size
    points, labels = np.asarray(prompts.points), np.asarray(prompts.labels)
    if points.shape != (len(labels), 2) or not np.isin(labels, (0, 1)).all():
        raise InputError("prompts: points must be (N, 2) with N labels, each 0 or 1")
    _check_inside("points", points, size)
    if prompts.box is not None:
        box = np.asarray(prompts.box)
        if box.shape != (4,) or not (box[:2] <= box[2:]).all():
            raise InputError(f"prompts.box: expected x0 <= x1 and y0 <= y1, got {box.tolist()}")
        _check_inside("box", box.reshape(2, 2), size)
    for field in ("foreground", "background", "seed"):
        region = getattr(prompts, field)
        if region is not None and (region.shape != size or region.dtype != bool):
            found = f"{region.shape} {region.dtype}"
            raise InputError(f"prompts.{field}: expected ({height}, {width}) bool, got {found}")
    regions = prompts.foreground, prompts.background
    if all(region is not None for region in regions) and np.logical_and(*regions).any():
        raise InputError("prompts: foreground and background overlap; make them disjoint")


def check_option(name: str, value: float, least: float) -> None:
    """Raise InputError unless an option's number is at least `least`."""
    if not value >= least:
        raise InputError(f"{name} is {value}: it must be at least {least}")


def check_logits(logits: np.ndarray | None) -> None:
    """Raise InputError unless the mask to be refined is (256, 256), as a Prediction carries it."""
    if logits is not None and np.shape(logits) != (256, 256):
        raise InputError(f"logits: expected (256, 256) of a prediction, got {np.shape(logits)}")


def _check_inside(field: str, points: np.ndarray, size: tuple[int, int]) -> None:
    height, width = size
    last = width - 1, height - 1  # pixel centres are at whole numbers
    outside = ~((points >= 0) & (points <= last)).all(axis=1)  # NaN is outside too
    if outside.any():
        x, y = points[outside][0]
        raise InputError(f"prompts.{field}: ({x}, {y}) is outside the {width} x {height} image")


def _given(prompts: Prompts, field: str) -> bool:
    if field == "points":  # ground points alone say nothing about the object
        return bool((np.asarray(prompts.labels) == 1).any())
    return getattr(prompts, field) is not None
