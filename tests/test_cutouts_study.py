"""The study of composites on a folder of one's own: resumed, gathered, and what fails is named."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import SmallNet, frozen
from PIL import Image

from xaiutils.cutouts import measure, plans, sources, study
from xaiutils.cutouts.recognise import photographs, recognise
from xaiutils.errors import InputError, WriteError

CLASSES = 1000
LISTS = {
    "place": partial(plans.place_and_size, objects=1),
    "ground": partial(plans.usual_and_unusual, objects=1),
    "company": partial(plans.in_company, pairs=1),
    "bias": plans.planted_bias,
}


def forever():
    return True


@pytest.fixture
def root(tmp_path):
    """Three squares with an ImageNet class each."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["file,label,imagenet_index"]
    for k in range(3):
        rgba = np.zeros((20, 20, 4), np.uint8)
        rgba[3:17, 3:17] = (80 * k, 200 - 80 * k, 90, 255)
        Image.fromarray(rgba).save(folder / f"square{k}.png")
        rows.append(f"square{k}.png,square {k},{k}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def toy_classifier():
    torch.manual_seed(0)
    model = SmallNet(CLASSES)
    return frozen(model, 32, model.features, CLASSES)


@pytest.fixture
def toy_study(tmp_path, monkeypatch, toy_classifier):
    """Few composites, the cheapest explainers and one other, a toy network: its folder."""
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    monkeypatch.setattr(study, "load_classifier", lambda name: toy_classifier)
    monkeypatch.setattr(study, "EXPERIMENTS", LISTS)
    monkeypatch.setattr(study, "photographs", lambda classifier: pd.DataFrame({"object": ["a"]}))
    monkeypatch.setattr(study, "REST", ["vargrad"])
    return study.studies_dir() / "toy"


def test_a_folder_of_ones_own_is_studied_without_the_planted_bias(root, toy_study, capsys):
    assert study.run_cutouts("toy", str(root), forever)
    said = capsys.readouterr().err
    assert f"experiment bias is left out: {root}: the planted bias needs Tux Paint's" in said
    assert study.gather("toy", str(root)) == toy_study
    maps, manifest = (pd.read_parquet(toy_study / f"{n}.parquet") for n in ("maps", "manifest"))
    assert set(maps["experiment"]) == set(manifest["experiment"]) == {"place", "ground", "company"}
    assert {"gradcam", "vargrad", "floor:centre box"} <= set(maps["cue"])
    scores = pd.read_parquet(toy_study / "scores.parquet")
    assert len(scores) == 11 + 4 + 2 and scores["probability"].between(0, 1).all()
    assert not (toy_study / "bias_predictions.parquet").exists()
    # nothing is computed twice
    assert study.run_cutouts("toy", str(root), lambda: pytest.fail("asked for time"))


def test_a_study_stops_and_goes_on(root, toy_study):
    left = iter([True, True, False])
    assert not study.run_cutouts("toy", str(root), lambda: next(left))
    assert len(list((toy_study / "units").iterdir())) == 2
    study.gather("toy", str(root))
    assert len(pd.read_parquet(toy_study / "scores.parquet")) <= 3
    assert study.run_cutouts("toy", str(root), forever)


def test_a_unit_that_fails_is_named_and_costs_no_other(root, toy_study, monkeypatch, capsys):
    whole = measure.Runner.run

    def run(self, row, group):
        if row.sample.endswith("-noise"):
            raise RuntimeError("a broken explainer")
        whole(self, row, group)

    monkeypatch.setattr(measure.Runner, "run", run)
    assert not study.run_cutouts("toy", str(root), forever)
    lines = [line for line in capsys.readouterr().err.splitlines() if "broken" in line]
    assert [line.split("-")[1] for line in lines] == [
        f"noise ({group}) failed: RuntimeError: a broken explainer" for group in ("cams", "vargrad")
    ]
    study.gather("toy", str(root))
    scores = pd.read_parquet(toy_study / "scores.parquet")
    assert len(scores) == 11 + 3 + 2
    monkeypatch.setattr(measure.Runner, "run", whole)
    assert study.run_cutouts("toy", str(root), forever)  # what failed is tried again


def test_a_full_disk_ends_the_study(root, toy_study, monkeypatch):
    def run(self, row, group):
        raise WriteError("no space left")

    monkeypatch.setattr(measure.Runner, "run", run)
    with pytest.raises(WriteError):
        study.run_cutouts("toy", str(root), forever)


def test_nothing_to_gather(root, toy_study):
    with pytest.raises(InputError, match="nothing is computed yet"):
        study.gather("toy", str(root))


def test_a_composite_that_cannot_be_made_is_named(root):
    library = sources.open_library(root)
    row = next(plans.in_company(library, pairs=1).itertuples())
    with pytest.raises(InputError, match=r"composite pair000: .*leaves the canvas"):
        plans.render(library, row._replace(x=0.99))


def test_recognised_is_among_the_five_likeliest(root, toy_classifier):
    class Sure:
        """Logits that fall with the number of the class."""

        preprocess, class_names = toy_classifier.preprocess, toy_classifier.class_names

        def logits(self, images):
            return -np.arange(CLASSES, dtype=np.float32)[None]

    rows = "file,label,imagenet_index\nsquare0.png,a,4\nsquare1.png,b,5\n"
    (root / "labels.csv").write_text(rows)
    table = recognise(sources.open_library(root), Sure()).set_index("object")
    assert table["recognised"].tolist() == [True, False, False]
    assert table["rank"].tolist() == [4, 5, -1] and np.isnan(table["probability"]["square2"])
    p = np.exp(-4.0) / np.exp(-np.arange(CLASSES)).sum()
    assert table["probability"]["square0"] == pytest.approx(p)
    assert len(photographs(Sure())) == 12
