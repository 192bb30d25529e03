"""The names that images have in an export as COCO: those of their files."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toy_study import ToyStudy

from xaiutils.datasets import load_dataset
from xaiutils.errors import InputError
from xaiutils.export import LabelImages, export_pseudo_labels, image_files
from xaiutils.pseudo_labels import write_coco

pytest.importorskip("pycocotools")


class MapStudy:
    """A study of any data set with one exact map an object; `dataset` may not be there."""

    name = "maps"
    cues = ("gradcam",)

    def __init__(self, dataset: str, root, split: str | None = None, reading: str = "binary"):
        self.config = SimpleNamespace(dataset=dataset, root=root, split=split, reading=reading)
        self.whole = load_dataset(dataset, root, split, reading=reading, logit="predicted")
        self.there = True

    @property
    def dataset(self):
        if not self.there:
            raise InputError("no such folder")
        return self.whole

    def saliency(self, id: str, cue: str) -> np.ndarray:
        return self.whole.load(id).mask.astype(np.float32)

    def table(self, name: str) -> pd.DataFrame:
        ids = self.whole.ids
        if name == "samples":
            labels = [", ".join(self.whole.objects.get(id, ["object"])) for id in ids]
            return pd.DataFrame({"sample": ids, "label": labels})
        columns = ["sample", "cue", "prompting", "segmenter", "score", "seconds"]
        rows = [(id, "gradcam", "dual", "embedded_sam", 1.0, 0.1) for id in ids]
        return pd.DataFrame(rows, columns=columns)


def file_names(study, out) -> list[str]:
    """The file names of an export as COCO; the VOC export says the same images."""
    found = export_pseudo_labels(study, out / "coco", "gradcam", segmenter="map", format="coco")
    other = export_pseudo_labels(study, out / "voc", "gradcam", segmenter="map")
    assert found == other and not found.undefined
    content = json.loads((out / "coco" / "annotations.json").read_text("utf-8"))
    assert [image["id"] for image in content["images"]] == list(range(1, len(found.images) + 1))
    return [image["file_name"] for image in content["images"]]


def half() -> Image.Image:
    """A mask (10, 12) whose left half is the object."""
    mask = np.zeros((10, 12), np.uint8)
    mask[:, :6] = 255
    return Image.fromarray(mask)


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for name in ("koala.jpg", "emu.PNG", "crab.jpeg"):
        Image.new("RGB", (12, 10)).save(tmp_path / "images" / name)
        half().save(tmp_path / "masks" / f"{name.split('.')[0]}.png")
    return tmp_path


@pytest.fixture
def birds(tmp_path):
    """Two images of CUB in its layout."""
    base = tmp_path / "CUB_200_2011"
    names = ["001.Black_footed_Albatross/Albatross_0046_18", "014.Indigo_Bunting/Bunting_0001_12"]
    for root in (base / "images", tmp_path / "segmentations"):
        for name in names:
            (root / name).parent.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (12, 10)).save(base / "images" / f"{name}.jpg")
        half().save(tmp_path / "segmentations" / f"{name}.png")
    tables = {
        "images": [f"{name}.jpg" for name in names],
        "classes": [name.split("/")[0] for name in names],
        "image_class_labels": ["1", "2"],
        "train_test_split": ["0", "0"],
    }
    for table, values in tables.items():
        lines = (f"{id} {value}\n" for id, value in enumerate(values, 1))
        (base / f"{table}.txt").write_text("".join(lines))
    return tmp_path


def test_a_folders_images_keep_their_suffixes(folder, tmp_path):
    study = MapStudy("folder", folder)
    assert file_names(study, tmp_path / "out") == ["crab.jpeg", "emu.PNG", "koala.jpg"]


@pytest.mark.parametrize("logit", ["given", "predicted", "mapped"])
def test_a_folder_states_the_files_of_what_it_keeps(folder, logit):
    (folder / "labels.csv").write_text("file,label,imagenet_index\nkoala.jpg,koala,105\n")
    dataset = load_dataset("folder", folder, logit=logit)
    assert dataset.ids == (("koala",) if logit == "mapped" else ("crab", "emu", "koala"))
    assert tuple(dataset.files) == dataset.ids
    assert dataset.files["koala"] == folder / "images" / "koala.jpg"


@pytest.mark.parametrize("reading", ["class", "binary"])
def test_birds_keep_the_folder_of_their_class(birds, tmp_path, reading):
    study = MapStudy("cub200", birds, "test", reading)
    listed = (birds / "CUB_200_2011" / "images.txt").read_text().split()[1::2]
    assert listed[0] == "001.Black_footed_Albatross/Albatross_0046_18.jpg"
    assert file_names(study, tmp_path / "out") == listed


@pytest.mark.parametrize("reading", ["class", "binary"])
def test_the_samples_of_one_image_share_its_file(tmp_path, reading):
    study = ToyStudy(tmp_path / "data", reading)
    names = ["2007_000001", "2007_000002", "2007_000003"]
    assert len(study.sample_ids) == {"class": 4, "binary": 3}[reading]
    assert image_files(study, LabelImages(study).samples) == {n: f"{n}.jpg" for n in names}
    assert file_names(study, tmp_path / "out") == [f"{name}.jpg" for name in names]


def test_where_the_data_set_is_not_there_names_stand_for_files(folder, birds, tmp_path):
    for dataset, expected in (
        ("folder", ["crab", "emu", "koala"]),
        ("cub200", ["Albatross_0046_18.jpg", "Bunting_0001_12.jpg"]),
    ):
        study = MapStudy(dataset, folder)
        study.there = False
        assert image_files(study, LabelImages(study).samples) == {}
        assert file_names(study, tmp_path / dataset) == expected


def test_a_name_without_a_file_gets_the_suffix(tmp_path):
    labels = np.zeros((2, 2), np.uint8)
    images = {"koala": labels, "b.jpg": labels}
    files = {"koala": "animals/koala.webp"}
    assert write_coco(tmp_path, images.items(), ("object",), files=files) == ["koala", "b.jpg"]
    content = json.loads((tmp_path / "annotations.json").read_text("utf-8"))
    assert [i["file_name"] for i in content["images"]] == ["animals/koala.webp", "b.jpg.jpg"]
