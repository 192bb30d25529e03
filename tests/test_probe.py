"""The probe: its arithmetic against scikit-learn, its files, and explainers through it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SmallNet, ToyN, frozen
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler
from test_datasets_voc import COW, DOG, PERSON, add

from xaiutils import probe as module
from xaiutils import run
from xaiutils.datasets import Dataset, Sample, load_dataset
from xaiutils.datasets.base import learnable
from xaiutils.errors import InputError
from xaiutils.explainers import EXPLAINERS, Query, make_explainer
from xaiutils.probe import (
    C,
    _digest_of,
    features,
    find_probe,
    label_matrix,
    load_probe,
    save_probe,
    train_on,
    train_probe,
    with_probe,
)
from xaiutils.study import StudyConfig, run_study

SETTINGS = {"occlusion": {"window": 8, "stride": 8}}  # the networks here see 32 px


def small_net(classes: int = 5):
    model = SmallNet(classes)
    return frozen(model, 32, model.features, classes=classes)


def stand_in(name: str, precision: str | None):
    """What `load_classifier` gives in the studies below."""
    toy = small_net(1000)
    toy.name = name
    return toy


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 40, 30, 3), dtype=np.uint8)


@pytest.fixture
def dataset(images):
    """Twelve images of noise; "all" is on every one, "none" on none."""
    empty = np.zeros((40, 30), bool)
    ids = tuple(f"i{k}" for k in range(12))
    labels = {
        f"i{k}": ("all",) + ("even",) * (k % 2 == 0) + ("third",) * (k % 3 == 0) for k in range(12)
    }

    def read(id):
        return Sample(id, images[int(id[1:])], empty, empty, "all", None)

    return Dataset("noise", ids, read, classes=("none", "third", "all", "even"), labels=labels)


@pytest.fixture
def random_probe():
    rng = np.random.default_rng(1)
    return train_probe(rng.normal(size=(30, 24)), rng.random((30, 3)) > 0.6, ("a", "b", "c"))


# --- training


def test_two_mirrored_points_a_class_are_told_apart_in_the_middle():
    """Features -1, 1 (mean 3, scale 2 before): by symmetry the boundary is their middle, and the
    weight w on the standardised feature solves w = C * 2 * sigmoid(-w) (the penalised optimum)."""
    found = train_probe([[1.0], [5.0]], [[True, False], [False, True]], ("low", "high"), c=3.0)
    slope = found.weights[1, 0] * 2
    assert slope == pytest.approx(3 * 2 * sigmoid(-slope), abs=1e-5)
    np.testing.assert_allclose(found.weights[0], -found.weights[1], atol=1e-6)
    np.testing.assert_allclose(found.logits(np.array([[3.0]])), 0, atol=1e-5)
    assert found.logits(np.array([[4.0]]))[0].argmax() == 1


def test_probabilities_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    x = rng.normal(3, [0.1, 1, 10, 100], (50, 4))
    y = np.stack([x[:, 1] > 3, x[:, 2] + rng.normal(0, 5, 50) > 0], axis=1)
    scale = StandardScaler().fit(x)
    model = OneVsRestClassifier(LogisticRegression(C=0.5, max_iter=10_000, tol=1e-8))
    expected = model.fit(scale.transform(x), y).predict_proba(scale.transform(x))
    found = train_probe(x, y, ("a", "b"), c=0.5)
    np.testing.assert_allclose(sigmoid(found.logits(x)), expected, atol=1e-5)


def test_training_is_the_same_every_time_and_a_feature_that_never_varies_counts_nothing():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(20, 5)), rng.random((20, 2)) > 0.5
    x[:, 2] = 7
    one, two = (train_probe(x, y, ("a", "b")) for _ in range(2))
    assert one.digest == two.digest
    np.testing.assert_array_equal(one.weights[:, 2], 0)


def test_classes_on_all_images_or_none_have_no_logit_and_a_reason(dataset):
    found = train_on(small_net(), dataset)
    assert found.classes == ("third", "even") == learnable(dataset)
    assert found.skipped == {
        "none": "none of the 12 training images show it",
        "all": "all of the 12 training images show it",
    }
    assert found.trained_on["positives"] == {"third": 4, "even": 6}
    assert (found.trained_on["images"], found.trained_on["C"]) == (12, C)


@pytest.mark.parametrize(
    "x, y, c, message",
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), 1, r"features \(3, 2\) and labels \(3, 3\)"),
        (np.zeros((3, 2)), np.zeros((2, 2)), 1, r"must be \(N, D\) and \(N, 2\)"),
        (np.zeros(3), np.zeros((3, 2)), 1, r"features \(3,\)"),
        ([[np.nan], [1]], [[1, 0], [0, 1]], 1, "NaN or infinite"),
        ([[0], [1]], [[1, 0], [0, 1]], 0, "c is 0: it must be above 0"),
        ([[0], [1]], [[1, 0], [0, 0]], 1, "needs two classes.* of 2 in 2 images there are 1"),
    ],
)
def test_training_data_that_cannot_be_used(x, y, c, message):
    with pytest.raises(InputError, match=message):
        train_probe(np.asarray(x), np.asarray(y), ("a", "b"), c)


# --- features


def test_features_are_what_the_last_layer_gets(dataset, images):
    toy = small_net()
    found = features(toy, dataset)
    assert found.shape == (12, 24) and found.dtype == np.float32
    x = torch.stack([toy.preprocess(image) for image in images])
    with torch.inference_mode():
        expected = toy.model.features(x).mean((2, 3)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_features_of_pinned_weights_are_kept_by_image_and_weights(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("XAIUTILS_CACHE", str(tmp_path))
    toy = small_net()
    features(toy, dataset)
    assert not list(tmp_path.rglob("*.npz"))  # nothing to know these weights by
    toy.digest = "a" * 64
    expected = features(toy, dataset)
    files = sorted((tmp_path / "features").iterdir())
    assert len(files) == 12
    files[0].write_bytes(b"damaged")
    np.testing.assert_array_equal(features(toy, dataset), expected)
    times = [path.stat().st_mtime_ns for path in files]
    features(toy, dataset)
    assert [path.stat().st_mtime_ns for path in files] == times
    toy.digest = "b" * 64
    features(toy, dataset)
    assert len(list((tmp_path / "features").iterdir())) == 24


# --- the classifier


def test_the_probed_classifier_gives_scikit_learns_probabilities(dataset, images):
    toy = small_net()
    x = features(toy, dataset)
    y = label_matrix(dataset)[:, [1, 3]]
    scale = StandardScaler().fit(x.astype(np.float64))
    z = scale.transform(x.astype(np.float64))
    model = OneVsRestClassifier(LogisticRegression(C=C, max_iter=10_000, tol=1e-8)).fit(z, y)
    probed = with_probe(toy, train_on(toy, dataset))
    found = sigmoid(probed.logits(torch.stack([toy.preprocess(image) for image in images])))
    np.testing.assert_allclose(found, model.predict_proba(z), atol=1e-5)


def test_the_probed_classifier_is_a_copy_with_the_data_sets_classes(random_probe):
    toy = small_net()
    toy.digest = "a" * 64
    before = toy.model.head.weight.clone()
    probed = with_probe(toy, random_probe)
    assert probed.class_names == ("a", "b", "c") and probed.class_index("b") == 1
    assert probed.target_layer is probed.model.features
    assert probed.target_layer is not toy.target_layer
    assert probed.digest not in ("", toy.digest)
    assert len(toy.class_names) == 5
    torch.testing.assert_close(toy.model.head.weight, before, rtol=0, atol=0)


def by_hand(random_probe):
    """The network with the probe's weights written into its last layer."""
    model = SmallNet(3)
    model.features.load_state_dict(SmallNet().features.state_dict())
    model.head.weight.data = torch.from_numpy(random_probe.weights)
    model.head.bias.data = torch.from_numpy(random_probe.bias)
    return frozen(model, 32, model.features, classes=3)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_sees_the_network_with_the_probes_weights(name, random_probe, small_images):
    probed, other = with_probe(small_net(), random_probe), by_hand(random_probe)
    explainer = make_explainer(name, "fast", **SETTINGS.get(name, {}))
    found, expected = (
        explainer.attribute(Query(c, small_images[0], 2), np.random.default_rng(0))
        for c in (probed, other)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
    assert expected.any()


def test_networks_without_a_linear_last_layer_are_refused(random_probe):
    model = ToyN()  # a ReLU follows its linear layer; it has one input channel
    model.conv1 = torch.nn.Conv2d(3, 2, 3)
    with pytest.raises(InputError, match="its logits are not those of the layer fc1"):
        with_probe(frozen(model, 4, model.conv1), random_probe)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten())
    with pytest.raises(InputError, match="has no linear layer"):
        with_probe(frozen(model, 3, model[0]), random_probe)


