import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import entropy as scipy_entropy
from scipy.stats import rankdata, spearmanr

from xaiutils.errors import InputError
from xaiutils.metrics.agreement import (
    agreement,
    kl,
    pairwise_iou,
    pairwise_kl,
    ranks,
    spearman,
    top_overlap,
    votes,
)
from xaiutils.metrics.localisation import iou

S = np.arange(16.0).reshape(4, 4)
M = np.zeros((4, 4), bool)
M[2:, 2:] = True

# few distinct values, so that ties are the rule
stacks = hnp.arrays(np.float32, (4, 6, 5), elements=st.integers(0, 4).map(float))
voids = hnp.arrays(bool, (6, 5))


def test_known_kl():
    assert kl(M.astype(float), S) == pytest.approx(0.889300, abs=5e-7)


def test_kl_properties():
    assert kl(S, S) == pytest.approx(0, abs=1e-6)
    far = kl(S, M.astype(float))  # S has mass where M has none: large, not infinite
    assert 10 < far < np.log(16 / 1e-8)
    assert kl(S, M.astype(float), epsilon=1e-2) < far
    assert np.isnan(kl(S, 0 * S)) and np.isnan(kl(0 * S, S))
    assert kl(3 * S, 5 * S) == pytest.approx(0, abs=1e-6)


@settings(deadline=None)
@given(stacks)
def test_pairwise_kl_is_not_negative_and_matches_scipy(stack):
    table = pairwise_kl(stack)
    mass = stack.reshape(4, -1).astype(float)
    for i, j in np.ndindex(4, 4):
        if mass[i].any() and mass[j].any():
            q = (1 - 1e-8) * mass[j] / mass[j].sum() + 1e-8 / 30
            assert table[i, j] == pytest.approx(scipy_entropy(mass[i], q), abs=1e-9)
            assert table[i, j] >= 0
        else:
            assert np.isnan(table[i, j])


@settings(deadline=None)
@given(hnp.arrays(np.float32, 40, elements=st.integers(-3, 3).map(float)))
def test_ranks_match_scipy(values):
    np.testing.assert_array_equal(ranks(values), rankdata(values))


@settings(deadline=None)
@given(stacks, voids)
def test_spearman_matches_scipy(stack, void):
    table = spearman(stack, void)
    rows = stack[:, ~void]
    for i, j in np.ndindex(4, 4):
        if rows.size and np.ptp(rows[i]) and np.ptp(rows[j]):
            assert table[i, j] == pytest.approx(spearmanr(rows[i], rows[j])[0], abs=1e-9)
        else:
            assert np.isnan(table[i, j])


@settings(deadline=None)
@given(hnp.arrays(bool, (3, 6, 5)), voids)
def test_pairwise_iou_matches_iou(masks, void):
    table = pairwise_iou(masks, void)
    np.testing.assert_array_equal(table, table.T)
    for i, j in np.ndindex(3, 3):
        if (masks[j] & ~void).any():
            assert table[i, j] == pytest.approx(iou(masks[i], masks[j], void))


def test_an_empty_mask_disagrees_and_two_are_undefined():
    table = pairwise_iou(np.stack([M, ~M & M, ~M & M]))
    assert table[0, 1] == 0 and np.isnan(table[1, 2])


def test_top_overlap_by_hand():
    a = np.zeros((10, 10))
    a[0] = np.arange(1, 11)
    b = np.zeros((10, 10))
    b[0, :5] = 2
    b[1, :5] = 1
    table = top_overlap(np.stack([a, b, -a, 0 * a]))
    assert table[0, 0] == table[1, 1] == table[2, 2] == 1
    assert table[0, 1] == table[1, 0] == 0.5
    assert table[0, 2] == 0
    assert np.isnan(table[3]).all() and np.isnan(table[:, 3]).all()


@settings(deadline=None)
@given(stacks)
def test_top_overlap_of_a_map_with_itself_is_one(stack):
    table = top_overlap(stack)
    np.testing.assert_array_equal(table, table.T)
    own = np.diag(table)
    np.testing.assert_allclose(own[~np.isnan(own)], 1, rtol=1e-6)
    assert np.nanmin(np.append(table, 0)) >= 0 and np.nanmax(np.append(table, 0)) <= 1 + 1e-6


def test_rows_of_agreement():
    maps = {"s": S, "reversed": -S, "constant": 0 * S}
    masks = {name: map >= 8 for name, map in maps.items()}
    masks["reversed"] = S < 12
    rows = {(a, b, metric): value for a, b, metric, value in agreement(maps, masks)}
    assert len(rows) == 3 * 3
    assert rows["s", "reversed", "spearman"] == pytest.approx(-1)
    assert rows["s", "reversed", "iou"] == 4 / 16
    assert rows["s", "reversed", "top10"] == 0
    undefined = [value for (_, b, _), value in rows.items() if b == "constant"]
    assert len(undefined) == 6 and np.isnan(undefined).all()


def test_all_void_is_nan():
    stack, void = np.stack([S, S + 1]), np.ones((4, 4), bool)
    for table in (spearman(stack, void), top_overlap(stack, void), pairwise_kl(stack, void)):
        assert table.shape == (2, 2) and np.isnan(table).all()
    assert np.isnan(pairwise_iou(np.stack([M, M]), void)).all()


def test_votes():
    masks = np.stack([M, ~M, M])
    assert votes(masks).tolist() == np.where(M, 2, 1).tolist()


def test_inputs_are_refused():
    with pytest.raises(InputError, match="names"):
        agreement({"a": S}, {"b": M})
    with pytest.raises(InputError, match="boolean"):
        votes(np.ones((2, 3, 3)))
    with pytest.raises(InputError, match="stack"):
        spearman(S)
    with pytest.raises(InputError, match="resize"):
        kl(S, S[:2])
    assert agreement({"a": S}, {"a": M}) == []
