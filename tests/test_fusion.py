import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter

from xaiutils.errors import InputError
from xaiutils.fusion import FUSIONS, best_single, entropy_kl_iou, maximum, mean, random_weights
from xaiutils.maps import is_flat, normalise

stacks = hnp.arrays(
    np.float32, (4, 6, 7), elements=st.floats(0, 1, width=32, allow_subnormal=False)
)


def blobs(k=6, seed=0, size=48):
    """Smooth maps around one object, each a little elsewhere and a little noisier than the last."""
    rng = np.random.default_rng(seed)
    stack = np.zeros((k, size, size))
    for i in range(k):
        y, x = size // 2 + rng.integers(-4, 5, 2)
        stack[i, y, x] = 1
        stack[i] = gaussian_filter(stack[i], 6 + i)
        stack[i] = stack[i] / stack[i].max() + 0.1 * i * rng.random((size, size))
    return stack.astype(np.float32)


def test_mean_and_maximum_by_hand():
    a = np.array([[0.0, 2.0], [4.0, 4.0]])
    b = np.array([[1.0, 0.0], [0.0, 1.0]])
    stack = np.stack([a, b])
    np.testing.assert_allclose(mean(stack).map, [[0.5, 0.25], [0.5, 1]])
    np.testing.assert_allclose(mean(stack).weights, [0.5, 0.5])
    fused = maximum(stack)
    np.testing.assert_allclose(fused.map, [[1, 0.5], [1, 1]])
    np.testing.assert_allclose(fused.weights, [2.5 / 4, 1.5 / 4])


def test_weighted_by_hand_with_two_maps():
    """Of two maps each is the other's fusion, so the weights follow from one closed formula."""
    a = np.array([[0.0, 1.0, 1.0]])
    b = np.array([[0.0, 0.5, 1.0]])
    eps, n = 1e-8, 3
    p, q = a.ravel() / 2, b.ravel() / 1.5

    def kl(p, q):
        q = (1 - eps) * q + eps / n
        return sum(x * np.log(x / y) for x, y in zip(p, q, strict=True) if x)

    def h(p):
        return -sum(x * np.log(x) for x in p if x) / np.log(n)

    score = np.array([1.5 / 2 - h(p) - kl(p, q), 1.5 / 2 - h(q) - kl(q, p)])
    expected = np.exp(score / 0.5) / np.exp(score / 0.5).sum()
    fused = entropy_kl_iou(np.stack([a, b]))
    np.testing.assert_allclose(fused.weights, expected, atol=1e-6)
    np.testing.assert_allclose(fused.map, expected[0] * a + expected[1] * b, atol=1e-6)
    assert fused.rounds == 2  # one to move, one to see that it has settled


def test_default_weights_are_neither_uniform_nor_one_hot():
    weights = entropy_kl_iou(blobs()).weights
    effective = np.exp(-(weights * np.log(weights)).sum())
    assert 2 < effective < 5.9


def test_an_outlier_loses_weight_and_terms_can_be_switched_off():
    stack = blobs(5)
    stack[4] = np.random.default_rng(1).random(stack[4].shape) > 0.98
    for settings_ in (
        {},
        {"a": 0, "b": 0},
        {"overlap": "otsu"},
        {"overlap": "otsu", "a": 0, "b": 0},
    ):
        weights = entropy_kl_iou(stack, **settings_).weights
        assert weights.argmin() == 4
    warm = entropy_kl_iou(stack, temperature=1e6).weights
    np.testing.assert_allclose(warm, 0.2, atol=1e-4)


def test_equal_maps_have_equal_weights():
    fused = entropy_kl_iou(np.stack([blobs(1)[0]] * 4))
    np.testing.assert_allclose(fused.weights, 0.25)
    np.testing.assert_allclose(fused.map, normalise(blobs(1)[0]), atol=1e-6)
    assert fused.rounds == 1


def test_a_very_cold_temperature_stays_finite():
    fused = entropy_kl_iou(blobs(), temperature=1e-6)
    assert fused.weights.max() == pytest.approx(1) and np.isfinite(fused.map).all()
    assert fused.rounds <= 10


