"""What captum, PAIR's saliency and Quantus assert of the methods and metrics that we share.

The cases are the tables of `peers`. Features are pixels of a 3 x 3 image, in row-major order: three
of them fill the first row, so that a square window slides over them as over a line. Where our
definition is another on purpose the test converts and says why.
"""

import numpy as np
import peers
import pytest
import torch
from conftest import ToyN, frozen

from xaiutils.explainers import Query, capture, make_explainer
from xaiutils.explainers.base import Captured
from xaiutils.explainers.cam import cam, gradcam_weights
from xaiutils.maps import normalise, threshold
from xaiutils.metrics.agreement import spearman, top_overlap
from xaiutils.metrics.faithfulness import insertion
from xaiutils.metrics.localisation import (
    gini,
    pointing_game,
    relevance_mass,
    relevance_rank,
    spill,
)
from xaiutils.metrics.stability import max_sensitivity
from xaiutils.trust import auroc

relu = torch.relu


def multilayer(x):
    s = x.sum(1)
    logit = relu(s - 10) + 3 * relu(s + 1) - 1
    return torch.stack([logit, logit + 2, 2 * logit + 2], 1)


def clipped(x):
    return (1 - relu(1 - x.sum(1)))[:, None]


def paper1(x):
    return relu(relu(x[:, 0]) - 1 - relu(x[:, 1]))[:, None]


def paper2(x):
    return relu(relu(x[:, 0] - 1) - relu(x[:, 1]))[:, None]


def separable(x):
    return (5 * x[:, 0] + x[:, 1] ** 2 + torch.sin(x[:, 2]))[:, None]


NETWORKS = {f.__name__: f for f in (multilayer, clipped, paper1, paper2, separable)}


class Features(torch.nn.Module):
    """A network of the first n pixels; `add` is what else it is given, to the first of them."""

    def __init__(self, network: str, n: int, shift: np.ndarray, add: float = 0):
        super().__init__()
        self.entry = torch.nn.Identity()
        self.network, self.n = NETWORKS[network], n
        shift = np.array(shift, np.float32)
        shift[0] += add
        self.shift = torch.nn.Parameter(torch.from_numpy(shift))

    def forward(self, x):
        return self.network(self.entry(x).flatten(1)[:, : self.n] + self.shift)


def query(network, values, target=0, baseline=0.0, add=0.0) -> Query:
    """The values as an image. Ours hide with zero: another baseline is taken off the image, and
    the network adds it again."""
    values = np.asarray(values, np.float32)
    baseline = np.broadcast_to(np.asarray(baseline, np.float32), values.shape)
    image = np.zeros(9, np.float32)
    image[: len(values)] = values - baseline
    model = Features(network, len(values), baseline, add)
    return Query(
        frozen(model, 3, model.entry, classes=3), torch.tensor(image.reshape(1, 3, 3)), target
    )


def ids(rows):
    return [str(row[0]) for row in rows]


def cases(rows):
    return pytest.mark.parametrize("row", rows, ids=ids(rows))


# --- explainers -----------------------------------------------------------------------------------


@cases(peers.OCCLUSION)
def test_occlusion(row):
    _, network, values, add, baseline, window, stride, expected = row
    asked = query(network, values, baseline=baseline, add=add)
    found = make_explainer("occlusion", window=window, stride=stride).attribute(asked, None)
    np.testing.assert_allclose(found.ravel()[: len(expected)], expected, atol=1e-3)


@cases(peers.OCCLUSION_CONV)
def test_occlusion_of_one_of_two_inputs(row):
    """The network adds its inputs: the other one is its shift."""
    which, expected = row
    ramp, ones = torch.arange(16.0).reshape(1, 4, 4), torch.ones(1, 4, 4)
    hidden, other = (ramp, ones) if which == "first input" else (ones, ramp)

    class Sum(ToyN):
        def forward(self, x):
            return super().forward(x + other)

    model = Sum()
    asked = Query(frozen(model, 4, model.conv1), hidden, 0)
    found = make_explainer("occlusion", window=4, stride=4).attribute(asked, None)
    np.testing.assert_allclose(found, expected, atol=1e-3)


