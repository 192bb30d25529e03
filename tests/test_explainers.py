"""The nine explainers against values computed by hand and against their libraries."""

import lime.lime_image
import numpy as np
import pytest
import shap
import torch
from captum.attr import NoiseTunnel, Saliency
from captum.attr import Occlusion as CaptumOcclusion
from conftest import SmallNet, ToyN, frozen
from pytorch_grad_cam import GradCAM as LibraryGradCAM
from pytorch_grad_cam import GradCAMPlusPlus as LibraryGradCAMPlusPlus
from pytorch_grad_cam import ScoreCAM as LibraryScoreCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from scipy.stats import spearmanr

from xaiutils.classifiers import Passes
from xaiutils.errors import InputError
from xaiutils.explainers import (
    EXPLAINERS,
    PRESETS,
    Query,
    base,
    capture,
    describe,
    make_explainer,
    saliency,
)
from xaiutils.explainers.base import Captured
from xaiutils.explainers.cam import (
    cam,
    channel_masks,
    channel_scores,
    gradcam_plus_plus_weights,
    gradcam_weights,
    most_varied,
)
from xaiutils.explainers.gradients import gradient_variance
from xaiutils.explainers.masked import region_masks
from xaiutils.explainers.superpixels import from_zero, region_means, slic_labels
from xaiutils.explainers.surrogates import lime_coefficients

QUICK = {  # settings that a 32x32 toy answers in milliseconds
    "fasterscorecam": {"max_channels": 6},
    "ig": {"steps": 8},
    "vargrad": {"samples": 5},
    "occlusion": {"window": 8, "stride": 4},
    "kernelshap": {"samples": 60, "superpixels": 9},
    "lime": {"samples": 60, "superpixels": 9},
}


def quick(name, **settings):
    return make_explainer(name, **{**QUICK.get(name, {}), **settings})


# --- values computed by hand: the toy network N ---------------------------------------------


def test_toy_network_output(toy, toy_input):
    assert toy.logits(toy_input[None])[0, 0] == 54


@pytest.mark.parametrize(
    ("layer", "expected"),
    [("conv1", [[11.25, 13.5], [20.25, 22.5]]), ("relu1", [[0, 4], [28, 32.5]])],
)
@pytest.mark.parametrize("frozen_parameters", [True, False])
def test_gradcam_of_the_toy(toy_input, layer, expected, frozen_parameters):
    model = ToyN()
    classifier = frozen(model, 4, getattr(model, layer))
    model.requires_grad_(not frozen_parameters)
    captured = capture(classifier, toy_input, 0)
    np.testing.assert_allclose(cam(gradcam_weights(captured), captured.activations), expected)


def test_capture_survives_an_in_place_relu(toy_input):
    model = ToyN(inplace=True)
    captured = capture(frozen(model, 4, model.conv1), toy_input, 0)
    np.testing.assert_allclose(
        cam(gradcam_weights(captured), captured.activations), [[11.25, 13.5], [20.25, 22.5]]
    )


def test_occlusion_of_the_toy(toy, toy_input):
    found = make_explainer("occlusion", window=2, stride=2).explain(
        toy, toy_input[None], [0], np.random.default_rng(0)
    )[0]
    np.testing.assert_allclose(found[::2, ::2], [[7, 4], [36, 47]], atol=1e-5)
    np.testing.assert_allclose(found[1::2, 1::2], found[::2, ::2])


def quadrants():
    return np.kron(np.arange(4).reshape(2, 2), np.ones((2, 2), dtype=int))


def test_kernelshap_of_the_toy_is_the_shapley_value(toy, toy_input):
    query = Query(toy, toy_input, 0)
    query._superpixels[4] = quadrants()
    found = make_explainer("kernelshap", superpixels=4, samples=100).attribute(
        query, np.random.default_rng(0)
    )
    expected = [[4.25, 4.41667], [19.41667, 25.91667]]
    np.testing.assert_allclose(found[::2, ::2], expected, atol=1e-4)
    assert found[::2, ::2].sum() == pytest.approx(54, abs=1e-4)


