"""A human in the loop: clicks that correct a mask, made by a reader or by a simulated user.

Points are (x, y) pixels of the image; a click is (x, y, label), 1 for "this belongs to the object"
and 0 for "this does not". Segmenters that give logits (the SAMs) refine their last mask with each
click; others are asked again with all the points.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xaiutils.maps import deepest
from xaiutils.metrics.localisation import iou
from xaiutils.prompting import Prompts, largest_component
from xaiutils.segmenters import Prediction, Segmenter

Click = tuple[int, int, int]
NONE = Prompts(np.zeros((0, 2), np.float32), np.zeros(0, np.int32))  # a start from nothing


def add(prompts: Prompts, click: Click) -> Prompts:
    """The prompts with one more point."""
    x, y, label = click
    return replace(
        prompts,
        points=np.concatenate([prompts.points.reshape(-1, 2), [[x, y]]]).astype(np.float32),
        labels=np.append(prompts.labels, label).astype(np.int32),
    )


def ask(segmenter: Segmenter, prompts: Prompts, last: Prediction | None = None) -> Prediction:
    """The mask for the prompts, refining the last one where it has logits.

    An empty mask where the prompts name nothing to segment (`Prompts.empty`).
    """
    if prompts.empty:
        return Prediction(np.zeros(segmenter.size, bool))
    if last is None or last.logits is None:
        return segmenter.predict(prompts)
    return segmenter.predict(prompts, logits=last.logits)


def correct(
    segmenter: Segmenter, start: Prompts | None, clicks: Sequence[Click] = ()
) -> Prediction:
    """The mask of the image that is set, from the start's prompts and then one click after another.

    `start` None: nothing is known before the first click. Points outside the image raise
    InputError, as in `Segmenter.predict`.
    """
    prompts = NONE if start is None else start
    found = ask(segmenter, prompts)
    for click in clicks:
        prompts = add(prompts, click)
        found = ask(segmenter, prompts, found)
    return found


def next_click(mask: np.ndarray, truth: np.ndarray, void: np.ndarray | None = None) -> Click | None:
    """Where a careful user clicks next: the deepest pixel of the largest region that is wrong.

    Regions are 8-connected, of missed and of spilled pixels apart, void left out; of two equally
    large ones the missed one. The rule of Xu et al. 2016 ("Deep interactive object selection") and
    of SAM's evaluation. None where nothing is wrong.
    """
    valid = np.ones(mask.shape, bool) if void is None else ~void
    missed = _largest(truth & ~mask & valid)
    spilled = _largest(mask & ~truth & valid)
    if not missed.any() and not spilled.any():
        return None
    label = int(missed.sum() >= spilled.sum())
    return *deepest(missed if label else spilled), label


def _largest(region: np.ndarray) -> np.ndarray:
    return largest_component(region) if region.any() else region


def simulate(
    segmenter: Segmenter,
    start: Prompts | None,
    truth: np.ndarray,
    void: np.ndarray | None = None,
    n: int = 8,
) -> tuple[list[float], list[Click]]:
    """IoU after 0, 1, ... n clicks of the simulated user (n + 1 values), and the clicks made.

    A start from nothing has IoU 0 before its first click, which falls on the deepest pixel of the
    object. Once nothing is wrong the IoU stays. Clicks that make a mask worse are not taken back.
    """
    prompts = NONE if start is None else start
    found = ask(segmenter, prompts)
    values, clicks = [iou(found.mask, truth, void)], []
    while len(values) <= n:
        click = next_click(found.mask, truth, void)
        if click is not None:
            clicks.append(click)
            prompts = add(prompts, click)
            found = ask(segmenter, prompts, found)
        values.append(iou(found.mask, truth, void))
    return values, clicks
