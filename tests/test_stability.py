"""Max-sensitivity and spread: closed forms and agreement with captum."""

import captum.metrics
import numpy as np
import pytest
import torch

from xaiutils.errors import InputError
from xaiutils.metrics.stability import max_sensitivity, spread

IMAGE = np.linspace(0, 1, 27).reshape(3, 3, 3)


def test_a_map_that_ignores_the_image_is_perfectly_stable():
    assert max_sensitivity(lambda x: np.ones((3, 3)), IMAGE, np.random.default_rng(0)) == 0


def test_the_identity_moves_by_the_noise():
    draws = np.random.default_rng(0).uniform(-0.1, 0.1, (5, *IMAGE.shape))
    expected = max(np.linalg.norm(d) for d in draws) / np.linalg.norm(IMAGE)
    found = max_sensitivity(lambda x: x, IMAGE, np.random.default_rng(0), radius=0.1, samples=5)
    assert found == pytest.approx(expected)


def test_it_does_not_depend_on_the_scale_of_the_map():
    one, ten = (
        max_sensitivity(lambda x, k=k: k * x.sum(0) ** 2, IMAGE, np.random.default_rng(0))
        for k in (1, 10)
    )
    assert one == pytest.approx(ten)


def test_agrees_with_captum_in_distribution():
    def explain(x):
        return x**2

    ours = [
        max_sensitivity(explain, IMAGE, np.random.default_rng(i), radius=0.02) for i in range(200)
    ]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        np.random.seed(0)
        x = torch.from_numpy(IMAGE)[None]
        theirs = [
            captum.metrics.sensitivity_max(lambda t: (t[0] ** 2,), x, perturb_radius=0.02).item()
            for _ in range(200)
        ]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.05)


def test_undefined_is_nan_and_bad_arguments_are_refused():
    rng = np.random.default_rng(0)
    assert np.isnan(max_sensitivity(lambda x: 0 * x, IMAGE, rng))
    with pytest.raises(InputError, match="radius 0"):
        max_sensitivity(lambda x: x, IMAGE, rng, radius=0)
    with pytest.raises(InputError, match="N >= 2"):
        spread(np.ones((1, 2, 2)))


def test_spread_of_known_maps():
    assert spread(np.ones((3, 2, 2))) == 0
    assert spread(np.stack([np.zeros((2, 2)), np.full((2, 2), 2.0)])) == 1
    assert np.isnan(spread(np.zeros((2, 2, 2))))
