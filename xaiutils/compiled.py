"""A compiled forward pass whose logits are checked once against eager execution."""

import copy
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

Forward = Callable[[np.ndarray], np.ndarray]

# Largest difference from the eager logits, in units of their standard deviation.
# Float32 kernels differ by their order of summation alone; bfloat16 keeps 8 bits of mantissa, which
# ResNet-50 bears (0.05) and EfficientNet-Lite0 does not (0.3): it then runs in float32.
TOLERANCE = {"f32": 1e-3, "bf16": 0.1}


def eager_forward(model: torch.nn.Module) -> Forward:
    """(B, 3, S, S) float32 -> (B, K) float32 logits, by the model itself without gradients."""
    device = next(model.parameters()).device

    def forward(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(batch).to(device)).float().cpu().numpy()

    return forward


def torch_forward(model: torch.nn.Module, device: str, precision: str = "f32") -> Forward:
    """A copy of the model on a device, channels last, in autocast where `precision` is "bf16"."""
    placed = copy.deepcopy(model).to(device, memory_format=torch.channels_last)

    def forward(batch: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(batch).to(device, memory_format=torch.channels_last)
        half = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
        with torch.inference_mode(), half:
            return placed(x).float().cpu().numpy()

    return forward


def batch_size(size: int) -> int:
    """Images a forward pass of S x S images.

    On a CPU 8: larger batches are no faster there, and 8 fit the caches. On CUDA as many as a
    quarter of the free memory holds at 400 bytes a pixel (ResNet-50's activations, with room to
    spare), at most 256.
    """
    if not torch.cuda.is_available():
        return 8
    free, _ = torch.cuda.mem_get_info()
    return int(np.clip(free / 4 / (400 * size**2), 8, 256))


def openvino_forward(
    model: torch.nn.Module, size: int, precision: str = "f32", cache: Path | None = None
) -> Forward:
    """The same function compiled by OpenVINO for this CPU.

    `cache` (an .xml path) keeps the converted graph, since the conversion takes seconds.
    """
    import openvino as ov

    core = ov.Core()
    if cache is not None and cache.exists():
        graph = core.read_model(cache)
    else:
        graph = _convert(ov, model, size)
        if cache is not None:
            _save(ov, graph, cache)
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        # pinned, the threads of two processes wait for the same core while another is idle
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(graph, "CPU", options)

    def forward(batch: np.ndarray) -> np.ndarray:
        # a copy: OpenVINO's output buffer is overwritten by the next call
        return np.array(compiled(np.ascontiguousarray(batch))[0], dtype=np.float32)

    return forward


def _convert(ov, model: torch.nn.Module, size: int):
    with warnings.catch_warnings():  # OpenVINO traces with functions that torch calls old
        warnings.simplefilter("ignore", FutureWarning)
        # transformers' shape checks; what the trace computes is checked against eager execution
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        graph = ov.convert_model(model, example_input=torch.zeros(1, 3, size, size))
    graph.reshape([-1, 3, size, size])
    return graph


def _save(ov, graph, cache: Path) -> None:
    """Write the graph's two files under temporary names and rename them, the .xml last."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_name(f"{cache.stem}.{os.getpid()}.part.xml")
    ov.save_model(graph, part, compress_to_fp16=False)
    os.replace(part.with_suffix(".bin"), cache.with_suffix(".bin"))
    os.replace(part, cache)


def disagreement(forward: Forward, reference: Forward, probe: np.ndarray) -> float:
    """Largest |difference| of the logits of `probe` (B, 3, S, S), over their standard deviation."""
    expected, found = reference(probe), forward(probe)
    return float(np.abs(expected - found).max() / (expected.std() + 1e-12))


def fastest_forward(
    model: torch.nn.Module, probe: np.ndarray, precision: str = "f32", cache: Path | None = None
) -> Forward:
    """The fastest forward that agrees with eager execution on `probe` (B, 3, S, S): torch on CUDA
    where there is one, else OpenVINO.

    Where it does not: in float32 instead of bfloat16, and else eager, with a warning. A cached
    graph that is damaged or of other weights is thrown away and converted anew.
    """
    cached = cache is not None and cache.exists()
    try:
        return _checked_forward(model, probe, precision, cache)
    except Exception as reason:  # whatever an optional accelerator dies of: go without it
        if precision == "bf16":
            warnings.warn(f"no bfloat16 forward, running in float32: {reason}", stacklevel=2)
            return fastest_forward(model, probe, "f32", cache)
        if cached:
            cache.unlink()
            return fastest_forward(model, probe, precision, cache)
        warnings.warn(f"no compiled forward, running eagerly: {reason}", stacklevel=2)
        return eager_forward(model)


def _checked_forward(model, probe: np.ndarray, precision: str, cache: Path | None) -> Forward:
    if torch.cuda.is_available():
        forward = torch_forward(model, "cuda", precision)
    else:
        forward = openvino_forward(model, probe.shape[-1], precision, cache)
    error = disagreement(forward, eager_forward(model), probe)
    if not error <= TOLERANCE[precision]:
        raise ValueError(
            f"compiled logits differ from eager ones by {error:.3g} standard deviations "
            f"(allowed {TOLERANCE[precision]})"
        )
    return forward
