import numpy as np
import pytest

from xaiutils.errors import InputError
from xaiutils.metrics.faithfulness import blurred, deletion, insertion

S = np.arange(16.0).reshape(4, 4)


def total(batch):
    return batch.sum(axis=(1, 2, 3))


def test_known_areas():
    image = (S / S.sum())[None]
    fractions, scores, lost = deletion(total, image, S, 0 * image, 16)
    assert lost == pytest.approx(0.322917, abs=1e-6)
    np.testing.assert_allclose(fractions, np.linspace(0, 1, 17))
    np.testing.assert_allclose(scores[[0, 1, 15, 16]], [1, 105 / 120, 0, 0], atol=1e-12)
    _, scores, gained = insertion(total, image, S, 0 * image, 16)
    assert gained == pytest.approx(0.677083, abs=1e-6)
    assert lost + gained == pytest.approx(1)
    np.testing.assert_allclose(scores[[0, 1, 16]], [0, 15 / 120, 1], atol=1e-12)


def test_the_best_map_deletes_fastest():
    rng = np.random.default_rng(0)
    image = rng.random((3, 8, 8))
    best = image.sum(axis=0)
    areas = [deletion(total, image, map, 0 * image)[2] for map in (best, rng.random((8, 8)), -best)]
    assert areas == sorted(areas)


def test_all_channels_of_a_pixel_go_together():
    seen = []

    def f(batch):
        seen.append(batch)
        return total(batch)

    image = np.ones((3, 4, 4), np.float32)
    deletion(f, image, S, 0 * image, 16, batch=5)
    batch = np.concatenate(seen)
    assert batch.dtype == np.float32 and batch.shape == (17, 3, 4, 4)
    assert max(len(part) for part in seen) <= 5
    assert (batch == batch[:, :1]).all()
    np.testing.assert_array_equal(total(batch), 3 * np.arange(16, -1, -1))
    assert batch[1, 0, 3, 3] == 0 and batch[15, 0, 0, 0] == 1


def test_the_batch_size_changes_nothing():
    rng = np.random.default_rng(0)
    image, map = rng.random((3, 9, 7)), rng.random((9, 7))
    one, many = (insertion(total, image, map, batch=size)[1] for size in (1, 100))
    np.testing.assert_array_equal(one, many)


def test_ties_go_in_row_major_order_and_a_scaled_map_gives_the_same_curve():
    image = S[None]
    _, scores, _ = insertion(total, image, np.where(S < 8, 1.0, 0.0), 0 * image, 16)
    np.testing.assert_array_equal(scores, np.append(0, np.cumsum(S.ravel())))
    again = deletion(total, image, S * 1e-6, 0 * image)[2]
    assert again == deletion(total, image, S, 0 * image)[2]


def test_the_blurred_baseline():
    image = np.zeros((2, 41, 41), np.float32)
    image[0, 20, 20] = 1
    soft = blurred(image, sigma=3)
    assert soft.dtype == np.float32 and soft[1].max() == 0
    assert soft[0].sum() == pytest.approx(1, abs=1e-5)
    assert soft[0, 20, 20] == pytest.approx(1 / (2 * np.pi * 9), rel=0.01)
    map = np.random.default_rng(0).random((41, 41))
    by_default = deletion(lambda b: b[:, 0].max(axis=(1, 2)), image, map)[2]
    assert by_default == deletion(lambda b: b[:, 0].max(axis=(1, 2)), image, map, blurred(image))[2]


def test_a_flat_map_is_nan_and_the_classifier_is_not_asked():
    def never(batch):
        raise AssertionError

    fractions, scores, area = deletion(never, S[None], np.ones((4, 4)), steps=8)
    assert len(fractions) == len(scores) == 9 and np.isnan(scores).all() and np.isnan(area)


def test_inputs_are_refused_and_left_alone():
    with pytest.raises(InputError, match="do not fit"):
        deletion(total, S[None], S[:2])
    with pytest.raises(InputError, match="steps"):
        insertion(total, S[None], S, steps=0)
    image, map = S[None].copy(), S.copy()
    image.flags.writeable = map.flags.writeable = False
    insertion(total, image, map)
