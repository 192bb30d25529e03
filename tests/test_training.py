"""The trained head on toy features, pseudo-labels and regions on images of a few pixels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from xaiutils import teachers, training
from xaiutils.analyses import bias, curves, trained
from xaiutils.datasets import Dataset, Sample
from xaiutils.errors import InputError
from xaiutils.study import Study, StudyConfig


@pytest.fixture(scope="module")
def toy():
    """Six images of 8x8 cells, 5 channels; a cell is object where channel 0 plus channel 1 > 0."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6, 5, 8, 8)).astype(np.float16)
    labels = (features[:, 0].astype("f4") + features[:, 1].astype("f4") > 0).astype(np.float32)
    return features, labels


def fit(toy, weights=None, seed=0, **options):
    return training.fit(*toy, weights, np.random.default_rng(seed), **{"epochs": 300, **options})


def test_separable_labels_are_recovered(toy):
    features, labels = toy
    head = fit(toy, rate=1e-2)
    predicted = training.logits_of(head, features) > 0
    assert (predicted == (labels > 0)).mean() > 0.97
    assert training.evaluate_loss(head, features, labels) < 0.1


def test_constant_labels_give_constant_masks_and_log_two_is_chance(toy):
    features, labels = toy
    head = fit((features, np.ones_like(labels)), rate=1e-2)
    assert training.predict(head, features[0], (20, 30)).all()
    zeros = torch.zeros(1, 8, 8)
    assert float(training.loss_of(zeros, torch.from_numpy(labels[:1]))) == pytest.approx(np.log(2))


def test_cells_of_weight_zero_do_not_matter(toy):
    features, labels = toy
    weights = np.ones_like(labels)
    weights[:, :4] = 0
    wrong = labels.copy()
    wrong[:, :4] = 1 - wrong[:, :4]
    a, b = (training.logits_of(fit((features, y), weights, epochs=3), features)
            for y in (labels, wrong))  # fmt: skip
    assert np.array_equal(a, b)
    c = training.logits_of(fit((features, wrong), None, epochs=3), features)
    assert not np.array_equal(a, c)


def test_weighted_loss_by_hand():
    logits, labels = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[1.0, 0.0]]])
    weights = torch.tensor([[[0.5, 0.25]]])
    expected = (0.5 * np.log(2) + 0.25 * np.log(1 + np.exp(2))) / 0.75
    assert float(training.loss_of(logits, labels, weights)) == pytest.approx(expected)
    assert float(training.loss_of(logits, labels, 0 * weights)) == 0


