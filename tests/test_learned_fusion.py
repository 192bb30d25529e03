"""Stacking and graph fusion on maps whose result is known."""

import numpy as np
import pytest

from xaiutils.errors import InputError
from xaiutils.learned_fusion import (
    SIDE,
    fit_stacking,
    graph,
    pixel_features,
    pixel_labels,
    reduce,
    stack,
)


def _example(seed: int, shape=(64, 64)):
    """A good map (the object, blurred by noise), a bad one (noise), and the object."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, bool)
    y, x = rng.integers(5, 30, 2)
    mask[y : y + 25, x : x + 25] = True
    good = np.clip(mask * 0.6 + rng.random(shape) * 0.4, 0, 1).astype(np.float32)
    return {"good": good, "bad": rng.random(shape).astype(np.float32)}, mask, np.zeros(shape, bool)


@pytest.fixture(scope="module")
def model():
    maps, masks, voids = zip(*[_example(seed) for seed in range(6)])
    return fit_stacking(list(maps), list(masks), list(voids), strengths=(1e-3, 1e-1))


def test_reduce_keeps_the_mean_and_a_constant():
    map = np.arange(128 * 192, dtype=np.float32).reshape(128, 192)
    assert reduce(map).shape == (SIDE, SIDE)
    assert reduce(map).mean() == pytest.approx(map.mean(), rel=1e-5)
    assert (reduce(np.full((100, 37), 0.25)) == pytest.approx(0.25)) is True


def test_features_are_value_rank_and_local_average():
    map = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    x = pixel_features({"one": map, "flat": np.ones((SIDE, SIDE))}, ["one", "flat"])
    n = SIDE * SIDE
    assert x.shape == (n, 6)
    np.testing.assert_allclose(x[:, 0], np.arange(n) / (n - 1), atol=1e-6)
    np.testing.assert_allclose(x[:, 1], (np.arange(n) + 0.5) / n, atol=1e-12)
    assert x[n // 2, 2] == pytest.approx(x[n // 2, 0], abs=0.02)  # a ramp is its own average
    assert (x[:, 3:] == 0).all()


def test_features_name_a_missing_explainer():
    with pytest.raises(InputError, match="'lime' is missing"):
        pixel_features({"gradcam": np.eye(8)}, ["gradcam", "lime"])


def test_labels_leave_out_void():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, :10] = True
    void = np.zeros_like(mask)
    void[:, 10:20] = True
    object, valid = (each.reshape(SIDE, SIDE) for each in pixel_labels(mask, void))
    assert object[:, :10].all() and not object[:, 10:].any()
    assert not valid[:, 10:20].any() and valid[:, 20:].all() and valid[:, :10].all()


def test_stacking_finds_the_map_that_tells(model):
    weight = np.abs(np.array(model["coefficients"]))
    assert weight[:3].sum() > 5 * weight[3:].sum()
    maps, mask, _ = _example(99)
    found = stack(maps, model)
    assert found.dtype == np.float32 and found.shape == mask.shape
    assert found.min() >= 0 and found.max() <= 1
    assert ((found > 0.5) & mask).sum() / ((found > 0.5) | mask).sum() > 0.8


def test_stacking_says_how_it_was_fitted(model):
    assert model["images"] == 6
    assert model["explainers"] == ["good", "bad"]
    losses = model["log_loss"]
    assert losses[str(model["strength"])] == min(losses.values())
    assert min(losses.values()) < np.log(2)


def test_stacking_is_scaled_maps_invariant_and_undefined_for_flat_ones(model):
    maps, _, _ = _example(5)
    twice = {name: 2 * map for name, map in maps.items()}
    np.testing.assert_allclose(stack(maps, model), stack(twice, model), atol=1e-5)
    flat = {name: np.zeros((20, 30)) for name in maps}
    assert np.isnan(stack(flat, model)).all()


def _halves():
    """A picture of two colours and a map that is high in a part of the left one."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, :40], image[:, 40:] = (200, 40, 40), (40, 40, 200)
    map = np.zeros((60, 80), np.float32)
    map[20:40, 5:25] = 1
    return image, map


def test_graph_spreads_over_equal_colours_and_stops_at_edges():
    image, map = _halves()
    found = graph(map, image, regions=40, alpha=0.99)
    assert found.min() == 0 and found.max() == 1
    left, right = found[:, :40], found[:, 40:]
    assert left.min() > right.max()
    assert right.max() < 0.02


def test_graph_without_flow_is_the_mean_of_superpixels():
    image, map = _halves()
    found = graph(map, image, regions=40, alpha=0)
    assert (found[:, 40:] == 0).all()
    assert len(np.unique(found)) <= 40


def test_graph_of_a_flat_map_is_undefined_and_alpha_is_checked():
    image, map = _halves()
    assert np.isnan(graph(np.ones_like(map), image)).all()
    with pytest.raises(InputError, match="alpha is 1"):
        graph(map, image, alpha=1)
