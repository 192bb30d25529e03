import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, jaccard_score
from toy_study import COW, DOG, PERSON, ToyStudy, label_images

from xaiutils.analyses import confusion as analysis
from xaiutils.errors import InputError
from xaiutils.metrics.confusion import class_ious, confusion, counts, miou
from xaiutils.metrics.localisation import iou
from xaiutils.sections.miou import (
    SEEN,
    TRAINED,
    class_table,
    confusion_miou,
    miou_interval,
    miou_sentence,
)
from xaiutils.sections.overlap import dice_and_iou
from xaiutils.statistics import RESAMPLES

TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, 255]])
PREDICTION = np.array([[0, 1, 1, 1], [0, 2, 0, 2]])


def random_split(n: int, classes: int, seed: int = 0):
    """n pairs of label images of several sizes, with void in the truth."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        shape = tuple(rng.integers(5, 30, 2))
        truth = rng.integers(0, classes, shape)
        prediction = np.where(rng.random(shape) < 0.6, truth, rng.integers(0, classes, shape))
        truth[rng.random(shape) < 0.1] = 255
        yield truth.astype(np.uint8), prediction.astype(np.uint8)


# ---- the metric


def test_by_hand():
    matrix = confusion(TRUTH, PREDICTION, 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert counts(matrix).tolist() == [[2, 1, 1], [2, 1, 0], [1, 0, 1], [0, 0, 0]]
    np.testing.assert_allclose(class_ious(counts(matrix)), [2 / 4, 2 / 3, 1 / 2, np.nan])
    value, classes, absent = miou(matrix)
    assert value == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
    assert (classes, absent) == (3, 1)


def test_a_class_that_is_only_predicted_counts_as_zero():
    found = miou(confusion(np.zeros((2, 2), int), np.array([[0, 0], [0, 1]]), 3))
    assert found == (pytest.approx((3 / 4 + 0) / 2), 2, 1)


def test_void_counts_nowhere_whatever_is_predicted_there():
    for label in (0, 1, 2, 3, 255):
        prediction = np.where(TRUTH == 255, label, PREDICTION)
        assert (confusion(TRUTH, prediction, 4) == confusion(TRUTH, PREDICTION, 4)).all()


def test_all_void_is_undefined():
    found = miou(confusion(np.full((3, 3), 255), np.zeros((3, 3), int), 21))
    assert np.isnan(found.value) and (found.classes, found.absent) == (0, 21)


def test_streamed_matrices_equal_sklearn_over_the_whole_split():
    split = list(random_split(12, 21))
    total = sum(confusion(truth, prediction, 21) for truth, prediction in split)
    truth, prediction = (np.concatenate([part.ravel() for part in side]) for side in zip(*split))
    valid = truth != 255
    expected = confusion_matrix(truth[valid], prediction[valid], labels=range(21))
    np.testing.assert_array_equal(total, expected)
    ious = jaccard_score(truth[valid], prediction[valid], labels=range(21), average=None)
    np.testing.assert_allclose(class_ious(counts(total)), ious, rtol=1e-12)
    macro = jaccard_score(truth[valid], prediction[valid], labels=range(21), average="macro")
    assert miou(total).value == pytest.approx(macro, rel=1e-12)


def test_over_the_split_is_not_the_mean_over_images():
    """A large object found and a small one missed: pixels, not images, are counted."""
    large, small = np.ones((10, 10), int), np.array([[1, 0]])
    total = confusion(large, large, 2) + confusion(small, small * 0, 2)
    assert class_ious(counts(total))[1] == pytest.approx(100 / 101)  # mean over images: 1 / 2


@pytest.mark.parametrize(
    "truth, prediction, message",
    [
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"shape \(2, 3\), the truth \(2, 2\)"),
        (np.zeros((2, 2), int), np.full((2, 2), 4), "prediction holds 4: labels go from 0 to 3"),
        (np.full((2, 2), 9), np.zeros((2, 2), int), "truth holds 9"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "prediction holds -1"),
        (np.zeros((2, 2), int), np.full((2, 2), 255), "prediction holds 255"),
        (np.zeros((2, 2), int), np.zeros((2, 2)), "prediction must hold whole numbers"),
    ],
)
def test_bad_labels(truth, prediction, message):
    with pytest.raises(InputError, match=message):
        confusion(truth, prediction, 4)


# ---- the analysis and its section


@pytest.fixture
def study(tmp_path):
    return ToyStudy(tmp_path)


def table_of(study) -> pd.DataFrame:
    rows = [row for unit in analysis.units(study) for row in analysis.measure(study, unit)]
    return pd.DataFrame(rows, columns=analysis.COLUMNS)


def test_exact_maps_reach_one(study):
    table = table_of(study)
    assert analysis.units(study) == list(label_images())
    found = confusion_miou(table).set_index(["cue", "route"])
    for route in ("otsu", SEEN):
        row = found.loc[("gradcam", route)]
        assert (row["miou"], row["low"], row["high"]) == (1, 1, 1)
        # background, cow, dog and person of 21
        assert (row["n"], row["undefined"], row["classes"], row["absent"]) == (3, 0, 4, 17)
        assert row["measure"] == "21-class mIoU"


def test_rows_agree_with_sklearn_on_the_pooled_pixels(study):
    """Shifted maps, one image undefined: the mean over classes of the pooled pixels."""
    found = confusion_miou(table_of(study)).set_index(["cue", "route"])
    truths, predictions = [], []
    for image, samples in (
        ("2007_000001", {DOG: "dog", PERSON: "person"}),
        ("2007_000002", {COW: "cow"}),
    ):
        labels = np.zeros((12, 16), int)
        for number, name in reversed(samples.items()):  # the lower number wins where both are 1
            labels[np.roll(study.sample(f"{image}-{name}").mask, 2, axis=1)] = number
        truths.append(label_images()[image].ravel())
        predictions.append(labels.ravel())
    truth, prediction = np.concatenate(truths), np.concatenate(predictions)
    valid = truth != 255
    expected = jaccard_score(
        truth[valid], prediction[valid], labels=[0, COW, DOG, PERSON], average="macro"
    )
    row = found.loc[("ig", "otsu")]
    assert row["miou"] == pytest.approx(expected, rel=1e-12)
    assert (row["n"], row["undefined"]) == (2, 1)
    assert row["low"] <= row["miou"] <= row["high"]


def test_classes_without_a_sample_are_missed_not_forgotten(tmp_path):
    study = ToyStudy(tmp_path, without=("2007_000001-person", "2007_000002-cow"))
    table = table_of(study)
    classes = class_table(table, "gradcam", "otsu").set_index("class")
    assert classes.loc["dog"].tolist() == [2, 36, 0, 0, 1]
    assert classes.loc["person", ["tp", "fp", "fn", "iou"]].tolist() == [0, 0, 16, 0]
    # the cow's image has no sample: it is not there, and neither is the cow
    assert "cow" not in classes.index
    found = confusion_miou(table).set_index(["cue", "route"]).loc[("gradcam", "otsu")]
    background = (2 * 192 - 16 - 36 - 16) / (2 * 192 - 16 - 36)
    assert found["miou"] == pytest.approx((background + 1 + 0) / 3)
    assert found["n"] == 2


def test_the_binary_reading_is_called_by_its_own_name(tmp_path):
    study = ToyStudy(tmp_path, reading="binary")
    table = table_of(study)
    found = confusion_miou(table)
    assert set(found["measure"]) == {"object/background mIoU"}
    assert (found["classes"] + found["absent"] == 2).all()
    # counts of one image give back its IoU
    part = table[(table["cue"] == "gradcam") & (table["route"] == "embedded_sam")]
    for row in part[part["class"] == "object"].itertuples():
        sample = study.sample(row.image)
        mask = study.mask(row.image, "gradcam", "dual", "embedded_sam")
        value = iou(mask, sample.mask, sample.void)
        assert row.tp / (row.tp + row.fp + row.fn) == pytest.approx(value, rel=1e-12)


def test_routes_are_dual_prompts_and_the_references(study):
    routes = {(row.cue, row.route) for row in table_of(study).itertuples()}
    sam = {(cue, "embedded_sam") for cue in ("gradcam", "ig", "floor:centre point")}
    assert routes == sam | {(cue, r) for cue in ("gradcam", "ig") for r in ("otsu", "level")}


def counted(rows) -> pd.DataFrame:
    """A table of (image, cue, route, level, class, tp, fp, fn), of three classes."""
    columns = ["image", "cue", "route", "level", "class", "tp", "fp", "fn"]
    return pd.DataFrame(rows, columns=columns).assign(of=3)[analysis.COLUMNS]


def test_the_level_comes_from_training_images():
    def at(level, good):
        return ("a", "ig", "level", level, "cat", *((9, 1, 0) if good else (1, 9, 0)))

    here = counted([at(0.2, True), at(0.4, False)])
    training = counted([at(0.2, False), at(0.4, True)])
    seen, trained = confusion_miou(here).iloc[0], confusion_miou(here, training).iloc[0]
    assert (seen["route"], seen["miou"]) == (SEEN, 0.9)
    assert (trained["route"], trained["miou"]) == (TRAINED, 0.1)
    assert np.isnan(seen["low"])  # one image has no interval


def test_the_interval_draws_images_not_pixels():
    rng = np.random.default_rng(5)
    rows = [
        (f"i{i}", "ig", "otsu", np.nan, name, *rng.integers(0, 50, 3))
        for i in range(7)
        for name in ("background", "cat", "dog")
    ]
    value, low, high, n, classes, _ = miou_interval(counted(rows))
    draws = np.random.default_rng(0).multinomial(7, np.full(7, 1 / 7), RESAMPLES)
    means = []
    for times in [np.ones(7, int), *draws]:
        ious = []
        for name in ("background", "cat", "dog"):
            part = [(row[5:], times[int(row[0][1])]) for row in rows if row[4] == name]
            tp, fp, fn = (sum(k * row[j] for row, k in part) for j in range(3))
            ious += [tp / (tp + fp + fn)] if tp + fp + fn else []
        means.append(np.mean(ious))
    assert value == pytest.approx(means[0], rel=1e-12)
    np.testing.assert_allclose([low, high], np.percentile(means[1:], [2.5, 97.5]), rtol=1e-9)
    assert (n, classes) == (7, 3)


def test_undefined_everywhere():
    nan = ("a", "ig", "otsu", np.nan, "background", np.nan, np.nan, np.nan)
    row = confusion_miou(counted([nan])).iloc[0]
    assert np.isnan(row["miou"]) and (row["n"], row["undefined"]) == (0, 1)


def test_the_sentence_names_route_cue_and_n(study):
    said = miou_sentence(confusion_miou(table_of(study)))
    assert "- map, otsu, best cue: Grad-CAM, **1.00 [1.00, 1.00]** 21-class mIoU (n = 3" in said
    assert "- embedded SAM, best floor: Floor: centre point" in said


# ---- means over images


def test_dice_and_iou_of_maps_and_masks():
    localisation = pd.DataFrame(
        [(s, "ig", m, v) for s in "ab" for m, v in (("iou", 0.5), ("dice", 2 / 3), ("gini", 0))],
        columns=["sample", "cue", "metric", "value"],
    )
    columns = ["sample", "cue", "prompting", "segmenter", "iou", "dice", "score"]
    segmentation = pd.DataFrame(
        [(s, "ig", "dual", "embedded_sam", v, 2 * v / (1 + v), 1) for s, v in (("a", 0), ("b", 1))],
        columns=columns,
    )
    found = dice_and_iou(localisation, segmentation).set_index(["route", "metric"])["mean"]
    assert found["otsu", "dice"] == pytest.approx(2 / 3) and found["otsu", "iou"] == 0.5
    assert found["embedded_sam", "dice"] == found["embedded_sam", "iou"] == 0.5
