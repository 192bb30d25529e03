"""Frozen classifiers: preprocessing, the compiled forward, bad input."""

import numpy as np
import pytest
import torch
from conftest import ROOT, SmallNet, frozen

from xaiutils import compiled
from xaiutils.classifiers import Preprocessing, load_classifier
from xaiutils.errors import InputError
from xaiutils.folding import differentiable_copy
from xaiutils.images import read_image

PROBE = np.random.default_rng(2).normal(0, 1, (2, 3, 32, 32)).astype("f4")
SAMPLE = ROOT / "data" / "sample" / "images"


def test_preprocessing_is_affine_and_to_rgb_inverts_it():
    preprocess = Preprocessing(4, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    image = np.full((4, 4, 3), (0, 51, 255), dtype=np.uint8)
    x = preprocess(image)
    np.testing.assert_allclose(x[:, 0, 0], [(0 - 0.1) / 0.5, 0.2 - 0.2, (1 - 0.3) / 2], atol=1e-6)
    np.testing.assert_allclose(preprocess.to_rgb(x), image / 255, atol=1e-6)


def test_preprocessing_in_bgr_puts_blue_first():
    preprocess = Preprocessing(2, mean=(1, 2, 3), std=(1, 1, 1), scale=1.0, bgr=True)
    image = np.full((2, 2, 3), (10, 20, 30), dtype=np.uint8)
    np.testing.assert_array_equal(preprocess(image)[:, 0, 0], [29, 18, 7])
    np.testing.assert_allclose(preprocess.to_rgb(preprocess(image)), image / 255)


def test_the_whole_image_is_seen_without_a_crop():
    image = np.zeros((10, 40, 3), dtype=np.uint8)
    image[:, :4] = 255  # the left tenth
    x = Preprocessing(20, (0,) * 3, (1,) * 3)(image)
    assert (x[0, :, :1] > 0.9).all()
    assert (x[0, :, 4:] < 0.1).all()


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (3, 4, 4)])
def test_an_image_of_another_shape_is_refused(shape):
    with pytest.raises(InputError, match=r"\(H, W, 3\) uint8"):
        Preprocessing(4, (0,) * 3, (1,) * 3)(np.zeros(shape, np.uint8))


def test_a_float_image_is_refused():
    with pytest.raises(InputError, match="float64"):
        Preprocessing(4, (0,) * 3, (1,) * 3)(np.zeros((4, 4, 3)))


def test_logits_do_not_depend_on_the_batch(small, small_images):
    many = torch.cat([small_images] * 20)  # more than one batch
    np.testing.assert_allclose(
        small.logits(many)[40], small.logits(small_images[1:2])[0], atol=1e-6
    )


def test_compiled_logits_equal_eager_ones_and_are_cached(tmp_path, small_images):
    model = SmallNet().eval()
    eager = compiled.eager_forward(model)(small_images.numpy())
    cache = tmp_path / "graphs" / "small.xml"
    for _ in range(2):  # converted, then read from the cache
        forward = compiled.openvino_forward(model, 32, cache=cache)
        np.testing.assert_allclose(forward(small_images.numpy()), eager, atol=1e-4)
        assert cache.exists()
    assert sorted(p.name for p in cache.parent.iterdir()) == ["small.bin", "small.xml"]


def graph_of_other_weights(cache):
    other = SmallNet().eval()
    with torch.no_grad():
        other.head.bias.add_(1)
    compiled.openvino_forward(other, 32, cache=cache)


def garbage(cache):
    cache.write_text("not a graph")


@pytest.mark.parametrize("spoil", [garbage, graph_of_other_weights])
def test_a_spoilt_cached_graph_is_replaced(tmp_path, small_images, spoil):
    model, cache = SmallNet().eval(), tmp_path / "small.xml"
    spoil(cache)
    before = cache.read_bytes()
    forward = compiled.fastest_forward(model, PROBE, cache=cache)
    eager = compiled.eager_forward(model)(small_images.numpy())
    np.testing.assert_allclose(forward(small_images.numpy()), eager, atol=1e-4)
    assert cache.with_suffix(".bin").exists()
    assert spoil is not garbage or cache.read_bytes() != before


def test_a_compiled_forward_that_disagrees_is_not_used(monkeypatch, small_images):
    model = SmallNet().eval()
    monkeypatch.setattr(compiled, "openvino_forward", lambda *_: lambda batch: batch[:, 0, 0, :5])
    with pytest.warns(UserWarning, match="running eagerly: compiled logits differ"):
        forward = compiled.fastest_forward(model, PROBE)
    eager = compiled.eager_forward(model)(small_images.numpy())
    np.testing.assert_array_equal(forward(small_images.numpy()), eager)


@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-4), ("bf16", 0.05)])
def test_the_forward_for_other_devices_agrees_with_eager(small_images, precision, tolerance):
    """What runs on CUDA, here on the CPU's device."""
    model = SmallNet().eval()
    forward = compiled.torch_forward(model, "cpu", precision)
    eager = compiled.eager_forward(model)(small_images.numpy())
    np.testing.assert_allclose(forward(small_images.numpy()), eager, atol=tolerance)


