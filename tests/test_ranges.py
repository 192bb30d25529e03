"""How far a choice moves the mean: by hand, and its interval's behaviour."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xaiutils.sections.ranges import by_option, mean_range, range_gap


def test_groups_that_prefer_other_options_do_not_cancel():
    one = np.array([[[0.2, 0.4], [0.4, 0.2]]] * 5)  # (images, groups, options)
    assert mean_range(one) == pytest.approx((0.2, 0.2, 0.2))
    pooled = one.mean(axis=1, keepdims=True)
    assert mean_range(pooled) == pytest.approx((0, 0, 0))
    assert range_gap(one, pooled) == pytest.approx((0.2, 0.2, 0.2))


def test_undefined_values_are_left_out():
    values = np.array([[[0.2, np.nan, 0.5]], [[0.4, 0.9, np.nan]], [[0.6, 0.9, 0.7]]])
    assert mean_range(values)[0] == pytest.approx(0.9 - 0.4)
    assert np.isnan(mean_range(np.full((4, 1, 2), np.nan))).all()


def test_a_table_becomes_images_groups_options():
    rows = [("a", "x", "1", 0.1), ("a", "y", "1", 0.3), ("b", "x", "2", 0.5)]
    table = pd.DataFrame(rows, columns=["sample", "cue", "value", "iou"])
    nan = np.nan
    grouped = by_option(table, "value", "iou", "cue")
    np.testing.assert_equal(grouped, [[[0.1, nan], [0.3, nan]], [[nan, 0.5], [nan, nan]]])
    np.testing.assert_allclose(by_option(table, "value", "iou"), [[[0.2, nan]], [[nan, 0.5]]])


@given(arrays(np.float64, (6, 2, 3), elements=st.floats(0, 1)))
def test_a_range_is_neither_negative_nor_larger_than_the_largest_difference(values):
    found, low, high = mean_range(values)
    assert 0 <= low <= high <= np.ptp(values) + 1e-12 and 0 <= found <= np.ptp(values) + 1e-12
    shuffled = values[:, :, [2, 0, 1]]
    assert mean_range(shuffled) == pytest.approx((found, low, high))