def test_a_probe_of_another_network_is_refused(random_probe):
    toy = small_net()
    with pytest.raises(InputError, match=r"reads 24 features, the network has 9"):
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 9, 3), torch.nn.Flatten())
        model.append(torch.nn.Linear(9, 2))
        with_probe(frozen(model, 3, model[0], classes=2), random_probe)
    foreign = replace(random_probe, trained_on={"classifier": "vgg", "classifier_digest": "f" * 64})
    with pytest.raises(InputError, match="trained on features of vgg with weights 'ffff"):
        with_probe(toy, foreign)


# --- the files


def test_a_probe_comes_back_as_it_was(random_probe, tmp_path):
    path = tmp_path / "deep" / "probe.json"
    probe = replace(random_probe, skipped={"d": "none"}, trained_on={"dataset": "x", "C": 0.5})
    save_probe(probe, path)
    found = load_probe(path)
    np.testing.assert_array_equal(found.weights, probe.weights)
    np.testing.assert_array_equal(found.bias, probe.bias)
    assert (found.classes, found.skipped, found.trained_on) == (
        probe.classes,
        probe.skipped,
        probe.trained_on,
    )
    assert found.digest == probe.digest
    assert sorted(p.name for p in path.parent.iterdir()) == ["probe.json", "probe.npz"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"schema": 99}, r"probe\.json: has schema 99"),
        ({"kind": "study"}, r"probe\.json: does not describe a probe"),
        ({"sha256": "0" * 64}, r"probe\.npz: does not have the SHA-256 that probe\.json states"),
        ({"classes": ["b", "a", "c"]}, r"probe\.json: was changed"),
        ({"skipped": {"d": "x"}}, r"probe\.json: was changed"),
        ({"digest": None}, r"probe\.json: was changed"),
        ({"classes": "abc"}, r"probe\.json: lacks classes"),
        ({"trained_on": None}, r"probe\.json: lacks trained_on"),
    ],
)
def test_a_changed_description_is_refused(random_probe, tmp_path, change, message):
    path = tmp_path / "probe.json"
    save_probe(random_probe, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message):
        load_probe(path)


