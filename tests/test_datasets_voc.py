import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xaiutils.datasets import load_dataset
from xaiutils.datasets.check import check_dataset, describe_dataset
from xaiutils.datasets.voc import CLASSES
from xaiutils.errors import InputError

PERSON, DOG, COW = (1 + CLASSES.index(label) for label in ("person", "dog", "cow"))


def save_voc_mask(path: Path, indices: np.ndarray) -> None:
    image = Image.fromarray(indices.astype(np.uint8))
    palette = np.random.default_rng(0).integers(1, 256, (256, 3))
    palette[0] = 0
    image.putpalette(palette.astype(np.uint8).tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def add(root: Path, id: str, split: str, indices: np.ndarray) -> None:
    base = root / "VOCdevkit" / "VOC2012"
    save_voc_mask(base / "SegmentationClass" / f"{id}.png", indices)
    (base / "JPEGImages").mkdir(exist_ok=True)
    height, width = indices.shape
    Image.new("RGB", (width, height), "green").save(base / "JPEGImages" / f"{id}.jpg")
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True, exist_ok=True)
    with (lists / f"{split}.txt").open("a") as stream:
        stream.write(f"{id}\n")


@pytest.fixture
def tree(tmp_path):
    two = np.zeros((12, 16), int)
    two[2:6, 2:8], two[6:10, 8:14], two[5:7, 7:9] = DOG, PERSON, 255
    add(tmp_path, "2007_000001", "val", two)
    add(tmp_path, "2007_000002", "val", np.where(two == DOG, COW, 0))
    add(tmp_path, "2007_000003", "train", np.where(two == DOG, DOG, 0))
    return tmp_path


@pytest.fixture
def base(tree):
    return tree / "VOCdevkit" / "VOC2012"


# ---- readings


def test_one_sample_per_image_and_class(tree):
    dataset = load_dataset("voc2012", tree, "val")
    assert dataset.ids == ("2007_000001-dog", "2007_000001-person", "2007_000002-cow")
    assert dataset.classes == CLASSES and len(CLASSES) == 20
    assert dataset.labels["2007_000001-dog"] == ("dog", "person")
    dog, person = (dataset.load(id) for id in dataset.ids[:2])
    assert (dog.label, dog.target, dog.candidates) == ("dog", None, ())
    assert dog.mask.sum() == 4 * 6 - 1 and person.mask.sum() == 4 * 6 - 1
    assert not (dog.mask & person.mask).any()
    assert dog.void.sum() == 4 and not (dog.void & dog.mask).any()
    assert dog.image.shape == (12, 16, 3)


def test_one_sample_per_image_in_the_binary_reading(tree):
    dataset = load_dataset("voc2012", tree, "val", reading="binary")
    assert dataset.ids == ("2007_000001", "2007_000002")
    sample = dataset.load("2007_000001")
    assert sample.label == "dog, person"
    parts = load_dataset("voc2012", tree, "val")
    united = parts.load("2007_000001-dog").mask | parts.load("2007_000001-person").mask
    np.testing.assert_array_equal(sample.mask, united)


def test_splits(tree):
    assert load_dataset("voc2012", tree).ids == load_dataset("voc2012", tree, "val").ids
    assert load_dataset("voc2012", tree, "train").ids == ("2007_000003-dog",)
    both = load_dataset("voc2012", tree, "trainval", reading="binary")
    assert both.ids == ("2007_000001", "2007_000002", "2007_000003")
    with pytest.raises(InputError, match="no split 'test': choose train or val or trainval"):
        load_dataset("voc2012", tree, "test")


def test_root_may_be_any_of_the_three_folders(tree, base):
    ids = {load_dataset("voc2012", root).ids for root in (tree, base.parent, base, str(base))}
    assert len(ids) == 1


def test_roots_without_the_layout(tmp_path):
    with pytest.raises(InputError, match="'voc2012' needs root"):
        load_dataset("voc2012")
    with pytest.raises(InputError, match=r"holds no voc2012.*data fetch voc2012"):
        load_dataset("voc2012", tmp_path)


# ---- which logit


def test_mapped_targets_are_candidates_and_the_rest_is_counted(tree):
    dataset = load_dataset("voc2012", tree, "val", logit="mapped")
    assert dataset.ids == ("2007_000001-dog",)
    assert dataset.skipped == {
        "no ImageNet class for person": ("2007_000001-person",),
        "no ImageNet class for cow": ("2007_000002-cow",),
    }
    sample = dataset.load("2007_000001-dog")
    assert sample.target is None and sample.candidates == tuple(range(151, 269))


def test_a_single_candidate_is_the_target(tree):
    add(tree, "2007_000009", "val", np.full((12, 16), 1 + CLASSES.index("horse")))
    dataset = load_dataset("voc2012", tree, "val", logit="mapped")
    sample = dataset.load("2007_000009-horse")
    assert (sample.target, sample.candidates) == (339, (339,))


