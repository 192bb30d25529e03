"""Classifiers whose weights are published by torchvision or timm, and not embedded here.

    load_classifier("deit_s")                                 # downloaded once, by timm's own means
    load_classifier("deit_s", weights="deit_small_patch16_224-cd65a155.pth")  # a file that you have

Without `weights` the file is looked for in the folder `XAIUTILS_WEIGHTS`, under its published name
(`file_names`), then downloaded into the caches of torch and of the Hugging Face hub. A file that
carries a hash in its name, as torchvision's and DeiT's do, is checked against it at every load.
Nothing is unpickled beyond `torch.load(weights_only=True)`; every tensor must fit.
"""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
import torchvision
from huggingface_hub import hf_hub_download
from PIL import Image
from safetensors.torch import load_file
from torchvision.models import ResNet50_Weights
from torchvision.models._meta import _IMAGENET_CATEGORIES

from xaiutils.classifiers import FrozenClassifier, Preprocessing
from xaiutils.errors import InputError

# name -> timm's architecture and weight set; all three have seen ImageNet-1k at 224 px last, ViT
# and no other was trained on ImageNet-21k before
TIMM = {
    "deit_s": "deit_small_patch16_224.fb_in1k",
    "vit_b16": "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "swin_t": "swin_tiny_patch4_window7_224.ms_in1k",
}
TORCHVISION = {
    "resnet50_tv_v1": ResNet50_Weights.IMAGENET1K_V1,
    "resnet50_tv_v2": ResNet50_Weights.IMAGENET1K_V2,
}

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Published:
    """Where weights are published: a file's address, or a repository of the Hugging Face hub."""

    url: str
    hub_id: str = ""

    @property
    def file(self) -> str:
        """The published file's own name; empty where there is only a hub's `model.safetensors`."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def where(self) -> str:
        return self.url or f"model.safetensors of {self.hub_id}"


def load_hub_classifier(
    name: str, precision: str | None, weights: str | Path | None = None
) -> FrozenClassifier:
    """One of TIMM or TORCHVISION with its published weights, or those of a file.

    Raises InputError for a file that is not there, damaged, or another model's, and where the
    download fails.
    """
    path = Path(weights).expanduser() if weights is not None else find(name)
    digest = verified(name, path)
    model = build(name)
    fit(name, model, read_state(path), path)
    return wrap(name, model, precision, digest)


def build(name: str) -> torch.nn.Module:
    """The architecture with random weights."""
    if name in TIMM:
        return timm.create_model(TIMM[name], pretrained=False)
    return torchvision.models.resnet50(weights=None)


def wrap(
    name: str, model: torch.nn.Module, precision: str | None, digest: str = ""
) -> FrozenClassifier:
    """The model behind the interface of the explainers: preprocessing, target layer, reshape.

    Target layers are those that pytorch-grad-cam's documentation names: for ViT and DeiT the first
    norm of the last block (nothing after its attention lets a patch reach the class token), (B,
    1 + 14 * 14, C); for Swin the first norm of the last block, (B, 7, 7, C); for ResNet-50
    `layer4`.
    """
    layer, reshape = model_layer(model)
    return FrozenClassifier(
        name,
        model,
        preprocessing(name),
        _IMAGENET_CATEGORIES,
        layer,
        reshape=reshape,
        precision=precision,
        digest=digest,
    )


def model_layer(model: torch.nn.Module) -> tuple[torch.nn.Module, Callable | None]:
    """The target layer and what brings its output to (B, C, h, w)."""
    if isinstance(model, timm.models.VisionTransformer):
        prefix, grid = model.num_prefix_tokens, model.patch_embed.grid_size
        return model.blocks[-1].norm1, lambda tokens: tokens_to_grid(tokens, prefix, grid)
    if isinstance(model, timm.models.SwinTransformer):
        return model.layers[-1].blocks[-1].norm1, channels_first
    return model.layer4, None


def tokens_to_grid(tokens: torch.Tensor, prefix: int, grid: tuple[int, int]) -> torch.Tensor:
    """(B, prefix + h * w, C) -> (B, C, h, w): class tokens dropped, patches row by row."""
    return tokens[:, prefix:].transpose(1, 2).unflatten(2, grid)


def channels_first(features: torch.Tensor) -> torch.Tensor:
    """(B, h, w, C) -> (B, C, h, w)."""
    return features.permute(0, 3, 1, 2)


def preprocessing(name: str) -> Preprocessing:
    """Size, mean, standard deviation and interpolation as the weights' publisher states them.

    Not the publisher's crop: the whole image is resized to the square (see `Preprocessing`).
    """
    if name in TIMM:
        stated = timm.get_pretrained_cfg(TIMM[name])
        size, interpolation = stated.input_size[-1], stated.interpolation
    else:
        stated = TORCHVISION[name].transforms()
        size, interpolation = stated.crop_size[0], stated.interpolation.value
    resample = Image.Resampling[interpolation.upper()]
    return Preprocessing(size, tuple(stated.mean), tuple(stated.std), resample=resample)


def published(name: str) -> Published:
    """Where torchvision or timm say that the weights are."""
    if name in TORCHVISION:
        return Published(TORCHVISION[name].url)
    stated = timm.get_pretrained_cfg(TIMM[name])
    return Published(stated.url or "", stated.hf_hub_id)


def file_names(name: str) -> list[str]:
    """What the file may be called in `XAIUTILS_WEIGHTS`: as published, or by timm's name.

    On the Hugging Face hub every file is called `model.safetensors`: rename it to timm's name of
    the weights, TIMM[name], with that suffix.
    """
    names = [published(name).file, f"{TIMM[name]}.safetensors" if name in TIMM else ""]
    return [file for file in names if file]


def find(name: str) -> Path:
    """The weight file: in the folder `XAIUTILS_WEIGHTS`, else downloaded (or cached earlier)."""
    folder = os.environ.get("XAIUTILS_WEIGHTS")
    if folder:
        if not Path(folder).is_dir():
            raise InputError(f"XAIUTILS_WEIGHTS={folder}: no such folder")
        for file in file_names(name):
            if Path(folder, file).is_file():
                return Path(folder, file)
    try:
        return download(published(name))
    except Exception as error:  # every way in which a network can fail
        raise InputError(
            f"{name}: its weights cannot be downloaded ({type(error).__name__}: {error}); fetch "
            f"{published(name).where} by other means, save it as {' or '.join(file_names(name))} "
            "in a folder and set XAIUTILS_WEIGHTS to that folder, or pass the file's path: "
            f"load_classifier({name!r}, weights=PATH)"
        ) from error


def download(source: Published) -> Path:
    """A published file in the cache of torch or of the hub; one with a hash is preferred."""
    if source.hub_id and not hash_in(source.file):
        return Path(hf_hub_download(source.hub_id, "model.safetensors"))
    path = Path(torch.hub.get_dir(), "checkpoints", source.file)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(source.url, str(path), hash_in(source.file))
    return path


def hash_in(file: str) -> str:
    """The leading digits of the SHA-256 that a published file's name ends with, or ""."""
    found = re.search(r"-([0-9a-f]{8,64})\.", file)
    return found.group(1) if found else ""


