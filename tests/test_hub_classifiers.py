"""Classifiers of timm and torchvision, with random weights: no published file is needed here.

Most tests run small networks of the same classes on 32 x 32 pixels; the full ones are slow.
"""

import hashlib

import numpy as np
import pytest
import timm
import torch
from pytorch_grad_cam import GradCAM as LibraryGradCAM
from pytorch_grad_cam import GradCAMPlusPlus as LibraryGradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from safetensors.torch import save_file
from timm.models.swin_transformer import checkpoint_filter_fn

from xaiutils import compiled, hub_classifiers
from xaiutils.classifiers import (
    CLASSIFIERS,
    HUB,
    PRECISIONS,
    FrozenClassifier,
    Preprocessing,
    load_classifier,
)
from xaiutils.errors import InputError
from xaiutils.explainers import EXPLAINERS, capture, make_explainer
from xaiutils.folding import differentiable_copy
from xaiutils.hub_classifiers import (
    build,
    channels_first,
    download,
    file_names,
    fit,
    hash_in,
    model_layer,
    preprocessing,
    published,
    read_state,
    swin_names,
    tokens_to_grid,
    wrap,
)
from xaiutils.names import CLASSIFIER_TITLES
from xaiutils.probe import head_name, train_probe, with_probe

FEW = {
    "scorecam": {"max_channels": 8},
    "fasterscorecam": {"max_channels": 8},
    "ig": {"steps": 4},
    "vargrad": {"samples": 3},
    "occlusion": {"window": 16, "stride": 16},
    "kernelshap": {"samples": 80, "superpixels": 12},
    "lime": {"samples": 40, "superpixels": 12},
}


def small_vit() -> torch.nn.Module:
    return timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2, num_classes=5
    )


def small_swin() -> torch.nn.Module:
    return timm.models.SwinTransformer(
        img_size=32, embed_dim=12, depths=(2, 2), num_heads=(2, 2), window_size=4, num_classes=5
    )


SMALL = {"vit": small_vit, "swin": small_swin}