def test_nothing_mapped_is_refused_with_the_count(tree, base):
    (base / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_000002\n")
    with pytest.raises(InputError, match=r"no usable sample \(1 x no ImageNet class for cow\)"):
        load_dataset("voc2012", tree, logit="mapped")


def test_unknown_options(tree):
    with pytest.raises(InputError, match="unknown reading 'image': choose class or binary"):
        load_dataset("voc2012", tree, reading="image")
    with pytest.raises(InputError, match="unknown logit 'top': choose one of given, predicted"):
        load_dataset("voc2012", tree, logit="top")


# ---- what is missing or damaged


def test_missing_files_are_skipped_and_counted(tree, base):
    (base / "JPEGImages" / "2007_000001.jpg").unlink()
    dataset = load_dataset("voc2012", tree, "trainval")
    assert dataset.skipped == {"no image file": ("2007_000001",)}
    (base / "SegmentationClass" / "2007_000002.png").write_bytes(b"\x89PNG broken")
    (base / "SegmentationClass" / "2007_000001.png").unlink()
    dataset = load_dataset("voc2012", tree, "trainval")
    (reason,) = (r for r, ids in dataset.skipped.items() if ids == ("2007_000002",))
    assert re.search(r"2007_000002\.png: truncated or not an image", reason)
    assert reason in check_dataset("voc2012", tree, full=True)
    assert dataset.ids == ("2007_000003-dog",)


def test_check_names_what_is_wrong(tree, base):
    subset = f"{tree}: 3 of the official 2913 images"
    assert check_dataset("voc2012", tree, full=True) == [subset]
    (base / "JPEGImages" / "2007_000001.jpg").unlink()
    Image.new("RGB", (9, 9)).save(base / "JPEGImages" / "2007_000003.jpg")
    quick, full = (check_dataset("voc2012", tree, full=full) for full in (False, True))
    image = base / "JPEGImages" / "2007_000001.jpg"
    mask = base / "SegmentationClass" / "2007_000001.png"
    assert quick == [
        f"{image}: missing, but in val.txt",
        f"{mask}: a mask without an image",
        f"{tree}: 2 of the official 2913 images",
    ]
    (found,) = set(full) - set(quick)
    assert "2007_000003.png is 16 x 12 px" in found and "2007_000003.jpg is 9 x 9 px" in found


def test_index_that_is_no_class(tree, base):
    save_voc_mask(base / "SegmentationClass" / "2007_000002.png", np.full((12, 16), 21))
    dataset = load_dataset("voc2012", tree)
    path = base / "SegmentationClass" / "2007_000002.png"
    reason = f"{path}: index 21 is no class of VOC 2012 (0 to 20, and 255)"
    assert dataset.skipped == {reason: ("2007_000002",)}


def test_background_only(tree):
    add(tree, "2007_000004", "val", np.full((12, 16), 255))
    dataset = load_dataset("voc2012", tree)
    assert dataset.skipped == {"no object in the mask": ("2007_000004",)}


@pytest.mark.parametrize("name", ["../2007_000001", "/etc/passwd", ".hidden"])
def test_list_that_leads_elsewhere(tree, base, name):
    (base / "ImageSets" / "Segmentation" / "val.txt").write_text(f"{name}\n")
    with pytest.raises(InputError, match=r"val\.txt: '.*' is no image name"):
        load_dataset("voc2012", tree)


def test_missing_list(tree, base):
    (base / "ImageSets" / "Segmentation" / "train.txt").unlink()
    with pytest.raises(InputError, match=r"train\.txt: cannot be read"):
        load_dataset("voc2012", tree, "train")
    assert any("train.txt" in line for line in check_dataset("voc2012", tree))


def test_table_1_row(tree):
    assert describe_dataset("voc2012", tree) == {
        "dataset": "Pascal VOC2012",
        "classes": 3,
        "images": 2,
        "domain": "General objects (natural)",
        "split": "val",
    }


# ---- the real thing


def test_real_subset(real_data):
    dataset = load_dataset("voc2012", real_data, "val")
    images = load_dataset("voc2012", real_data, "val", reading="binary")
    assert (len(images), len(dataset), dataset.skipped) == (78, 87, {})
    sheep = dataset.load("2007_000175-sheep")
    path = real_data / "VOCdevkit" / "VOC2012" / "SegmentationClass" / "2007_000175.png"
    indices = np.array(Image.open(path))
    np.testing.assert_array_equal(sheep.mask, indices == 1 + CLASSES.index("sheep"))
    np.testing.assert_array_equal(sheep.void, indices == 255)
    assert len(load_dataset("voc2012", real_data, "train", reading="binary")) == 60


def test_real_subset_mapped(real_data):
    dataset = load_dataset("voc2012", real_data, "val", logit="mapped")
    counts = {reason: len(ids) for reason, ids in dataset.skipped.items()}
    assert counts == {
        "no ImageNet class for cow": 15,
        "no ImageNet class for person": 6,
        "no ImageNet class for pottedplant": 1,
    }
    assert len(dataset) == 87 - 22


def test_memory_does_not_grow_with_the_images(tree, base):
    """A loaded data set holds no array: only the read sample does."""
    import pickle

    before = len(pickle.dumps(load_dataset("voc2012", tree, "val").labels))
    dataset = load_dataset("voc2012", tree, "val")
    for id in dataset.ids:
        dataset.load(id)
    shutil.rmtree(base / "JPEGImages")  # nothing was kept: loading again needs the file
    with pytest.raises(InputError, match="no such file"):
        dataset.load(dataset.ids[0])
    assert len(pickle.dumps(dataset.labels)) == before
