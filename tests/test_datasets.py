import csv
import hashlib
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xaiutils.datasets import DATASETS, SAMPLE_ROOT, load_dataset
from xaiutils.datasets.base import Entry, assemble, read_csv, read_lines, skipping
from xaiutils.datasets.check import check_dataset
from xaiutils.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
OBJECT = np.zeros((20, 30), bool)
OBJECT[5:12, 8:25] = True


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    for stem in ("b", "a", "c.d"):
        save(tmp_path / "images" / f"{stem}.png", RGB)
        save(tmp_path / "masks" / f"{stem}.png", 255 * OBJECT.astype(np.uint8))
    return tmp_path


# ---- load_dataset


def test_unknown_data_set_lists_the_known():
    with pytest.raises(InputError, match=r"unknown data set 'coco': choose one of sample, folder"):
        load_dataset("coco")


@pytest.mark.parametrize("name", DATASETS)
def test_data_sets_without_splits_refuse_one(name, folder):
    if name in ("sample", "folder"):
        with pytest.raises(InputError, match=f"'{name}' has no splits, but split is 'val'"):
            load_dataset(name, root=folder, split="val")


# ---- a folder of one's own


def test_folder_is_read_in_the_order_of_names(folder):
    dataset = load_dataset("folder", root=folder)
    assert dataset.ids == ("a", "b", "c.d") and len(dataset) == 3
    sample = dataset.load("c.d")
    assert (sample.id, sample.label, sample.target) == ("c.d", "object", None)
    np.testing.assert_array_equal(sample.image, RGB)
    np.testing.assert_array_equal(sample.mask, OBJECT)
    assert sample.void.shape == OBJECT.shape and not sample.void.any()


def test_labels_give_names_and_classes(folder):
    (folder / "labels.csv").write_text("file,label,imagenet_index\na.png,cat,281\nb,dog,\n")
    dataset = load_dataset("folder", root=str(folder))
    found = [(s.label, s.target) for s in map(dataset.load, dataset.ids)]
    assert found == [("cat", 281), ("dog", None), ("object", None)]


@pytest.mark.parametrize(
    "text, message",
    [
        ("name,label\na,cat\n", r"lacks the column\(s\) file"),
        ("file,label\nz.png,cat\n", r"'z\.png' is not in"),
        ("file,label\na,cat\na,dog\n", "file a stands there more than once"),
        (
            "file,label,imagenet_index\na,cat,1000\n",
            "imagenet_index '1000' is not a whole number from 0 to 999",
        ),
        ("file,label,imagenet_index\na,cat,-1\n", "imagenet_index '-1' is not a whole number"),
        ("file,label\n", "has no rows"),
        ("file,label\na.png,cat\na,dog\n", r"'a\.png' and 'a' are the same image"),
    ],
)
def test_labels_that_cannot_be_used(folder, text, message):
    (folder / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=rf"labels\.csv: {message}"):
        load_dataset("folder", root=folder)


def test_twenty_thousand_labels_are_read_at_once(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("file,label\n" + "".join(f"{k}.png,cat\n" for k in range(20_000)))
    start = time.process_time()
    assert len(read_csv(path, ("file", "label"))) == 20_000
    assert time.process_time() - start < 2  # 16 s when every row was looked for among all


def test_labels_that_are_no_text(folder):
    (folder / "labels.csv").write_bytes(b"file,label\na,\xff\xfe\n")
    with pytest.raises(InputError, match=r"labels\.csv: cannot be read as a UTF-8 CSV"):
        load_dataset("folder", root=folder)


def test_without_masks_the_mask_is_empty(tmp_path):
    save(tmp_path / "images" / "a.jpg", RGB)
    sample = load_dataset("folder", root=tmp_path).load("a")
    assert not sample.mask.any() and not sample.void.any()


def test_empty_mask_is_loaded(folder):
    save(folder / "masks" / "a.png", np.zeros((20, 30), np.uint8))
    sample = load_dataset("folder", root=folder).load("a")
    assert not sample.mask.any() and not sample.void.any()


def test_one_bad_sample_leaves_the_others(folder):
    save(folder / "masks" / "a.png", np.zeros((21, 30), np.uint8))
    (folder / "masks" / "b.png").unlink()
    (folder / "images" / "broken.png").write_text("no image")
    save(folder / "masks" / "broken.png", 255 * OBJECT.astype(np.uint8))
    dataset = load_dataset("folder", root=folder)
    with pytest.raises(InputError) as error:
        dataset.load("a")
    assert f"{folder / 'masks' / 'a.png'} is 30 x 21 px" in str(error.value)
    assert f"{folder / 'images' / 'a.png'} is 30 x 20 px" in str(error.value)
    with pytest.raises(InputError, match=r"masks/b\.png: no such mask"):
        dataset.load("b")
    with pytest.raises(InputError, match=r"broken\.png: truncated or not an image"):
        dataset.load("broken")
    assert dataset.load("c.d").mask.any()


def test_unknown_id(folder):
    with pytest.raises(InputError, match="'folder' has no sample 'z'"):
        load_dataset("folder", root=folder).load("z")


def test_two_files_of_one_name_are_skipped(folder):
    other, one = save(folder / "images" / "A.jpg", RGB), folder / "images" / "a.png"
    (folder / "labels.csv").write_text("file,label\na.png,cat\nb,dog\n")
    dataset = load_dataset("folder", root=folder)
    assert dataset.ids == ("b", "c.d")
    reason = f"{other} and {one} have the same name; rename one of them"
    assert dataset.skipped == {reason: ("A", "a")}


def test_two_masks_of_one_image_are_refused(folder):
    save(folder / "masks" / "a.bmp", 255 * OBJECT.astype(np.uint8))
    with pytest.raises(InputError, match=r"a\.bmp and .*a\.png: two masks"):
        load_dataset("folder", root=folder).load("a")


def test_a_mask_without_an_image_is_counted(folder):
    save(folder / "masks" / "lone.png", OBJECT)
    assert load_dataset("folder", folder).skipped == {"no image of this mask": ("lone",)}


def test_masks_that_are_a_file_are_not_no_masks(folder):
    shutil.rmtree(folder / "masks")
    (folder / "masks").write_text("")
    with pytest.raises(InputError, match="masks: is a file"):
        load_dataset("folder", folder).load("a")


@pytest.mark.parametrize("twin", ["a.jpg", "A.png"])
def test_check_names_what_a_load_would_leave_out(folder, twin):
    save(folder / "images" / twin, RGB)
    (problem, *rest) = check_dataset("folder", folder)
    assert "have the same name" in problem and rest == [
        f"{folder}/masks/a.png: a mask without an image"
    ]
    for file in (*(folder / "images").iterdir(), *(folder / "masks").iterdir()):
        file.unlink()
    assert check_dataset("folder", folder)[0].startswith(f"{folder / 'images'}: no images")


def test_two_entries_of_one_name_are_refused(tmp_path):
    pair = [Entry("a", tmp_path / name, None, ("x",), ("x",)) for name in ("a.jpg", "a.png")]
    with pytest.raises(InputError, match=r"'d': .*a\.jpg and .*a\.png are both 'a'"):
        assemble("d", pair, None, ("x",), "given", "voc2012", skipping())


def test_lists_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "val.txt").write_bytes("a\r\nb\r\n".encode("utf-8-sig"))
    assert read_lines(tmp_path / "val.txt") == ["a", "b"]