def random_network(make, *arguments) -> torch.nn.Module:
    """Weights of order one over the fan-in: fresh transformers give logits near a constant."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make(*arguments)
        with torch.no_grad():
            for parameter in model.parameters():
                fan = parameter[0].numel() if parameter.ndim > 1 else 25
                parameter.add_(torch.randn_like(parameter) / fan**0.5)
    return model.eval()


@pytest.fixture(scope="module", params=SMALL)
def token_net(request):
    model = random_network(SMALL[request.param])
    layer, reshape = model_layer(model)
    names = [f"class {i}" for i in range(5)]
    preprocess = Preprocessing(32, (0.5,) * 3, (0.5,) * 3)
    return FrozenClassifier(
        request.param, model, preprocess, names, layer, reshape=reshape, precision=None
    )


# Features: tokens and NHWC


def test_tokens_lie_row_by_row_behind_the_class_token():
    grid = torch.arange(6.0).reshape(2, 3)  # two rows, three columns
    tokens = torch.cat([torch.tensor([-1.0]), grid.flatten()])[None, :, None]
    tokens = torch.cat([tokens, 10 * tokens], dim=2)  # (1, 7, 2)
    found = tokens_to_grid(tokens, 1, (2, 3))
    assert found.shape == (1, 2, 2, 3)
    torch.testing.assert_close(found[0, 0], grid)
    torch.testing.assert_close(found[0, 1], 10 * grid)


def test_channels_first_moves_the_channels_only():
    features = torch.zeros(1, 2, 3, 4)
    features[0, 1, 2, 3] = 1
    assert channels_first(features).nonzero().tolist() == [[0, 3, 1, 2]]


class TokenNet(torch.nn.Module):
    """Patches' mean colours as tokens behind a class token; class k sums channel k's tokens."""

    def __init__(self):
        super().__init__()
        self.tokens = torch.nn.Identity()
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        patches = torch.nn.functional.avg_pool2d(x, 8).flatten(2).transpose(1, 2)
        tokens = self.tokens(torch.cat([torch.full_like(patches[:, :1], 99.0), patches], 1))
        return tokens[:, 1:].sum(1)


@pytest.mark.parametrize("name", ["gradcam", "gradcam++", "scorecam"])
@pytest.mark.parametrize(("row", "column"), [(0, 3), (2, 1)])
def test_a_cam_of_tokens_is_where_the_evidence_is(name, row, column):
    model = TokenNet()
    classifier = FrozenClassifier(
        "tokens",
        model,
        Preprocessing(32, (0,) * 3, (1,) * 3),
        ["red", "green", "blue"],
        model.tokens,
        reshape=lambda tokens: tokens_to_grid(tokens, 1, (4, 4)),
        precision=None,
    )
    image = torch.zeros(3, 32, 32)
    image[1, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1
    captured = capture(classifier, image, 1)
    expected = np.zeros((4, 4))
    expected[row, column] = 1
    np.testing.assert_allclose(captured.activations[1], expected, atol=1e-6)
    assert captured.gradients.mean((1, 2)).tolist() == [0, 1, 0]
    assert np.ptp(captured.gradients, (1, 2)).tolist() == [0, 0, 0]
    (found,) = make_explainer(name).explain(classifier, image[None], [1], np.random.default_rng(0))
    peak = np.unravel_index(found.argmax(), found.shape)
    assert (peak[0] // 8, peak[1] // 8) == (row, column)
    assert (
        found.max() > 0
        and found[~np.kron(dilated(expected), np.ones((8, 8))).astype(bool)].max() == 0
    )


def dilated(cells: np.ndarray) -> np.ndarray:
    """A cell and its neighbours, into which the bilinear enlargement bleeds."""
    padded = np.pad(cells, 1)
    shifts = [(dy, dx) for dy in (0, 1, 2) for dx in (0, 1, 2)]
    return np.max([padded[dy : dy + 4, dx : dx + 4] for dy, dx in shifts], axis=0)


def test_captured_features_are_those_of_the_layer(token_net, small_images):
    captured = capture(token_net, small_images[0], 2)
    kept = {}
    hook = token_net.target_layer.register_forward_hook(
        lambda _module, _inputs, output: kept.update(output=output)
    )
    with torch.inference_mode():
        token_net.model(small_images[:1])
    hook.remove()
    features = kept["output"][0].numpy()
    if token_net.name == "vit":
        assert features.shape == (17, 24) and captured.activations.shape == (24, 4, 4)
        np.testing.assert_allclose(captured.activations[:, 1, 2], features[1 + 4 + 2], atol=1e-6)
    else:
        assert features.shape == (4, 4, 24) and captured.activations.shape == (24, 4, 4)
        np.testing.assert_allclose(captured.activations[:, 1, 2], features[1, 2], atol=1e-6)
    assert np.abs(captured.gradients).max() > 0


# Explainers


def untouched(classifier) -> tuple:
    model = classifier.model
    return (
        [(p.detach().clone(), p.requires_grad, p.grad) for p in model.parameters()],
        [(len(m._forward_hooks), len(m._backward_hooks), m.training) for m in model.modules()],
    )


def assert_explains(classifier, images, name, settings, flat_is_fine=False):
    """Finite maps, an untouched model; `flat_is_fine` where all evidence may be negative."""
    before = untouched(classifier)
    classifier_map = make_explainer(name, **settings).explain(
        classifier, images, [3] * len(images), np.random.default_rng(0)
    )
    size = classifier.size
    assert classifier_map.shape == (len(images), size, size)
    assert classifier_map.dtype == np.float32
    assert np.isfinite(classifier_map).all()
    assert flat_is_fine or np.ptp(classifier_map) > 0
    for (old, *_), (new, *rest) in zip(before[0], untouched(classifier)[0], strict=True):
        assert torch.equal(old, new) and rest == [False, None]
    assert untouched(classifier)[1] == before[1]


@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_runs_on_tokens_and_leaves_the_model_alone(token_net, small_images, name):
    assert_explains(token_net, small_images[:1], name, FEW.get(name, {}))


@pytest.mark.parametrize(
    ("name", "library"), [("gradcam", LibraryGradCAM), ("gradcam++", LibraryGradCAMPlusPlus)]
)
def test_cams_of_tokens_are_those_of_pytorch_grad_cam(token_net, small_images, name, library):
    x = small_images[:1].clone().requires_grad_()
    layers, targets = [token_net.target_layer], [ClassifierOutputTarget(1)]
    with library(token_net.model, layers, reshape_transform=token_net.reshape) as cam:
        (expected,) = cam(input_tensor=x, targets=targets)
    (found,) = make_explainer(name).explain(
        token_net, small_images[:1], [1], np.random.default_rng(0)
    )
    assert expected.max() > 0.9  # the library scales to [0, 1]
    found = (found - found.min()) / np.ptp(found)
    # the library's Grad-CAM++ has an epsilon that ours has not (see `gradcam_plus_plus_weights`)
    np.testing.assert_allclose(found, expected, atol=1e-4 if name == "gradcam" else 0.02)


def test_transformers_are_compiled_and_differentiated_as_they_are(token_net, small_images):
    model = token_net.model
    forward = compiled.openvino_forward(model, 32)
    eager = compiled.eager_forward(model)
    assert compiled.disagreement(forward, eager, small_images.numpy()) < 1e-3
    copy = differentiable_copy(model, small_images)
    assert copy is not model
    gradients = []
    for network in (model, copy):
        x = small_images.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(x)[:, 1].sum(), x)[0])
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_a_probe_takes_the_place_of_a_transformers_head(token_net, small_images):
    assert head_name(token_net) == {"vit": "head", "swin": "head.fc"}[token_net.name]
    features = np.random.default_rng(0).normal(size=(12, 24)).astype(np.float32)
    probe = train_probe(features, features[:, :2] > 0, ("a", "b"))
    probed = with_probe(token_net, probe)
    assert probed.logits(small_images).shape == (3, 2)
    captured = capture(probed, small_images[0], 1)
    expected = capture(token_net, small_images[0], 1)
    np.testing.assert_allclose(captured.activations, expected.activations, atol=1e-6)
    assert captured.gradients.shape == (24, 4, 4) and np.abs(captured.gradients).max() > 0


# Names, preprocessing, published files


def test_every_hub_classifier_is_registered():
    assert set(HUB) == {"resnet50_tv_v1", "resnet50_tv_v2", "deit_s", "vit_b16", "swin_t"}
    assert set(HUB) == {*hub_classifiers.TIMM, *hub_classifiers.TORCHVISION}
    assert set(CLASSIFIERS) == set(PRECISIONS) == set(CLASSIFIER_TITLES)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("name", "mean", "std", "resample"),
    [
        ("deit_s", *IMAGENET, "BICUBIC"),
        ("vit_b16", (0.5,) * 3, (0.5,) * 3, "BICUBIC"),
        ("swin_t", *IMAGENET, "BICUBIC"),
        ("resnet50_tv_v1", *IMAGENET, "BILINEAR"),
        ("resnet50_tv_v2", *IMAGENET, "BILINEAR"),
    ],
)
def test_preprocessing_is_the_publishers_without_a_crop(name, mean, std, resample):
    found = preprocessing(name)
    assert (found.size, found.mean, found.std) == (224, mean, std)
    assert found.resample.name == resample and not found.bgr
    # a vertical edge: bicubic overshoots, bilinear does not
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 4:] = 200
    highest = found(image).amax((1, 2)) * torch.tensor(std) + torch.tensor(mean)
    assert ((highest > 201 / 255) == (resample == "BICUBIC")).all()


def test_published_files_and_their_names():
    files = {name: published(name).file for name in HUB}
    assert files == {
        "resnet50_tv_v1": "resnet50-0676ba61.pth",
        "resnet50_tv_v2": "resnet50-11ad3fa6.pth",
        "deit_s": "deit_small_patch16_224-cd65a155.pth",
        "vit_b16": "",
        "swin_t": "swin_tiny_patch4_window7_224.pth",
    }
    assert [hash_in(file) for file in files.values()] == [
        "0676ba61",
        "11ad3fa6",
        "cd65a155",
        "",
        "",
    ]
    assert file_names("deit_s")[1] == "deit_small_patch16_224.fb_in1k.safetensors"
    assert file_names("vit_b16") == ["vit_base_patch16_224.augreg2_in21k_ft_in1k.safetensors"]


# Files: small networks stand in for the full ones


@pytest.fixture
def small_hub(monkeypatch):
    """`build` makes small networks, of the kind that each name has."""
    kinds = {"deit_s": small_vit, "vit_b16": small_vit, "swin_t": small_swin}
    monkeypatch.setattr(hub_classifiers, "build", lambda name: random_network(kinds[name]))


def save(model, path, wrapped: str | None = None):
    state = {key: tensor + 1 for key, tensor in model.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({wrapped: state} if wrapped else state, path)
    return state


def with_hash(path):
    """The file renamed as its publisher would: name-12345678.pth."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(path.with_stem(f"{path.stem}-{digest[:8]}"))