def test_the_batch_follows_the_free_memory_of_a_gpu(monkeypatch):
    assert compiled.batch_size(224) == 8 or torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for free, expected in [(2**30, 13), (2**40, 256), (0, 8)]:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free=free: (free, 2**40))
        assert compiled.batch_size(224) == expected


def test_bfloat16_that_disagrees_becomes_float32(monkeypatch, small_images):
    model, real = SmallNet().eval(), compiled.openvino_forward

    def coarse(model, size, precision, cache):
        forward = real(model, size, precision, cache)
        return forward if precision == "f32" else lambda batch: forward(batch) * 2

    monkeypatch.setattr(compiled, "openvino_forward", coarse)
    with pytest.warns(UserWarning, match="running in float32"):
        forward = compiled.fastest_forward(model, PROBE, "bf16")
    eager = compiled.eager_forward(model)(small_images.numpy())
    np.testing.assert_allclose(forward(small_images.numpy()), eager, atol=1e-4)


def test_unknown_names_are_refused(small):
    with pytest.raises(InputError, match="unknown classifier 'vgg'"):
        load_classifier("vgg")
    with pytest.raises(InputError, match="unknown precision"):
        load_classifier("resnet50", "f16")
    with pytest.raises(InputError, match="unknown class 'dog'"):
        small.class_index("dog")
    assert small.class_index("class 3") == 3


def test_a_frozen_classifier_is_in_evaluation_mode_and_frozen():
    classifier = frozen(SmallNet().train(), 32)
    assert not classifier.model.training
    assert not any(p.requires_grad for p in classifier.model.parameters())


def test_lite0_knows_the_cat(lite0):
    index, probability = lite0.predict(read_image(SAMPLE / "cat.jpg"))
    assert lite0.class_names[index] == "Egyptian cat"
    assert probability == pytest.approx(0.80, abs=0.02)


class WithNorms(torch.nn.Module):
    """Two convolutions with batch norms that do something; `swapped` calls them out of order."""

    def __init__(self, swapped=False):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)
        self.conv2, self.bn2 = torch.nn.Conv2d(4, 4, 3), torch.nn.BatchNorm2d(4)
        self.swapped = swapped
        for norm in (self.bn1, self.bn2):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        first, second = (self.bn2, self.bn1) if self.swapped else (self.bn1, self.bn2)
        return second(self.conv2(torch.relu(first(self.conv1(x))))).mean((2, 3))


def test_folded_batch_norms_leave_logits_and_gradients_as_they_are():
    with torch.random.fork_rng():
        model = WithNorms().eval().requires_grad_(False)
    folded = differentiable_copy(model, torch.from_numpy(PROBE))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    x = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    gradients = []
    for network in (model, folded):
        at = x.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(at)[0, 1], at)[0])
    np.testing.assert_allclose(*gradients, atol=1e-6)
    np.testing.assert_allclose(model(x), folded(x), atol=1e-6)


def test_norms_that_only_seem_to_follow_are_noticed_and_left_alone():
    with torch.random.fork_rng():
        model = WithNorms(swapped=True).eval().requires_grad_(False)
    with pytest.warns(UserWarning, match="cannot be folded"):
        assert differentiable_copy(model, torch.from_numpy(PROBE)) is model


@pytest.mark.slow
@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50"])
def test_compiled_and_eager_logits_agree_with_real_weights(name):
    fast, eager = load_classifier(name, "f32"), load_classifier(name, None)
    x = np.stack([fast.preprocess(read_image(p)) for p in sorted(SAMPLE.glob("*.jpg"))[:4]])
    np.testing.assert_allclose(fast.logits(x), eager.logits(x), atol=5e-3)


@pytest.mark.slow
def test_resnet50_known_predictions():
    """The published checks of the converted weights, through our own preprocessing."""
    import matplotlib.cbook
    import skimage.data

    classifier = load_classifier("resnet50", "f32")
    officer = read_image(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    known = [
        (skimage.data.chelsea(), "Egyptian cat", 0.948),
        (skimage.data.coffee(), "espresso", 0.988),
        (officer, "military uniform", 0.980),
    ]
    for image, name, probability in known:
        index, found = classifier.predict(image)
        assert classifier.class_names[index] == name
        assert found == pytest.approx(probability, abs=2e-3)


@pytest.mark.slow
def test_resnet50_in_its_own_precision_stays_near_eager_logits():
    """bfloat16 where the processor has it: within a tenth of the logits' standard deviation."""
    fast, eager = load_classifier("resnet50"), load_classifier("resnet50", None)
    assert fast.precision == "bf16"
    x = np.stack([fast.preprocess(read_image(p)) for p in sorted(SAMPLE.glob("*.jpg"))[:4]])
    expected = eager.logits(x)
    np.testing.assert_allclose(fast.logits(x), expected, atol=0.1 * expected.std())
    np.testing.assert_array_equal(fast.logits(x).argmax(1), expected.argmax(1))
