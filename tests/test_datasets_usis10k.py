import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.measure import points_in_poly

from xaiutils.datasets import load_dataset
from xaiutils.datasets.check import check_dataset, describe_dataset
from xaiutils.datasets.usis10k import CLASSES, fill_polygon
from xaiutils.errors import InputError

SQUARE = [2.0, 3.0, 8.0, 3.0, 8.0, 7.0, 2.0, 7.0]
TRIANGLE = [10.0, 0.0, 14.0, 0.0, 10.0, 4.0]


@pytest.fixture
def content():
    official = [name.replace("wrecks-ruins", "wrecks/ruins") for name in CLASSES]
    return {
        "categories": [{"id": i, "name": name} for i, name in enumerate(official, 1)],
        "images": [
            {"id": 7, "file_name": "val_00002.jpg", "width": 16, "height": 12},
            {"id": 3, "file_name": "val_00001.jpg", "width": 16, "height": 12},
        ],
        "annotations": [
            {"image_id": 3, "category_id": 2, "segmentation": [SQUARE]},
            {"image_id": 3, "category_id": 2, "segmentation": [TRIANGLE]},
            {"image_id": 3, "category_id": 6, "segmentation": [SQUARE]},
            {"image_id": 7, "category_id": 1, "segmentation": [SQUARE]},
        ],
    }


@pytest.fixture
def write(tmp_path, content):
    (tmp_path / "USIS10K" / "val").mkdir(parents=True)
    for image in content["images"]:
        Image.new("RGB", (16, 12)).save(tmp_path / "USIS10K" / "val" / image["file_name"])
    path = tmp_path / "USIS10K/multi_class_annotations/multi_class_val_annotations.json"
    path.parent.mkdir()

    def write(content):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return write


@pytest.fixture
def tree(write, content):
    return write(content)


def test_one_sample_per_image_and_class(tree):
    dataset = load_dataset("usis10k", tree, "val")
    assert dataset.ids == ("val_00001-fish", "val_00001-robots", "val_00002-wrecks-ruins")
    fish = dataset.load("val_00001-fish")
    expected = np.zeros((12, 16), bool)
    expected[3:7, 2:8] = True
    expected[:4, 10:14] = np.flipud(np.tri(4, k=-1, dtype=bool))  # centres on the edge are outside
    np.testing.assert_array_equal(fish.mask, expected)
    assert (fish.label, fish.target) == ("fish", None) and not fish.void.any()


def test_binary_reading_unites_the_classes(tree):
    dataset = load_dataset("usis10k", tree, "val", reading="binary")
    assert dataset.ids == ("val_00001", "val_00002")
    assert dataset.load("val_00001").label == "fish, robots"
    assert dataset.labels["val_00001"] == ("fish", "robots")


def test_mapped(tree):
    dataset = load_dataset("usis10k", tree, "val", logit="mapped")
    assert dataset.skipped == {"no ImageNet class for robots": ("val_00001-robots",)}
    assert dataset.load("val_00002-wrecks-ruins").target == 913
    assert len(dataset.load("val_00001-fish").candidates) == 16


def test_splits(tree):
    with pytest.raises(InputError, match=r"test_annotations\.json: no such file.*there: val"):
        load_dataset("usis10k", tree)
    with pytest.raises(InputError, match="no split 'valid': choose train or val or test"):
        load_dataset("usis10k", tree, "valid")


def test_missing_and_superfluous_images(tree):
    folder = tree / "USIS10K" / "val"
    (folder / "val_00002.jpg").rename(folder / "val_00009.jpg")
    assert load_dataset("usis10k", tree, "val").skipped == {"no image file": ("val_00002",)}
    problems = "\n".join(check_dataset("usis10k", tree))
    for part in (
        "multi_class_train_annotations.json: no such file",
        "val_00002.jpg: missing",
        "val_00009.jpg: an image without annotations",
        "1 of the official 10632 images",
    ):
        assert part in problems
    described = describe_dataset("usis10k", tree)
    assert (described["classes"], described["images"], described["split"]) == (2, 1, "val")


def test_size_of_the_annotation_is_that_of_the_image(tree):
    Image.new("RGB", (12, 16)).save(tree / "USIS10K" / "val" / "val_00002.jpg")
    with pytest.raises(InputError, match=r"annotation of val_00002\.jpg is 16 x 12 px, but"):
        load_dataset("usis10k", tree, "val").load("val_00002-wrecks-ruins")
    assert any("16 x 12 px" in line for line in check_dataset("usis10k", tree, full=True))


