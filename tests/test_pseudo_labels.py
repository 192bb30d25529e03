import json

import numpy as np
import pytest
from PIL import Image
from toy_study import CLASSES, COW, DOG, PERSON, ToyStudy, label_images

from xaiutils.cli import main
from xaiutils.datasets import load_dataset
from xaiutils.errors import InputError
from xaiutils.export import export_pseudo_labels
from xaiutils.images import read_indices
from xaiutils.pseudo_labels import (
    label_image,
    label_image_of_masks,
    run_length,
    voc_palette,
    write_coco,
    write_voc,
)

# ---- label images


def test_argmax_over_the_classes_and_background_below_the_level():
    maps = {7: np.array([[0.9, 0.2, 0.4, 0.1]]), 3: np.array([[0.1, 0.8, 0.5, 0.3]])}
    assert label_image(maps, 0.35).tolist() == [[7, 3, 3, 0]]
    assert label_image(maps, 0.85).tolist() == [[7, 0, 0, 0]]
    assert label_image(maps, 0).dtype == np.uint8


def test_the_level_is_reached_at_equality():
    assert label_image({1: np.array([[0.5, 0.4]])}, 0.5).tolist() == [[1, 0]]


def test_ties_go_to_the_lower_class_number_whatever_the_order_given():
    map = np.full((2, 2), 0.6)
    assert (label_image({9: map, 4: map}, 0.5) == 4).all()
    assert (label_image_of_masks({9: map > 0, 4: map > 0}, {9: 0.5, 4: 0.5}) == 4).all()


def test_a_level_a_class():
    maps = {1: np.array([[0.6, 0.6]]), 2: np.array([[0.4, 0.1]])}
    # class 1 is higher everywhere, but it does not reach its own level
    assert label_image(maps, {1: 0.7, 2: 0.3}).tolist() == [[2, 0]]


def test_a_flat_map_wins_nowhere():
    nan = np.full((1, 2), np.nan)
    assert label_image({1: nan, 2: np.array([[0.6, 0.1]])}, 0.5).tolist() == [[2, 0]]
    assert label_image({1: nan, 2: np.array([[0.6, 0.1]])}, {1: np.nan, 2: 0.5}).tolist() == [
        [2, 0]
    ]
    assert label_image({1: nan}, 0.5).tolist() == [[0, 0]]


def test_overlapping_masks_by_score():
    left, right = np.array([[1, 1, 0, 0]], bool), np.array([[0, 1, 1, 0]], bool)
    assert label_image_of_masks({1: left, 2: right}, {1: 0.3, 2: 0.4}).tolist() == [[1, 2, 2, 0]]
    assert label_image_of_masks({1: left, 2: right}, {1: 0.5, 2: 0.4}).tolist() == [[1, 1, 2, 0]]
    # without a score a mask stands below every other, also below a negative one
    for scores in ({1: np.nan, 2: -3.0}, {1: -4.0, 2: -3.0}):
        assert label_image_of_masks({1: left, 2: right}, scores).tolist() == [[1, 2, 2, 0]]


@pytest.mark.parametrize("numbers", [(), (0,), (255,), (-1, 3)])
def test_numbers_that_are_no_class(numbers):
    with pytest.raises(InputError, match="from 1 to 254"):
        label_image(dict.fromkeys(numbers, np.zeros((2, 2))), 0.5)


# ---- VOC palette PNG


def test_the_official_palette():
    palette = voc_palette()
    official = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        7: (128, 128, 128),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    for index, colour in official.items():
        assert tuple(palette[index]) == colour
    assert len({tuple(colour) for colour in palette}) == 256


def test_the_palette_of_the_real_files(real_data):
    folder = real_data / "VOCdevkit" / "VOC2012" / "SegmentationClass"
    with Image.open(next(folder.glob("*.png"))) as image:
        stored = np.array(image.getpalette("RGB")).reshape(-1, 3)
    np.testing.assert_array_equal(stored, voc_palette()[: len(stored)])