@settings(max_examples=40, deadline=None)
@given(stacks, st.permutations(range(4)))
@pytest.mark.parametrize("name", ["mean", "max", "weighted"])
def test_order_does_not_matter(name, stack, order):
    one, other = FUSIONS[name](stack), FUSIONS[name](stack[order])
    np.testing.assert_allclose(other.weights, one.weights[order], atol=2e-3)
    np.testing.assert_allclose(other.map, one.map, atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(stacks, st.integers(0, 3), st.sampled_from([0.0, 0.5]))
@pytest.mark.parametrize("name", FUSIONS)
def test_weights_sum_to_one_and_constant_maps_are_dropped(name, stack, at, constant):
    assume(not all(is_flat(map) for map in np.delete(stack, at, axis=0)))
    stack[at] = constant
    fused = FUSIONS[name](stack, np.random.default_rng(0))
    flat = [is_flat(map) for map in stack]
    assert fused.weights.sum() == pytest.approx(1)
    assert (fused.weights >= 0).all() and not fused.weights[flat].any()
    assert fused.dropped == sum(flat)
    assert fused.map.dtype == np.float32 and fused.map.shape == (6, 7)
    assert fused.map.min() >= 0 and fused.map.max() <= 1


@pytest.mark.parametrize("name", FUSIONS)
def test_dropping_a_map_is_the_same_as_never_having_it(name):
    stack = blobs(4)
    stack[3] = np.nan
    rngs = [np.random.default_rng(5), np.random.default_rng(5)]
    with_it, without = FUSIONS[name](stack, rngs[0]), FUSIONS[name](stack[:3], rngs[1])
    np.testing.assert_array_equal(with_it.weights[:3], without.weights)
    np.testing.assert_array_equal(with_it.map, without.map)
    assert (with_it.dropped, without.dropped) == (1, 0)


@pytest.mark.parametrize("name", FUSIONS)
def test_one_map_is_itself_and_none_is_nan(name):
    rng = np.random.default_rng(0)
    one = FUSIONS[name](np.stack([blobs(1)[0], np.zeros((48, 48))]), rng)
    assert one.weights.tolist() == [1, 0]
    np.testing.assert_allclose(one.map, normalise(blobs(1)[0]), atol=1e-6)
    none = FUSIONS[name](np.zeros((3, 5, 5)), rng)
    assert np.isnan(none.map).all() and none.map.shape == (5, 5)
    assert np.isnan(none.weights).all() and none.dropped == 3


def test_scaling_a_map_does_not_change_its_weight():
    stack = blobs()
    scaled = stack * np.array([1, 10, 1e-3, 1, 5, 1], np.float32)[:, None, None]
    np.testing.assert_allclose(
        entropy_kl_iou(scaled).weights, entropy_kl_iou(stack).weights, atol=1e-5
    )


def test_random_weights_are_seeded_and_spread_evenly():
    stack = blobs(3)
    draws = np.array([random_weights(stack, np.random.default_rng(i)).weights for i in range(400)])
    np.testing.assert_array_equal(draws[7], random_weights(stack, np.random.default_rng(7)).weights)
    np.testing.assert_allclose(draws.mean(axis=0), 1 / 3, atol=0.05)
    np.testing.assert_allclose(draws.var(axis=0), 1 / 18, atol=0.015)  # flat Dirichlet of three


def test_best_single():
    stack = blobs(3)
    fused = best_single(stack, [np.nan, 0.2, 0.7])
    assert fused.weights.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(fused.map, normalise(stack[2]))
    stack[2] = 0
    assert best_single(stack, [np.nan, 0.2, 0.7]).weights.tolist() == [0, 1, 0]
    with pytest.raises(InputError, match="scores"):
        best_single(stack, [1, 2])


def test_inputs_are_refused_and_left_alone():
    with pytest.raises(InputError, match="stack"):
        mean(np.zeros((4, 4)))
    with pytest.raises(InputError, match="overlap"):
        entropy_kl_iou(blobs(), overlap="hard")
    with pytest.raises(InputError, match="temperature"):
        entropy_kl_iou(blobs(), temperature=0)
    stack = blobs()
    stack.flags.writeable = False
    for fuse in FUSIONS.values():
        fuse(stack, np.random.default_rng(0))
