"""A segmenter that is trained on whatever labels it is given: a small head on frozen features.

    features = np.stack([encode(model, image) for image in images])  # once an image
    head = fit(features, labels, weights, rng)                       # a few seconds
    mask = predict(head, features[0], image.shape[:2])

The features are EfficientNet-Lite0's at strides 8, 16 and 32; the head sees one pixel of them at a
time, and no coordinates: what it knows of an object is what the labels taught it about appearance.
Labels are the share of a grid cell that is object; a weight says how much the cell counts.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from xaiutils.classifiers import Preprocessing
from xaiutils.errors import InputError
from xaiutils.maps import as_mask

SIDE = 320  # px, the square that an image becomes; its features stand on a grid of stride 8
GRID = (SIDE // 8, SIDE // 8)
_PREPROCESS = Preprocessing(SIDE, mean=(0.5,) * 3, std=(0.5,) * 3)  # of EfficientNet-Lite0

EPOCHS = 12
HIDDEN = 32
BATCH = 6  # images a step
RATE = 1e-3


def encode(model: nn.Module, image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (472, 40, 40) float16 features of timm's EfficientNet-Lite0.

    40, 112 and 320 channels of strides 8, 16 and 32, the coarser ones resized bilinearly.
    """
    x = _PREPROCESS(image)[None]
    with torch.inference_mode():
        levels = model.forward_intermediates(x, indices=3, intermediates_only=True)
        levels = [F.interpolate(f, GRID, mode="bilinear", align_corners=False) for f in levels]
        return torch.cat(levels, dim=1)[0].half().numpy()


def cell_means(values: np.ndarray, grid: tuple[int, int] = GRID) -> np.ndarray:
    """(H, W) numbers or booleans -> (h, w) float32: the mean over the pixels of each grid cell."""
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return F.adaptive_avg_pool2d(tensor[None], grid)[0].numpy()


def grid_labels(
    mask: np.ndarray, void: np.ndarray | None = None, grid: tuple[int, int] = GRID
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and weights (h, w) float32 of a mask (H, W) bool.

    A label is the object's share of the cell's pixels outside void, the weight the share of the
    cell that is outside void; an all-void cell has label 0 and weight 0.
    """
    mask = as_mask(mask, np.shape(mask))
    valid = np.ones(mask.shape, bool) if void is None else ~as_mask(void, mask.shape, "void")
    weight = cell_means(valid, grid)
    inside = cell_means(mask & valid, grid)
    return np.divide(inside, weight, out=np.zeros_like(inside), where=weight > 0), weight


def confidence(map: np.ndarray, level: float) -> np.ndarray:
    """How far a map (H, W) in [0, 1] is from its threshold: (H, W) float32 in [0, 1].

    0 at the threshold, 1 at the map's maximum and at its minimum (also where the threshold is the
    maximum itself); our reading of the paper's confidence weighting, which it does not define.
    """
    if not 0 < level <= 1:
        raise InputError(f"level is {level}: a threshold above 0 and at most 1 is needed")
    map = np.asarray(map, np.float32)
    below = (level - map) / level
    above = (map - level) / (1 - level) if level < 1 else np.ones_like(map)
    return np.where(map >= level, above, below).astype(np.float32)


def loss_of(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean binary cross-entropy in nats, weighted by cell; 0 where no cell has any weight."""
    each = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    if weights is None:
        return each.mean()
    return (each * weights).sum() / weights.sum().clamp_min(1e-8)


class Head(nn.Module):
    """Standardise, one hidden layer, one logit: (N, C, h, w) -> (N, h, w), pixel by pixel."""

    def __init__(
        self, mean: torch.Tensor, std: torch.Tensor, hidden: int, generator: torch.Generator
    ):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        # layers without values, drawn below: the global generator is not touched
        self.inner = nn.utils.skip_init(nn.Conv2d, len(mean), hidden, 1)
        self.outer = nn.utils.skip_init(nn.Conv2d, hidden, 1, 1)
        for layer in (self.inner, self.outer):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = (features.float() - self.mean) / self.std
        return self.outer(torch.relu(self.inner(x)))[:, 0]


def moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel over images and cells, each (C, 1, 1) float32.

    Image by image in float64: half-precision features of all images at once would not fit so well.
    A constant channel has a standard deviation of 1.
    """
    total = torch.stack([f.double().sum((1, 2)) for f in features]).sum(0)
    square = torch.stack([f.double().square().sum((1, 2)) for f in features]).sum(0)
    n = features.shape[0] * features.shape[2] * features.shape[3]
    mean = total / n
    std = (square / n - mean.square()).clamp_min(0).sqrt()
    std[std < 1e-6] = 1
    return mean.float()[:, None, None], std.float()[:, None, None]


Watch = Callable[[int, Head], None]


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None,
    rng: np.random.Generator,
    *,
    epochs: int = EPOCHS,
    hidden: int = HIDDEN,
    batch: int = BATCH,
    rate: float = RATE,
    watch: Watch | None = None,
) -> Head:
    """A head trained by Adam on features (N, C, h, w), labels and weights (N, h, w) in [0, 1].

    `watch(epoch, head)` is called after every epoch, 1 to `epochs`. Equal inputs and an equal
    generator give an equal head.
    """
    x, y, w = _tensors(features, labels, weights)
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    head = Head(*moments(x), hidden, generator)
    optimiser = torch.optim.Adam(head.parameters(), lr=rate)
    for epoch in range(1, epochs + 1):
        for some in torch.randperm(len(x), generator=generator).split(batch):
            loss = loss_of(head(x[some]), y[some], w[some])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if watch is not None:
            watch(epoch, head)
    return head


def _tensors(features, labels, weights) -> list[torch.Tensor]:
    expected = (len(features), *np.shape(features)[2:])
    if weights is None:
        weights = np.ones(expected, np.float32)
    for name, values in (("labels", labels), ("weights", weights)):
        if np.shape(values) != expected:
            raise InputError(f"{name} have shape {np.shape(values)}: features ask for {expected}")
        if not (np.min(values) >= 0 and np.max(values) <= 1):  # NaN is outside too
            raise InputError(f"{name} must be within 0 and 1")
    if not np.any(weights):
        raise InputError("weights are all zero: there is nothing to learn from")
    arrays = features, np.asarray(labels, np.float32), np.asarray(weights, np.float32)
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def head_from(state: dict[str, np.ndarray]) -> Head:
    """The head whose `state_dict` the arrays are."""
    tensors = {name: torch.from_numpy(np.array(values)) for name, values in state.items()}
    head = Head(tensors["mean"], tensors["std"], len(tensors["inner.bias"]), torch.Generator())
    head.load_state_dict(tensors)
    return head


def logits_of(head: Head, features: np.ndarray) -> np.ndarray:
    """The head's logits (N, h, w) float32 for features (N, C, h, w), image by image."""
    with torch.inference_mode():
        each = [head(torch.from_numpy(f)[None])[0] for f in np.ascontiguousarray(features)]
    return torch.stack(each).numpy()


def evaluate_loss(head: Head, features, labels, weights=None) -> float:
    """The loss of a head on features (N, C, h, w) with labels and weights (N, h, w)."""
    _, y, w = _tensors(features, labels, weights)
    return float(loss_of(torch.from_numpy(logits_of(head, features)), y, w))


def mask_from_logits(logits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Logits (h, w), resized bilinearly to (H, W), above zero: the object is the likelier."""
    tensor = torch.from_numpy(np.asarray(logits, np.float32))[None, None]
    return (F.interpolate(tensor, shape, mode="bilinear", align_corners=False)[0, 0] > 0).numpy()


def predict(head: Head, features: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The mask (H, W) bool that a head makes of one image's features (C, h, w)."""
    return mask_from_logits(logits_of(head, features[None])[0], shape)
