"""A reader's clicks and boxes on one image, what the segmenter made of them, and the way back."""

from dataclasses import dataclass

import numpy as np

from xaiutils.clicks import NONE, Click, add, ask
from xaiutils.datasets import Sample
from xaiutils.errors import InputError
from xaiutils.metrics.localisation import iou
from xaiutils.prompting import Prompts
from xaiutils.segmenters import Prediction, Segmenter

BOX_CLICKS = 2  # a box is drawn by its two corners


@dataclass(frozen=True)
class Step:
    """What was told so far, the answer, the clicks that it took, the IoU (NaN without truth)."""

    prompts: Prompts
    found: Prediction
    clicks: int
    iou: float


class Prompter:
    """One image, prompted step by step.

    The segmenter may be shared: should another image have been set meanwhile, this one is set
    again before the next answer, which then takes as long as an embedding does.
    """

    def __init__(self, segmenter: Segmenter, sample: Sample):
        self.segmenter, self.sample = segmenter, sample
        self._set()
        self.steps: list[Step] = []
        self._step(NONE, Prediction(np.zeros(segmenter.size, bool)), 0)

    @property
    def last(self) -> Step:
        return self.steps[-1]

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool, the latest answer."""
        return self.last.found.mask

    @property
    def points(self) -> list[Click]:
        """(x, y, label) in pixels of the image, in the order of the clicks."""
        prompts = self.last.prompts
        pairs = zip(prompts.points, prompts.labels)
        return [(int(x), int(y), int(label)) for (x, y), label in pairs]

    @property
    def curve(self) -> list[tuple[int, float]]:
        """(clicks, IoU) after each step, the first before any."""
        return [(step.clicks, step.iou) for step in self.steps]

    def click(self, x: float, y: float, label: int = 1) -> None:
        """A point at (x, y) pixels, 1 on the object, 0 off it; the last mask is refined."""
        if label not in (0, 1):
            raise InputError(f"label is {label}: 1 is on the object, 0 off it")
        x, y = place(x, y, self.sample.mask.shape)
        self._ask(add(self.last.prompts, (x, y, label)), self.last.found, 1)

    def drag(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A box between two corners, in any order, in place of an earlier one.

        The points stay. The segmenter is asked anew: the last mask belonged to another box.
        """
        (x0, y0), (x1, y1) = (place(*p, self.sample.mask.shape) for p in ((x0, y0), (x1, y1)))
        box = np.array([min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)], np.float32)
        told = self.last.prompts
        self._ask(Prompts(told.points, told.labels, box), None, BOX_CLICKS)

    def undo(self) -> None:
        """Take the last step back; nothing is left to take at the first."""
        if len(self.steps) > 1:
            self.steps.pop()

    def reset(self) -> None:
        """Back to the image without a prompt."""
        del self.steps[1:]

    def _ask(self, prompts: Prompts, last: Prediction | None, clicks: int) -> None:
        if self.segmenter.turn != self._turn:
            self._set()
        self._step(prompts, ask(self.segmenter, prompts, last), self.last.clicks + clicks)

    def _set(self) -> None:
        self.segmenter.set_image(self.sample.image)
        self._turn = self.segmenter.turn

    def _step(self, prompts: Prompts, found: Prediction, clicks: int) -> None:
        value = iou(found.mask, self.sample.mask, self.sample.void)
        self.steps.append(Step(prompts, found, clicks, value))


def place(x: float, y: float, shape: tuple[int, int]) -> tuple[int, int]:
    """The pixel of an image of `shape` (H, W) nearest to (x, y); InputError unless finite."""
    if not np.isfinite([x, y]).all():
        raise InputError(f"({x}, {y}) is no place in the image")
    return tuple(int(np.clip(np.floor(v + 0.5), 0, n - 1)) for v, n in zip((x, y), shape[::-1]))


FIELDS = {
    "click": {"x", "y", "label"},
    "box": {"x0", "y0", "x1", "y1"},
    "undo": set(),
    "reset": set(),
}


def act(prompter: Prompter, message: dict) -> None:
    """Do what a message from the browser says: its "kind" and the numbers of `FIELDS`, by name.

    InputError for another kind, other fields, and what is no number.
    """
    rest = {name: value for name, value in message.items() if name != "kind"}
    numbers = all(isinstance(value, int | float) for value in rest.values())
    if FIELDS.get(message.get("kind")) != set(rest) or not numbers:
        raise InputError(f"{message}: no message of the click canvas")
    does = {
        "click": prompter.click,
        "box": prompter.drag,
        "undo": prompter.undo,
        "reset": prompter.reset,
    }
    does[message["kind"]](**rest)