def test_integrated_gradients_of_the_toy(toy, toy_input):
    found = make_explainer("ig", steps=50).attribute(Query(toy, toy_input, 0), None)
    assert found.sum() == pytest.approx(53.33, abs=0.005)


class Linear(torch.nn.Module):
    """score_c = <W_c, x> on (3, 8, 8)."""

    def __init__(self):
        super().__init__()
        weight = np.random.default_rng(5).normal(0, 1, (2, 3 * 64)).astype("f4")
        self.weight = torch.nn.Parameter(torch.from_numpy(weight))

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


def linear_case():
    model = Linear()
    classifier = frozen(model, 8, classes=2)
    image = torch.from_numpy(np.random.default_rng(6).normal(0, 1, (3, 8, 8)).astype("f4"))
    product = model.weight[1].reshape(3, 8, 8).detach().numpy() * image.numpy()
    return Query(classifier, image, 1), product.sum(0)


def test_linear_model_integrated_gradients_is_input_times_weight():
    query, product = linear_case()
    found = make_explainer("ig", steps=4).attribute(query, None)
    np.testing.assert_allclose(found, product, rtol=1e-4, atol=1e-5)


def test_linear_model_occlusion_of_one_pixel_is_input_times_weight():
    query, product = linear_case()
    found = make_explainer("occlusion", window=1, stride=1).attribute(query, None)
    np.testing.assert_allclose(found, product, rtol=1e-3, atol=1e-4)


def region_sums(values, labels):
    return np.bincount(labels.ravel(), weights=values.ravel())


def test_linear_model_kernelshap_is_the_sum_over_each_superpixel():
    query, product = linear_case()
    labels = query.superpixels(8)
    found = make_explainer("kernelshap", superpixels=8, samples=400).attribute(
        query, np.random.default_rng(0)
    )
    expected = region_sums(product, labels)[labels]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_linear_model_vargrad_is_zero():
    query, _ = linear_case()
    found = make_explainer("vargrad", samples=7).attribute(query, np.random.default_rng(0))
    np.testing.assert_array_equal(found, 0)


class Squares(torch.nn.Module):
    """score = sum x^2 + offset * sum x: the offset adds a constant to the gradient."""

    def __init__(self, offset=0.0):
        super().__init__()
        self.offset = torch.nn.Parameter(torch.tensor(offset))

    def forward(self, x):
        return ((x**2).sum((1, 2, 3)) + self.offset * x.sum((1, 2, 3)))[:, None]


@pytest.mark.parametrize("offset", [0.0, 10_000.0])
def test_vargrad_of_squares(offset):
    query = Query(frozen(Squares(offset), 8, classes=1), torch.zeros(1, 8, 8), 0)
    found = gradient_variance(query, 0.1, 4000, np.random.default_rng(0))
    assert (found >= 0).all()
    assert found.mean() == pytest.approx(0.04, rel=0.02)
    np.testing.assert_allclose(found, 0.04, rtol=0.15)


# --- agreement with the libraries -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("gradcam", LibraryGradCAM),
        ("gradcam++", LibraryGradCAMPlusPlus),
        ("scorecam", LibraryScoreCAM),
    ],
)
def test_cams_equal_pytorch_grad_cam(small, small_images, name, library):
    ours = quick(name).explain(small, small_images, [0, 1, 2], np.random.default_rng(0))
    model = SmallNet()
    model.load_state_dict(small.model.state_dict())
    with library(model, [model.features]) as method:
        theirs = np.concatenate(
            [method(x[None], [ClassifierOutputTarget(t)]) for t, x in enumerate(small_images)]
        )
    for mine, reference in zip(ours, theirs, strict=True):
        low = mine.min()  # the library scales each map to [0, 1]
        # Grad-CAM++: the library's epsilon is felt at the gradients of this network
        tolerance = 5e-2 if name == "gradcam++" else 2e-3
        np.testing.assert_allclose((mine - low) / (mine.max() - low), reference, atol=tolerance)
        assert spearmanr(mine.ravel(), reference.ravel()).statistic > 0.99