def labelled(names):
    rng = np.random.default_rng(0)
    values = np.array([0, 1, 12, 20, 255], np.uint8)
    return {name: rng.choice(values, rng.integers(3, 40, 2)) for name in names}


NAMES = ("2007_000001", "ïmage-é", "海底 3", "with.dot")


def test_voc_round_trip(tmp_path):
    images = labelled(NAMES)
    assert write_voc(tmp_path, images.items(), CLASSES, "val") == list(NAMES)
    for name, labels in images.items():
        path = tmp_path / "SegmentationClass" / f"{name}.png"
        np.testing.assert_array_equal(read_indices(path), labels)
        with Image.open(path) as image:
            assert image.mode == "P"
            colours = np.array(image.convert("RGB"))
        np.testing.assert_array_equal(colours, voc_palette()[labels])
    listed = (tmp_path / "ImageSets" / "Segmentation" / "val.txt").read_text("utf-8")
    assert listed.splitlines() == list(NAMES)
    lines = (tmp_path / "classes.txt").read_text("utf-8").splitlines()
    assert (lines[0], lines[12], len(lines)) == ("0 background", "12 dog", 21)


# ---- COCO run-length code


def test_coco_round_trip_through_the_official_reader(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    images = labelled(NAMES)
    assert write_coco(tmp_path, images.items(), CLASSES) == list(NAMES)
    read = coco.COCO(str(tmp_path / "annotations.json"))
    assert [read.cats[i]["name"] for i in sorted(read.cats)] == list(CLASSES)
    for image in read.imgs.values():
        labels = images[image["file_name"].removesuffix(".jpg")]
        assert (image["height"], image["width"]) == labels.shape
        found = np.zeros_like(labels)
        for row in read.loadAnns(read.getAnnIds(imgIds=image["id"])):
            mask = read.annToMask(row).astype(bool)
            assert row["area"] == mask.sum() and not found[mask].any()
            found[mask] = row["category_id"]
        np.testing.assert_array_equal(found, np.where(labels == 255, 0, labels))


def test_run_length_by_hand():
    pytest.importorskip("pycocotools")
    mask = np.zeros((3, 4), bool)
    mask[1, 1:3] = True
    found = run_length(mask)
    assert (found["area"], found["bbox"], found["iscrowd"]) == (2, [1, 1, 2, 1], 0)
    assert found["segmentation"]["size"] == [3, 4]


def test_an_image_of_background_is_listed_without_annotations(tmp_path):
    pytest.importorskip("pycocotools")
    write_coco(tmp_path, {"a": np.zeros((2, 2), np.uint8)}.items(), ("object",))
    content = json.loads((tmp_path / "annotations.json").read_text("utf-8"))
    assert [image["file_name"] for image in content["images"]] == ["a.jpg"]
    assert content["annotations"] == []


@pytest.mark.parametrize("write", [write_voc, write_coco])
@pytest.mark.parametrize("name", ["../a", "a/b", ".hidden", "a\\b", "a:b", ""])
def test_names_that_lead_elsewhere(tmp_path, write, name):
    with pytest.raises(InputError, match="cannot name a file"):
        write(tmp_path, {name: np.zeros((2, 2), np.uint8)}.items(), ("object",))
    assert not list(tmp_path.rglob("*.png"))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_voc(tmp_path / "file", labelled(["a"]).items(), CLASSES)


# ---- a study


@pytest.mark.parametrize("options", [{"segmenter": "map"}, {"segmenter": "map", "level": 0.5}])
def test_exact_maps_give_the_true_labels_back(tmp_path, options):
    study = ToyStudy(tmp_path / "data")
    found = export_pseudo_labels(study, tmp_path / "out", "gradcam", void=True, **options)
    assert found.images == tuple(label_images()) and not found.undefined
    for name, labels in label_images().items():
        stored = read_indices(tmp_path / "out" / "SegmentationClass" / f"{name}.png")
        np.testing.assert_array_equal(stored, labels)


def test_what_was_exported_loads_as_a_data_set(tmp_path):
    study = ToyStudy(tmp_path / "data")
    export_pseudo_labels(study, tmp_path / "out", "gradcam", segmenter="map")
    (tmp_path / "out" / "JPEGImages").symlink_to(tmp_path / "data" / "VOC2012" / "JPEGImages")
    again = load_dataset("voc2012", tmp_path / "out", "val")
    assert again.ids == study.dataset.ids
    for id in again.ids:
        np.testing.assert_array_equal(again.load(id).mask, study.sample(id).mask)
        assert not again.load(id).void.any()


def test_masks_meet_by_score(tmp_path):
    """Dog and person touch: SAM's dog reaches one column into the person, with a higher score."""
    study = ToyStudy(tmp_path / "data")
    export_pseudo_labels(study, tmp_path / "out", "gradcam")
    stored = read_indices(tmp_path / "out" / "SegmentationClass" / "2007_000001.png")
    expected = np.zeros((12, 16), np.uint8)
    expected[2:6, 2:13] = [DOG] * 7 + [PERSON] * 4
    np.testing.assert_array_equal(stored, expected)


def test_undefined_images_are_left_out_and_told(tmp_path):
    study = ToyStudy(tmp_path / "data")
    for options in ({"segmenter": "map"}, {"segmenter": "embedded_sam"}):
        found = export_pseudo_labels(study, tmp_path / options["segmenter"], "ig", **options)
        assert found.images == ("2007_000001", "2007_000002")
        assert found.undefined == ("2007_000003",)


def test_the_binary_reading_has_one_class(tmp_path):
    study = ToyStudy(tmp_path / "data", reading="binary")
    export_pseudo_labels(study, tmp_path / "out", "gradcam", segmenter="map")
    stored = read_indices(tmp_path / "out" / "SegmentationClass" / "2007_000002.png")
    np.testing.assert_array_equal(stored, label_images()["2007_000002"] == COW)
    assert (tmp_path / "out" / "classes.txt").read_text() == "0 background\n1 object\n"


def test_classes_with_a_sample_in_the_study_only(tmp_path):
    study = ToyStudy(tmp_path / "data", without=("2007_000001-person", "2007_000002-cow"))
    found = export_pseudo_labels(study, tmp_path / "out", "gradcam", segmenter="map")
    assert found.images == ("2007_000001", "2007_000003")
    stored = read_indices(tmp_path / "out" / "SegmentationClass" / "2007_000001.png")
    assert set(np.unique(stored)) == {0, DOG}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cue": "lime"}, "no masks of 'embedded_sam' from 'lime' \\(dual\\); cues: gradcam, ig"),
        ({"segmenter": "sam2"}, "no masks of 'sam2'"),
        ({"cue": "lime", "segmenter": "map"}, "no cue 'lime'"),
        ({"level": 0.5}, "level 0.5: from 0 to 1, and with segmenter 'map' only"),
        ({"level": 1.5, "segmenter": "map"}, "level 1.5"),
        ({"format": "png"}, "unknown format 'png': choose voc or coco"),
    ],
)
def test_bad_input(tmp_path, options, message):
    study = ToyStudy(tmp_path / "data")
    with pytest.raises(InputError, match=message):
        export_pseudo_labels(study, tmp_path / "out", **{"cue": "gradcam", **options})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    study = ToyStudy(tmp_path / "data")
    with pytest.raises(InputError, match="not an empty folder"):
        export_pseudo_labels(study, tmp_path / "data", "gradcam")


def test_the_command(tmp_path, monkeypatch, capsys):
    from xaiutils import study as studies

    monkeypatch.setattr(studies, "open_study", lambda name: ToyStudy(tmp_path / name))
    line = ["export", "--study", "data", "--to", str(tmp_path / "out"), "--cue", "ig"]
    assert main([*line, "--segmenter", "map", "--format", "coco"]) == 0
    said = capsys.readouterr().out
    assert "2 label images (coco) of study toy" in said
    assert "1 images without a defined map or mask left out: 2007_000003" in said
    assert (tmp_path / "out" / "annotations.json").exists()