def test_roots_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="'folder' needs root"):
        load_dataset("folder")
    with pytest.raises(InputError, match="images: no such folder"):
        load_dataset("folder", root=tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "notes.txt").touch()
    (tmp_path / "images" / ".hidden.png").touch()
    with pytest.raises(InputError, match="images: no images"):
        load_dataset("folder", root=tmp_path)


def test_real_layout_of_images_and_masks():
    default = Path(__file__).parents[1] / ".." / "shared" / "data"
    root = Path(os.environ.get("XAIUTILS_TEST_DATA", default)) / "Kvasir-SEG"
    if not root.is_dir():
        pytest.skip("no real Kvasir-SEG images: set XAIUTILS_TEST_DATA to their folder")
    dataset = load_dataset("folder", root=root)
    sample = dataset.load(dataset.ids[0])
    assert sample.mask.shape == sample.image.shape[:2]
    assert 0 < sample.mask.mean() < 1


# ---- the bundled photographs


@pytest.fixture
def bundle(tmp_path):
    image = save(tmp_path / "images" / "cat.png", RGB)
    mask = save(tmp_path / "masks" / "cat.png", 255 * OBJECT.astype(np.uint8))
    row = {
        "id": "cat",
        "file": "images/cat.png",
        "mask": "masks/cat.png",
        "object": "cat",
        "imagenet_index": "285",
        "image_sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
        "mask_sha256": hashlib.sha256(mask.read_bytes()).hexdigest(),
    }
    with (tmp_path / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        writer.writeheader()
        writer.writerow(row)
    return tmp_path


def test_bundle_is_read_from_its_manifest(bundle):
    dataset = load_dataset("sample", root=bundle)
    sample = dataset.load("cat")
    assert dataset.ids == ("cat",)
    assert (sample.id, sample.label, sample.target) == ("cat", "cat", 285)
    np.testing.assert_array_equal(sample.image, RGB)
    np.testing.assert_array_equal(sample.mask, OBJECT)


@pytest.mark.parametrize("part", ["images", "masks"])
def test_changed_file_of_the_bundle_is_refused(bundle, part):
    dataset = load_dataset("sample", root=bundle)
    path = bundle / part / "cat.png"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match=rf"cat\.png: expected SHA-256 {expected}, found"):
        dataset.load("cat")
    path.unlink()
    with pytest.raises(InputError, match=r"cat\.png: no such file; restore it"):
        dataset.load("cat")


def test_missing_bundle_says_where_it_comes_from(tmp_path):
    with pytest.raises(InputError, match=r"manifest\.csv: not found.*pip install -e"):
        load_dataset("sample", root=tmp_path)


def test_every_bundled_photograph_loads():
    if not (SAMPLE_ROOT / "manifest.csv").exists():
        pytest.skip("the package is installed without the repository's data/sample")
    dataset = load_dataset("sample")
    assert len(dataset) >= 8
    for id in dataset.ids:
        sample = dataset.load(id)
        assert sample.mask.any() and not sample.mask.all()
        assert sample.label and 0 <= sample.target < 1000
        with pytest.raises(AttributeError):
            sample.label = "other"