@pytest.mark.parametrize(
    ("file", "wrapped"),
    [("w.pth", None), ("w.pth", "model"), ("w.pt", "state_dict"), ("w.safetensors", None)],
)
def test_weights_of_a_file(small_hub, tmp_path, file, wrapped):
    path = tmp_path / file
    state = save(random_network(small_vit), path, wrapped)
    classifier = load_classifier("deit_s", None, weights=path)
    for key, tensor in classifier.model.state_dict().items():
        assert torch.equal(tensor, state[key])
    assert classifier.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_classifier("deit_s", None, weights=str(path)).precision is None


def test_weights_of_the_folder_come_first_and_their_hash_is_checked(
    small_hub, tmp_path, monkeypatch
):
    monkeypatch.setenv("XAIUTILS_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(hub_classifiers, "hf_hub_download", unreachable)
    path = tmp_path / file_names("vit_b16")[0]
    state = save(random_network(small_vit), path)
    classifier = load_classifier("vit_b16", None)
    assert torch.equal(classifier.model.norm.bias, state["norm.bias"])
    save(random_network(small_vit), tmp_path / "deit_small_patch16_224-cd65a155.pth")
    with pytest.raises(InputError, match=r"cd65a155\.pth: damaged, its SHA-256 is .* cd65a155"):
        load_classifier("deit_s", None)
    with pytest.raises(InputError, match="swin_t: its weights cannot be downloaded"):
        load_classifier("swin_t", None)
    monkeypatch.setenv("XAIUTILS_WEIGHTS", str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"XAIUTILS_WEIGHTS=.*absent: no such folder"):
        load_classifier("vit_b16", None)


def test_a_right_hash_of_other_weights_is_refused(small_hub, tmp_path):
    path = tmp_path / "deit_small_patch16_224.pth"
    save(random_network(small_vit), path)
    path = with_hash(path)
    with pytest.raises(InputError, match=r"not those of deit_s, whose file is .*cd65a155\.pth"):
        load_classifier("deit_s", None, weights=path)
    # ViT publishes no hash: one that is right is accepted
    assert load_classifier("vit_b16", None, weights=path).digest.startswith(hash_in(path.name))


def test_torchvisions_two_sets_are_not_taken_for_each_other(tmp_path):
    path = tmp_path / "resnet50-11ad3fa6.pth"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"not those of resnet50_tv_v1, .*resnet50-0676ba61\.pth"):
        load_classifier("resnet50_tv_v1", weights=path)


