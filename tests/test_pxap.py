import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from toy_study import ToyStudy

from xaiutils.analyses import pxap as analysis
from xaiutils.errors import InputError
from xaiutils.metrics.pxap import STEPS, pxap, score_histogram


def reference(scores: np.ndarray, truth: np.ndarray) -> float:
    """The authors' evaluator in its own steps: histograms with two empty bins above, the sum of
    precision[1:] * diff(recall). (Its factor of 100 is left out.)"""
    edges = np.append(np.arange(0, 1, 0.001), [1.0, 2.0, 3.0])
    positive, negative = (np.histogram(scores[truth == side], edges)[0] for side in (1, 0))
    tp, fp = positive[::-1].cumsum(), negative[::-1].cumsum()
    defined = tp + fp > 0
    precision = tp / np.maximum(tp + fp, 1)
    return float((precision[1:] * np.diff(tp / tp[-1]))[defined[1:]].sum())


def split(n: int, levels: int | None = None, seed: int = 0):
    """n maps in [0, 1] that lean towards their masks; on a grid of levels where asked for."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        shape = tuple(rng.integers(10, 40, 2))
        mask = rng.random(shape) < 0.3
        map = np.clip(rng.random(shape) + 0.4 * mask - 0.2, 0, 1)
        if levels:
            map = np.floor(map * levels) / levels
        yield map, mask, rng.random(shape) < 0.1


def gathered(parts):
    scores, truth = (np.concatenate([each[side][~each[2]] for each in parts]) for side in (0, 1))
    return scores, truth


def test_by_hand():
    map = np.array([[1.0, 0.9, 0.5, 0.1]])
    mask = np.array([[True, False, True, False]])
    # thresholds from above: precision 1 at recall 1/2, then 2/3 at recall 1
    assert pxap(score_histogram(map, mask)) == pytest.approx(1 / 2 + 2 / 3 / 2)


def test_the_best_and_the_worst_map():
    mask = np.arange(100).reshape(10, 10) < 25
    assert pxap(score_histogram(mask.astype(float), mask)) == 1
    # a constant map says nothing: its precision is the object's share
    assert pxap(score_histogram(np.full((10, 10), 0.5), mask)) == 0.25


@pytest.mark.parametrize("levels", [1000, 50])
def test_equals_sklearn_where_no_two_values_share_a_bin(levels):
    parts = list(split(6, levels))
    total = sum(score_histogram(*part) for part in parts)
    scores, truth = gathered(parts)
    assert pxap(total) == pytest.approx(average_precision_score(truth, scores), rel=1e-12)


def test_equals_the_authors_sum_and_is_near_sklearn_on_any_values():
    parts = list(split(6))
    total = sum(score_histogram(*part) for part in parts)
    scores, truth = gathered(parts)
    assert pxap(total) == pytest.approx(reference(scores, truth), rel=1e-12)
    assert pxap(total) == pytest.approx(average_precision_score(truth, scores), abs=1e-3)


def test_every_threshold_opens_its_own_bin():
    values = np.append(np.arange(STEPS) / STEPS, 1.0)
    for dtype in (np.float32, np.float64):
        histogram = score_histogram(values.astype(dtype), np.ones(STEPS + 1, bool))
        assert (histogram == [[0] * (STEPS + 1), [1] * (STEPS + 1)]).all()


def test_one_threshold_for_the_whole_split():
    """Two maps that order their own pixels perfectly, on scales that do not fit together."""
    low = np.array([[0.2, 0.1]]), np.array([[True, False]])
    high = np.array([[0.9, 0.8]]), np.array([[True, False]])
    assert pxap(score_histogram(*low)) == pxap(score_histogram(*high)) == 1
    both = score_histogram(*low) + score_histogram(*high)
    assert pxap(both) == pytest.approx(1 / 2 + 2 / 3 / 2)


def test_undefined():
    flat = score_histogram(np.full((3, 3), np.nan), np.ones((3, 3), bool))
    assert flat.sum() == 0 and np.isnan(pxap(flat))
    assert np.isnan(pxap(score_histogram(np.eye(3), np.zeros((3, 3), bool))))
    void = np.ones((3, 3), bool)
    assert score_histogram(np.eye(3), np.eye(3) > 0, void).sum() == 0


def test_stacked_histograms_are_read_one_by_one():
    a, b = (score_histogram(*part) for part in split(2))
    np.testing.assert_array_equal(pxap(np.stack([a, b])), [pxap(a), pxap(b)])


@pytest.mark.parametrize("bad", [[[0.5, 1.2]], [[-0.1, 0.5]], [[np.nan, 0.5]]])
def test_maps_outside_0_and_1(bad):
    with pytest.raises(InputError, match=r"in \[0, 1\]"):
        score_histogram(np.array(bad), np.array([[True, False]]))


# ---- the analysis


def test_of_a_study(tmp_path):
    study = ToyStudy(tmp_path)
    assert analysis.units(study) == study.cues
    (exact,) = analysis.measure(study, "gradcam")
    assert (exact["pxap"], exact["low"], exact["high"]) == (1, 1, 1)
    assert (exact["n"], exact["undefined"]) == (4, 0)
    # 24 + 16 + 30 + 12 object pixels; image 1 has 16 void ones and two samples
    assert exact["object_share"] == pytest.approx(82 / (4 * 192 - 2 * 16))
    (shifted,) = analysis.measure(study, "ig")
    assert (shifted["n"], shifted["undefined"]) == (3, 1)
    assert shifted["low"] < shifted["pxap"] < shifted["high"]
