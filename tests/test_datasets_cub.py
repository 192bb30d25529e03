from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xaiutils.datasets import load_dataset
from xaiutils.datasets.check import check_dataset, describe_dataset
from xaiutils.errors import InputError

# id, class number, class, image, training image
ROWS = (
    (1, 1, "001.Black_footed_Albatross", "Black_Footed_Albatross_0046_18", 0),
    (2, 1, "001.Black_footed_Albatross", "Black_Footed_Albatross_0009_34", 1),
    (3, 14, "014.Indigo_Bunting", "Indigo_Bunting_0001_12469", 0),
    (4, 149, "149.Brown_Thrasher", "Brown_Thrasher_0014_155420", 0),
)


@pytest.fixture
def tree(tmp_path):
    base = tmp_path / "CUB_200_2011"
    votes = np.zeros((10, 12), np.uint8)
    votes[2:8, 2:10], votes[3:7, 3:9] = 102, 153  # two, then three of five annotators
    tables = {"images": "", "image_class_labels": "", "train_test_split": ""}
    for id, number, label, image, train in ROWS:
        tables["images"] += f"{id} {label}/{image}.jpg\n"
        tables["image_class_labels"] += f"{id} {number}\n"
        tables["train_test_split"] += f"{id} {train}\n"
        for folder in (base / "images" / label, tmp_path / "segmentations" / label):
            folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 10)).save(base / "images" / label / f"{image}.jpg")
        Image.fromarray(votes).save(tmp_path / "segmentations" / label / f"{image}.png")
    tables["classes"] = "".join(f"{number} {label}\n" for number, label in {r[1:3] for r in ROWS})
    for name, text in tables.items():
        (base / f"{name}.txt").write_text(text)
    return tmp_path


def test_official_split_and_labels(tree):
    test = load_dataset("cub200", tree)
    assert test.ids == tuple(row[3] for row in ROWS if not row[4])
    assert load_dataset("cub200", tree, "train").ids == ("Black_Footed_Albatross_0009_34",)
    assert len(load_dataset("cub200", tree, "all")) == 4
    sample = test.load("Indigo_Bunting_0001_12469")
    assert (sample.label, sample.target) == ("014.Indigo_Bunting", None)
    assert len(test.classes) == 200 and test.labels[sample.id] == ("014.Indigo_Bunting",)
    with pytest.raises(InputError, match="no split 'val': choose train or test or all"):
        load_dataset("cub200", tree, "val")


def test_mask_is_the_majority_of_the_annotators(tree):
    sample = load_dataset("cub200", tree).load("Brown_Thrasher_0014_155420")
    expected = np.zeros((10, 12), bool)
    expected[3:7, 3:9] = True
    np.testing.assert_array_equal(sample.mask, expected)
    assert not sample.void.any()


def test_mapped(tree):
    dataset = load_dataset("cub200", tree, logit="mapped")
    targets = {id: dataset.load(id).target for id in dataset.ids}
    assert targets == {"Black_Footed_Albatross_0046_18": 146, "Indigo_Bunting_0001_12469": 14}
    assert dataset.skipped == {
        "no ImageNet class for 149.Brown_Thrasher": ("Brown_Thrasher_0014_155420",)
    }


def test_root_and_segmentations_may_lie_in_the_folder(tree):
    base = tree / "CUB_200_2011"
    assert load_dataset("cub200", base).ids == load_dataset("cub200", tree).ids
    (tree / "segmentations").rename(base / "segmentations")
    sample = load_dataset("cub200", base).load("Indigo_Bunting_0001_12469")
    assert sample.mask.sum() == 24


def test_missing_files(tree):
    label, image = ROWS[2][2:4]
    (tree / "segmentations" / label / f"{image}.png").unlink()
    (tree / "segmentations" / label / "Stray_0001_1.png").touch()
    dataset = load_dataset("cub200", tree)
    assert dataset.skipped == {"no mask file": (image,)}
    problems = check_dataset("cub200", tree)
    assert [line.split(": ")[-1] for line in problems] == [
        "missing, but in images.txt",
        "a mask without an image",
        "4 of the official 11788 images",
    ]
    assert f"{image}.png" in problems[0] and "Stray_0001_1.png" in problems[1]
    assert describe_dataset("cub200", tree)["images"] == 3


def test_segmentations_are_another_download(tree):
    (tree / "segmentations").rename(tree / "elsewhere")
    with pytest.raises(InputError, match=r"no usable sample \(3 x no mask file\)"):
        load_dataset("cub200", tree)
    assert any("segmentations.tgz" in line for line in check_dataset("cub200", tree))


@pytest.mark.parametrize(
    "table, text, message",
    [
        ("classes.txt", "1 001.Dodo\n14 x\n149 y\n", r"classes\.txt: '001\.Dodo' is no class"),
        ("images.txt", "1 ../../secret.jpg\n", r"images\.txt: '\.\./\.\./secret\.jpg' is not"),
        ("images.txt", "1\n", r"images\.txt: '1' is not '<id> <value>'"),
        ("images.txt", "1 a/b.jpg\n1 a/c.jpg\n", r"images\.txt: the id 1 stands there more than"),
        ("image_class_labels.txt", "1 1\n", "image 2 .* lacks a class or a split"),
        ("train_test_split.txt", "1 2\n", "image 1 .* lacks a class or a split"),
    ],
)
def test_tables_that_cannot_be_used(tree, table, text, message):
    (tree / "CUB_200_2011" / table).write_text(text)
    with pytest.raises(InputError, match=message):
        load_dataset("cub200", tree)


def test_missing_table(tree):
    Path(tree, "CUB_200_2011", "train_test_split.txt").unlink()
    with pytest.raises(InputError, match=r"train_test_split\.txt: cannot be read"):
        load_dataset("cub200", tree)
    assert "train_test_split.txt" in check_dataset("cub200", tree)[0]