def test_a_wrong_checkpoint_is_named_with_what_does_not_fit(small_hub, tmp_path):
    path = tmp_path / "w.pth"
    model = random_network(small_vit)
    model.reset_classifier(7)
    save(model, path)
    with pytest.raises(
        InputError,
        match=r"not those of deit_s: tensors 2 of another shape \(head\.weight \(7, 24\) instead "
        r"of \(5, 24\), head\.bias \(7,\) instead of \(5,\)\)$",
    ):
        load_classifier("deit_s", None, weights=path)
    save(random_network(small_swin), path)
    with pytest.raises(InputError, match=r"w\.pth: not those of deit_s: .*patch_embed\.proj"):
        load_classifier("deit_s", None, weights=path)
    state = random_network(small_vit).state_dict()
    state["extra"] = state.pop("norm.bias")
    torch.save(state, path)
    with pytest.raises(
        InputError, match=r"tensors 1 missing \(norm\.bias\); 1 unexpected \(extra\)$"
    ):
        load_classifier("deit_s", None, weights=path)


class Trap:
    """Unpickled by plain pickle, this makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_files_that_are_no_weights_are_refused_and_nothing_is_executed(tmp_path):
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    torch.save({"model": Trap(trace)}, path)
    with pytest.raises(InputError, match=r"w\.pth: not a readable weight file"):
        read_state(path)
    assert not trace.exists()
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="not a readable weight file"):
        read_state(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(InputError, match="no dictionary of named tensors"):
        read_state(path)
    with pytest.raises(InputError, match=r"absent\.pth: no such file; swin_t takes .*swin_tiny"):
        load_classifier("swin_t", weights=tmp_path / "absent.pth")


def test_weights_and_embedded_classifiers_do_not_go_together(tmp_path):
    with pytest.raises(InputError, match="those of resnet50 are embedded; choose one of"):
        load_classifier("resnet50", weights=tmp_path / "w.pth")


# Downloads


def unreachable(*_arguments, **_options):
    raise OSError("no route")


@pytest.mark.parametrize("name", HUB)
def test_a_failed_download_says_what_to_fetch_and_where_to_put_it(name, tmp_path, monkeypatch):
    monkeypatch.delenv("XAIUTILS_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(hub_classifiers, "hf_hub_download", unreachable)
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(InputError) as caught:
        load_classifier(name)
    message = str(caught.value)
    assert f"{name}: its weights cannot be downloaded (OSError: no route)" in message
    assert published(name).where in message and "XAIUTILS_WEIGHTS" in message
    assert " or ".join(file_names(name)) in message
    assert f"load_classifier('{name}', weights=PATH)" in message


def test_a_download_is_cached_and_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    source = tmp_path / "net.pth"
    source.write_bytes(b"weights")
    source = with_hash(source)
    url = source.as_uri()
    for _ in range(2):  # fetched, then cached
        path = download(hub_classifiers.Published(url))
        assert path.read_bytes() == b"weights" and path.name == source.name
        source.unlink(missing_ok=True)
    source.with_name("net-01234567.pth").write_bytes(b"other")
    with pytest.raises(RuntimeError, match="invalid hash value"):
        download(hub_classifiers.Published(url.replace(hash_in(source.name), "01234567")))
    assert len(list(path.parent.iterdir())) == 1


# Swin's two layouts


def authors_layout(state):
    """timm's Swin state under the authors' names, with the buffers that they store."""
    renamed = {}
    for key, tensor in state.items():
        if ".downsample." in key:
            stage = int(key.split(".")[1])
            key = key.replace(f"layers.{stage}.", f"layers.{stage - 1}.", 1)
        renamed[key.replace("head.fc.", "head.")] = tensor
    index = torch.zeros(16, 16)
    extra = {
        "layers.0.blocks.0.attn.relative_position_index": index,
        "layers.0.blocks.1.attn_mask": index,
    }
    return renamed | extra


def test_a_swin_checkpoint_of_its_authors_fits(tmp_path):
    model = random_network(small_swin)
    original = authors_layout(model.state_dict())
    assert "layers.0.downsample.reduction.weight" in original
    found, expected = swin_names(original), checkpoint_filter_fn(original, model)
    assert found.keys() == expected.keys() == model.state_dict().keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
    fresh = small_swin().eval()
    fit("swin_t", fresh, original, tmp_path)
    x = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    torch.testing.assert_close(fresh(x), model(x))
    assert swin_names(model.state_dict()).keys() == model.state_dict().keys()


# The full networks


@pytest.fixture(scope="module", params=[name for name in HUB if name != "resnet50_tv_v1"])
def full(request):
    """A full network with random weights, compiled in its own precision."""
    model = random_network(build, request.param)
    return wrap(request.param, model, PRECISIONS[request.param])


@pytest.fixture(scope="module")
def photograph(full):
    import skimage.data

    return full.preprocess(skimage.data.chelsea())[None]


FEW_FULL = FEW | {
    "occlusion": {"window": 112, "stride": 56},
    "kernelshap": {"samples": 40, "superpixels": 8},
    "lime": {"samples": 16, "superpixels": 8},
}


@pytest.mark.slow
def test_full_networks_features(full, photograph):
    captured = capture(full, photograph[0], 3)
    grids = {"deit_s": (384, 14, 14), "vit_b16": (768, 14, 14), "swin_t": (768, 7, 7)}
    assert captured.activations.shape == grids.get(full.name, (2048, 7, 7))
    assert full.logits(photograph).shape == (1, 1000) and len(full.class_names) == 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_runs_on_full_networks(full, photograph, name):
    # with random weights a CAM may be negative everywhere, and its positive part flat
    assert_explains(full, photograph, name, FEW_FULL.get(name, {}), flat_is_fine="cam" in name)


@pytest.mark.slow
def test_full_networks_grad_cam_is_the_librarys(full, photograph):
    x = photograph.clone().requires_grad_()
    reshape = full.reshape
    for target in range(20):  # with random weights half of the classes' maps are flat
        (found,) = make_explainer("gradcam").explain(
            full, photograph, [target], np.random.default_rng(0)
        )
        if np.ptp(found) > 0:
            break
    with LibraryGradCAM(full.model, [full.target_layer], reshape_transform=reshape) as cam:
        (expected,) = cam(input_tensor=x, targets=[ClassifierOutputTarget(target)])
    assert np.ptp(expected) > 0.9
    np.testing.assert_allclose((found - found.min()) / np.ptp(found), expected, atol=1e-3)


@pytest.mark.slow
def test_full_networks_compiled_logits_agree_with_eager(full, photograph):
    forward, eager = full._forward, compiled.eager_forward(full.model)
    tolerance = compiled.TOLERANCE[full.precision]
    assert compiled.disagreement(forward, eager, photograph.numpy()) < 2 * tolerance


@pytest.mark.slow
@pytest.mark.parametrize("name", HUB)
def test_full_checkpoints_of_files(name, tmp_path):
    path = tmp_path / "w.safetensors"
    state = save(build(name), path)
    classifier = load_classifier(name, None, weights=path)
    loaded = classifier.model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key]) for key in state)
