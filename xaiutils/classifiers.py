"""Frozen classifiers: the model, how it wants its image, and where its last feature map is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from scipy.special import expit, softmax
from torchvision.models._meta import _IMAGENET_CATEGORIES

from xaiutils import compiled, weights
from xaiutils.errors import InputError
from xaiutils.folding import differentiable_copy


@dataclass(frozen=True)
class Preprocessing:
    """x = (rgb * scale - mean) / std on the whole image, resized to S x S without a crop.

    `mean` and `std` are in the channel order of the network (BGR where `bgr`).
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scale: float = 1 / 255
    bgr: bool = False
    resample: Image.Resampling = Image.Resampling.BICUBIC

    def __call__(self, image: np.ndarray) -> torch.Tensor:
        """(H, W, 3) uint8 RGB -> (3, S, S) float32."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(
                f"image must be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}; "
                "read files with xaiutils.images.read_image"
            )
        resized = Image.fromarray(image).resize((self.size, self.size), self.resample)
        x = np.asarray(resized, dtype=np.float32)[..., :: -1 if self.bgr else 1] * self.scale
        x = (x - np.float32(self.mean)) / np.float32(self.std)
        return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1), dtype=np.float32))

    def to_rgb(self, x: torch.Tensor) -> np.ndarray:
        """(3, S, S) network input -> (S, S, 3) float64 RGB in [0, 1]: the inverse of the call."""
        pixels = x.detach().cpu().double().numpy().transpose(1, 2, 0)
        pixels = (pixels * np.array(self.std) + np.array(self.mean)) / (self.scale * 255)
        return np.clip(pixels[..., :: -1 if self.bgr else 1], 0, 1)


@dataclass
class Passes:
    """How many images went forward through the network, and how many backward.

    Passes that an explanation shares with an earlier one count too; `seconds` is the time that
    the sharing saved it.
    """

    forward: int = 0
    backward: int = 0
    seconds: float = 0.0

    def add(self, forward: int, backward: int = 0, seconds: float = 0.0) -> None:
        self.forward += forward
        self.backward += backward
        self.seconds += seconds


class FrozenClassifier:
    """A classifier that is only ever asked, never changed.

    `logits` is the fast route (compiled, no gradients), `differentiable` the one for gradients;
    both count their images in `passes`, the unit in which the cost of an explanation is told.
    `target_layer` is the module whose output the CAM family reads, (B, C, h, w) after `reshape`
    (token models need one; None for convolutional networks). `one_vs_rest` says that every logit
    stands for itself (a probe's), so that its probability is a sigmoid and not a softmax.
    """

    def __init__(
        self,
        name: str,
        model: torch.nn.Module,
        preprocess: Preprocessing,
        class_names: Sequence[str],
        target_layer: torch.nn.Module,
        reshape: Callable[[torch.Tensor], torch.Tensor] | None = None,
        precision: str | None = "f32",
        digest: str = "",
        one_vs_rest: bool = False,
    ):
        self.one_vs_rest = one_vs_rest
        self.name = name
        self.model = model.eval().requires_grad_(False)
        self.preprocess = preprocess
        self.class_names = tuple(class_names)
        self.target_layer = target_layer
        self.reshape = reshape or (lambda features: features)
        self.precision = precision
        self.digest = digest
        self.passes = Passes()

    @property
    def size(self) -> int:
        """Side S of the square input."""
        return self.preprocess.size

    @cached_property
    def batch(self) -> int:
        """Images a forward pass (see `compiled.batch_size`)."""
        return compiled.batch_size(self.size)

    @cached_property
    def _forward(self) -> compiled.Forward:
        if self.precision is None:
            return compiled.eager_forward(self.model)
        # only a network whose weights are pinned by a hash has an identity to cache under
        name = f"{self.name}-{self.digest[:16]}-{self.size}.xml"
        cache = weights.cache_dir() / "compiled" / name if self.digest else None
        return compiled.fastest_forward(self.model, self.probe().numpy(), self.precision, cache)

    def probe(self) -> torch.Tensor:
        """(2, 3, S, S): blurred colour noise in the network's own range, to check forwards on."""
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
        return torch.stack([self.preprocess(image) for image in noise])

    def logits(self, images: torch.Tensor | np.ndarray) -> np.ndarray:
        """(B, 3, S, S) -> (B, K) float32 logits, in batches of at most `batch` images."""
        images = np.asarray(images, dtype=np.float32)
        self.passes.add(len(images))
        starts = range(0, len(images), self.batch)
        return np.concatenate([self._forward(images[i : i + self.batch]) for i in starts])

    @cached_property
    def _differentiable(self) -> torch.nn.Module:
        if self.precision is None:
            return self.model
        return differentiable_copy(self.model, self.probe())

    def differentiable(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, S, S) -> (B, K) logits with gradients at the input; counted forward and backward.

        Runs on a copy with folded batch norms: hooks of `model` are not called.
        """
        self.passes.add(len(images), len(images))
        return self._differentiable(images)

    def predict(self, image: np.ndarray) -> tuple[int, float]:
        """Top-1 class of an (H, W, 3) uint8 image and its probability."""
        probabilities = self.probabilities(self.logits(self.preprocess(image)[None]))[0]
        best = int(probabilities.argmax())
        return best, float(probabilities[best])

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(B, K) logits -> (B, K) float64: softmax, or a sigmoid each where `one_vs_rest`."""
        logits = logits.astype(np.float64)
        if self.one_vs_rest:
            return expit(logits)
        return softmax(logits, axis=1)

    def class_index(self, target: int | str) -> int:
        """The index of a class given by index or by its exact name."""
        if isinstance(target, str):
            if target not in self.class_names:
                raise InputError(f"unknown class {target!r}: {self.name} has no class of that name")
            return self.class_names.index(target)
        if not 0 <= target < len(self.class_names):
            raise InputError(
                f"class index {target} is outside 0..{len(self.class_names) - 1} of {self.name}"
            )
        return int(target)


def efficientnet_lite0(precision: str | None = "f32") -> FrozenClassifier:
    """EfficientNet-Lite0, the embedded quick default (top-1 0.75 on ImageNet-1k).

    Target layer: the activated output of the last convolution, (1280, 7, 7).
    """
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(weights.efficientnet_lite0_state(model.state_dict()), strict=True)
    preprocess = Preprocessing(224, mean=(0.5,) * 3, std=(0.5,) * 3)
    return FrozenClassifier(
        "efficientnet_lite0",
        model,
        preprocess,
        _IMAGENET_CATEGORIES,
        model.bn2,
        precision=precision,
        digest=weights.WEIGHTS["efficientnet_lite0"].sha256,
    )


def resnet50(precision: str | None = "f32") -> FrozenClassifier:
    """ResNet-50 with the Keras ImageNet-1k weights (top-1 0.749), the paper's architecture.

    torchvision's network with the two changes that these weights ask for: batch norm's epsilon is
    1e-3, and the stride of the first block of layers 2-4 sits on its first convolution. Target
    layer: `layer4`, (2048, 7, 7).
    """
    model = torchvision.models.resnet50(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    for layer in (model.layer2, model.layer3, model.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    model.load_state_dict(weights.resnet50_state(), strict=True)
    mean = (103.939, 116.779, 123.68)
    preprocess = Preprocessing(224, mean, (1.0,) * 3, scale=1.0, bgr=True)
    return FrozenClassifier(
        "resnet50",
        model,
        preprocess,
        _IMAGENET_CATEGORIES,
        model.layer4,
        precision=precision,
        digest=weights.WEIGHTS["resnet50"].sha256,
    )


def from_hub(
    name: str, precision: str | None = "f32", weights: str | Path | None = None
) -> FrozenClassifier:
    """A classifier whose weights torchvision or timm publish (`hub_classifiers`)."""
    from xaiutils.hub_classifiers import load_hub_classifier

    return load_hub_classifier(name, precision, weights)


# The precision of the compiled forward unless another is asked for. bfloat16 makes ResNet-50 five
# times as fast on processors that have it; elsewhere OpenVINO computes in float32 all the same.
PRECISIONS = {
    "efficientnet_lite0": "f32",
    "resnet50": "bf16",
    "resnet50_tv_v1": "bf16",
    "resnet50_tv_v2": "bf16",
    "deit_s": "f32",
    "vit_b16": "f32",
    "swin_t": "f32",
}
EMBEDDED = {"efficientnet_lite0": efficientnet_lite0, "resnet50": resnet50}
HUB = {name: partial(from_hub, name) for name in PRECISIONS if name not in EMBEDDED}
CLASSIFIERS = EMBEDDED | HUB


def load_classifier(
    name: str, precision: str | None = "auto", weights: str | Path | None = None
) -> FrozenClassifier:
    """A classifier by name; its forward is compiled in `precision` "f32" or "bf16".

    "auto" is the classifier's own (`PRECISIONS`), None runs eagerly. Gradients are always float32.
    `weights` is a file (.pth, .safetensors) with the weights of one of HUB, which are otherwise
    looked for in the folder `XAIUTILS_WEIGHTS` and then downloaded; EMBEDDED ones are pinned.
    """
    if name not in CLASSIFIERS:
        raise InputError(f"unknown classifier {name!r}; known: {', '.join(CLASSIFIERS)}")
    if precision not in (None, "auto", "f32", "bf16"):
        raise InputError(f"unknown precision {precision!r}; known: auto, f32, bf16, None (eager)")
    precision = PRECISIONS[name] if precision == "auto" else precision
    if name in HUB:
        return HUB[name](precision, weights)
    if weights is not None:
        raise InputError(f"weights: those of {name} are embedded; choose one of {', '.join(HUB)}")
    return EMBEDDED[name](precision)
