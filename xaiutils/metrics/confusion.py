"""Mean IoU of label images over a whole split, from one confusion matrix (Everingham et al. 2010).

    total = sum(confusion(truth, prediction, 21) for truth, prediction in split)
    miou(total)

Pixels of all images are added up before any ratio is taken, so a large object weighs more than a
small one: not the mean over images of an IoU (`localisation.iou`). Label images are arrays (H, W)
of whole numbers: 0 background, 1 to classes - 1 the objects; `VOID` in the truth counts nowhere,
whatever stands there in the prediction.
"""

from typing import NamedTuple

import numpy as np

from xaiutils.errors import InputError

VOID = 255


class MeanIou(NamedTuple):
    """value: mean IoU over `classes` classes; `absent` more are in neither truth nor prediction."""

    value: float
    classes: int
    absent: int


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) int64 pixel counts of one image, rows true class, columns predicted.

    Matrices of several images are added. InputError for another shape, a label that is no class,
    and void in the prediction outside the truth's void: a prediction has to answer everywhere.
    """
    truth, prediction = np.asarray(truth), np.asarray(prediction)
    if truth.shape != prediction.shape:
        raise InputError(f"prediction has shape {prediction.shape}, the truth {truth.shape}")
    valid = truth != VOID
    rows, columns = (
        _labels(labels[valid], classes, name)
        for labels, name in ((truth, "truth"), (prediction, "prediction"))
    )
    cells = np.bincount(classes * rows + columns, minlength=classes**2)
    return cells.reshape(classes, classes)


def _labels(labels: np.ndarray, classes: int, name: str) -> np.ndarray:
    if labels.dtype.kind not in "iu":
        raise InputError(f"{name} must hold whole numbers, not {labels.dtype}")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise InputError(f"{name} holds {wrong}: labels go from 0 to {classes - 1}")
    return labels.astype(np.int64)


def counts(matrix: np.ndarray) -> np.ndarray:
    """(K, 3): true positive, false positive and false negative pixels of each class."""
    tp = np.diagonal(matrix)
    return np.stack([tp, matrix.sum(axis=0) - tp, matrix.sum(axis=1) - tp], axis=1)


def class_ious(counts: np.ndarray) -> np.ndarray:
    """tp / (tp + fp + fn) of counts (..., K, 3), as (..., K) float64.

    NaN for a class that is in neither truth nor prediction; 0 for one that is predicted only.
    """
    tp, union = counts[..., 0].astype(np.float64), counts.sum(axis=-1)
    return np.divide(tp, union, where=union > 0, out=np.full(tp.shape, np.nan))


def miou(matrix: np.ndarray) -> MeanIou:
    """The mean of `class_ious` over the classes that have one, background included."""
    ious = class_ious(counts(matrix))
    present = np.isfinite(ious)
    value = float(ious[present].mean()) if present.any() else float("nan")
    return MeanIou(value, int(present.sum()), int((~present).sum()))
