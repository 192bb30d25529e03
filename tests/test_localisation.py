import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.filters import threshold_otsu

from xaiutils.errors import InputError
from xaiutils.maps import deepest, is_flat, normalise, peak, positive
from xaiutils.metrics.localisation import (
    coverage,
    dice,
    entropy,
    gini,
    iou,
    localisation,
    normalised_entropy,
    oracle_threshold,
    otsu,
    pointing_game,
    relevance_mass,
    relevance_rank,
    spill,
    threshold,
)

S = np.arange(16.0).reshape(4, 4)
M = np.zeros((4, 4), bool)
M[2:, 2:] = True
NOTHING = np.zeros((4, 4), bool)
SHAPE = (7, 9)

maps = hnp.arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32, allow_subnormal=False))
masks = hnp.arrays(bool, SHAPE)


def test_known_values():
    known = localisation(S, M, at=0.5)
    expected = {
        "relevance_mass": 0.416667,
        "relevance_rank": 0.5,
        "pointing_15": 1,
        "pointing_0": 1,
        "entropy": 2.544238,
        "gini": 0.354167,
        "iou": 0.5,
        "coverage": 1,
        "spill": 0.5,
        "dice": 2 / 3,
        "threshold": 0.5,
    }
    assert {name: known[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_functions_agree_with_the_dictionary():
    E = threshold(S, otsu(S))
    alone = {
        "iou": iou(E, M),
        "dice": dice(E, M),
        "coverage": coverage(E, M),
        "spill": spill(E, M),
        "pointing_15": pointing_game(S, M),
        "pointing_0": pointing_game(S, M, tolerance=0),
        "relevance_mass": relevance_mass(S, M),
        "relevance_rank": relevance_rank(S, M),
        "entropy": entropy(S),
        "gini": gini(S),
        "threshold": otsu(S) / 15,
        "iou_oracle": oracle_threshold(S, M)[1],
    }
    assert localisation(S, M) == pytest.approx(alone)


def test_oracle_is_the_best_of_all_thresholds():
    best = max(iou(value <= S, M) for value in S.ravel())
    assert oracle_threshold(S, M) == (10.0, best) == (10.0, 4 / 6)


def test_otsu_matches_scikit_image():
    rng = np.random.default_rng(0)
    for _ in range(10):
        map = np.concatenate([rng.normal(0.2, 0.05, 600), rng.normal(0.8, 0.1, 300)])
        reference = map > threshold_otsu(map, nbins=256)
        assert np.mean(threshold(map, otsu(map)) != reference) < 0.01  # they cut within one bin
    two = np.repeat([1.0, 5.0], [6, 3])
    assert otsu(two) == 5.0


def test_otsu_looks_only_at_valid_pixels():
    map = np.array([[0.0, 1.0, 100.0, 100.0]])
    assert otsu(map) == 100.0
    assert otsu(map, valid=map < 50) == 1.0


@pytest.mark.parametrize("constant", [0.0, 0.3, -2.0])
def test_a_constant_map_never_hits_and_is_nan_where_a_threshold_is_needed(constant):
    map = np.full((4, 4), constant, np.float32)
    got = localisation(map, M)
    assert got["pointing_15"] == got["pointing_0"] == 0
    for name in ("iou", "dice", "coverage", "spill", "threshold", "iou_oracle", "relevance_rank"):
        assert np.isnan(got[name]), name
    assert np.isnan(otsu(map)) and not threshold(map, otsu(map)).any()
    assert np.isnan(normalise(map)).all()
    if constant > 0:  # a uniform map has mass, entropy and Gini all the same
        assert got["relevance_mass"] == pytest.approx(4 / 16)
        assert got["entropy"] == pytest.approx(np.log(16)) and got["gini"] == pytest.approx(0)
    else:
        assert np.isnan([got["relevance_mass"], got["entropy"], got["gini"]]).all()


def test_a_constant_map_stays_constant_under_rounding():
    map = np.full((5, 5), 0.7, np.float32)
    map[2, 2] = np.nextafter(map[2, 2], np.float32(1))
    assert is_flat(map) and peak(map) is None


def test_an_empty_mask_is_nan_but_what_needs_no_mask_is_defined():
    got = localisation(S, NOTHING)
    needs_no_mask = {"entropy", "gini", "threshold"}
    assert {name for name, value in got.items() if not np.isnan(value)} == needs_no_mask
    assert all(np.isnan(measure(M, NOTHING)) for measure in (iou, dice, coverage, spill))
    assert iou(NOTHING, M) == dice(NOTHING, M) == coverage(NOTHING, M) == 0
    assert np.isnan(spill(NOTHING, M))


def test_all_void_and_not_finite_maps_are_nan_everywhere():
    assert np.isnan(list(localisation(S, M, np.ones_like(M)).values())).all()
    broken = S.copy()
    broken[0, 0] = np.nan
    assert np.isnan(list(localisation(broken, M).values())).all()
    assert np.isfinite(list(localisation(broken, M, np.isnan(broken)).values())).all()


@settings(deadline=None)
@given(maps, masks, masks, maps)
def test_void_pixels_do_not_count(map, mask, void, other):
    changed = np.where(void, other + 5, map), mask ^ void
    before, after = localisation(map, mask, void), localisation(*changed, void)
    np.testing.assert_equal(after, before)


def test_pointing_game_is_strict_at_15_pixels():
    mask = np.zeros((40, 40), bool)
    mask[5, 5] = True
    for y, x, hit in [(5, 19, 1), (5, 20, 0), (20, 5, 0), (19, 5, 1), (14, 16, 1), (14, 17, 0)]:
        map = np.zeros((40, 40))
        map[y, x] = 1
        assert pointing_game(map, mask) == hit, (y, x)
        assert pointing_game(map, mask, tolerance=0) == 0
    assert pointing_game(mask.astype(float), mask, tolerance=0) == 1


def test_the_maximum_of_a_plateau_is_its_deepest_pixel():
    map = np.zeros((20, 30))
    map[4:13, 10:19] = 1
    assert peak(map) == (14, 8)
    assert deepest(np.ones((5, 7), bool)) == (2, 2)
    void = np.zeros_like(map, bool)
    void[:9] = True
    assert peak(map, void)[1] == 10


def test_relevance_rank_shares_ties():
    map = np.array([[3.0, 1.0, 1.0, 1.0, 0.0]])
    mask = np.array([[True, True, False, False, False]])
    assert relevance_rank(map, mask) == pytest.approx((1 + 1 / 3) / 2)


def test_entropy_and_gini_closed_forms():
    one = np.zeros((10, 10))
    one[3, 4] = 7
    assert entropy(one) == 0 and gini(one) == pytest.approx(0.99)
    assert normalised_entropy(np.ones((10, 10))) == pytest.approx(1)
    half = np.repeat([0.0, 2.0], 50)
    assert entropy(half) == pytest.approx(np.log(50)) and gini(half) == pytest.approx(0.5)
    assert relevance_mass(np.array([[-5.0, 1.0, 3.0]]), np.array([[True, True, False]])) == 0.25


@settings(deadline=None)
@given(maps, masks)
def test_ranges(map, mask):
    got = localisation(map, mask)
    bounded = [value for name, value in got.items() if name != "entropy"]
    assert all(np.isnan(value) or 0 <= value <= 1 for value in bounded)
    assert np.isnan(got["entropy"]) or 0 <= got["entropy"] <= np.log(map.size) + 1e-6
    if mask.any() and not is_flat(map):
        assert got["iou_oracle"] >= got["iou"]


@settings(deadline=None)
@given(masks, masks)
def test_iou_is_symmetric_and_dice_follows_from_it(a, b):
    if a.any() and b.any():
        assert iou(a, b) == iou(b, a)
        assert dice(a, b) == pytest.approx(2 * iou(a, b) / (1 + iou(a, b)))
        assert spill(a, b) == pytest.approx(1 - coverage(b, a))


@settings(deadline=None, max_examples=50)
@given(maps, masks, st.sampled_from([2.0**-20, 0.25, 8.0, 2.0**20]))
def test_scaling_changes_nothing(map, mask, scale):
    np.testing.assert_equal(
        localisation(map * np.float32(scale), mask),
        pytest.approx(localisation(map, mask), nan_ok=True),
    )


def test_inputs_are_refused_by_name_and_left_alone():
    with pytest.raises(InputError, match="mask must be boolean"):
        localisation(S, M.astype(float))
    with pytest.raises(InputError, match="shape"):
        localisation(S, M[:2])
    with pytest.raises(InputError, match="void"):
        localisation(S, M, M[:2])
    with pytest.raises(InputError, match="at is 2"):
        localisation(S, M, at=2)
    with pytest.raises(InputError, match="empty"):
        deepest(NOTHING)
    map, mask, void = S - 3, M.copy(), NOTHING.copy()
    for array in (map, mask, void):
        array.flags.writeable = False
    localisation(map, mask, void)
    np.testing.assert_array_equal(positive(map), np.maximum(S - 3, 0))
    np.testing.assert_allclose(normalise(map), S / 15)
