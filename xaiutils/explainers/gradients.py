"""Explanations from the gradient at the input: Integrated Gradients and VarGrad."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from captum.attr import Saliency as CaptumSaliency

from xaiutils.explainers.base import Explainer, Query

GRADIENT_BATCH = 16  # gradients keep every activation: smaller batches than plain forward passes


@dataclass(frozen=True)
class IntegratedGradients(Explainer):
    """Integrated Gradients (Sundararajan et al. 2017) by captum, summed over the channels.

    Zero baseline in the network's input space (the mean colour), `steps` Gauss-Legendre nodes.
    Signed: the sum of the map approximates the logit minus the baseline's logit. Read as a
    saliency map by its absolute value (our reading; the paper does not say).
    """

    name: ClassVar[str] = "ig"
    title: ClassVar[str] = "Integrated Gradients"
    sign: ClassVar[str] = "absolute"
    steps: int = 64

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        method = CaptumIntegratedGradients(query.classifier.differentiable)
        parts = method.attribute(
            query.image[None],
            target=query.target,
            n_steps=self.steps,
            internal_batch_size=GRADIENT_BATCH,
        )
        return parts[0].sum(0).detach().cpu().numpy().astype(np.float32)


@dataclass(frozen=True)
class VarGrad(Explainer):
    """VarGrad (Adebayo et al. 2018): variance over noisy copies of the input gradient.

    Noise is Gaussian with `noise` times the input's range as its sigma (SmoothGrad's convention);
    gradients are captum's Saliency, signed. The variance is the population's, as in captum's
    NoiseTunnel, but accumulated by Welford's method in float64: NoiseTunnel's E[g^2] - E[g]^2 in
    float32 cancels and can go negative. Channels are summed; the map is non-negative.
    """

    name: ClassVar[str] = "vargrad"
    title: ClassVar[str] = "VarGrad"
    samples: int = 50
    noise: float = 0.15

    def attribute(self, query: Query, rng: np.random.Generator) -> np.ndarray:
        image = query.image
        sigma = self.noise * float(image.max() - image.min())
        return gradient_variance(query, sigma, self.samples, rng).sum(0).astype(np.float32)


def gradient_variance(
    query: Query, sigma: float, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """(C, S, S) float64: variance over `samples` draws of d logit / d x at x + N(0, sigma^2)."""
    method = CaptumSaliency(query.classifier.differentiable)
    count, mean, squares = 0, 0.0, 0.0
    for start in range(0, samples, GRADIENT_BATCH):
        draws = (min(GRADIENT_BATCH, samples - start), *query.image.shape)
        noise = torch.from_numpy(rng.standard_normal(draws, dtype=np.float32)) * sigma
        noisy = (query.image + noise.to(query.image.device)).requires_grad_()
        gradients = method.attribute(noisy, target=query.target, abs=False)
        for gradient in gradients.detach().cpu().double().numpy():
            count += 1
            step = gradient - mean
            mean = mean + step / count
            squares = squares + step * (gradient - mean)
    return squares / count
