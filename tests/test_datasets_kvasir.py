import os

import numpy as np
import pytest
from PIL import Image

from xaiutils.datasets import load_dataset
from xaiutils.datasets.check import check_dataset, describe_dataset
from xaiutils.errors import InputError


@pytest.fixture(params=["kvasir-seg", "kvasir-sessile"])
def name(request):
    return request.param


@pytest.fixture
def tree(tmp_path, name):
    base = tmp_path / {"kvasir-seg": "Kvasir-SEG"}.get(name, "sessile-main-Kvasir-SEG")
    polyp = np.zeros((32, 32, 3), np.uint8)
    polyp[8:24, 8:24] = 255
    for folder, array in (("images", 255 - polyp), ("masks", polyp)):
        (base / folder).mkdir(parents=True)
        for stem in ("cjb", "cja", "cjc"):
            Image.fromarray(array).save(base / folder / f"{stem}.jpg", quality=95)
    return base


def test_masks_of_jpeg_noise_are_thresholded_in_the_middle(tree, name):
    dataset = load_dataset(name, tree.parent)
    assert dataset.ids == ("cja", "cjb", "cjc") and dataset.classes == ("polyp",)
    sample = dataset.load("cja")
    assert (sample.label, sample.target) == ("polyp", None)
    expected = np.zeros((32, 32), bool)
    expected[8:24, 8:24] = True
    np.testing.assert_array_equal(sample.mask, expected)


def test_authors_lists_are_the_splits(tree, name):
    with pytest.raises(InputError, match=r"val\.txt: no such list; https://github\.com"):
        load_dataset(name, tree, "val")
    (tree / "val.txt").write_text("cjc\ncja.jpg\ncjz\n")
    dataset = load_dataset(name, tree, "val")
    assert dataset.ids == ("cjc", "cja") and dataset.skipped == {"no image file": ("cjz",)}
    with pytest.raises(InputError, match="no split 'test': choose train or val"):
        load_dataset(name, tree, "test")


def test_imagenet_has_no_polyp(tree, name):
    with pytest.raises(InputError, match=r"3 x no ImageNet class for polyp.*predicted logit or a"):
        load_dataset(name, tree, logit="mapped")


def test_missing_and_damaged(tree, name):
    (tree / "masks" / "cjb.jpg").unlink()
    (tree / "images" / "cjc.jpg").write_bytes((tree / "images" / "cjc.jpg").read_bytes()[:300])
    Image.new("L", (32, 32)).save(tree / "masks" / "cjx.jpg")
    dataset = load_dataset(name, tree)
    assert dataset.skipped == {"no image of this mask": ("cjx",), "no mask file": ("cjb",)}
    assert dataset.load("cja").mask.any()
    quick, full = (check_dataset(name, tree, full=full) for full in (False, True))
    assert [line.split(": ")[-1] for line in quick[:2]] == [
        "an image without a mask",
        "a mask without an image",
    ]
    (damaged,) = set(full) - set(quick)
    assert "cjc.jpg: truncated" in damaged
    assert describe_dataset(name, tree)["images"] == 2


def test_names_that_cannot_be_used_cost_their_own_images_alone(tree, name):
    for folder in ("images", "masks"):
        data = (tree / folder / "cja.jpg").read_bytes()
        with open(os.fsencode(tree / folder) + b"/caf\xe9.jpg", "wb") as stream:  # Latin-1
            stream.write(data)
    (tree / "masks" / "CJB.png").write_bytes((tree / "masks" / "cjb.jpg").read_bytes())
    dataset = load_dataset(name, tree)
    assert dataset.ids == ("cja", "cjc")
    found = {ids: reason for reason, ids in dataset.skipped.items() if ids}
    assert "its name is not UTF-8" in found[(r"caf\udce9",)]
    assert "have the same name" in found[("cjb",)] and len(found) == 2
    problems = check_dataset(name, tree, full=True)
    odd = [line for line in problems if r"caf\udce9" in line and "not UTF-8" in line]
    assert len(odd) == 2 and sum("masks" in line for line in odd) == 1  # the image and its mask


def test_real_subset(real_data):
    dataset = load_dataset("kvasir-seg", real_data / "Kvasir-SEG")
    assert len(dataset) == 44 and not dataset.skipped
    assert 0 < dataset.load(dataset.ids[0]).mask.mean() < 1
    assert load_dataset("kvasir-seg", real_data).ids == dataset.ids
