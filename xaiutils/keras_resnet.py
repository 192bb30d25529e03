"""The Keras ResNet-50 (TensorFlow.js shards) under the key names of torchvision's `resnet50`."""

import json
import math

import numpy as np

# Keras numbers the stages 2..5, torchvision 1..4; Keras letters the blocks a, b, c, ...
_BRANCH = {
    "branch1": ("downsample.0", "downsample.1"),
    "branch2a": ("conv1", "bn1"),
    "branch2b": ("conv2", "bn2"),
    "branch2c": ("conv3", "bn3"),
}
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def read_tensors(model_json: bytes, shards: bytes) -> dict[str, np.ndarray]:
    """The arrays that a TensorFlow.js manifest lists, cut from its concatenated shards.

    Keras names (`res2a_branch2a/kernel`), float32, read-only views of `shards`.
    """
    tensors, start = {}, 0
    for group in json.loads(model_json)["weightsManifest"]:
        for entry in group["weights"]:
            count = math.prod(entry["shape"])
            flat = np.frombuffer(shards, "<f4", count, start)
            tensors[entry["name"]] = flat.reshape(entry["shape"])
            start += 4 * count
    if start != len(shards):
        raise ValueError(f"the manifest names {start} bytes, the shards hold {len(shards)}")
    return tensors


def to_torchvision(keras: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Torchvision's state dict of the Keras ResNet-50, without `num_batches_tracked`.

    Kernels go from (H, W, in, out) to (out, in, H, W). Keras convolutions have a bias,
    torchvision's have none: batch norm takes (x + bias) - mean, so the bias is subtracted from the
    running mean.
    What the arrays cannot say, the model must: batch-norm eps 1e-3, and in the first block of
    `layer2` to `layer4` the stride 2 on `conv1` instead of `conv2`.
    """
    state = {"fc.weight": keras["fc1000/kernel"].T, "fc.bias": keras["fc1000/bias"]}
    for layer in {name.split("/")[0] for name in keras if name.endswith("/kernel")} - {"fc1000"}:
        norm, conv_to, norm_to = _names(layer)
        state[f"{conv_to}.weight"] = keras[f"{layer}/kernel"].transpose(3, 2, 0, 1)
        for old, new in _NORM.items():
            state[f"{norm_to}.{new}"] = keras[f"{norm}/{old}"]
        state[f"{norm_to}.running_mean"] = keras[f"{norm}/moving_mean"] - keras[f"{layer}/bias"]
    return {name: np.ascontiguousarray(state[name]) for name in sorted(state)}


def _names(layer: str) -> tuple[str, str, str]:
    """Keras batch norm, torchvision convolution and batch norm of a Keras convolution."""
    if layer == "conv1":
        return "bn_conv1", "conv1", "bn1"
    place, branch = layer.removeprefix("res").split("_")
    block = f"layer{int(place[0]) - 1}.{ord(place[1]) - ord('a')}"
    conv, norm = _BRANCH[branch]
    return f"bn{place}_{branch}", f"{block}.{conv}", f"{block}.{norm}"


def to_safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    """The arrays as a safetensors file (8-byte length, JSON header, raw little-endian floats).

    Written here rather than by the library, so that the bytes, and with them the pinned SHA-256,
    do not depend on the library's version.
    """
    header, start = {}, 0
    for name, array in arrays.items():
        end = start + array.nbytes
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": (start, end)}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = (array.astype("<f4").tobytes() for array in arrays.values())
    return len(text).to_bytes(8, "little") + text + b"".join(body)
