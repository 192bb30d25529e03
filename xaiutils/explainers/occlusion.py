"""Occlusion: how much the score drops when a square window is hidden."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xaiutils.errors import InputError
from xaiutils.explainers.base import Explainer, Query
from xaiutils.explainers.masked import batches, masked_scores, scores


def window_starts(size: int, window: int, stride: int) -> np.ndarray:
    """First pixels of the windows along one side; the last window may be cut off at the edge."""
    return np.arange(-(-(size - window) // stride) + 1) * stride


def windows(size: int, window: int, stride: int) -> np.ndarray:
    """(N, 4) rows y0, y1, x0, x1 (half-open) of all windows, row by row as captum slides them."""
    starts = window_starts(size, window, stride)
    y, x = (grid.ravel() for grid in np.meshgrid(starts, starts, indexing="ij"))
    return np.stack([y, np.minimum(y + window, size), x, np.minimum(x + window, size)], axis=1)


def window_masks(boxes: np.ndarray, size: int, batch: int) -> Iterator[np.ndarray]:
    """Batches of (b, S, S) float32 masks: 0 inside a window, 1 elsewhere."""
    for part in batches(len(boxes), batch):
        masks = np.ones((part.stop - part.start, size, size), dtype=np.float32)
        for mask, (y0, y1, x0, x1) in zip(masks, boxes[part], strict=True):
            mask[y0:y1, x0:x1] = 0
        yield masks


@dataclass(frozen=True)
class Occlusion(Explainer):
    """Occlusion (Zeiler and Fergus 2014) as captum defines it, on the masked-forward engine.

    A pixel's value is the mean, over the windows that hide it, of  score(image) - score(hidden).
    Zero baseline in the network's input space. Signed: positive where hiding lowers the score.
    Tested for equality with captum.attr.Occlusion.
    """

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    window: int = 32
    stride: int = 8
    output: str = "logit"

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        size = query.classifier.size
        if not 0 < self.stride <= self.window <= size:
            raise InputError(
                f"occlusion needs 0 < stride <= window <= {size}, got stride={self.stride}, "
                f"window={self.window}"
            )
        boxes = windows(size, self.window, self.stride)
        full = scores(query, query.image[None].numpy(), self.output)[0]
        masks = window_masks(boxes, size, query.classifier.batch)
        drops = full - masked_scores(query, masks, 0.0, self.output)
        total, hidden = np.zeros((2, size, size))
        for (y0, y1, x0, x1), drop in zip(boxes, drops, strict=True):
            total[y0:y1, x0:x1] += drop
            hidden[y0:y1, x0:x1] += 1
        return (total / hidden).astype(np.float32)
