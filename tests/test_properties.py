"""What holds for every input of the pure functions, beside the properties in their own tests."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.stats import kendalltau

from xaiutils import clicks, comparison, gallery, learned_fusion, names, pseudo_labels, trust
from xaiutils.datasets.base import as_text, is_plain
from xaiutils.errors import InputError
from xaiutils.evaluation import tally_votes, threshold_curve
from xaiutils.explainers import saliency
from xaiutils.explainers.superpixels import from_zero, region_means
from xaiutils.fusion import FUSIONS, best_single, by_hand, entropy_kl_iou, maximum, mean
from xaiutils.images import read_image, read_indices, read_mask, resize_map
from xaiutils.maps import bins, deepest, is_flat, normalise, otsu, peak, positive, threshold
from xaiutils.metrics import agreement as agree
from xaiutils.metrics import confusion as labels
from xaiutils.metrics import localisation as measures
from xaiutils.metrics.faithfulness import blurred, deletion, insertion
from xaiutils.metrics.pxap import pxap, score_histogram
from xaiutils.metrics.stability import max_sensitivity
from xaiutils.metrics.stability import spread as spread_of
from xaiutils.prompting import (
    FLOORS,
    box_from_mask,
    centre_box,
    largest_component,
    points_from_map,
    spread,
)
from xaiutils.sections.correlation import spearman, spearman_rows
from xaiutils.segmenters.embedded_sam import prompt_points
from xaiutils.statistics import interval_over, mean_interval, paired_difference, summary
from xaiutils.store import digest, pack, read_unit, read_whole, unpack, write_table, write_unit

settings.register_profile("properties", deadline=None, max_examples=40)
quick = settings(settings.get_profile("properties"))

SHAPE = (6, 7)
# quarters and ties: sums are exact, so that equal must be equal
quarters = st.integers(0, 16).map(lambda k: k / 16)
maps = hnp.arrays(np.float32, SHAPE, elements=quarters)
signed = hnp.arrays(np.float32, SHAPE, elements=st.integers(-8, 8).map(lambda k: k / 8))
masks = hnp.arrays(bool, SHAPE)
stacks = hnp.arrays(np.float32, (3, *SHAPE), elements=quarters)
seeds = st.integers(0, 2**32 - 1)
unit = st.floats(0, 1, width=32)
values = hnp.arrays(np.float64, st.integers(0, 12), elements=st.integers(-20, 20).map(float))
TURNS = (lambda a: a[..., ::-1], lambda a: a[..., ::-1, :], lambda a: a.swapaxes(-1, -2))
turns = st.sampled_from(TURNS)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def moved(map: np.ndarray) -> np.ndarray:
    """A monotone map of the values that keeps quarters exact: x -> 8 x + 3."""
    return np.float32(8) * map + np.float32(3)


# ---- maps


@quick
@given(signed)
def test_positive_and_negative_parts_add_up(map):
    np.testing.assert_array_equal(positive(map) - positive(-map), map)
    assert (positive(map) * positive(-map) == 0).all()
    np.testing.assert_array_equal(saliency(map, "absolute"), positive(map) + positive(-map))
    np.testing.assert_array_equal(saliency(map, "positive"), positive(map))


@quick
@given(signed)
def test_normalised_maps_reach_0_and_1_and_forget_scale_and_place(map):
    normal = normalise(map)
    if is_flat(map):
        assert np.isnan(normal).all() and np.ptp(map) == 0
        return
    assert (normal.min(), normal.max()) == (0, 1)
    np.testing.assert_array_equal(normalise(normal), normal)
    np.testing.assert_array_equal(normalise(moved(map)), normal)
    np.testing.assert_allclose(normalise(-map), 1 - normal, atol=1e-6)
    np.testing.assert_array_equal(bins(map), np.minimum(np.floor(256 * normal), 255))


@quick
@given(signed, masks)
def test_otsu_cuts_between_values_and_moves_with_the_map(map, valid):
    cut = otsu(map, valid)
    if is_flat(map[valid]):
        assert np.isnan(cut) and not threshold(map, cut).any()
        return
    assert cut in map[valid] and cut > map[valid].min()
    assert otsu(moved(map), valid) == moved(np.float32(cut))
    np.testing.assert_array_equal(threshold(moved(map), moved(np.float32(cut))), map >= cut)
    changed = np.where(valid, map, 99)
    assert otsu(changed, valid) == cut


@quick
@given(signed, unit, unit)
def test_a_higher_threshold_keeps_less(map, one, other):
    low, high = sorted((one, other))
    assert (threshold(map, high) <= threshold(map, low)).all()
    np.testing.assert_array_equal(threshold(map, low), ~(map < np.float32(low)))


@quick
@given(masks)
def test_the_deepest_pixel_is_inside_and_no_other_is_deeper(mask):
    assume(mask.any())
    x, y = deepest(mask)
    outside = np.argwhere(~np.pad(mask, 1))

    def depth(point):
        return np.hypot(*(outside - 1 - point).T).min()

    assert mask[y, x]
    assert depth((y, x)) >= max(map(depth, np.argwhere(mask))) - 1e-9


@quick
@given(signed, masks)
def test_the_peak_is_a_maximum_outside_void_and_stays_under_monotone_maps(map, void):
    found = peak(map, void)
    assert (found is None) == is_flat(map[~void])
    if found is not None:
        x, y = found
        assert map[y, x] == map[~void].max() and not void[y, x]
        assert peak(moved(map), void) == found
        assert peak(np.where(void, 50, map).astype(np.float32), void) == found


# ---- metrics


@quick
@given(masks, masks, turns)
def test_region_measures_do_not_know_where_pixels_lie(E, S, turn):
    for measure in (measures.iou, measures.dice, measures.coverage, measures.spill):
        np.testing.assert_equal(measure(turn(E), turn(S)), measure(E, S))
    if S.any():
        assert measures.coverage(E, S) + measures.coverage(~E, S) == pytest.approx(1)
        assert measures.iou(S, S) == measures.dice(S, S) == measures.coverage(S, S) == 1
        assert measures.spill(S, S) == 0 == measures.iou(~S, S)
        assert measures.iou(E, S) <= min(measures.coverage(E, S), measures.dice(E, S))


@quick
@given(maps, masks)
def test_the_oracle_is_an_upper_bound_and_reaches_its_own_value(map, mask):
    value, best = measures.oracle_threshold(map, mask)
    if is_flat(map) or not mask.any():
        assert np.isnan(value) and np.isnan(best)
        return
    assert measures.iou(threshold(map, value), mask) == pytest.approx(best)
    curve = [iou for _, iou in threshold_curve(normalise(map), mask, np.zeros(SHAPE, bool))]
    assert max(curve) <= best + 1e-12
    assert measures.oracle_threshold(moved(map), mask) == pytest.approx((moved(value), best))


@quick
@given(maps, masks, st.integers(0, 9), st.integers(0, 9))
def test_pointing_hits_more_with_more_tolerance(map, mask, one, other):
    low, high = sorted((one, other))
    assume(mask.any())
    assert measures.pointing_game(map, mask, None, low) <= measures.pointing_game(
        map, mask, None, high
    )
    hit = measures.pointing_game(map, np.ones(SHAPE, bool), None, 0)
    assert hit == float(not is_flat(map))


@quick
@given(maps, masks)
def test_relevance_inside_and_outside_add_up(map, mask):
    inside, outside = measures.relevance_mass(map, mask), measures.relevance_mass(map, ~mask)
    if mask.any() and not mask.all() and map.any():
        assert inside + outside == pytest.approx(1)
    assert np.isnan(inside) == (not mask.any() or not map.any())
    rank = measures.relevance_rank(map, mask)
    if not np.isnan(rank):
        assert measures.relevance_rank(moved(map), mask) == pytest.approx(rank)
        n, k = mask.size, mask.sum()  # what the reversed order leaves out
        other = measures.relevance_rank(-map, ~mask)
        if k < n:
            assert k * (1 - rank) == pytest.approx((n - k) * (1 - other))
    if mask.any() and not mask.all():
        assert measures.relevance_rank(mask.astype(np.float32), mask) == 1


@quick
@given(maps, st.permutations(range(42)), st.sampled_from([0.25, 2.0, 64.0]))
def test_concentration_knows_neither_order_nor_scale(map, order, scale):
    shuffled = np.float32(scale) * map.ravel()[order].reshape(SHAPE)
    for measure in (measures.entropy, measures.gini, measures.normalised_entropy):
        assert measure(shuffled) == pytest.approx(measure(map), nan_ok=True)
    if map.any():
        assert 0 <= measures.gini(map) <= 41 / 42
        assert 0 <= measures.normalised_entropy(map) <= 1 + 1e-9
        support = np.log(np.count_nonzero(map))
        assert measures.entropy(map) <= support + 1e-9
        mixed = map + map.mean()  # moved towards the uniform map
        assert measures.entropy(mixed) >= measures.entropy(map) - 1e-6
        assert measures.gini(mixed) <= measures.gini(map) + 1e-6


@quick
@given(hnp.arrays(bool, (4, *SHAPE)), st.permutations(range(4)))
def test_votes_count_masks_and_their_complement(stack, order):
    count = agree.votes(stack)
    np.testing.assert_array_equal(agree.votes(stack[order]), count)
    np.testing.assert_array_equal(agree.votes(~stack), 4 - count)


@quick
@given(hnp.arrays(bool, (3, *SHAPE)), masks, masks)
def test_tallied_votes_are_all_pixels_and_all_of_the_object(stack, mask, void):
    rows = pd.DataFrame(tally_votes(list(stack), mask, void))
    assert rows["pixels"].sum() == (~void).sum()
    hits = (rows["precision"].fillna(0) * rows["pixels"]).sum()
    assert hits == pytest.approx((mask & ~void).sum())
    if (mask & ~void).any():
        assert rows["coverage"][0] == 1 and rows["coverage"].is_monotonic_decreasing


@quick
@given(stacks, masks, st.permutations(range(3)))
def test_agreement_is_symmetric_bounded_and_of_no_order(stack, void, order):
    cut = np.stack([threshold(map, otsu(map, ~void)) for map in stack])
    tables = agree.matrices(stack, cut, void)
    shuffled = agree.matrices(stack[order], cut[order], void)
    for name, table in tables.items():
        np.testing.assert_array_equal(table, table.T)
        np.testing.assert_allclose(shuffled[name], table[np.ix_(order, order)], atol=1e-6)
        low = -1 if name == "spearman" else 0
        assert (np.isnan(table) | (table >= low) & (table <= 1)).all()
        own = np.diag(table)
        np.testing.assert_allclose(own[~np.isnan(own)], 1, rtol=1e-6)
    moved_too = agree.matrices(moved(stack), cut, void)
    np.testing.assert_allclose(moved_too["spearman"], tables["spearman"], atol=1e-12)
    np.testing.assert_allclose(moved_too["top10"], tables["top10"], atol=1e-6)
    rows = agree.agreement(dict(zip("abc", stack)), dict(zip("abc", cut)), void)
    assert len(rows) == 3 * len(tables)
    for a, b, name, value in rows:
        np.testing.assert_equal(value, float(tables[name]["abc".index(a), "abc".index(b)]))


@quick
@given(maps, maps, st.sampled_from([0.5, 4.0]))
def test_kl_is_zero_of_equals_and_knows_no_scale(p, q, scale):
    found = agree.kl(p, q)
    assert np.isnan(found) == (not p.any() or not q.any())
    if not np.isnan(found):
        assert 0 <= found <= np.log(42 / 1e-8)
        assert agree.kl(np.float32(scale) * p, q) == pytest.approx(found)
        assert agree.kl(p, p) == pytest.approx(0, abs=1e-6)
        assert agree.kl(p[::-1], q[::-1]) == pytest.approx(found)


label_images = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2, 255]))
predictions = hnp.arrays(np.uint8, SHAPE, elements=st.sampled_from([0, 1, 2]))


@quick
@given(label_images, predictions, st.permutations(range(3)))
def test_confusion_counts_every_valid_pixel_once_and_no_name_matters(truth, prediction, order):
    matrix = labels.confusion(truth, prediction, 3)
    valid = truth != 255
    assert matrix.sum() == valid.sum() and np.trace(matrix) == (truth == prediction)[valid].sum()
    for number, iou in enumerate(labels.class_ious(labels.counts(matrix))):
        S, E = truth == number, (prediction == number) & valid
        expected = (S & E).sum() / (S | E).sum() if (S | E).any() else np.nan
        np.testing.assert_equal(iou, expected)
    renamed = np.array([*order, *[0] * 252, 255], np.uint8)
    other = labels.confusion(renamed[truth], renamed[prediction], 3)
    np.testing.assert_array_equal(other[np.ix_(order, order)], matrix)
    one, two = labels.miou(matrix), labels.miou(other)
    assert one.value == pytest.approx(two.value, nan_ok=True) and one[1:] == two[1:]
    assert one.classes + one.absent == 3
    perfect = np.where(valid, truth, 0).astype(np.uint8)
    assert labels.miou(labels.confusion(truth, perfect, 3)).value in (
        1,
        pytest.approx(np.nan, nan_ok=True),
    )


@quick
@given(label_images, predictions, label_images, predictions)
def test_confusions_of_images_add_up_to_that_of_both(a, b, c, d):
    both = labels.confusion(np.hstack([a, c]), np.hstack([b, d]), 3)
    np.testing.assert_array_equal(labels.confusion(a, b, 3) + labels.confusion(c, d, 3), both)


@quick
@given(st.lists(st.tuples(maps, masks, masks), min_size=1, max_size=3))
def test_pixel_average_precision_is_bounded_and_perfect_for_the_mask(split):
    total = sum(score_histogram(*each) for each in split)
    assert total.sum() == sum((~void).sum() for *_, void in split)
    positives = sum((mask & ~void).sum() for _, mask, void in split)
    assert total[1].sum() == positives
    found = pxap(total)
    if not positives:
        assert np.isnan(found)
        return
    assert 0 < found <= 1 + 1e-12
    perfect = sum(score_histogram(m.astype(np.float32), m, void) for _, m, void in split)
    assert pxap(perfect) == pytest.approx(1)
    constant = sum(score_histogram(np.full(SHAPE, 0.5, np.float32), m, v) for _, m, v in split)
    assert pxap(constant) == pytest.approx(positives / total.sum())


@quick
@given(maps, seeds, st.integers(1, 42))
def test_deletion_and_insertion_run_from_one_end_to_the_other(map, seed, steps):
    """Of a linear score: the curves of an image and its baseline add up to both ends."""
    image, baseline = rng(seed).integers(0, 9, (2, 2, *SHAPE)).astype(np.float32)
    f = lambda batch: batch.sum(axis=(1, 2, 3))  # noqa: E731
    share, deleted, area = deletion(f, image, map, baseline, steps, batch=5)
    _, inserted, other = insertion(f, image, map, baseline, steps)
    assert share[0] == 0 and share[-1] == 1
    if is_flat(map):
        assert np.isnan(deleted).all() and np.isnan(area)
        return
    ends = image.sum(), baseline.sum()
    assert (deleted[0], deleted[-1]) == ends and (inserted[-1], inserted[0]) == ends
    np.testing.assert_allclose(deleted + inserted, sum(ends))
    assert area + other == pytest.approx(sum(ends))
    assert min(deleted) - 1e-6 <= area <= max(deleted) + 1e-6
    np.testing.assert_array_equal(deletion(f, image, moved(map), baseline, steps)[1], deleted)


@quick
@given(hnp.arrays(np.float32, (2, *SHAPE), elements=quarters), quarters)
def test_blur_keeps_constants_and_range(image, level):
    np.testing.assert_allclose(blurred(np.full_like(image, level)), level, atol=1e-6)
    soft = blurred(image, 1.0)
    low, high = image.min(axis=(1, 2)), image.max(axis=(1, 2))
    assert (soft.min(axis=(1, 2)) >= low - 1e-6).all()
    assert (soft.max(axis=(1, 2)) <= high + 1e-6).all()
    np.testing.assert_allclose(blurred(image[:, ::-1], 1.0), soft[:, ::-1], atol=1e-6)


@quick
@given(maps, seeds, st.sampled_from([0.25, 8.0]))
def test_sensitivity_is_that_of_the_explainer_and_no_scale(map, seed, scale):
    image = map[None]
    same = max_sensitivity(lambda x: map, image, rng(seed), samples=3)
    assert same == 0 if map.any() else np.isnan(same)
    moves = lambda x: np.float32(scale) * x[0]  # noqa: E731
    found = max_sensitivity(moves, image, rng(seed), samples=3)
    if map.any():
        assert found == pytest.approx(
            max_sensitivity(lambda x: x[0], image, rng(seed), samples=3), rel=1e-4
        )
        reach = 0.02 * float(np.ptp(map))
        assert 0 <= found <= reach * np.sqrt(map.size) / np.linalg.norm(map) * 1.001 + 1e-6


@quick
@given(stacks, st.permutations(range(3)), st.sampled_from([0.25, 8.0]))
def test_spread_of_maps_is_zero_of_equals_and_no_scale(stack, order, scale):
    found = spread_of(stack)
    assert spread_of(scale * stack[order]) == pytest.approx(found, nan_ok=True)
    assert np.isnan(found) == (not stack.any())
    if stack[0].any():
        assert spread_of(np.stack([stack[0]] * 3)) == pytest.approx(0, abs=1e-7)


# ---- fusion


@quick
@given(stacks, seeds)
@pytest.mark.parametrize("name", FUSIONS)
def test_fusions_stay_between_the_maps_and_forget_scale(name, stack, seed):
    kept = [normalise(map) for map in stack if not is_flat(map)]
    fused = FUSIONS[name](stack, rng(seed))
    assert fused.dropped == 3 - len(kept)
    if not kept:
        assert np.isnan(fused.map).all() and np.isnan(fused.weights).all()
        return
    assert (fused.map >= np.min(kept, axis=0) - 1e-6).all()
    assert (fused.map <= np.max(kept, axis=0) + 1e-6).all()
    other = FUSIONS[name](moved(stack), rng(seed))
    np.testing.assert_allclose(other.map, fused.map, atol=1e-5)
    np.testing.assert_allclose(other.weights, fused.weights, atol=1e-5)


@quick
@given(maps)
def test_fusing_a_map_with_itself_gives_the_map(map):
    assume(not is_flat(map))
    for fuse in (mean, maximum, entropy_kl_iou):
        fused = fuse(np.stack([map, map, map]))
        np.testing.assert_allclose(fused.map, normalise(map), atol=1e-6)
        np.testing.assert_allclose(fused.weights, 1 / 3, atol=1e-6)


@quick
@given(stacks, hnp.arrays(np.float64, 3, elements=st.integers(0, 5).map(float)))
def test_weights_by_hand_are_shares_and_the_best_single_is_one_map(stack, weights):
    kept = np.array([not is_flat(map) for map in stack])
    fused = by_hand(stack, weights)
    if weights[kept].sum() > 0:
        share = np.where(kept, weights, 0)
        np.testing.assert_allclose(fused.weights, share / share.sum())
        np.testing.assert_allclose(by_hand(stack, 4 * weights).map, fused.map, atol=1e-6)
    else:
        assert np.isnan(fused.map).all()
    single = best_single(stack, weights)
    if kept.any():
        best = np.flatnonzero(kept)[weights[kept].argmax()]
        np.testing.assert_array_equal(single.map, normalise(stack[best]))
        assert single.weights[best] == 1 == single.weights.sum()


# ---- prompting


@quick
@given(masks, turns)
def test_boxes_touch_the_mask_on_all_four_sides(mask, turn):
    assume(mask.any())
    x0, y0, x1, y1 = box_from_mask(mask).astype(int)
    inside = np.zeros(SHAPE, bool)
    inside[y0 : y1 + 1, x0 : x1 + 1] = True
    assert (mask <= inside).all()
    assert mask[y0].any() and mask[y1].any() and mask[:, x0].any() and mask[:, x1].any()
    largest = largest_component(mask)
    assert (largest <= mask).all() and largest.any()
    assert largest_component(turn(mask)).sum() == largest.sum()
    np.testing.assert_array_equal(largest_component(largest), largest)


@quick
@given(masks, seeds, st.integers(0, 8))
def test_spread_points_are_distinct_pixels_of_the_region(mask, seed, n):
    points = [tuple(map(int, point)) for point in spread(mask, n, rng(seed))]
    assert len(points) == len(set(points)) == min(n, mask.sum())
    assert all(mask[y, x] for x, y in points)


@quick
@given(signed, seeds)
def test_points_stay_where_they_are_under_monotone_maps(map, seed):
    one, other = points_from_map(map, rng(seed)), points_from_map(moved(map), rng(seed))
    np.testing.assert_array_equal(one.points, other.points)
    for field in ("labels", "foreground", "background", "seed"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


@quick
@given(st.integers(1, 50), st.integers(1, 50), seeds, st.floats(0.01, 1))
def test_floors_are_inside_and_centred(height, width, seed, share):
    for make in FLOORS.values():
        prompts = make((height, width), rng(seed))
        corners = prompts.points if prompts.box is None else prompts.box.reshape(2, 2)
        assert not prompts.empty
        assert (corners >= 0).all() and (corners <= (width - 1, height - 1)).all()
    x0, y0, x1, y1 = centre_box((height, width), share=share).box
    assert x0 + x1 == pytest.approx(width - 1) and y0 + y1 == pytest.approx(height - 1)


@quick
@given(masks, masks, masks)
def test_the_next_click_is_on_what_is_wrong(mask, truth, void):
    click = clicks.next_click(mask, truth, void)
    wrong = (mask != truth) & ~void
    assert (click is None) == (not wrong.any())
    if click is not None:
        x, y, label = click
        assert wrong[y, x] and truth[y, x] == bool(label)
        swapped = clicks.next_click(~mask, ~truth, void)
        missed, spilled = (
            clicks._largest(part & ~void).sum() for part in (truth & ~mask, mask & ~truth)
        )
        assert missed == spilled or swapped == (x, y, 1 - label)
        added = clicks.add(clicks.NONE, click)
        assert added.points.tolist() == [[x, y]] and added.labels.tolist() == [label]


@quick
@given(signed, seeds, st.floats(0.1, 8))
def test_sam_points_scale_with_the_image(map, seed, scale):
    prompts = points_from_map(map, rng(seed))
    points, kinds = prompt_points(prompts, scale)
    np.testing.assert_allclose(points[:-1], prompts.points * np.float32(scale))
    np.testing.assert_array_equal(kinds, [*prompts.labels, -1])


# ---- statistics


@quick
@given(values, st.permutations(range(12)), st.integers(0, 3))
def test_mean_intervals_hold_the_mean_and_ignore_nan(x, order, undefined):
    found, low, high = mean_interval(np.append(x, [np.nan] * undefined))
    if not x.size:
        assert np.isnan(found) and np.isnan(low) and np.isnan(high)
        return
    assert found == pytest.approx(x.mean())
    if x.size < 2:
        assert np.isnan(low) and np.isnan(high)
        return
    assert x.min() - 1e-9 <= low <= high <= x.max() + 1e-9
    other = mean_interval(2 * x + 5)
    np.testing.assert_allclose(other, [2 * found + 5, 2 * low + 5, 2 * high + 5], atol=1e-9)
    np.testing.assert_allclose(mean_interval(-x)[0], -found, atol=1e-12)


@quick
@given(hnp.arrays(np.float64, st.integers(3, 9), elements=st.integers(-9, 9).map(float)))
def test_bootstrap_intervals_of_any_estimate_move_with_it(x):
    low, high = interval_over(len(x), lambda draws: x[draws].mean(axis=1), 200)
    assert x.min() <= low <= high <= x.max()
    again = interval_over(len(x), lambda draws: -x[draws].mean(axis=1), 200)
    np.testing.assert_allclose(again, (-high, -low), atol=1e-12)


frames = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 9) | st.none()),
    unique_by=lambda row: row[:2],
    min_size=1,
    max_size=15,
).map(lambda rows: pd.DataFrame(rows, columns=["cue", "sample", "value"]).astype({"value": float}))


@quick
@given(frames, st.randoms(use_true_random=False))
def test_a_summary_counts_every_row_once(table, random):
    found = summary(table, "cue").set_index("cue")
    assert found[["n", "undefined"]].to_numpy().sum() == len(table)
    means = table.groupby("cue")["value"].mean()
    np.testing.assert_allclose(found["mean"].sort_index(), means, equal_nan=True)
    shuffled = table.sample(frac=1, random_state=random.randrange(99))
    other = summary(shuffled, "cue").set_index("cue").loc[found.index]
    np.testing.assert_allclose(other["mean"], found["mean"], equal_nan=True)


@quick
@given(frames)
def test_paired_differences_turn_round_with_their_cues(table):
    one, other = paired_difference(table, "a", "b"), paired_difference(table, "b", "a")
    assert one[3] == other[3]
    np.testing.assert_allclose(one[0], -other[0], equal_nan=True, atol=1e-12)
    wide = table.pivot(index="sample", columns="cue", values="value")
    if {"a", "b"} <= set(wide):
        assert one[3] == (wide["a"] - wide["b"]).notna().sum()


@quick
@given(values, values)
def test_effect_sizes_are_bounded_and_turn_round(x, y):
    for effect, sign in (
        (comparison.rank_biserial(x), comparison.rank_biserial(-x)),
        (comparison.cliffs_delta(x, y), comparison.cliffs_delta(y, x)),
        (comparison.cohens_d(x), comparison.cohens_d(-x)),
    ):
        np.testing.assert_allclose(effect, -sign, equal_nan=True, atol=1e-12)
    for bounded in (comparison.rank_biserial(x), comparison.cliffs_delta(x, y)):
        assert np.isnan(bounded) or -1 <= bounded <= 1
    if (x > 0).any() and (x >= 0).all():
        assert comparison.rank_biserial(x) == 1
    assert comparison.cliffs_delta(x**3, y**3) == pytest.approx(
        comparison.cliffs_delta(x, y), nan_ok=True
    )


@quick
@given(hnp.arrays(np.float64, st.integers(0, 8), elements=st.floats(0, 1) | st.just(np.nan)))
def test_holm_raises_p_at_most_n_fold_and_keeps_the_order(p):
    corrected, known = comparison.holm(p), ~np.isnan(p)
    np.testing.assert_array_equal(np.isnan(corrected), ~known)
    assert (corrected[known] >= p[known] - 1e-12).all() and (corrected[known] <= 1).all()
    assert (corrected[known] <= known.sum() * p[known] + 1e-12).all()
    order = np.argsort(p[known], kind="stable")
    assert (np.diff(corrected[known][order]) >= -1e-12).all()


@quick
@given(hnp.arrays(np.float64, (5, 4), elements=st.integers(0, 9).map(float)))
def test_rankings_sum_up_and_turn_round(table):
    wide = pd.DataFrame(table, columns=["gradcam", "ig", "lime", "other"])
    assume(np.ptp(table, axis=1).any())
    with np.errstate(all="ignore"):
        up, down = comparison.ranking(wide), comparison.ranking(wide, higher_is_better=False)
    assert up.ranks.sum() == pytest.approx(10)
    np.testing.assert_allclose(5 - up.ranks[wide.columns], down.ranks[wide.columns])
    assert up.statistic == pytest.approx(down.statistic, nan_ok=True)
    assert up.distance == comparison.critical_difference(4, 5)
    assert up.distance < comparison.critical_difference(4, 4)


@quick
@given(values, st.permutations(range(12)))
def test_rank_correlation_knows_order_alone(x, order):
    y = np.cos(7 * x) + 0.01 * np.arange(x.size)
    found = spearman(x, y)
    assert np.isnan(found) or -1 <= found <= 1
    assert spearman(y, x) == pytest.approx(found, nan_ok=True)
    assert spearman(x**3, np.exp(y)) == pytest.approx(found, nan_ok=True, abs=1e-12)
    assert spearman(-x, y) == pytest.approx(-found, nan_ok=True, abs=1e-12)
    shuffled = [k for k in order if k < x.size]
    assert spearman(x[shuffled], y[shuffled]) == pytest.approx(found, nan_ok=True, abs=1e-9)
    if x.size >= 3 and np.ptp(x):
        assert spearman(x, x) == pytest.approx(1)


# ---- trust without ground truth


pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 10)), min_size=1, max_size=12)


@quick
@given(pairs)
def test_scores_of_trust_know_order_alone_and_turn_round(rows):
    score, iou = np.array(rows, float).T
    iou /= 10
    area = trust.auroc(score, iou)
    assert trust.auroc(score**3, iou) == pytest.approx(area, nan_ok=True)
    assert trust.auroc(-score, iou) == pytest.approx(1 - area, nan_ok=True)
    share, risk = trust.risk_coverage(score, iou)
    assert share[-1] == 1 and risk[-1] == pytest.approx(1 - iou.mean())
    assert ((risk >= -1e-12) & (risk <= 1 + 1e-12)).all()
    best, worst = trust.aurc(iou, iou), trust.aurc(-iou, iou)
    assert best - 1e-9 <= trust.aurc(score, iou) <= worst + 1e-9
    excess = trust.excess(score, iou)
    if np.ptp(iou):
        assert excess >= -1e-9
        assert trust.excess(iou, iou) == pytest.approx(0, abs=1e-9)
        assert trust.excess(np.ones_like(iou), iou) == pytest.approx(1)
    else:
        assert np.isnan(excess)
    unknown = np.append(score, [np.nan, 3]), np.append(iou, [0.4, np.nan])
    assert trust.auroc(*unknown) == pytest.approx(area, nan_ok=True)


@quick
@given(hnp.arrays(np.float64, st.integers(1, 8), elements=st.integers(0, 9) | st.just(np.nan)))
def test_trust_has_mean_zero_and_keeps_the_order_of_its_signal(signal):
    score = trust.trust_of(pd.DataFrame({"mask_agreement": signal}))
    known = np.isfinite(signal)
    np.testing.assert_array_equal(np.isfinite(score), known)
    if known.any():
        assert score[known].mean() == pytest.approx(0, abs=1e-9)
        tau = kendalltau(signal[known], score[known]).statistic
        assert np.isnan(tau) or tau == pytest.approx(1)


# ---- images, files, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


lossless = st.sampled_from(["png", "tif", "bmp", "webp"])


@quick
@given(hnp.arrays(np.uint8, (9, 11, 3)), lossless)
def test_images_come_back_as_they_were_written(folder, image, suffix):
    path = folder / f"image.{suffix}"
    Image.fromarray(image).save(path, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_image(path), image)


@quick
@given(masks, st.sampled_from([1, 255]), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_masks_come_back_whatever_their_type(folder, mask, top, dtype):
    path = folder / "mask.tif"
    Image.fromarray(top * mask.astype(dtype)).save(path)
    found, void = read_mask(path)
    np.testing.assert_array_equal(found, mask)
    assert not void.any()


@quick
@given(hnp.arrays(np.float32, (5, 7), elements=quarters), st.integers(1, 12), st.integers(1, 12))
def test_resizing_is_linear_and_turns_with_the_map(map, height, width):
    resized = resize_map(map, (height, width))
    np.testing.assert_allclose(resize_map(moved(map), (height, width)), moved(resized), atol=1e-4)
    turned = resize_map(map[::-1, ::-1], (height, width))
    np.testing.assert_allclose(turned, resized[::-1, ::-1], atol=1e-5)
    np.testing.assert_allclose(resize_map(map.T, (width, height)), resized.T, atol=1e-5)
    np.testing.assert_array_equal(resize_map(map, map.shape), map)
    level = np.full((5, 7), map[0, 0])
    np.testing.assert_allclose(resize_map(level, (height, width)), map[0, 0], atol=1e-6)


numbers = st.lists(st.integers(1, 254), min_size=1, max_size=3, unique=True)


@quick
@given(stacks, numbers, quarters)
def test_label_images_hold_the_highest_class_that_reaches_the_level(stack, given_numbers, level):
    found = pseudo_labels.label_image(dict(zip(given_numbers, stack)), level)
    assert set(np.unique(found)) <= {0, *given_numbers}
    layers = stack[: len(given_numbers)]
    np.testing.assert_array_equal(found > 0, layers.max(axis=0) >= np.float32(level))
    for number, layer in zip(given_numbers, layers):
        assert (layer[found == number] == layers.max(axis=0)[found == number]).all()
    backwards = dict(list(zip(given_numbers, stack))[::-1])
    np.testing.assert_array_equal(pseudo_labels.label_image(backwards, level), found)


@quick
@given(hnp.arrays(bool, (3, *SHAPE)), numbers, st.permutations([0.1, 0.5, np.nan]))
def test_label_images_of_masks_cover_their_union(stack, given_numbers, scores):
    chosen = dict(zip(given_numbers, stack))
    found = pseudo_labels.label_image_of_masks(chosen, dict(zip(given_numbers, scores)))
    np.testing.assert_array_equal(found > 0, np.any(list(chosen.values()), axis=0))
    for number, mask in chosen.items():
        assert mask[found == number].all()
    first = max(chosen, key=lambda n: np.nan_to_num(dict(zip(given_numbers, scores))[n], nan=-1))
    assert (found[chosen[first]] == first).all()


@quick
@given(hnp.arrays(np.uint8, SHAPE))
def test_voc_files_come_back_as_they_were_written(tmp_path_factory, image):
    folder = tmp_path_factory.mktemp("voc")
    pseudo_labels.write_voc(folder, [("a", image)], ("dog",))
    path = folder / "SegmentationClass" / "a.png"
    np.testing.assert_array_equal(read_indices(path), image)
    mask, void = read_mask(path)
    np.testing.assert_array_equal(void, image == 255)
    np.testing.assert_array_equal(mask, (image > 0) & (image < 255))


@quick
@given(masks)
def test_run_lengths_come_back(mask):
    coco = pytest.importorskip("pycocotools.mask")
    row = pseudo_labels.run_length(mask)
    np.testing.assert_array_equal(coco.decode(row["segmentation"]).astype(bool), mask)
    assert row["area"] == mask.sum()
    if mask.any():
        x0, y0, x1, y1 = box_from_mask(mask)
        assert row["bbox"] == [x0, y0, x1 - x0 + 1, y1 - y0 + 1]


def test_the_palette_of_voc_has_no_colour_twice():
    assert len(np.unique(pseudo_labels.voc_palette(), axis=0)) == 256


@quick
@given(hnp.arrays(bool, st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9))))
def test_packed_masks_come_back(stack):
    shape = stack.shape[1:]
    packed = pack(list(stack), shape)
    assert packed.shape == (len(stack), -(-shape[0] * shape[1] // 8))
    for row, mask in zip(packed, stack):
        np.testing.assert_array_equal(unpack(row, shape), mask)


texts = st.text(max_size=8)
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
arrays = hnp.arrays(
    st.sampled_from([np.float32, np.uint8, bool]), hnp.array_shapes(min_dims=0, max_dims=3)
)


@quick
@given(st.dictionaries(texts, jsons, max_size=3), arrays)
def test_units_come_back_and_a_cut_one_is_none(folder, meta, array):
    path = folder / "unit.npz"
    write_unit(path, meta, map=array)
    found, kept = read_unit(path)
    assert found == meta and kept["map"].dtype == array.dtype
    np.testing.assert_array_equal(kept["map"], array)
    path.write_bytes(path.read_bytes()[:-30])
    assert read_unit(path) is None


@quick
@given(jsons, jsons, arrays)
def test_digests_are_equal_for_equals_alone(one, other, array):
    text = lambda part: json.dumps(part, sort_keys=True)  # noqa: E731
    assert (digest(one) == digest(other)) == (text(one) == text(other))
    assert digest(array) == digest(array.copy()) != digest(array[None])
    assert digest(one, other) == digest(json.loads(json.dumps(one)), other)


@quick
@given(frames)
def test_tables_come_back_and_damage_is_seen(folder, table):
    path = folder / "table.parquet"
    write_table(path, table)
    pd.testing.assert_frame_equal(read_whole(path), table, check_dtype=False)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        read_whole(path)


# ---- names


@quick
@given(st.lists(st.sampled_from([*names.ORDER, "mine", "other"])))
def test_cues_in_order_are_the_same_cues_once(cues):
    found = names.in_order(cues)
    assert set(found) == set(cues) and len(found) == len(set(found))
    assert names.in_order(found[::-1])[: len(set(found) & set(names.ORDER))] == [
        cue for cue in names.ORDER if cue in cues
    ]
    known = [names.ORDER.index(cue) for cue in found if cue in names.ORDER]
    assert known == sorted(known)
    assert all(names.title(cue) for cue in found)


@quick
@given(st.text(st.characters(categories=["L", "Nd", "P", "Cs", "Zs"]), max_size=12))
def test_names_that_are_plain_stay_in_their_folder(folder, name):
    text = as_text(name)
    assert as_text(text) == text and text.encode().decode() == text
    if is_plain(name):
        assert (folder / name).parent == folder and (folder / name).name == name


# ---- learned and graph fusion, the gallery of masks


@quick
@given(maps)
def test_features_of_pixels_are_shares(map):
    found = learned_fusion.pixel_features({"ig": map}, ["ig"])
    assert found.shape == (64 * 64, 3) and found.min() >= 0 and found.max() <= 1
    if is_flat(map):
        assert not found.any()
    else:
        np.testing.assert_allclose(
            learned_fusion.pixel_features({"ig": moved(map)}, ["ig"])[:, 0], found[:, 0], atol=1e-5
        )


@settings(deadline=None, max_examples=15)
@given(maps, seeds)
def test_a_stacked_map_is_a_probability_and_rises_with_its_weight(map, seed):
    assume(not is_flat(map))
    one = {"explainers": ["ig"], "coefficients": [1.0, 0.0, 0.0], "intercept": -0.5}
    two = one | {"intercept": 0.5}
    low, high = (learned_fusion.stack({"ig": map}, model) for model in (one, two))
    assert low.shape == SHAPE and low.min() >= 0 and high.max() <= 1 and (low <= high).all()


@settings(deadline=None, max_examples=10)
@given(hnp.arrays(np.uint8, (24, 30, 3)), seeds)
def test_a_graph_knows_no_scale_and_reaches_0_and_1(image, seed):
    map = rng(seed).random((24, 30)).astype(np.float32)
    fused = learned_fusion.graph(map, image, regions=20)
    if np.isnan(fused).any():
        assert np.isnan(fused).all()  # one superpixel alone
        return
    assert (fused.min(), fused.max()) == (0, 1)
    np.testing.assert_allclose(learned_fusion.graph(4 * map, image, regions=20), fused, atol=1e-4)


@quick
@given(
    hnp.arrays(bool, (3, 12)),
    hnp.arrays(np.float32, 12, elements=quarters),
)
def test_soft_iou_is_bounded_and_one_of_equals(rows, map):
    found = gallery.soft_iou(rows.astype(np.float32), map)
    known = ~np.isnan(found)
    assert ((found[known] >= 0) & (found[known] <= 1 + 1e-6)).all()
    for row, value in zip(rows, gallery.soft_iou(rows.astype(np.float32), rows[0] * 1.0)):
        if rows[0].any():
            assert value == pytest.approx(measures.iou(row, rows[0]))


@quick
@given(hnp.arrays(np.int64, SHAPE, elements=st.integers(-5, 5)), seeds)
def test_superpixels_count_from_zero_and_keep_their_means(regions, seed):
    found = from_zero(regions)
    assert set(np.unique(found)) == set(range(found.max() + 1))
    assert len(np.unique(regions)) == found.max() + 1
    assert ((found[:, :, None, None] == found) == (regions[:, :, None, None] == regions)).all()
    image = rng(seed).random((3, *SHAPE)).astype(np.float32)
    means = region_means(image, found)
    np.testing.assert_allclose(means.mean(axis=(1, 2)), image.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(region_means(means, found), means, rtol=1e-5)


@quick
@given(st.binary(max_size=64))
def test_a_digest_of_bytes_is_that_of_their_array(content):
    array = np.frombuffer(content, np.uint8)
    expected = hashlib.sha256(f"uint8({len(content)},)".encode() + content + b"\0").hexdigest()
    assert digest(array) == expected[:16]


@given(hnp.arrays(np.float64, (5, 6), elements=st.integers(0, 4).map(float)), st.booleans())
def test_spearman_by_rows_is_that_of_each_row(values, gap):
    other = np.random.default_rng(0).permuted(values, axis=1)
    if gap:
        values[2, 3] = np.nan
    expected = [spearman(a, b) for a, b in zip(values, other)]
    np.testing.assert_allclose(spearman_rows(values, other), expected, atol=1e-12)
