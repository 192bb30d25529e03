"""What every explainer is, and what the explainers of one image share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from xaiutils.errors import InputError

if TYPE_CHECKING:  # who only reads maps does not wait for torch
    import torch

    from xaiutils.classifiers import FrozenClassifier


@dataclass(frozen=True)
class Captured:
    """Activations A and gradients dy_c/dA of the target layer, each (C, h, w) float32."""

    activations: np.ndarray
    gradients: np.ndarray


def capture(classifier: FrozenClassifier, image: torch.Tensor, target: int) -> Captured:
    """One forward and one backward pass through the target layer; (3, S, S) -> `Captured`.

    The input requires the gradient, so that frozen parameters do not matter; the hook is taken
    off again and nothing accumulates in `.grad`.
    """
    import torch

    kept = {}

    def keep(_module, _inputs, output):
        kept["features"] = output
        return output.clone()  # a later in-place ReLU must not overwrite what was kept

    handle = classifier.target_layer.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            x = image.detach()[None].clone().requires_grad_()
            classifier.passes.add(1, 1)
            score = classifier.model(x)[0, target]  # not the folded copy: it has other layers
            (gradient,) = torch.autograd.grad(score, kept["features"])
            features = classifier.reshape(kept["features"].detach())
    finally:
        handle.remove()
    gradient = classifier.reshape(gradient)
    return Captured(features[0].float().cpu().numpy(), gradient[0].float().cpu().numpy())


class Query:
    """Why this class, on this image? Holds what several explainers of one image share.

    `image` is the classifier's input (3, S, S) float32, `target` the index of the explained logit.
    """

    def __init__(self, classifier: FrozenClassifier, image: torch.Tensor, target: int):
        size = classifier.size
        if image.ndim != 3 or tuple(image.shape[1:]) != (size, size):
            raise InputError(
                f"image must be (C, {size}, {size}) for {classifier.name}, got "
                f"{tuple(image.shape)}; use classifier.preprocess on an (H, W, 3) uint8 image"
            )
        self.classifier = classifier
        self.image = image.detach().float()
        self.target = classifier.class_index(target)
        self._superpixels: dict[int, np.ndarray] = {}
        self._captured: Captured | None = None
        self._capture_seconds = 0.0

    @property
    def captured(self) -> Captured:
        """Shared by the CAM family: one pass for all of them.

        Each is charged for it all the same (`Passes`), so that what an explanation costs does not
        depend on which others were computed before it.
        """
        if self._captured is None:
            start = time.perf_counter()
            self._captured = capture(self.classifier, self.image, self.target)
            self._capture_seconds = time.perf_counter() - start
        else:
            self.classifier.passes.add(1, 1, self._capture_seconds)
        return self._captured

    def superpixels(self, count: int) -> np.ndarray:
        """(S, S) labels 0..K-1 of about `count` superpixels, shared by LIME and KernelSHAP."""
        from xaiutils.explainers.superpixels import slic_labels

        if count not in self._superpixels:
            rgb = self.classifier.preprocess.to_rgb(self.image)
            self._superpixels[count] = slic_labels(rgb, count)
        return self._superpixels[count]


@dataclass(frozen=True)
class Explainer(ABC):
    """A method with its settings; subclasses define `attribute`.

    `sign` says what of a raw map counts as evidence when it is read as a saliency map:
    "positive" keeps max(E, 0), "absolute" keeps |E|.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    sign: ClassVar[str] = "positive"

    @abstractmethod
    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        """The raw map (S, S) float32 of one image, signed as the method gives it."""

    def explain(
        self,
        classifier: FrozenClassifier,
        images: torch.Tensor,
        targets: np.ndarray | list[int],
        rng: np.random.Generator,
    ) -> np.ndarray:
        """(B, 3, S, S) network inputs and (B,) class indices -> (B, S, S) float32 raw maps.

        Every image is explained with the same random stream, so that a map does not depend on
        the batch in which it was computed.
        """
        if len(images) != len(targets):
            raise InputError(f"{len(images)} images but {len(targets)} targets")
        seed = rng.integers(2**63)
        maps = [
            self.attribute(Query(classifier, image, int(target)), np.random.default_rng(seed))
            for image, target in zip(images, targets, strict=True)
        ]
        return np.stack(maps) if maps else np.empty((0, classifier.size, classifier.size), "f4")


def saliency(raw: np.ndarray, sign: str) -> np.ndarray:
    """A raw map as non-negative evidence: its positive part, or its absolute value."""
    if sign == "absolute":
        return np.abs(raw)
    if sign == "positive":
        return np.maximum(raw, 0)
    raise InputError(f"sign must be 'positive' or 'absolute', got {sign!r}")