def verified(name: str, path: Path) -> str:
    """The file's SHA-256; raises InputError unless it is what the file's name promises.

    A name with another hash than the published one belongs to other weights, which may fit the
    network all the same (torchvision's two ResNet-50): refused. A name without a hash is your own.
    """
    if not path.is_file():
        raise InputError(f"weights {path}: no such file; {name} takes {published(name).where}")
    promised, wanted = hash_in(path.name), hash_in(published(name).file)
    if promised and wanted and promised != wanted:
        raise InputError(
            f"weights {path}: not those of {name}, whose file is {published(name).file}; "
            "weights of your own need a name without a hash"
        )
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(promised):
        raise InputError(
            f"weights {path}: damaged, its SHA-256 is {digest} and should begin with {promised}; "
            "delete the file and fetch it again"
        )
    return digest


def read_state(path: Path) -> State:
    """The named tensors of a .safetensors or torch file, unwrapped from "model" or "state_dict"."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a bad file surfaces as any of torch's, pickle's or zip's errors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"weights {path}: not a readable weight file ({reason})") from error
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and torch.is_tensor(tensor) for name, tensor in state.items()
    ):
        raise InputError(f"weights {path}: holds no dictionary of named tensors")
    return state


def swin_names(state: State) -> State:
    """A Swin checkpoint of the authors under timm's names; timm's own is left as it is.

    The authors reduce at the end of a stage, timm at the start of the next; the masks and indices
    that they store are computed by timm.
    """
    kept = {k: t for k, t in state.items() if not k.endswith(("relative_position_index", "mask"))}
    if "layers.0.downsample.reduction.weight" not in state:
        return kept

    def moved(key: str) -> str:
        key = re.sub(r"layers\.(\d)\.down", lambda m: f"layers.{int(m[1]) + 1}.down", key)
        return re.sub(r"^head\.", "head.fc.", key)

    return {moved(key): tensor for key, tensor in kept.items()}


def fit(name: str, model: torch.nn.Module, state: State, path: Path) -> None:
    """Load the tensors into the model; raises InputError that names what does not fit."""
    state = swin_names(state) if isinstance(model, timm.models.SwinTransformer) else state
    own = model.state_dict()
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in own.items()
        if key in state and state[key].shape != tensor.shape
    ]
    missing, unexpected = [], []
    if not shapes:
        missing, unexpected = model.load_state_dict(state, strict=False)
    kinds = {"of another shape": shapes, "missing": missing, "unexpected": unexpected}
    problems = [f"{len(found)} {kind} ({_some(found)})" for kind, found in kinds.items() if found]
    if problems:
        raise InputError(f"weights {path}: not those of {name}: tensors {'; '.join(problems)}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