def test_damaged_missing_and_foreign_files_are_named(random_probe, tmp_path):
    path = tmp_path / "probe.json"
    with pytest.raises(InputError, match=r"probe\.json: not found"):
        load_probe(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"probe\.json: is no JSON"):
        load_probe(path)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"probe\.json: is no JSON \(nested too deeply\)"):
        load_probe(path)
    path.write_text("[]")
    with pytest.raises(InputError, match=r"probe\.json: does not describe a probe"):
        load_probe(path)
    save_probe(random_probe, path)
    file = tmp_path / "probe.npz"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match=r"probe\.npz: does not have the SHA-256"):
        load_probe(path)
    file.unlink()
    with pytest.raises(InputError, match=r"probe\.npz: not found"):
        load_probe(path)


def test_a_file_that_needs_pickle_is_not_opened(random_probe, tmp_path):
    import hashlib

    path, file = tmp_path / "probe.json", tmp_path / "probe.npz"
    save_probe(random_probe, path)
    np.savez(file, meta=np.array([object()]), weights=np.array([object()]))
    stored = json.loads(path.read_text())
    stored["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    stored["digest"] = _digest_of(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"probe\.npz: does not hold the arrays of a probe"):
        load_probe(path)


def test_a_stored_probe_is_used_until_its_training_set_changes(dataset, tmp_path):
    path = tmp_path / "probe.json"
    first = find_probe(path, "toy", small_net, dataset)
    assert find_probe(path, "toy", None, dataset).digest == first.digest  # loads no classifier
    fewer = replace(dataset, ids=dataset.ids[:-1])
    second = find_probe(path, "toy", small_net, fewer)
    assert second.trained_on["images"] == 11 and second.digest != first.digest
    assert load_probe(path).digest == second.digest


def test_a_probe_is_trained_again_when_its_images_change_under_the_same_names(tree, tmp_path):
    train = load_dataset("voc2012", tree, "val", logit="probe").train
    first = find_probe(tmp_path / "probe.json", "toy", small_net, train)
    image = train.files[train.ids[0]]
    Image.fromarray(255 - np.array(Image.open(image))).save(image)
    again = find_probe(tmp_path / "probe.json", "toy", small_net, train)
    assert again.digest != first.digest
    assert again.digest == find_probe(tmp_path / "fresh.json", "toy", small_net, train).digest


# --- data sets and studies


@pytest.fixture
def tree(tmp_path):
    """Training images of dogs and persons, of which one shows both; a cow in val alone."""
    train = [(PERSON,), (DOG,), (DOG, PERSON), (DOG,)]
    val = [(DOG, PERSON), (COW,), (COW, PERSON)]
    named = {f"2007_00000{number}": classes for number, classes in enumerate(train)}
    named |= {f"2008_00000{number}": classes for number, classes in enumerate(val)}
    rng = np.random.default_rng(0)
    for id, classes in named.items():
        indices = np.zeros((48, 64), int)
        for c in classes:
            indices[(slice(0, 24), slice(0, 24)) if c == PERSON else (slice(24), slice(32, 64))] = c
        add(tmp_path, id, "train" if id.startswith("2007") else "val", indices)
        noise = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        noise.save(tmp_path / f"VOCdevkit/VOC2012/JPEGImages/{id}.jpg")
    return tmp_path


def test_samples_have_the_logits_of_their_objects(tree):
    dataset = load_dataset("voc2012", tree, logit="probe")
    assert learnable(dataset.train) == ("dog", "person")
    assert dataset.ids == ("2008_000000-dog", "2008_000000-person", "2008_000002-person")
    assert dataset.skipped == {"no probe logit for cow": ("2008_000001-cow", "2008_000002-cow")}
    found = [(s.label, s.target, s.candidates) for s in map(dataset.load, dataset.ids)]
    assert found == [("dog", 0, (0,)), ("person", 1, (1,)), ("person", 1, (1,))]
    binary = load_dataset("voc2012", tree, reading="binary", logit="probe")
    assert binary.ids == ("2008_000000", "2008_000002")
    assert binary.skipped == {"no probe logit for cow": ("2008_000001",)}
    both = binary.load("2008_000000")
    assert (both.target, both.candidates) == (None, (0, 1))
    assert run.chosen_class(both, np.array([0.2, 0.8])) == 1
    assert load_dataset("voc2012", tree).train is None


def test_a_data_set_that_cannot_teach_a_probe_says_why(tree):
    with pytest.raises(
        InputError, match=r"a probe needs the split train: .*'sample' has no splits"
    ):
        load_dataset("sample", logit="probe")
    (tree / "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt").write_text("2007_000001\n")
    with pytest.raises(InputError, match=r"a probe needs two classes.* here none"):
        load_dataset("voc2012", tree, logit="probe")


def test_one_class_alone_is_refused(tmp_path):
    from test_datasets import OBJECT, RGB, save

    save(tmp_path / "images" / "a.jpg", RGB)
    save(tmp_path / "masks" / "a.jpg", 255 * OBJECT.astype(np.uint8))
    for name in ("kvasir-seg", "folder"):
        with pytest.raises(InputError, match=r"has one class only .*: a probe needs two classes"):
            load_dataset(name, tmp_path, logit="probe")


@pytest.fixture
def config(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    monkeypatch.setattr(run, "load_classifier", stand_in)
    return StudyConfig(
        "probed",
        dataset="voc2012",
        root=str(tree),
        logit="probe",
        classifier="efficientnet_lite0",
        explainers=("gradcam",),
        promptings=("dual",),
        segmenters=("threshold",),
    )


def test_a_study_explains_the_probes_logits(config, monkeypatch):
    found = run_study(config, progress=False)
    table = found.table("samples")
    assert table["target_name"].tolist() == ["dog", "person", "person"]
    assert table["target"].tolist() == [0, 1, 1]
    errors = found.table("errors")
    assert errors["sample"].tolist() == ["2008_000001-cow", "2008_000002-cow"]
    assert set(errors["message"]) == {"no probe logit for cow"}
    stored = load_probe(found.folder / "probe.json")
    assert stored.classes == found.classifier.class_names == ("dog", "person")
    image = found.sample("2008_000000-dog").image
    query = Query(found.classifier, found.classifier.preprocess(image), 0)
    expected = make_explainer("gradcam").attribute(query, np.random.default_rng(0))
    np.testing.assert_allclose(found.raw("2008_000000-dog", "gradcam"), expected, atol=1e-6)
    monkeypatch.setattr(run, "load_classifier", None)  # calling it would fail
    run_study(config, progress=False)


def test_another_probe_is_another_study(config, monkeypatch):
    found = run_study(config, progress=False)
    before = set((found.folder / "units").glob("*/gradcam.*"))
    (found.folder / "probe.json").unlink()
    monkeypatch.setattr(module, "C", 10.0)
    again = run_study(config, progress=False)
    assert not before & {
        again.folder / "units" / id / again._units(id)["explanations"]["gradcam"]
        for id in again.sample_ids
    }


def test_a_damaged_probe_ends_the_study_with_its_name(config):
    found = run_study(config, progress=False)
    (found.folder / "probe.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"probe\.npz: does not have the SHA-256.*remove"):
        run_study(config, progress=False)


# --- real images


def average_precision(
    found: np.ndarray, labels: np.ndarray, least: int
) -> tuple[float, float, int]:
    """Mean average precision over the classes with at least `least` positives, its level by chance
    (the mean share of positives) and the number of these classes."""
    columns = [k for k in range(labels.shape[1]) if labels[:, k].sum() >= least]
    each = [average_precision_score(labels[:, k], found[:, k]) for k in columns]
    return float(np.mean(each)), float(labels[:, columns].mean()), len(columns)


def test_average_precision_of_a_known_order():
    labels = np.array([[True, False], [False, True], [True, False]])
    found = np.array([[3.0, 0], [2, 0], [1, 0]])
    assert average_precision(found, labels, 2) == (pytest.approx((1 + 2 / 3) / 2), 2 / 3, 1)


@pytest.mark.slow
def test_a_probe_of_real_images_beats_chance(lite0, real_data):
    val = load_dataset("voc2012", real_data, reading="binary", logit="probe")
    probed = with_probe(lite0, train_on(lite0, val.train))
    x = [probed.preprocess(val.load(id).image) for id in val.ids]
    labels = np.array([[c in val.labels[id] for c in probed.class_names] for id in val.ids])
    mean, chance, classes = average_precision(probed.logits(torch.stack(x)), labels, 5)
    print(f"mAP {mean:.3f} over {classes} classes of {len(val)} images, chance {chance:.3f}")
    assert mean > chance + 0.2
