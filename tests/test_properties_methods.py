"""What holds for every input of the explainers' parts, training labels, tests and verdicts."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaiutils import tally, training, trust
from xaiutils.claims.finding import FEWEST, UNTESTED, Finding, decide
from xaiutils.comparison import paired_tests
from xaiutils.explainers import cam
from xaiutils.explainers.gradients import gradient_variance
from xaiutils.explainers.masked import batches, region_masks
from xaiutils.explainers.occlusion import window_masks, window_starts, windows
from xaiutils.explainers.surrogates import lime_coefficients, lime_kernel
from xaiutils.statistics import mean_interval

quick = settings(deadline=None, max_examples=40)
few = settings(deadline=None, max_examples=15)

eighths = st.integers(-8, 8).map(lambda k: k / 8)
layers = hnp.arrays(np.float32, (5, 4, 4), elements=eighths)
weights = hnp.arrays(np.float32, 5, elements=eighths)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 20)


# ---- class activation maps


@quick
@given(layers, weights, st.permutations(range(5)))
def test_a_class_activation_map_knows_no_order_and_scales_with_its_weights(layer, w, order):
    found = cam.cam(w, layer)
    assert found.shape == (4, 4) and (found >= 0).all()
    np.testing.assert_array_equal(cam.cam(w[order], layer[order]), found)  # eighths add exactly
    np.testing.assert_array_equal(cam.cam(4 * w, layer), 4 * found)
    np.testing.assert_array_equal(cam.cam(w, layer) - cam.cam(-w, layer), np.tensordot(w, layer, 1))


@quick
@given(layers, st.integers(4, 12))
def test_enlarged_maps_stay_within_their_range(layer, size):
    found = cam.enlarge(layer[0], size)
    assert found.shape == (size, size)
    assert layer[0].min() - 1e-6 <= found.min() and found.max() <= layer[0].max() + 1e-6
    np.testing.assert_allclose(cam.enlarge(2 * layer[0] + 1, size), 2 * found + 1, atol=1e-5)


@quick
@given(layers, layers)
def test_gradcam_weights_are_means_and_those_of_gradcam_plus_plus_positive(activations, gradients):
    captured = SimpleNamespace(activations=activations, gradients=gradients)
    np.testing.assert_allclose(cam.gradcam_weights(captured), gradients.mean((1, 2)), atol=1e-6)
    found = cam.gradcam_plus_plus_weights(captured)
    assert np.isfinite(found).all() and (found >= 0).all()
    assert not found[(gradients <= 0).all(axis=(1, 2))].any()
    positive = SimpleNamespace(activations=np.abs(activations), gradients=gradients)
    # a <= 1/2 where no activation is negative
    bound = np.maximum(gradients, 0).sum((1, 2)) / 2
    assert (cam.gradcam_plus_plus_weights(positive) <= bound + 1e-6).all()


@quick
@given(layers, st.integers(4, 9), st.integers(1, 6))
def test_masks_of_channels_reach_0_and_1_for_any_batch(layer, size, batch):
    found = np.concatenate(list(cam.channel_masks(layer, size, batch)))
    assert found.shape == (5, size, size)
    np.testing.assert_array_equal(found, np.concatenate(list(cam.channel_masks(layer, size, 5))))
    for channel, mask in zip(layer, found):
        if np.ptp(channel) == 0:
            assert not mask.any()
        else:
            assert mask.min() == 0 and mask.max() == pytest.approx(1, abs=1e-5)


@quick
@given(hnp.arrays(np.float64, 6, elements=st.floats(-500, 500)), st.floats(-1000, 1000))
def test_softmax_is_shares_and_forgets_a_shift(scores, shift):
    found = cam.softmax(scores)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    assert found[scores.argmax()] == found.max()
    np.testing.assert_allclose(cam.softmax(scores + shift), found, atol=1e-9)


@quick
@given(layers, st.one_of(st.none(), st.integers(1, 7)))
def test_the_channels_that_vary_most_are_kept_in_their_order(layer, count):
    found = cam.most_varied(layer, count)
    kept = min(count or 5, 5)
    spread = layer.std(axis=(1, 2))
    assert len(found) == kept
    np.testing.assert_allclose(np.sort(found.std((1, 2))), np.sort(spread)[5 - kept :], atol=1e-7)
    at = [next(i for i in range(5) if (layer[i] == channel).all()) for channel in found]
    assert at == sorted(at)


# ---- masks of occlusion and superpixels


@quick
@given(sizes, sizes, sizes, st.integers(1, 7))
def test_windows_hide_every_pixel_and_none_leaves_the_image(size, window, stride, batch):
    assume(stride <= window <= size)
    boxes = windows(size, window, stride)
    assert len(boxes) == len(window_starts(size, window, stride)) ** 2
    y0, y1, x0, x1 = boxes.T
    assert (boxes >= 0).all() and (y0 < y1).all() and (x0 < x1).all()
    assert boxes.max() == size and (y1 - y0 <= window).all() and (x1 - x0 <= window).all()
    masks = np.concatenate(list(window_masks(boxes, size, batch)))
    assert masks.min(axis=0).max() == 0  # each pixel is hidden once at least
    np.testing.assert_array_equal((masks == 0).sum((1, 2)), (y1 - y0) * (x1 - x0))


@quick
@given(st.integers(0, 40), sizes)
def test_batches_cover_all_once(count, size):
    parts = list(batches(count, size))
    assert [k for part in parts for k in range(part.start, part.stop)] == list(range(count))
    assert all(part.stop - part.start <= size for part in parts)


@quick
@given(hnp.arrays(bool, (6, 4)), hnp.arrays(np.int64, (3, 5), elements=st.integers(0, 3)), sizes)
def test_masks_of_regions_are_their_rows_and_add_up_with_the_complement(keep, labels, batch):
    found = np.concatenate(list(region_masks(keep, labels, batch)))
    other = np.concatenate(list(region_masks(~keep, labels, batch)))
    np.testing.assert_array_equal(found + other, 1)
    for region in np.unique(labels):
        shown = found[:, labels == region]
        np.testing.assert_array_equal(shown, np.repeat(keep[:, [region]], shown.shape[1], axis=1))


# ---- LIME and VarGrad


@quick
@given(st.floats(0, 3), st.floats(0, 3), st.floats(0.1, 2))
def test_the_kernel_of_lime_falls_from_one(near, far, width):
    near, far = sorted((near, far))
    one, two = lime_kernel(np.array([near, far]), width)
    assert 0 <= two <= one <= 1 and lime_kernel(np.zeros(1), width)[0] == 1
    assert lime_kernel(np.array([2 * near]), 2 * width)[0] == pytest.approx(one)


@few
@given(seeds, st.permutations(range(4)), st.integers(-3, 3))
def test_coefficients_of_lime_move_with_their_regions_and_forget_a_constant(seed, order, shift):
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, 2, (40, 4))
    shown[0] = 1
    scores = rng.normal(size=40)
    found = lime_coefficients(shown, scores, 0.25)
    turned = lime_coefficients(shown[:, order], scores, 0.25)
    np.testing.assert_allclose(turned, found[order], atol=1e-8)
    np.testing.assert_allclose(lime_coefficients(shown, scores + shift, 0.25), found, atol=1e-8)
    np.testing.assert_allclose(lime_coefficients(shown, 2 * scores, 0.25), 2 * found, atol=1e-8)


@few
@given(hnp.arrays(np.float32, (1, 3, 3), elements=eighths), seeds, st.integers(1, 70))
def test_the_variance_of_gradients_is_zero_of_a_linear_model_and_by_hand_of_a_square(
    image, seed, samples
):
    """The gradient of a sum of squares is 2 x: its variance is 4 times that of the noise."""

    def variance(power, sigma=0.5):
        model = lambda x: (x**power).sum((1, 2, 3))[:, None].repeat(1, 2)  # noqa: E731
        query = SimpleNamespace(
            classifier=SimpleNamespace(differentiable=model),
            image=torch.from_numpy(image),
            target=1,
        )
        return gradient_variance(query, sigma, samples, np.random.default_rng(seed))

    assert not variance(1).any() and not variance(2, sigma=0).any()
    noise = np.random.default_rng(seed).standard_normal((samples, 1, 3, 3), dtype=np.float32)
    np.testing.assert_allclose(variance(2), 4 * 0.25 * noise.var(axis=0), rtol=1e-3, atol=1e-5)


# ---- training labels


@quick
@given(hnp.arrays(bool, (12, 10)), hnp.arrays(bool, (12, 10)))
def test_labels_of_cells_are_shares_and_add_up_with_the_complement(mask, void):
    label, weight = training.grid_labels(mask, void, (4, 5))
    assert label.shape == weight.shape == (4, 5)
    assert ((label >= 0) & (label <= 1)).all() and not label[weight == 0].any()
    assert weight.mean() == pytest.approx((~void).mean(), abs=1e-6)
    assert (label * weight).mean() == pytest.approx((mask & ~void).mean(), abs=1e-6)
    other, _ = training.grid_labels(~mask, void, (4, 5))
    np.testing.assert_allclose((label + other)[weight > 0], 1, atol=1e-6)


@quick
@given(
    hnp.arrays(np.float32, (4, 5), elements=st.integers(0, 16).map(lambda k: k / 16)),
    st.integers(1, 16).map(lambda k: k / 16),
)
def test_confidence_grows_with_the_distance_from_the_threshold(map, level):
    found = training.confidence(map, level)
    assert ((found >= 0) & (found <= 1)).all()
    if level < 1:
        assert not found[map == level].any()
    assert (found[map == 0] == 1).all() and (found[map == 1] == 1).all()
    for side in (map < level, map > level):
        order = np.argsort(np.abs(map[side] - level), kind="stable")
        assert (np.diff(found[side][order]) >= 0).all()


# ---- intervals and tests over images


@quick
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=15), eighths)
def test_intervals_from_sums_hold_the_mean_and_move_with_the_values(values, shift):
    def of(x):
        sums = {"n": len(x), "total": np.sum(x), "squares": np.sum(np.square(x))}
        return tally.intervals(pd.DataFrame([sums])).iloc[0]

    x = np.array(values, float)
    found, moved = of(x), of(x + shift)
    assert found["mean"] == pytest.approx(x.mean(), abs=1e-9)
    assert np.isnan(found["low"]) == (len(x) == 1)
    for end in ("low", "high"):
        assert moved[end] - shift == pytest.approx(found[end], abs=1e-5, nan_ok=True)
    if len(x) > 1:
        assert found["low"] <= found["mean"] <= found["high"]
        half = 1.959964 * x.std() / np.sqrt(len(x))
        assert found["high"] - found["mean"] == pytest.approx(half, abs=1e-5)


scores = hnp.arrays(np.float64, (8, 3), elements=st.integers(0, 16).map(lambda k: k / 16))


@settings(deadline=None, max_examples=5)  # scipy draws the exact distribution where values tie
@given(scores, st.permutations(range(8)))
def test_paired_tests_know_no_order_of_images_and_turn_round_with_the_pair(values, order):
    wide = pd.DataFrame(values, columns=list("abc"))
    found = paired_tests(wide)
    assert found[["a", "b"]].to_numpy().tolist() == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert ((found["p"] >= 0) & (found["p"] <= 1)).all() and (found["p_holm"] >= found["p"]).all()
    effects = ["mean", "p", "rank_biserial", "cliffs_delta", "cohens_d"]
    shuffled = paired_tests(wide.iloc[list(order)])
    np.testing.assert_allclose(shuffled[effects], found[effects], atol=1e-9)
    turned = paired_tests(wide, [("b", "a"), ("c", "a"), ("c", "b")])
    signs = np.array([-1, 1, -1, -1, -1])
    np.testing.assert_allclose(turned[effects] * signs, found[effects], atol=1e-9)
    means = [mean_interval(wide[a] - wide[b])[0] for a, b in zip(found["a"], found["b"])]
    np.testing.assert_allclose(found["mean"], means)


@few
@given(seeds, st.floats(0.5, 4), st.floats(-3, 3), st.permutations(range(30)))
def test_combined_signals_forget_their_scale_and_order_and_unknown_rows_teach_nothing(
    seed, scale, shift, order
):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.random((30, 2)), columns=["score", "entropy"])
    table["cue"], table["iou"] = np.tile(["gradcam", "lime"], 15), rng.random(30)
    signals = ["score", "entropy"]
    found = trust.combine(table, table, "iou", signals)
    assert found.shape == (30,) and np.isfinite(found).all()
    assert found.mean() == pytest.approx(table["iou"].mean(), abs=1e-6)
    scaled = table.assign(score=scale * table["score"] + shift)
    np.testing.assert_allclose(trust.combine(scaled, scaled, "iou", signals), found, atol=1e-6)
    shuffled = table.iloc[list(order)]
    np.testing.assert_allclose(trust.combine(shuffled, table, "iou", signals), found, atol=1e-6)
    more = pd.concat([table, table.assign(iou=np.nan, score=9.0)])
    np.testing.assert_allclose(trust.combine(more, table, "iou", signals), found, atol=1e-6)


# ---- verdicts

findings = st.builds(
    lambda middle, half, n, border, p: Finding(
        "x", middle, middle - half, middle + half, n, at_least=border, p=p
    ),
    eighths,
    st.sampled_from((0.0, 0.25, 1.0, float("nan"))),
    st.integers(1, 2 * FEWEST),
    eighths,
    st.sampled_from((None, 0.01, 0.5)),
)


@quick
@given(st.lists(findings, min_size=1, max_size=4), st.randoms())
def test_a_verdict_knows_no_order_and_needs_all_findings_on_enough_images(found, random):
    verdict, reason = decide(found)
    assert verdict in ("supported", "not supported", "mixed", UNTESTED)
    assert all(str(finding) in reason for finding in found)
    shuffled = random.sample(found, len(found))
    assert decide(shuffled)[0] == verdict
    enough = [finding for finding in found if finding.n >= FEWEST]
    assert (verdict == UNTESTED) == (not enough)
    if enough:
        points = {finding.points for finding in enough}
        expected = {"for": "supported", "against": "not supported"}
        assert verdict == (
            expected.get(next(iter(points)), "mixed") if len(points) == 1 else "mixed"
        )
        assert decide(enough)[0] == verdict  # few images change no verdict
    significant = all(f.p is None or f.p < 0.05 for f in enough)
    assert verdict != "supported" or significant
