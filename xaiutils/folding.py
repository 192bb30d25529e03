"""A copy of a network that is quicker to differentiate and computes the same."""

import copy
import warnings
from itertools import pairwise

import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-3  # of the standard deviation of the logits


def fold_batch_norms(model: torch.nn.Module) -> torch.nn.Module:
    """A copy in evaluation mode in which a batch norm that follows a convolution is part of it.

    About twice as fast forward and backward on a CPU, with channels last. A norm counts as
    following when it stands next to the convolution and has its channels; whether that was right
    is checked by the caller on the logits (`differentiable_copy`).
    """
    folded = copy.deepcopy(model).eval()
    for module in list(folded.modules()):
        children = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if _follows(conv, norm):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, _activation(norm))
    return folded.requires_grad_(False).to(memory_format=torch.channels_last)


def _follows(conv: torch.nn.Module, norm: torch.nn.Module) -> bool:
    return (
        isinstance(conv, torch.nn.Conv2d)
        and isinstance(norm, torch.nn.BatchNorm2d)
        and conv.out_channels == norm.num_features
    )


def _activation(norm: torch.nn.Module) -> torch.nn.Module:
    """What is left of a norm: nothing, or in timm's BatchNormAct2d its activation."""
    return norm.act if hasattr(norm, "act") else torch.nn.Identity()


def differentiable_copy(model: torch.nn.Module, probe: torch.Tensor) -> torch.nn.Module:
    """The folded copy where its logits are the model's on `probe` (B, 3, S, S), else the model
    itself with a warning."""
    probe = probe.to(next(model.parameters()).device)
    with torch.inference_mode():
        expected = model(probe)
    try:
        folded = fold_batch_norms(model)
        with torch.inference_mode():
            error = (folded(probe) - expected).abs().max() / (expected.std() + 1e-12)
        if error <= TOLERANCE:
            return folded
        reason = f"its logits differ by {error:.3g} standard deviations"
    except Exception as failure:  # an optional accelerator: whatever it dies of, go without
        reason = str(failure)
    warnings.warn(
        f"batch norms cannot be folded, gradients run as they are: {reason}", stacklevel=2
    )
    return model
