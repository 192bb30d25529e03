"""Linear surrogates over superpixels: KernelSHAP and LIME."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import shap
from lime.lime_base import LimeBase
from sklearn.metrics import pairwise_distances

from xaiutils.errors import InputError
from xaiutils.explainers.base import Explainer, Query
from xaiutils.explainers.masked import masked_scores, region_masks
from xaiutils.explainers.superpixels import region_means


def hidden_image(query: Query, labels: np.ndarray, baseline: str) -> np.ndarray:
    """(3, S, S): what stands where a superpixel is hidden.

    "mean" is each superpixel's own mean colour (lime's default), "zero" the zero of the network's
    input space (the mean colour of the training images).
    """
    if baseline == "mean":
        return region_means(query.image.numpy(), labels)
    if baseline == "zero":
        return np.zeros(query.image.shape, dtype=np.float32)
    raise InputError(f"baseline must be 'mean' or 'zero', got {baseline!r}")


def coalition_scores(
    query: Query, labels: np.ndarray, baseline: str, output: str
) -> Callable[[np.ndarray], np.ndarray]:
    """f(Z): (N, K) 0/1 rows, 1 where a superpixel is shown -> (N,) scores."""
    hidden = hidden_image(query, labels, baseline)

    def f(keep: np.ndarray) -> np.ndarray:
        masks = region_masks(keep, labels, query.classifier.batch)
        return masked_scores(query, masks, hidden, output)

    return f


@contextmanager
def numpy_seed(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, which shap draws from, and put its state back afterwards."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


@dataclass(frozen=True)
class KernelSHAP(Explainer):
    """KernelSHAP (Lundberg and Lee 2017) by shap over SLIC superpixels.

    shap samples the coalitions, weights and solves; the masked forward runs here. `l1_reg=False`
    lets all superpixels be non-zero (shap's default keeps ten). Signed Shapley values, spread over
    the superpixels' pixels; their sum over superpixels is f(image) - f(all hidden).
    """

    name: ClassVar[str] = "kernelshap"
    title: ClassVar[str] = "KernelSHAP"
    samples: int = 1024
    superpixels: int = 64
    baseline: str = "zero"
    output: str = "logit"

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        labels = query.superpixels(self.superpixels)
        count = int(labels.max()) + 1
        f = coalition_scores(query, labels, self.baseline, self.output)
        with numpy_seed(int(rng.integers(2**32))):
            explainer = shap.KernelExplainer(f, np.zeros((1, count)))
            values = explainer.shap_values(
                np.ones((1, count)), nsamples=self.samples, l1_reg=False, silent=True
            )
        return np.asarray(values)[0][labels].astype(np.float32)


def lime_kernel(distance: np.ndarray, width: float) -> np.ndarray:
    """lime's kernel: sqrt(exp(-d^2 / width^2))."""
    return np.sqrt(np.exp(-(distance**2) / width**2))


@dataclass(frozen=True)
class LIME(Explainer):
    """LIME (Ribeiro et al. 2016) over SLIC superpixels.

    Samples are drawn exactly as `lime.lime_image` draws them, distances are cosine, and lime's own
    solver fits the ridge regression; only the masked forward is ours, so that equal seeds give
    equal coefficients (tested). A hidden superpixel shows its mean colour. Signed coefficients.
    """

    name: ClassVar[str] = "lime"
    title: ClassVar[str] = "LIME"
    samples: int = 1000
    superpixels: int = 64
    kernel_width: float = 0.25
    baseline: str = "mean"
    output: str = "logit"

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        labels = query.superpixels(self.superpixels)
        count = int(labels.max()) + 1
        random = np.random.RandomState(int(rng.integers(2**32)))
        shown = random.randint(0, 2, self.samples * count).reshape(self.samples, count)
        shown[0] = 1
        found = coalition_scores(query, labels, self.baseline, self.output)(shown)
        return lime_coefficients(shown, found, self.kernel_width)[labels].astype(np.float32)


def lime_coefficients(shown: np.ndarray, scores: np.ndarray, kernel_width: float) -> np.ndarray:
    """lime's weighted ridge regression: (N, K) 0/1 rows and (N,) scores -> (K,) coefficients."""
    distances = pairwise_distances(shown, shown[:1], metric="cosine").ravel()
    # a fixed state: lime hands it to a solver that draws nothing
    base = LimeBase(partial(lime_kernel, width=kernel_width), random_state=np.random.RandomState(0))
    _, pairs, _, _ = base.explain_instance_with_data(
        shown, scores[:, None], distances, 0, shown.shape[1], feature_selection="none"
    )
    coefficients = np.zeros(shown.shape[1])
    for region, value in pairs:
        coefficients[region] = value
    return coefficients