def with_side(content: dict, height: object) -> dict:
    return content | {"images": [content["images"][0] | {"height": height}, *content["images"][1:]]}


def with_point(content: dict, x: float) -> dict:
    first, *others = content["annotations"]
    return content | {"annotations": [first | {"segmentation": [[x, 0, 9, 0, 9, 9]]}, *others]}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: "{", r"not a COCO annotation file"),
        (lambda c: "[]", r"not a COCO annotation file"),
        (lambda c: c | {"annotations": [{"image_id": 3}]}, "not a COCO annotation file"),
        (
            lambda c: c | {"annotations": [{"image_id": 9, "category_id": 1}]},
            "an annotation names image_id 9, category_id 1, of which",
        ),
        (
            lambda c: c | {"images": [c["images"][0], c["images"][0]]},
            "image id [0-9]+ stands there more than once",
        ),
        (
            lambda c: c | {"images": [c["images"][0], c["images"][0] | {"id": 99}]},
            r"file_name \S+\.jpg stands there more than once",
        ),
        (
            lambda c: c | {"images": [c["images"][0], c["images"][1] | {"file_name": "a" * 300}]},
            "'a+' is no image name",
        ),
        (
            lambda c: c | {"annotations": [c["annotations"][0] | {"segmentation": None}]},
            "a segmentation is None, not polygons",
        ),
        (lambda c: c | {"categories": [{"id": 1, "name": "whales"}]}, "'whales' is no class"),
        (
            lambda c: (
                c
                | {
                    "annotations": [
                        {"image_id": 3, "category_id": 1, "segmentation": {"counts": []}}
                    ]
                }
            ),
            "holds run-length masks",
        ),
        (
            lambda c: (
                c | {"images": [c["images"][0], c["images"][1] | {"file_name": "../val_00001.jpg"}]}
            ),
            r"'\.\./val_00001\.jpg' is no image name",
        ),
        (lambda c: "[" * 100_000, "not a COCO annotation file.*nested too deeply"),
        (lambda c: with_side(c, 1e999), "height or width inf"),
        (lambda c: with_side(c, float("nan")), "height or width nan"),
        (lambda c: with_side(c, -3), "height or width -3"),
        (lambda c: with_side(c, 10**9), "height or width 1000000000"),
        (lambda c: with_side(c, "9"), "height or width 9: not within"),
        (lambda c: with_point(c, float("inf")), "polygon with NaN or infinite"),
        (lambda c: with_point(c, float("nan")), "polygon with NaN or infinite"),
        (lambda c: with_point(c, 1e39), "polygon with NaN or infinite"),  # above float32
    ],
)
def test_annotations_that_cannot_be_used(write, content, change, message):
    with pytest.raises(InputError, match=rf"multi_class_val_annotations\.json: .*{message}"):
        load_dataset("usis10k", write(change(content)), "val")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 20), st.floats(-3, 15)), min_size=3, max_size=8))
def test_polygons_hold_the_pixels_whose_centres_they_hold(points):
    points = np.asarray(points, np.float32)
    y, x = np.indices((12, 17)) + 0.5
    centres = np.stack([x.ravel(), y.ravel()], axis=1)
    clear = outline_distance(centres, points) > 0.02  # on an edge either answer is right
    expected = points_in_poly(centres, points)
    found = fill_polygon(points, (12, 17)).ravel()
    assert (found[clear] == expected[clear]).all()


def outline_distance(centres: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N,): from each centre (N, 2) to the nearest edge of a polygon (M, 2)."""
    start = points.astype(float)
    along = np.roll(start, -1, axis=0) - start
    away = centres[:, None] - start
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    place = np.clip((away * along).sum(axis=2) / length, 0, 1)
    return np.linalg.norm(away - place[..., None] * along, axis=2).min(axis=1)


def test_stand_in(real_data):
    dataset = load_dataset("usis10k", real_data / "UIIS-in-USIS10K-layout", "val")
    assert len({id.split("-")[0] for id in dataset.ids}) == 50 and len(dataset) == 61
    assert 0 < dataset.load(dataset.ids[0]).mask.mean() < 1