def test_equal_seeds_give_equal_heads_and_the_global_state_is_left_alone(toy):
    before = torch.random.get_rng_state()
    a, b, other = (training.logits_of(fit(toy, epochs=2, seed=s), toy[0]) for s in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_standardisation_is_that_of_numpy(toy):
    features = toy[0].copy()
    features[:, 4] = 3  # constant: left unscaled
    mean, std = training.moments(torch.from_numpy(features))
    f = features.astype(np.float64)
    assert mean.ravel().numpy() == pytest.approx(f.mean((0, 2, 3)), abs=1e-6)
    assert std.ravel().numpy()[:4] == pytest.approx(f[:, :4].std((0, 2, 3)), abs=1e-6)
    assert std.ravel()[4] == 1


def test_labels_of_cells_and_void():
    mask = np.zeros((4, 4), bool)
    mask[:2, :1] = True
    void = np.zeros((4, 4), bool)
    void[:2, 1] = void[2:, 2:] = True
    label, weight = training.grid_labels(mask, void, (2, 2))
    assert label.tolist() == [[1, 0], [0, 0]]  # half the cell, and its other half is void
    assert weight.tolist() == [[0.5, 1], [1, 0]]
    assert training.grid_labels(mask, None, (2, 2))[0].tolist() == [[0.5, 0], [0, 0]]


def test_confidence_is_the_distance_from_the_threshold():
    found = training.confidence(np.array([[0, 0.1, 0.2, 0.6, 1]]), 0.2)
    assert found.ravel() == pytest.approx([1, 0.5, 0, 0.5, 1])
    with pytest.raises(InputError, match="level"):
        training.confidence(np.zeros((1, 1)), float("nan"))


@pytest.mark.parametrize(
    "labels, weights, said",
    [
        (np.zeros((6, 8, 7)), None, "labels have shape"),
        (np.full((6, 8, 8), 2.0), None, "within 0 and 1"),
        (np.zeros((6, 8, 8)), np.full((6, 8, 8), np.nan), "weights must be"),
        (np.zeros((6, 8, 8)), np.zeros((6, 8, 8)), "all zero"),
    ],
)
def test_unusable_labels_are_refused(toy, labels, weights, said):
    with pytest.raises(InputError, match=said):
        training.fit(toy[0], labels, weights, np.random.default_rng(0))


def test_masks_are_resized_logits_above_zero():
    mask = training.mask_from_logits(np.array([[1.0, -1.0]]), (2, 4))
    assert mask.tolist() == [[True, True, False, False]] * 2


# Pseudo-labels of a study whose maps are made by hand ---------------------------------------------


def sample(id: str) -> Sample:
    """16 x 16, the object the left half, void the last column."""
    mask, void = np.zeros((16, 16), bool), np.zeros((16, 16), bool)
    mask[:, :8], void[:, 15] = True, True
    return Sample(id, np.full((16, 16, 3), 100, np.uint8), mask, void, "bird", None)


class HandStudy(Study):
    """Grad-CAM finds the object, LIME the upper half, Score-CAM is flat."""

    def __init__(self, name, ids, folder):
        config = StudyConfig(name, segmenters=("threshold",))
        super().__init__(config, folder / name)
        self.__dict__["sample_ids"] = ids
        self.__dict__["cues"] = ["gradcam", "scorecam", "lime"]
        self.__dict__["dataset"] = Dataset("hand", tuple(ids), sample)

    def maps_key(self, unit):
        return self.cues

    def saliency(self, id, cue):
        map = np.zeros((16, 16), np.float32)
        if cue == "scorecam":
            return np.full_like(map, np.nan)
        map[(slice(None), slice(8)) if cue == "gradcam" else slice(8)] = 1
        return map


@pytest.fixture
def study(monkeypatch, tmp_path):
    """Two validation and five training images; features tell left (channel 0) and top (1)."""
    study = HandStudy("hand", ["v0", "v1"], tmp_path)
    study.__dict__["companion"] = HandStudy("hand-train", [f"t{i}" for i in range(5)], tmp_path)
    one = np.zeros((2, *training.GRID), np.float16)
    one[0, :, :20], one[1, :20] = 1, 1
    monkeypatch.setattr(teachers, "features_of", lambda s: np.stack([one] * len(s.sample_ids)))
    for module in (trained, curves, bias):
        monkeypatch.setattr(module, "features_of", teachers.features_of)
    teachers.votes_of.cache_clear()
    return study


def test_sources(study):
    assert trained.units(study) == ["gradcam", "scorecam", "lime", "truth", "centre-box"]
    study.companion.cues.remove("lime")
    assert trained.units(study) == ["gradcam", "scorecam", "truth", "centre-box"]
    assert curves.units(study) == ["gradcam", "truth"]


def test_masks_of_sources(study):
    s = sample("v0")
    assert np.array_equal(teachers.pseudo_mask(study, s, "gradcam"), s.mask)
    assert teachers.pseudo_mask(study, s, "scorecam") is None
    box = teachers.pseudo_mask(study, s, "centre-box")
    assert box.sum() == 64 and box[4:12, 4:12].all()


def test_weights_of_the_variants(study):
    train = study.companion
    plain = teachers.labelled(train, "gradcam")
    assert plain.weights.min() == 1 and plain.label_iou.tolist() == [1] * 5
    assert plain.labels[0, 0].tolist() == [1] * 20 + [0] * 20
    assert teachers.labelled(train, "truth").weights[0, 0, -1] == 0  # void
    sure = teachers.labelled(train, "gradcam", "confidence-weighted")
    assert sure.weights.min() == 1  # a map of zeros and ones is sure everywhere
    agreed = teachers.labelled(train, "gradcam", "agreement-weighted").weights[0]
    assert agreed[0, 0] == 1 and agreed[-1, -1] == 1  # both say object, both say background
    assert agreed[-1, 0] == 0.5 and agreed[0, -1] == 0.5  # LIME says otherwise
    with pytest.raises(InputError, match="no image has a label from 'scorecam'"):
        teachers.labelled(train, "scorecam")
    with pytest.raises(InputError, match="unknown variant"):
        teachers.labelled(train, "gradcam", "none")


def test_trained_rows_follow_the_labels(study, monkeypatch):
    monkeypatch.setattr(teachers, "fit", quick)
    row = trained.measure(study, "gradcam")[0]
    assert list(row) == trained.COLUMNS
    assert row["sample"] == "v0" and row["labels"] == 5 and row["label_iou"] == 1
    assert row["iou"] == row["coverage"] == row["seed_iou"] == 1 and row["spill"] == 0
    lime = trained.measure(study, "lime")[1]  # the upper half: 64 of 184, half the object
    assert lime["seed_iou"] == lime["iou"] == pytest.approx(64 / 184)
    assert lime["coverage"] == 0.5 and lime["spill"] == pytest.approx(56 / 120)


def test_a_head_is_trained_once_and_again_when_the_training_maps_change(study, monkeypatch):
    monkeypatch.setattr(teachers, "fit", quick)
    first, facts = teachers.trained_head(study, "gradcam")
    assert facts == {"labels": 5, "label_iou": 1.0}
    monkeypatch.setattr(teachers, "fit", None)  # a second training would fail
    again, _ = teachers.trained_head(study, "gradcam")
    for name, values in first.state_dict().items():
        assert np.array_equal(values, again.state_dict()[name]), name
    study.companion.cues.append("ig")
    with pytest.raises(TypeError):
        teachers.trained_head(study, "gradcam")


def quick(*arguments, **options):
    """The same training, with larger steps, so that few of them are enough."""
    return training.fit(*arguments, **{**options, "rate": 0.05})


def test_curves_have_every_checkpoint_and_falling_loss(study, monkeypatch):
    monkeypatch.setattr(teachers, "fit", quick)
    rows = curves.measure(study, "lime")
    assert len(rows) == 3 * len(curves.CHECKPOINTS) * 2
    assert list(rows[0]) == curves.COLUMNS
    plain = [row for row in rows if row["variant"] == "plain" and row["sample"] == "v0"]
    assert [row["epoch"] for row in plain] == list(curves.CHECKPOINTS)
    assert plain[-1]["pseudo_loss"] < 0.05 < plain[0]["pseudo_loss"]
    assert plain[-1]["held_out_loss"] == pytest.approx(plain[-1]["pseudo_loss"])  # equal images
    assert plain[-1]["iou"] == pytest.approx(64 / 184)
    assert {row["variant"] for row in curves.measure(study, "truth")} == {"plain"}


def test_every_fifth_image_is_held_out(study):
    training_part, held_out = curves.split(teachers.labelled(study.companion, "gradcam"))
    assert held_out.ids == ["t0"] and training_part.ids == ["t1", "t2", "t3", "t4"]
    assert len(held_out.labels) == len(held_out.features) == 1


def test_regions_by_hand():
    found = bias.regions(sample("v0"), width=2.1 / np.hypot(16, 16))
    assert found["object"].sum() == 8 * 16
    assert found["ring"][:, 8:10].all() and found["ring"].sum() == 2 * 16
    assert found["far"].sum() == 5 * 16  # columns 10 to 14: the last is void
    empty = Sample("e", None, np.zeros((4, 4), bool), np.zeros((4, 4), bool), "", None)
    assert bias.regions(empty)["far"].all() and not bias.regions(empty)["ring"].any()


def test_rates_by_hand(study, monkeypatch):
    monkeypatch.setattr(teachers, "fit", quick)
    assert np.isnan(bias.rate(None, np.ones((2, 2), bool)))
    assert np.isnan(bias.rate(np.ones((2, 2), bool), np.zeros((2, 2), bool)))
    rows = {row["region"]: row for row in bias.measure(study, "lime") if row["sample"] == "v0"}
    assert list(rows) == ["object", "ring", "far"] and list(rows["far"]) == bias.COLUMNS
    assert rows["object"]["share"] == pytest.approx(8 / 15)
    for row in rows.values():  # the upper half of everything, by seed and head
        assert row["seed"] == row["head"] == 0.5


def test_classes_of_an_image_are_told_apart(study, monkeypatch):
    horse = np.zeros((16, 16), bool)
    horse[:4, :8] = True
    study.config = StudyConfig("hand", dataset="voc2012", reading="binary")
    labels = {"v0": ("horse", "person"), "v1": ("horse",)}
    classes = ("horse", "person")
    study.__dict__["dataset"] = Dataset("voc2012", ("v0", "v1"), sample, {}, classes, labels)
    masks = {"v0-horse": horse, "v0-person": sample("v0").mask & ~horse}
    by_class = SimpleNamespace(load=lambda id: SimpleNamespace(mask=masks[id]))
    monkeypatch.setattr(bias, "_by_class", lambda study: by_class)
    table = {
        c: SimpleNamespace(taken=taken) for c, taken in {"horse": (339,), "person": ()}.items()
    }
    monkeypatch.setattr(bias, "load_mapping", lambda name, classes: table)
    monkeypatch.setattr(bias, "_targets", lambda study: {"v0": 339, "v1": 339})
    found = bias.class_regions(study, sample("v0"))
    assert found["explained class"].sum() == 32 and found["other classes"].sum() == 96
    assert bias.class_regions(study, sample("v1")) == {}  # one class only
    monkeypatch.setattr(bias, "_targets", lambda study: {"v0": 1, "v1": 1})
    assert bias.class_regions(study, sample("v0")) == {}  # something else is explained
