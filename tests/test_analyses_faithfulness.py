"""Faithfulness, completeness, stability, randomisation and texture on classifiers known by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SmallNet, frozen

from xaiutils.analyses import completeness as steps
from xaiutils.analyses.faithfulness import STEPS, completeness, controls, curves, region_sizes
from xaiutils.analyses.randomisation import randomised, renew_norms, shuffle_top, similarity
from xaiutils.analyses.stability import stability
from xaiutils.analyses.texture import border_share, fit, grid_edges, grid_energy, texture
from xaiutils.explainers import Query, make_explainer
from xaiutils.sections.faithfulness import (
    axiom,
    axiom_sentence,
    completeness_error,
    gaps,
    stability_title,
    steps_sentence,
)

SIDE = 16


class Corner(torch.nn.Module):
    """Logit of class 0: the mean of the upper left quarter times 2; of class 1: 0."""

    def __init__(self, weight: float = 2.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, x):
        score = self.weight * x[:, :, : SIDE // 2, : SIDE // 2].mean((1, 2, 3))
        return torch.stack([score, torch.zeros_like(score)], dim=1)


def query(model: torch.nn.Module, seed: int = 0) -> Query:
    image = np.random.default_rng(seed).uniform(0, 1, (3, SIDE, SIDE)).astype("f4")
    image[:, : SIDE // 2, : SIDE // 2] += 1  # what the network looks for
    return Query(frozen(model, SIDE, classes=2), torch.from_numpy(image), 0)


def area(rows: list[dict]) -> pd.Series:
    return pd.DataFrame(rows).set_index(["cue", "metric"])["value"]


def test_a_map_of_what_the_network_reads_beats_its_reverse():
    right = np.zeros((SIDE, SIDE))
    right[: SIDE // 2, : SIDE // 2] = 1
    found = area(curves(query(Corner()), {"right": right, "wrong": -right}))
    assert found["right", "insertion"] > found["wrong", "insertion"] + 0.01
    assert found["right", "deletion"] < found["wrong", "deletion"] - 0.01


def test_a_constant_classifier_gives_a_half_whatever_the_map():
    found = area(curves(query(Corner(0.0)), controls(SIDE, np.random.default_rng(0))))
    assert len(found) == 6 and np.allclose(found, 0.5)


def test_random_maps_insert_as_much_as_they_delete():
    # averaged over random orders, deleting is inserting backwards: equal areas
    maps = {str(i): np.random.default_rng(i).random((SIDE, SIDE)) for i in range(40)}
    found = area(curves(query(Corner()), maps)).unstack()
    assert found["deletion"].mean() == pytest.approx(found["insertion"].mean(), abs=0.01)


def test_areas_do_not_depend_on_the_scale_of_a_map_or_on_other_cues():
    map = np.random.default_rng(0).random((SIDE, SIDE))
    both = area(curves(query(Corner()), {"a": map, "b": 5 * map + 1}))
    alone = area(curves(query(Corner()), {"b": map}))
    for metric in ("deletion", "insertion"):
        assert both["a", metric] == both["b", metric] == alone["b", metric]


def test_a_flat_map_has_no_area():
    assert np.isnan(area(curves(query(Corner()), {"flat": np.ones((SIDE, SIDE))}))).all()
    assert STEPS >= 8


def test_controls_are_maps_without_an_image():
    one, again = (controls(224, np.random.default_rng(3)) for _ in range(2))
    for cue, map in one.items():
        assert map.shape == (224, 224) and np.array_equal(map, again[cue])
    centre = one["control:centre"]
    assert np.allclose(centre, centre[::-1, ::-1]) and centre[112, 112] == centre.max()


def test_integrated_gradients_is_complete_on_a_linear_network():
    q = query(Corner())
    raw = {"ig": make_explainer("ig", "fast").attribute(q, np.random.default_rng(0))}
    rows = pd.DataFrame(completeness(q, raw, {}))
    total, difference = rows["value"]
    expected = 2 * float(q.image[:, : SIDE // 2, : SIDE // 2].mean())
    assert difference == pytest.approx(expected, rel=1e-5)
    assert total == pytest.approx(expected, rel=1e-4)
    table = axiom(rows.assign(sample="s"))
    assert table["mean"].iloc[0] == pytest.approx(0, abs=1e-4)
    assert "Integrated Gradients" in axiom_sentence(table)


def test_a_superpixel_counts_once():
    labels = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 2]])
    values = np.array([3.0, -1.0, 5.0])[labels]
    assert (values / region_sizes(labels)).sum() == pytest.approx(7)


def test_gap_is_insertion_minus_deletion():
    table = pd.DataFrame(
        [("s", "ig", "deletion", 0.2), ("s", "ig", "insertion", 0.7)],
        columns=["sample", "cue", "metric", "value"],
    )
    assert gaps(table)["value"].tolist() == pytest.approx([0.5])


# Stability and randomisation


class Step(torch.nn.Module):
    """Logit of class 0: a steep step of the mean at 0.3, which few nodes of the integral miss."""

    def forward(self, x):
        score = torch.sigmoid(400 * (x.mean((1, 2, 3)) - 0.3))
        return torch.stack([score, torch.zeros_like(score)], dim=1)


@pytest.mark.parametrize("model, few, many", [(Corner(), 1e-5, 1e-5), (Step(), 0.5, 0.02)])
def test_more_steps_complete_the_integral(monkeypatch, model, few, many):
    monkeypatch.setattr(steps, "query_of", lambda study, unit: query(model))
    study = SimpleNamespace(config=SimpleNamespace(seed=0))
    table = pd.DataFrame(steps.measure(study, "a"))
    assert list(table) == steps.COLUMNS and table["steps"].tolist() == [32, 256]
    error = completeness_error(table)
    assert error[32]["a"] <= few and error[256]["a"] <= many
    if few > many:
        assert error[32]["a"] > 2 * error[256]["a"]
    said = steps_sentence(table)
    assert "with 32 steps" in said and "(n = 1)" in said


def test_a_linear_network_is_explained_the_same_again():
    q = query(Corner())
    flipped = [(q.image.flip(-1), lambda map: map[:, ::-1])]
    found = stability(make_explainer("ig", "fast"), q, flipped, np.random.default_rng(0))
    assert found["seed_spread"] == 0 and found["seed_correlation"] == pytest.approx(1)
    # the map is image times weight: noise of 2 % of a range of about 2 moves it by a few percent
    assert 0.005 < found["max_sensitivity"] < 0.06
    assert found["augmentation_spread"] > 0.1  # the network reads a corner, not an object


def test_shuffling_keeps_values_and_takes_the_output_first():
    model, before = SmallNet(), SmallNet()
    assert shuffle_top(model, 1e-9, np.random.default_rng(0)) == ["head"]
    assert torch.equal(model.features[0].weight, before.features[0].weight)
    old, new = (m.head.weight.detach().flatten() for m in (before, model))
    assert not torch.equal(new, old) and torch.equal(new.sort()[0], old.sort()[0])
    assert len(shuffle_top(model, 1.0, np.random.default_rng(0))) == 3


def test_a_stage_extends_the_one_before():
    one, two = SmallNet(), SmallNet()
    shuffle_top(one, 1e-9, np.random.default_rng(0))
    shuffle_top(two, 1.0, np.random.default_rng(0))
    assert torch.equal(one.head.weight, two.head.weight)
    assert not torch.equal(one.features[0].weight, two.features[0].weight)


def test_randomising_leaves_the_classifier_alone_and_changes_the_copy(small, small_images):
    before = {key: value.clone() for key, value in small.model.state_dict().items()}
    other = randomised(small, 1.0, small_images, np.random.default_rng(0))
    for key, value in small.model.state_dict().items():
        assert torch.equal(value, before[key])
    assert randomised(small, 0.0, small_images, np.random.default_rng(0)) is small
    assert not np.allclose(other.logits(small_images), small.logits(small_images))
    assert other.target_layer is other.model.features and not other.model.training
    raw = make_explainer("gradcam").attribute(Query(other, small_images[0], 1), None)
    assert raw.shape == (32, 32)


def test_only_norms_above_the_shuffled_layer_are_renewed():
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 + 1
    model = torch.nn.Sequential(
        torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2)
    ).eval()
    renew_norms(model, "1", images)
    assert torch.equal(model[0].running_mean, torch.zeros(3))
    with torch.no_grad():
        expected = model[1](model[0](images)).mean((0, 2, 3))
    assert torch.allclose(model[2].running_mean, expected, atol=1e-6)
    assert not model[2].training and model[2].momentum == 0.1


def test_similarity_of_a_map_with_itself_and_with_a_flat_one():
    map = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype("f4")
    assert similarity(map, map, "absolute") == pytest.approx({"spearman": 1, "ssim": 1})
    assert np.isnan(list(similarity(map, 0 * map, "positive").values())).all()


# Texture


def test_grid_measures_find_the_grid_and_only_it():
    rng = np.random.default_rng(0)
    cells = np.kron(rng.random((28, 28)), np.ones((8, 8)))
    noise = rng.random((224, 224))
    assert grid_edges(cells, 8) == pytest.approx(1)
    assert grid_edges(noise, 8) == pytest.approx(1 / 8, abs=0.01)
    assert grid_energy(cells, 8) > 0.7
    assert grid_energy(noise, 8) < 0.15
    shifted = np.roll(cells, 4, axis=(0, 1))
    assert grid_edges(shifted, 8) < 0.01  # another grid than that of the windows
    assert np.isnan(grid_edges(np.ones((16, 16)), 8))


def test_texture_does_not_depend_on_scale_and_orders_noise_above_blobs():
    rng = np.random.default_rng(0)
    noise = rng.random((64, 64)).astype("f4")
    blob = np.outer(np.hanning(64), np.hanning(64)).astype("f4")
    for metric, value in texture(noise, 8).items():
        assert texture(3 * noise, 8)[metric] == pytest.approx(value, rel=1e-4)
    assert texture(noise, 8)["high_frequency"] > 0.9
    assert texture(blob, 8)["high_frequency"] < 0.01
    assert texture(noise, 8)["total_variation"] > 5 * texture(blob, 8)["total_variation"]
    assert np.isnan(list(texture(np.ones((64, 64)), 8).values())).all()


def test_border_share_of_an_even_map_is_the_area_of_the_band():
    assert border_share(np.ones((224, 224))) == pytest.approx(1 - (202 / 224) ** 2)


def test_superpixels_that_are_the_object_fit_it():
    labels = np.repeat(np.repeat([[0, 1], [2, 3]], 20, 0), 20, 1)
    void = np.zeros(labels.shape, bool)
    found = fit(labels, labels == 1, void)
    assert found["boundary_recall"] == 1 and found["best_iou"] == 1
    assert found["undersegmentation"] == 0 and found["boundary_chance"] < 0.35


def test_a_superpixel_that_straddles_costs_its_smaller_part():
    labels = np.repeat([[0, 1]], 20, 0).repeat(20, 1)  # two halves, 20 x 20 each
    mask = np.zeros((20, 40), bool)
    mask[:, :25] = True  # all of 0 and a quarter of 1
    found = fit(labels, mask, np.zeros(mask.shape, bool))
    assert found["undersegmentation"] == pytest.approx(100 / 500)
    assert found["best_iou"] == pytest.approx(400 / 500)
    assert np.isnan(fit(labels, mask, mask)["best_iou"])


def test_a_title_names_no_explainer_that_was_measured_on_few_images_beside_many():
    rows = [
        (f"s{i}", cue, "max_sensitivity", value)
        for cue, value, n in (("gradcam", 0.1, 30), ("lime", 0.8, 30), ("scorecam", 0.05, 1))
        for i in range(n)
    ]
    table = pd.DataFrame(rows, columns=["sample", "explainer", "metric", "value"])
    assert "moves Grad-CAM by 10 % and LIME by 80 %" in stability_title(table)
    few = table[table["sample"].isin(["s0", "s1"])]
    assert "moves Score-CAM by 5 %" in stability_title(few)
