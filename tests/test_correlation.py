"""Rank correlations in four readings, against scipy and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from xaiutils.sections.correlation import LEVELS, correlations, spearman


def table(a: np.ndarray, b: np.ndarray) -> pd.DataFrame:
    """Values (images, cues) as rows of sample, cue, x, y."""
    n, k = a.shape
    rows = [(f"s{i}", f"c{j}", a[i, j], b[i, j]) for i in range(n) for j in range(k)]
    return pd.DataFrame(rows, columns=["sample", "cue", "x", "y"])


def test_spearman_agrees_with_scipy_with_ties_and_leaves_out_what_is_undefined():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 40).astype(float), rng.integers(0, 5, 40).astype(float)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)
    x[3] = np.nan
    keep = np.isfinite(x)
    assert spearman(x, y) == pytest.approx(spearmanr(x[keep], y[keep]).statistic)


def test_spearman_is_undefined_for_constants_and_for_two_pairs():
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))
    assert np.isnan(spearman(np.array([1.0, 2, np.nan]), np.array([1.0, 2, 3])))


def test_the_readings_differ_as_they_should():
    # image i, cue j: x = 10 i + j, y = 10 i - j: images agree, cues are reversed
    i, j = np.meshgrid(np.arange(6.0), np.arange(4.0), indexing="ij")
    found = correlations(table(10 * i + j, 10 * i - j), "x", "y").set_index("level")
    assert list(found.index) == list(LEVELS)
    assert found["rho"]["across images"] == pytest.approx(1)
    assert found["rho"]["across explainers"] == pytest.approx(-1)
    assert found["rho"]["of the means"] == pytest.approx(-1)
    assert 0.8 < found["rho"]["pooled"] < 1
    assert found["n"].tolist() == [6] * 4 and found["pairs"].tolist() == [24] * 4


def test_intervals_hold_the_estimate_and_repeat():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(20, 5))
    data = table(a, a + rng.normal(size=a.shape))
    first, again = correlations(data, "x", "y"), correlations(data, "x", "y")
    pd.testing.assert_frame_equal(first, again)
    assert ((first["low"] <= first["rho"]) & (first["rho"] <= first["high"])).all()
    assert (first["high"] - first["low"]).between(0.01, 1.2).all()


def test_undefined_values_are_left_out_pair_by_pair():
    i, j = np.meshgrid(np.arange(6.0), np.arange(4.0), indexing="ij")
    a, b = 10 * i + j, 10 * i - j
    a[2, 1] = np.nan
    found = correlations(table(a, b), "x", "y").set_index("level")
    assert found["pairs"]["pooled"] == 23
    assert found["rho"]["across images"] == pytest.approx(1)
    assert found["rho"]["across explainers"] == pytest.approx(-1)
    # a mean of x over five images must meet the mean of y over the same five
    assert found["rho"]["of the means"] == pytest.approx(spearman(*means(a, b)))


def means(a, b):
    both = np.isfinite(a) & np.isfinite(b)
    return [np.array([v[both[:, k], k].mean() for k in range(4)]) for v in (a, b)]


def test_two_images_have_no_interval():
    a = np.array([[1.0, 2, 3], [2, 3, 4]])
    found = correlations(table(a, a), "x", "y").set_index("level")
    assert found["rho"]["across explainers"] == 1
    assert found[["low", "high"]].isna().all().all()
