"""The masked forward: what the classifier says when parts of the image are hidden.

Score-CAM, Occlusion, LIME and KernelSHAP all ask this one question with other masks.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from xaiutils.errors import InputError
from xaiutils.explainers.base import Query


def scores(query: Query, batch: np.ndarray, output: str = "logit") -> np.ndarray:
    """(B, 3, S, S) -> (B,) float64 score of the query's class: its logit or its probability."""
    logits = query.classifier.logits(batch).astype(np.float64)
    if output == "logit":
        return logits[:, query.target]
    if output == "probability":
        return query.classifier.probabilities(logits)[:, query.target]
    raise InputError(f"output must be 'logit' or 'probability', got {output!r}")


def masked_scores(
    query: Query, masks: Iterable[np.ndarray], baseline: np.ndarray | float, output: str = "logit"
) -> np.ndarray:
    """Scores (N,) of  m * image + (1 - m) * baseline  for every mask m of the batches `masks`.

    `masks` yields (b, S, S) float32 in [0, 1]; only one batch of images lives at a time.
    """
    image = query.image.cpu().numpy()
    base = np.broadcast_to(np.asarray(baseline, dtype=np.float32), image.shape)
    difference = image - base
    buffer = np.empty((query.classifier.batch, *image.shape), dtype=np.float32)
    found = []
    for mask in masks:
        batch = buffer[: len(mask)]
        np.multiply(mask[:, None], difference, out=batch)
        if base.any():
            batch += base
        found.append(scores(query, batch, output))
    return np.concatenate(found)


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover range(count)."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def region_masks(keep: np.ndarray, labels: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    """(N, K) 0/1 rows over superpixels -> batches of (b, S, S) masks: 1 where a region is kept."""
    keep = np.asarray(keep, dtype=np.float32)
    for part in batches(len(keep), batch):
        yield keep[part][:, labels]