class Total(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.times = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, x):
        return self.times * x.sum((1, 2, 3))[:, None]


def test_occlusion_summed_over_windows():
    """saliency adds the drops of all windows that hide a pixel; ours, like captum's, is their mean:
    a pixel in a corner is hidden less often, not less important."""
    image = torch.zeros(1, 5, 5)
    image[0, 1, 1] = image[0, 3, 3] = 1
    asked = Query(frozen(Total(), 5, classes=1), image, 0)
    found = make_explainer("occlusion", window=3, stride=1).attribute(asked, None)
    times = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1])
    np.testing.assert_allclose(found * times, peers.OCCLUSION_SUMS, atol=0.01)


@cases(peers.GRADCAM)
def test_gradcam(row):
    test, layer, add, expected = row
    model = ToyN()
    classifier = frozen(model, 4, getattr(model, layer))
    model.requires_grad_("no_grad" not in test)
    captured = capture(classifier, torch.arange(16.0).reshape(1, 4, 4) + add, 0)
    np.testing.assert_allclose(cam(gradcam_weights(captured), captured.activations), expected)


class Entry(ToyN):
    """ToyN with a layer in front of it, whose output is the input."""

    def __init__(self):
        super().__init__()
        self.entry = torch.nn.Identity()

    def forward(self, x):
        return super().forward(self.entry(x))


def test_gradcam_of_the_input_keeps_what_is_positive():
    """captum has the ReLU of the paper as an option; ours always applies it."""
    image = torch.arange(16.0).reshape(1, 4, 4)
    image[0, 1, 1] = -4
    model = Entry()
    captured = capture(frozen(model, 4, model.entry), image, 0)
    found = cam(gradcam_weights(captured), captured.activations)
    expected = peers.GRADCAM_OF_THE_INPUT * image[0].numpy()
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=1e-6)


class Layers(torch.nn.Module):
    """`multilayer` as layers (n, 1, 1): channels without space, as a linear layer's output is."""

    def __init__(self):
        super().__init__()
        self.linear0, self.relu = torch.nn.Identity(), torch.nn.ReLU()
        self.bias = torch.tensor([-10.0, 1, 1, 1]).reshape(1, 4, 1, 1)

    def forward(self, x):
        hidden = self.relu(self.linear0(x).sum(1, keepdim=True) + self.bias)
        return hidden.sum((1, 2, 3))[:, None] + torch.tensor([[-1.0, 1.0]])


@cases(peers.GRADCAM_LINEAR)
def test_gradcam_of_a_layer_without_space(row):
    _, values, layer, expected = row
    model = Layers()
    image = torch.tensor(values, dtype=torch.float32).reshape(3, 1, 1)
    captured = capture(frozen(model, 1, getattr(model, layer), classes=2), image, 0)
    found = cam(gradcam_weights(captured), captured.activations)
    np.testing.assert_allclose(found, [[expected]], atol=0.01)


def test_gradcam_of_a_line_detector():
    captured = Captured(peers.LINE[None].astype("f4"), peers.LINE_GRADIENTS[None].astype("f4"))
    found = cam(gradcam_weights(captured), captured.activations)
    np.testing.assert_allclose(found / found.max(), peers.LINE_MAP, atol=0.01)


@cases(peers.IG)
def test_integrated_gradients(row):
    _, network, values, baseline, expected = row
    found = make_explainer("ig", steps=500).attribute(query(network, values, 0, baseline), None)
    # captum allows 0.05, saliency half a hundredth
    tolerance = 0.005 if network == "separable" else 0.05
    np.testing.assert_allclose(found.ravel()[: len(expected)], expected, atol=tolerance)


@cases(peers.IG_SUMS)
def test_integrated_gradients_sum_to_the_gain(row):
    _, network, values, baseline, expected = row
    found = make_explainer("ig", steps=500).attribute(query(network, values, 0, baseline), None)
    assert found.sum() == pytest.approx(expected, abs=0.05)


def gradient(asked: Query, image: torch.Tensor) -> np.ndarray:
    """(C, S, S): what reaches a layer that passes the input on."""
    return capture(asked.classifier, image, asked.target).gradients


