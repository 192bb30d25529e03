"""Superpixels for the explainers that hide regions."""

import numpy as np
from skimage.segmentation import slic

from xaiutils.errors import InputError


def slic_labels(rgb: np.ndarray, count: int, compactness: float = 10.0) -> np.ndarray:
    """(S, S, 3) RGB in [0, 1] -> (S, S) int labels 0..K-1 of about `count` SLIC superpixels."""
    if count < 2:
        raise InputError(f"superpixels must be at least 2, got {count}")
    return from_zero(slic(rgb, n_segments=count, compactness=compactness, start_label=0))


def from_zero(labels: np.ndarray) -> np.ndarray:
    """Any integer labels renumbered 0..K-1 without gaps.

    `lime` indexes superpixels by position: with labels 1..K the last one would never be hidden.
    """
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape)


def region_means(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, S, S) image with every superpixel replaced by its mean."""
    flat = labels.ravel()
    sizes = np.bincount(flat)
    means = [np.bincount(flat, weights=channel.ravel()) / sizes for channel in image]
    return np.stack(means)[:, flat].reshape(image.shape).astype(np.float32)