def test_occlusion_equals_captum(small, small_images):
    method = quick("occlusion", window=7, stride=5)
    ours = method.explain(small, small_images, [0, 1, 2], np.random.default_rng(0))
    theirs = CaptumOcclusion(small.model).attribute(
        small_images, (3, 7, 7), (3, 5, 5), target=torch.tensor([0, 1, 2])
    )
    np.testing.assert_allclose(ours, theirs[:, 0].numpy(), atol=1e-5)


def test_vargrad_agrees_with_captums_noise_tunnel(small, small_images):
    query = Query(small, small_images[0], 1)
    ours = gradient_variance(query, 0.3, 600, np.random.default_rng(0)).sum(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = NoiseTunnel(Saliency(small.model)).attribute(
            small_images[:1],
            nt_type="vargrad",
            nt_samples=600,
            stdevs=0.3,
            target=1,
            abs=False,
        )
    assert spearmanr(ours.ravel(), theirs[0].sum(0).numpy().ravel()).statistic > 0.95
    assert ours.mean() == pytest.approx(theirs[0].sum(0).mean().item(), rel=0.03)


def test_lime_equals_lime_at_the_same_seed(small, small_images):
    query = Query(small, small_images[0], 1)
    ours = quick("lime").attribute(query, np.random.default_rng(0))
    labels = query.superpixels(9)
    seed = int(np.random.default_rng(0).integers(2**32))
    library = lime.lime_image.LimeImageExplainer(random_state=seed, feature_selection="none")
    explanation = library.explain_instance(
        small_images[0].numpy().transpose(1, 2, 0).astype(float),
        lambda x: small.logits(x.transpose(0, 3, 1, 2).astype("f4")),
        labels=(1,),
        top_labels=None,
        num_samples=60,
        segmentation_fn=lambda image: labels,
        random_seed=0,
    )
    theirs = np.zeros(labels.max() + 1)
    for region, value in explanation.local_exp[1]:
        theirs[region] = value
    np.testing.assert_allclose(ours, theirs[labels], rtol=1e-4, atol=1e-6)


def test_kernelshap_equals_shap_on_the_masked_function(small, small_images):
    query = Query(small, small_images[0], 1)
    ours = quick("kernelshap").attribute(query, np.random.default_rng(0))
    labels = query.superpixels(9)
    image = small_images[0].numpy()

    def f(rows):
        return np.array(
            [small.logits((row[labels] * image)[None].astype("f4"))[0, 1] for row in rows]
        )

    np.random.seed(int(np.random.default_rng(0).integers(2**32)))
    count = labels.max() + 1
    theirs = shap.KernelExplainer(f, np.zeros((1, count))).shap_values(
        np.ones((1, count)), nsamples=60, l1_reg=False, silent=True
    )
    np.testing.assert_allclose(ours, theirs[0][labels], rtol=1e-4, atol=1e-5)


# --- traps ----------------------------------------------------------------------------------


def test_gradcam_plus_plus_of_tiny_gradients_is_not_swamped_by_an_epsilon():
    rng = np.random.default_rng(0)
    activations = rng.random((6, 4, 4)).astype("f4")
    gradients = rng.normal(0, 1e-6, (6, 4, 4)).astype("f4")
    weights = gradcam_plus_plus_weights(Captured(activations, gradients))
    np.testing.assert_allclose(weights, np.maximum(gradients, 0).sum((1, 2)) / 2, rtol=1e-3)


def test_a_constant_channel_stays_finite_in_score_cam():
    activations = np.stack([np.full((2, 2), 7.0), np.arange(4.0).reshape(2, 2)]).astype("f4")
    (masks,) = channel_masks(activations, 6, 8)
    assert np.isfinite(masks).all()
    np.testing.assert_array_equal(masks[0], 0)
    assert masks[1].min() == 0
    assert masks[1].max() == pytest.approx(1)


def test_dead_channels_share_one_pass_and_change_no_score(small, small_images):
    query = Query(small, small_images[0], 1)
    live = query.captured.activations[:3]
    activations = np.stack([live[0], 0 * live[0], live[1], 0 * live[0] + 2, live[2]])
    small.passes = Passes()
    found = channel_scores(query, activations, "logit")
    assert small.passes.forward == 4
    one_by_one = [channel_scores(query, channel[None], "logit")[0] for channel in activations]
    np.testing.assert_allclose(found, one_by_one, atol=1e-6)
    assert found[1] == found[3] == pytest.approx(small.logits(np.zeros((1, 3, 32, 32)))[0, 1])


def test_score_cam_of_a_dead_layer_is_finite(small):
    image = torch.zeros(3, 32, 32)
    for weighting in ("softmax", "probability"):
        found = quick("scorecam", weighting=weighting).attribute(Query(small, image, 0), None)
        assert np.isfinite(found).all()


def test_faster_score_cam_keeps_the_channels_that_vary_most():
    channels = np.zeros((4, 2, 2))
    channels[1, 0, 0], channels[3, 0, 0], channels[2] = 5, 9, 100  # 2 is large but constant
    np.testing.assert_array_equal(most_varied(channels, 2), channels[[1, 3]])
    assert most_varied(channels, 9) is channels


def test_faster_score_cam_over_all_channels_is_score_cam(small, small_images):
    query = Query(small, small_images[0], 0)
    np.testing.assert_array_equal(
        quick("fasterscorecam", max_channels=24).attribute(query, None),
        quick("scorecam").attribute(query, None),
    )


@pytest.mark.parametrize("first", [0, 1, 5])
def test_every_superpixel_is_hidden_at_least_once_wherever_labels_start(first):
    labels = from_zero(quadrants() * 2 + first)
    assert labels.min() == 0
    assert labels.max() == 3
    keep = 1 - np.eye(4)
    hidden = 1 - np.concatenate(list(region_masks(keep, labels, 3)))
    np.testing.assert_array_equal(hidden.sum(0), 1)


def test_all_superpixels_may_be_non_zero_in_kernelshap(small, small_images):
    query = Query(small, small_images[0], 1)
    found = make_explainer("kernelshap", superpixels=25, samples=300).attribute(
        query, np.random.default_rng(0)
    )
    regions = query.superpixels(25).max() + 1
    assert regions > 10
    assert len(np.unique(found[found != 0])) == regions


def test_lime_on_probabilities_is_not_all_zero(small, small_images):
    found = quick("lime", output="probability").attribute(
        Query(small, small_images[0], 1), np.random.default_rng(0)
    )
    assert np.count_nonzero(found) == found.size


def test_lime_recovers_an_additive_model():
    rng = np.random.default_rng(0)
    truth = np.array([3.0, -1.0, 0.0, 0.5])
    shown = rng.integers(0, 2, (2000, 4))
    shown[0] = 1
    found = lime_coefficients(shown, shown @ truth + 2, kernel_width=0.25)
    np.testing.assert_allclose(found, truth, atol=0.05)


def test_region_means_and_slic_labels():
    image = np.arange(16.0).reshape(1, 4, 4)
    means = region_means(image, quadrants())
    np.testing.assert_allclose(means[0, ::2, ::2], [[2.5, 4.5], [10.5, 12.5]])
    rgb = np.random.default_rng(0).random((32, 32, 3))
    labels = slic_labels(rgb, 12)
    np.testing.assert_array_equal(np.unique(labels), np.arange(labels.max() + 1))


# --- what holds for every explainer ---------------------------------------------------------


@pytest.mark.parametrize("name", EXPLAINERS)
def test_the_registry_knows_each_class_and_its_sign(name):
    assert (EXPLAINERS[name].name, EXPLAINERS[name].sign) == (name, EXPLAINERS.sign(name))


@pytest.mark.parametrize("name", EXPLAINERS)
def test_a_map_does_not_depend_on_its_batch_or_order(small, small_images, name):
    targets = [0, 1, 2]
    together = quick(name).explain(small, small_images, targets, np.random.default_rng(7))
    order = [2, 0, 1]
    shuffled = quick(name).explain(
        small, small_images[order], [targets[i] for i in order], np.random.default_rng(7)
    )
    alone = quick(name).explain(small, small_images[1:2], [1], np.random.default_rng(7))
    assert together.shape == (3, 32, 32)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(shuffled, together[order])
    np.testing.assert_array_equal(alone[0], together[1])


@pytest.mark.parametrize("name", EXPLAINERS)
def test_same_seed_same_map_and_no_global_state_is_touched(small, small_images, name):
    np.random.seed(11)
    torch.manual_seed(11)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = quick(name).explain(small, small_images[:1], [0], np.random.default_rng(3))
    second = quick(name).explain(small, small_images[:1], [0], np.random.default_rng(3))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("name", ["vargrad", "kernelshap", "lime"])
def test_another_seed_gives_another_map(small, small_images, name):
    settings = {"superpixels": 30, "samples": 80} if name != "vargrad" else {}
    first, second = (
        quick(name, **settings).explain(small, small_images[:1], [0], np.random.default_rng(seed))
        for seed in (0, 1)
    )
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_the_classifier_and_the_input_are_left_as_they_were(small, small_images, name):
    before = small_images.clone()
    hooks = [len(module._forward_hooks) for module in small.model.modules()]
    quick(name).explain(small, small_images, [0, 1, 2], np.random.default_rng(0))
    assert torch.equal(small_images, before)
    assert not small_images.requires_grad
    assert small_images.grad is None
    assert hooks == [len(module._forward_hooks) for module in small.model.modules()]
    assert all(p.grad is None and not p.requires_grad for p in small.model.parameters())
    assert not small.model.training


@pytest.mark.parametrize("name", EXPLAINERS)
def test_passes_are_counted(small, small_images, name):
    small.passes = Passes()
    quick(name).explain(small, small_images[:1], [0], np.random.default_rng(0))
    expected = {
        "gradcam": (1, 1),
        "gradcam++": (1, 1),
        "scorecam": (25, 1),
        "fasterscorecam": (7, 1),
        "ig": (8, 8),
        "vargrad": (5, 5),
        "occlusion": (50, 0),
        "lime": (60, 0),
    }
    if name in expected:
        assert (small.passes.forward, small.passes.backward) == expected[name]
    else:  # shap also asks for f(nothing) and f(everything), and skips repeated coalitions
        assert small.passes.backward == 0
        assert 0 < small.passes.forward <= 62


def test_the_explainers_of_one_query_share_the_forward(small, small_images, monkeypatch):
    calls = []
    monkeypatch.setattr(base, "capture", lambda *args: calls.append(1) or capture(*args))
    query = Query(small, small_images[0], 0)
    small.passes = Passes()
    for name in ("gradcam", "gradcam++", "fasterscorecam"):
        quick(name).attribute(query, None)
    assert calls == [1]  # computed once
    assert small.passes.backward == 3  # and charged to all three
    assert small.passes.seconds > 0


def test_presets_name_known_settings_and_are_described():
    for preset in PRESETS:
        for name in EXPLAINERS:
            explainer = make_explainer(name, preset)
            assert explainer.name == name
    assert describe(make_explainer("ig", "fast")) == "steps=32"
    assert describe(make_explainer("gradcam")) == "no settings"


def test_saliency_keeps_what_it_says():
    raw = np.array([[-2.0, 0.0], [1.0, 3.0]])
    np.testing.assert_array_equal(saliency(raw, "positive"), [[0, 0], [1, 3]])
    np.testing.assert_array_equal(saliency(raw, "absolute"), [[2, 0], [1, 3]])


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: make_explainer("gradcan"), "unknown explainer 'gradcan'"),
        (lambda: make_explainer("lime", "medium"), "unknown preset 'medium'"),
        (lambda: make_explainer("lime", sample=3), "no setting 'sample'"),
        (lambda: saliency(np.zeros((2, 2)), "negative"), "sign must be"),
    ],
)
def test_bad_names_are_refused(call, word):
    with pytest.raises(InputError, match=word):
        call()


def test_bad_images_and_targets_are_refused(small, small_images):
    with pytest.raises(InputError, match=r"image must be \(C, 32, 32\)"):
        Query(small, torch.zeros(3, 16, 16), 0)
    with pytest.raises(InputError, match="class index 9 is outside"):
        Query(small, small_images[0], 9)
    with pytest.raises(InputError, match="3 images but 2 targets"):
        quick("gradcam").explain(small, small_images, [0, 1], np.random.default_rng(0))
    with pytest.raises(InputError, match="0 < stride <= window"):
        make_explainer("occlusion", stride=0).attribute(Query(small, small_images[0], 0), None)