@cases(peers.GRADIENTS)
def test_gradients_at_the_input(row):
    _, network, values, expected = row
    asked = query(network, values)
    found = gradient(asked, asked.image).ravel()[: len(expected)]
    np.testing.assert_allclose(found, expected, atol=0.005)


def regions(asked: Query, labels) -> tuple[Query, np.ndarray]:
    """The query with these superpixels; pixels that the network does not read join the first."""
    filled = np.zeros(9, int)
    filled[: len(labels)] = labels
    count = max(labels) + 1
    asked._superpixels[count] = filled.reshape(3, 3)
    return asked, np.array([labels.index(k) for k in range(count)])


@cases(peers.KERNELSHAP)
def test_kernelshap(row):
    _, target, values, labels, baseline, expected = row
    asked, first = regions(query("multilayer", values, target, baseline), labels)
    method = make_explainer("kernelshap", superpixels=len(first), samples=2000)
    found = method.attribute(asked, np.random.default_rng(0)).ravel()[first]
    # they sample and allow 1; all coalitions of so few regions are tried here
    np.testing.assert_allclose(found, expected, atol=0.01)


@cases(peers.LIME)
def test_lime(row):
    """captum fits a Lasso with alpha 1. On features that are shown half the time (variance 1/4) it
    moves every coefficient 1 / (1/4) = 4 towards zero; the ridge of `lime` does not."""
    _, target, values, labels, baseline, lasso = row
    asked, first = regions(query("multilayer", values, target, baseline), labels)
    method = make_explainer(
        "lime", superpixels=len(first), samples=20000, kernel_width=10.0, baseline="zero"
    )  # width 10, as their tests have it: all samples count alike
    found = method.attribute(asked, np.random.default_rng(0)).ravel()[first]
    np.testing.assert_allclose(found, lasso + 4 * np.sign(lasso), atol=1.2)


# --- metrics --------------------------------------------------------------------------------------


class Fixed:
    """Stands for a generator: the perturbation of captum's test, on the pixels that are read."""

    def __init__(self, steps):
        self.steps = steps

    def uniform(self, low, high, shape):
        if self.steps is None:
            return np.random.default_rng(0).uniform(low, high, shape)
        found = np.zeros(shape)
        found.reshape(-1)[: len(self.steps)] = self.steps
        return found


@cases(peers.SENSITIVITY)
def test_max_sensitivity(row):
    _, method, network, values, target, steps, expected = row
    asked = query(network, values, target)

    def explain(image):
        image = torch.as_tensor(image, dtype=torch.float32)
        if method == "gradient":
            return gradient(asked, image)
        return make_explainer("ig").attribute(Query(asked.classifier, image, target), None)

    found = max_sensitivity(explain, asked.image.numpy(), Fixed(steps))
    assert found == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("steps", [None, np.arange(-8, 8) / 100])
def test_max_sensitivity_of_a_convolutional_network(steps):
    model = Entry()
    asked = Query(frozen(model, 4, model.entry), torch.arange(1, 17.0).reshape(1, 4, 4), 1)

    def explain(image):
        return gradient(asked, torch.as_tensor(image, dtype=torch.float32))

    found = max_sensitivity(explain, asked.image.numpy(), Fixed(steps))
    assert found == pytest.approx(peers.SENSITIVITY_CONV, abs=0.05)


def drawn(name: str) -> tuple[np.ndarray, np.ndarray]:
    """(map, mask) of a row of `peers.MAPS`."""
    shape, marked_mask, marked, top, value = peers.MAPS[name]
    map, mask = np.random.default_rng(0).uniform(0, top, shape), np.zeros(shape, bool)
    map[marked], mask[marked_mask] = value, True
    return map, mask


def check(found: float, expected) -> None:
    if isinstance(expected, tuple):
        assert expected[0] < found < expected[1]
    else:
        assert found == pytest.approx(expected, abs=0.005)


