"""Class activation maps: Grad-CAM, Grad-CAM++, Score-CAM and Faster-Score-CAM.

All are  ReLU(sum_k w_k A_k)  over the channels of the target layer, enlarged bilinearly to the
input; they differ in the weights w_k. Raw maps are non-negative.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import cv2
import numpy as np
import torch
from pytorch_grad_cam import GradCAM as LibraryGradCAM

from xaiutils.explainers.base import Captured, Explainer, Query
from xaiutils.explainers.masked import batches, masked_scores
from xaiutils.maps import FLAT


def cam(weights: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """ReLU(sum_k w_k A_k): (C,), (C, h, w) -> (h, w) at the layer's resolution."""
    return np.maximum(np.tensordot(weights, activations, axes=1), 0)


def enlarge(layer_map: np.ndarray, size: int) -> np.ndarray:
    """(h, w) -> (S, S) float32, bilinear with half-pixel centres as in pytorch-grad-cam."""
    return cv2.resize(layer_map.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)


def gradcam_weights(captured: Captured) -> np.ndarray:
    """w_k = mean over space of dy/dA_k (Selvaraju et al. 2017, eq. 1; pytorch-grad-cam)."""
    # the library's method reads nothing of its object: called on the shared pass, no hooks needed
    return LibraryGradCAM.get_cam_weights(None, None, None, None, None, captured.gradients[None])[0]


def gradcam_plus_plus_weights(captured: Captured) -> np.ndarray:
    """w_k = sum_ij a_ij ReLU(g_ij), a_ij = 1 / (2 + g_ij sum_ab A_ab)  (Chattopadhay 2018, eq. 19).

    pytorch-grad-cam writes a_ij as g^2 / (2 g^2 + g^3 sum A + 1e-6), whose epsilon swamps gradients
    below 1e-3; dividing through by g^2 gives the same number without one. Where the denominator is
    not positive (negative activations) the weight is undefined and set to zero.
    """
    g = captured.gradients.astype(np.float64)
    denominator = 2 + g * captured.activations.sum(axis=(1, 2), keepdims=True, dtype=np.float64)
    usable = (g > 0) & (denominator > 1e-12)
    alpha = np.divide(1.0, denominator, out=np.zeros_like(g), where=usable)
    return (alpha * np.maximum(g, 0)).sum(axis=(1, 2))


@dataclass(frozen=True)
class GradCAM(Explainer):
    """Grad-CAM (pytorch-grad-cam); one forward and one backward pass."""

    name: ClassVar[str] = "gradcam"
    title: ClassVar[str] = "Grad-CAM"

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        captured = query.captured
        return enlarge(cam(gradcam_weights(captured), captured.activations), query.classifier.size)


@dataclass(frozen=True)
class GradCAMPlusPlus(Explainer):
    """Grad-CAM++; one forward and one backward pass, shared with Grad-CAM."""

    name: ClassVar[str] = "gradcam++"
    title: ClassVar[str] = "Grad-CAM++"

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        captured = query.captured
        weights = gradcam_plus_plus_weights(captured)
        return enlarge(cam(weights, captured.activations), query.classifier.size)


def channel_masks(activations: np.ndarray, size: int, batch: int) -> Iterator[np.ndarray]:
    """Channels (C, h, w) as batches of (b, S, S) masks in [0, 1], each by its own min and max.

    Enlarged with aligned corners, as pytorch-grad-cam's Score-CAM does. A constant channel
    becomes the zero mask, never NaN.
    """
    for part in batches(len(activations), batch):
        channel = torch.from_numpy(np.ascontiguousarray(activations[part]))[:, None]
        up = torch.nn.functional.interpolate(
            channel, (size, size), mode="bilinear", align_corners=True
        )
        low, high = up.amin(dim=(2, 3), keepdim=True), up.amax(dim=(2, 3), keepdim=True)
        # enlarging a constant channel leaves rounding errors that the division would blow up
        varied = high - low > FLAT * torch.maximum(high.abs(), low.abs())
        yield (varied * (up - low) / (high - low + 1e-8))[:, 0].numpy()


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax in float64."""
    shifted = np.exp(scores - scores.max())
    return shifted / shifted.sum()


@dataclass(frozen=True)
class ScoreCAM(Explainer):
    """Score-CAM (Wang et al. 2020; pytorch-grad-cam): one forward pass a channel that varies.

    The image is masked by each channel and w = softmax(the class's logits), as in the paper and
    the library. Logits of a confident network differ by tens, so that softmax leaves a handful of
    channels with any weight: `weighting="probability"` uses the class's probability instead, as
    the first Faster-Score-CAM implementation does. `max_channels` keeps only the channels with the
    largest spatial standard deviation (before enlarging); None keeps all.
    """

    name: ClassVar[str] = "scorecam"
    title: ClassVar[str] = "Score-CAM"
    max_channels: int | None = None
    weighting: str = "softmax"

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        activations = most_varied(query.captured.activations, self.max_channels)
        output = "logit" if self.weighting == "softmax" else self.weighting
        weights = channel_scores(query, activations, output)
        if self.weighting == "softmax":
            weights = softmax(weights)
        return enlarge(cam(weights, activations), query.classifier.size)


def channel_scores(query: Query, activations: np.ndarray, output: str) -> np.ndarray:
    """(C,) scores of the image masked by each channel.

    Constant channels (after a ReLU half of them may be dead) all have the zero mask: one pass
    serves them, and the scores are those of a pass each.
    """
    spread = np.ptp(activations, axis=(1, 2))
    varied = spread > FLAT * np.abs(activations).max(axis=(1, 2))
    size = query.classifier.size
    masks = channel_masks(activations[varied], size, query.classifier.batch)
    if not varied.all():
        masks = chain(masks, [np.zeros((1, size, size), np.float32)])
    found = masked_scores(query, masks, baseline=0.0, output=output)
    scores = np.full(len(activations), found[-1])
    scores[varied] = found[: np.count_nonzero(varied)]
    return scores


@dataclass(frozen=True)
class FasterScoreCAM(ScoreCAM):
    """Score-CAM over the `max_channels` channels that vary most over space."""

    name: ClassVar[str] = "fasterscorecam"
    title: ClassVar[str] = "Faster-Score-CAM"
    max_channels: int | None = 128


def most_varied(activations: np.ndarray, count: int | None) -> np.ndarray:
    """The `count` channels of (C, h, w) with the largest spatial standard deviation, in order."""
    if count is None or count >= len(activations):
        return activations
    spread = activations.std(axis=(1, 2))
    # stable: of equally varied channels the first ones stay
    return activations[np.sort(np.argsort(-spread, kind="stable")[:count])]