@cases(peers.POINTING)
def test_pointing_game(row):
    """Quantus asks whether any of the tied maxima lies on the mask. Ours is one pixel, the deepest
    of the plateau, which is also the first prompt: on the maps half outside it misses."""
    map, mask = drawn(row[0])
    highest = threshold(map, map.max())
    assert (spill(highest, mask) < 1) == row[1]
    assert pointing_game(map, mask, tolerance=0) == (row[1] and "half" not in row[0])


def top(map: np.ndarray, k: int) -> np.ndarray:
    return threshold(map, np.sort(map.ravel())[-k])


@pytest.mark.parametrize("row", peers.TOP_K, ids=lambda row: f"{row[0]}, {row[1]}")
def test_top_k_intersection(row):
    name, k, expected = row
    map, mask = drawn(name)
    assert 1 - spill(top(map, k), mask) == pytest.approx(expected)
    if k == mask.sum():  # then it is what two maps' highest pixels have in common, too
        both = top_overlap(np.stack([map, mask.astype(float)]), share=k / map.size)
        assert both[0, 1] == pytest.approx(expected)
        assert relevance_rank(map, mask) == pytest.approx(expected)


@cases(peers.TOP_K_INFLUENCE)
def test_top_k_intersection_over_the_size_of_the_mask(row):
    name, k, expected = row
    map, mask = drawn(name)
    assert (1 - spill(top(map, k), mask)) / mask.mean() == pytest.approx(expected)


@pytest.mark.parametrize("row", [peers.TOP_K_TIED, peers.RANK_TIED], ids=["top k", "rank"])
def test_ties_are_shared(row):
    map, mask = drawn(row[0])
    assert relevance_rank(map, mask) == pytest.approx(row[-1])


@cases(peers.MASS)
def test_relevance_mass(row):
    check(relevance_mass(*drawn(row[0])), row[1])


@cases(peers.RANK)
def test_relevance_rank(row):
    check(relevance_rank(*drawn(row[0])), row[1])


@cases(peers.AUC)
def test_auc(row):
    map, mask = drawn(row[0])
    assert auroc(map.ravel(), mask.ravel().astype(float)) == pytest.approx(row[1])


@pytest.mark.parametrize(("shown", "marked", "expected"), peers.FOCUS)
def test_focus(shown, marked, expected):
    def mosaic(quadrants):
        return np.kron(np.reshape(quadrants, (2, 2)).T, np.ones((28, 28)))

    assert relevance_mass(mosaic(marked), mosaic(shown) > 0) == expected


@cases(peers.SPEARMAN)
def test_spearman(row):
    _, a, b, expected = row
    found = spearman(np.stack([a, b])[:, None].astype(float))[0, 1]
    assert found == pytest.approx(expected, abs=0.005)


@cases(peers.NORMALISED)
def test_normalise(row):
    """Quantus keeps the sign, ours the order: low is low."""
    _, values, theirs = row
    theirs = np.asarray(theirs)
    expected = (theirs - theirs.min()) / (theirs.max() - theirs.min())
    np.testing.assert_allclose(normalise(np.array(values, float)), expected)


def test_a_map_of_zeros_is_undefined():
    """test_normalise_by_max, seq_0: Quantus gives zeros, ours is NaN, to be counted."""
    assert np.isnan(normalise(np.zeros(2))).all()


@cases(peers.SPARSE)
def test_sparseness_of_almost_uniform_maps(row):
    rng = np.random.default_rng(0)
    assert all(0 < gini(rng.uniform(0, 0.01, row[1])) < 1 for _ in range(10))


def test_the_area_of_a_mean_curve():
    """A classifier that answers with the curve's value for the number of pixels it sees."""
    curves, mean, area = peers.PIC

    def answer(curve):
        def f(batch):
            return np.asarray(curve)[np.rint(batch.sum((1, 2, 3))).astype(int)]

        image, map = np.ones((1, 2, 2)), np.arange(4.0).reshape(2, 2)
        return insertion(f, image, map, np.zeros((1, 2, 2)), steps=4)

    found = [answer(curve) for curve in curves]
    np.testing.assert_allclose(np.mean([scores for _, scores, _ in found], axis=0), mean)
    assert np.mean([value for _, _, value in found]) == pytest.approx(area)
