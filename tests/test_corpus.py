"""Files and maps as they should not be, through everything: right, or named with the reason."""

import os
import re

import numpy as np
import pandas as pd
import pytest
from conftest import SmallNet, frozen
from corpus import RGB, Case, build, odd_maps
from PIL import Image

from xaiutils import run
from xaiutils.cli import main
from xaiutils.datasets import load_dataset
from xaiutils.datasets.check import check_dataset
from xaiutils.errors import InputError
from xaiutils.evaluation import evaluate
from xaiutils.explainers import EXPLAINERS, PRESETS, Query, make_explainer, saliency
from xaiutils.fusion import FUSIONS, best_single, by_hand
from xaiutils.images import read_image, read_mask, resize_map
from xaiutils.maps import is_flat, normalise, otsu, peak, threshold
from xaiutils.metrics import agreement, faithfulness, localisation, pxap
from xaiutils.prompting import PROMPTINGS
from xaiutils.segmenters import load_segmenter
from xaiutils.study import open_study, stream

SHAPE = (12, 16)
MAPS = odd_maps(SHAPE)
FLAT = [name for name, (_, flat) in MAPS.items() if flat]
OBJECT = np.zeros(SHAPE, bool)
OBJECT[3:9, 4:12] = True
SETTINGS = {"occlusion": {"window": 8, "stride": 8}, "ig": {"steps": 8}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("corpus") / "files"


@pytest.fixture(scope="module")
def cases(folder) -> dict[str, Case]:
    built = build(folder)
    found = {case.id: case for case in built}
    assert len(found) == len(built) >= 200
    return found


@pytest.fixture(scope="module")
def dataset(folder, cases):
    return load_dataset("folder", folder)


@pytest.fixture(scope="module")
def toy():
    model = SmallNet(classes=1000)
    return frozen(model, 32, model.features, classes=1000)


def test_the_corpus_is_the_same_at_every_call(folder, cases, tmp_path):
    build(tmp_path / "again")
    for part in ("images", "masks"):
        once, again = folder / part, tmp_path / "again" / part
        assert sorted(os.listdir(os.fsencode(once))) == sorted(os.listdir(os.fsencode(again)))
        files = [path for path in once.iterdir() if path.is_file()]
        assert all(path.read_bytes() == (again / path.name).read_bytes() for path in files)


# ---- loaders


def test_every_file_is_read_as_it_is_meant_or_refused_with_its_name_and_reason(dataset, cases):
    skipped = {id: reason for reason, ids in dataset.skipped.items() for id in ids}
    assert skipped.pop("of-no-image") == "no image of this mask"
    assert set(dataset.ids) | set(skipped) == set(cases)
    for id, case in cases.items():
        if id in skipped:
            assert case.reason and re.search(case.reason, skipped[id])
            continue
        try:
            sample = dataset.load(id)
        except InputError as error:
            assert id in str(error)
            assert case.either or (case.reason and re.search(case.reason, str(error))), str(error)
            continue
        assert not case.reason, f"{id} was read"
        assert sample.image.dtype == np.uint8 and sample.mask.shape == sample.image.shape[:2]
        if not case.either:
            meant(sample, case)


def meant(sample, case: Case) -> None:
    assert sample.image.shape == case.image.shape, case.id
    difference = np.abs(sample.image.astype(int) - case.image)
    assert difference.max() <= case.atol, case.id
    np.testing.assert_array_equal(sample.mask, case.mask, err_msg=case.id)
    void = np.zeros_like(case.mask) if case.void is None else case.void
    np.testing.assert_array_equal(sample.void, void, err_msg=case.id)


def test_a_rotated_image_is_its_upright_twin(dataset, cases):
    upright = {suffix: dataset.load(f"exif-1-{suffix}").image for suffix in ("png", "jpg", "webp")}
    for suffix, image in upright.items():
        for orientation in range(2, 9):
            turned = dataset.load(f"exif-{orientation}-{suffix}").image
            difference = np.abs(turned.astype(int) - image)
            assert difference.max() <= (12 if suffix == "jpg" else 0)


def test_a_full_check_names_every_file_that_is_refused(folder, cases):
    problems = "\n".join(check_dataset("folder", folder, full=True))
    for id, case in cases.items():
        if case.reason:
            assert id in problems


def test_names_that_are_too_long_or_hold_a_nul_are_refused():
    for name in ("x" * 300 + ".png", "a\0b.png"):
        for read in (read_image, read_mask):
            with pytest.raises(InputError, match="no such file"):
                read(name)


# ---- explainers, fusion, prompting, segmenters, metrics


@pytest.mark.parametrize("name", EXPLAINERS)
def test_every_explainer_of_every_kind_of_image_is_finite(name, dataset, cases, toy):
    """One image of each kind: files that only differ in their format give the same input."""
    kinds = ["plain-png", "white", "black", "size-8x8", "size-20000x20", "size-20x20000"]
    kinds += ["rgba-clear", "bits", "cmyk", "float-constant", "palette-clear"]
    explainer = make_explainer(name, "fast", **SETTINGS.get(name, {}))
    for kind in kinds:
        query = Query(toy, toy.preprocess(dataset.load(kind).image), 3)
        map = explainer.attribute(query, np.random.default_rng(0))
        assert map.shape == (32, 32) and map.dtype == np.float32 and np.isfinite(map).all()
        assert saliency(map, explainer.sign).min() >= 0


def test_an_image_without_contrast_or_of_eight_pixels_is_evaluated(dataset, cases):
    """Flat maps beside one that is not, and every segmenter that needs no weights."""
    ramp = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    maps = {"gradcam": ramp, "ig": np.zeros((32, 32), np.float32), "lime": ramp.T.copy()}
    segmenters = {name: load_segmenter(name) for name in ("grabcut", "random_walker", "threshold")}
    for id in ("white", "black", "float-constant", "size-8x8", "mask-empty", "mask-void-only"):
        sample = dataset.load(id)
        draw = lambda purpose: stream(0, purpose)  # noqa: E731
        with np.errstate(divide="raise", invalid="raise"):
            found = evaluate(sample, maps, tuple(FUSIONS), ("dual",), segmenters, draw)
        table = pd.DataFrame(found.rows["segmentation"])
        undefined = table["cue"].eq("ig") | (not sample.mask.any())
        assert table.loc[undefined, "iou"].isna().all()
        told = {(row["cue"], row["stage"]) for row in found.rows["errors"]}
        for row in table[~undefined].itertuples():
            if np.isnan(row.iou):
                assert (row.cue, f"{row.segmenter} from {row.prompting}") in told
        assert not any(cue == "ig" for cue, *_ in found.masks)


def test_the_random_walk_of_an_image_without_contrast_meets_the_nearer_region():
    walker = load_segmenter("random_walker")
    walker.set_image(np.zeros((20, 40, 3), np.uint8))
    ramp = np.tile(np.linspace(1, 0, 40, dtype=np.float32), (20, 1))
    mask = walker.predict(PROMPTINGS["dual"](ramp, np.random.default_rng(0))).mask
    assert mask[:, :15].all() and not mask[:, 25:].any()


@pytest.mark.parametrize("name", MAPS)
def test_nothing_is_read_from_a_flat_map_and_all_else_is_defined(name):
    map, flat = MAPS[name]
    assert is_flat(map) == flat
    assert np.isnan(normalise(map)).all() == flat and np.isnan(otsu(map)) == flat
    assert (peak(map) is None) == flat
    seed = threshold(map, otsu(map))
    assert seed.any() != flat
    for make in PROMPTINGS.values():
        assert make(map, np.random.default_rng(0)).empty == flat


@pytest.mark.parametrize("name", MAPS)
def test_measures_of_a_flat_map_are_undefined(name):
    map, flat = MAPS[name]
    found = localisation.localisation(map, OBJECT)
    undefined = {key for key, value in found.items() if np.isnan(value)}
    if flat:
        ordered = {"iou", "dice", "coverage", "spill", "threshold", "relevance_rank", "iou_oracle"}
        assert ordered <= undefined
        if not np.isfinite(map).all():
            assert "pointing_0" in undefined and "pointing_15" in undefined
            # minus infinity is no mass, and what is left has some
            assert "relevance_mass" in undefined or name == "one minus infinite"
    finite = [value for value in found.values() if not np.isnan(value)]
    assert np.isfinite(finite).all()


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_map_is_dropped_from_every_fusion(name):
    good = [MAPS["ramp"][0], MAPS["one pixel"][0]]
    stack = np.stack([good[0], MAPS[name][0], good[1]])
    rng = np.random.default_rng
    for key, fuse in FUSIONS.items():
        found = fuse(stack, rng(0))
        assert (found.dropped, found.weights[1]) == (1, 0), key
        assert np.isfinite(found.map).all() and found.weights.sum() == pytest.approx(1)
        if key != "random":  # which draws for the dropped map too
            np.testing.assert_array_equal(found.map, fuse(np.stack(good), rng(0)).map)
        alone = fuse(stack[1:2], rng(0))
        assert np.isnan(alone.map).all() and np.isnan(alone.weights).all()
    for found in (best_single(stack, [0.1, 9, 0.2]), by_hand(stack, [1, 9, 1])):
        assert found.weights[1] == 0 and np.isfinite(found.map).all()


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_map_agrees_with_nothing(name):
    stack = np.stack([MAPS["ramp"][0], MAPS[name][0], MAPS["one pixel"][0]])
    masks = np.stack([threshold(map, otsu(map)) for map in stack])
    for table in agreement.matrices(stack, masks).values():
        assert np.isnan(table[1]).all() and np.isnan(table[:, 1]).all()
        assert np.isfinite(table[::2, ::2]).all()


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_map_orders_no_pixels_and_has_no_histogram(name):
    map, image = MAPS[name][0], np.zeros((3, *SHAPE), np.float32)
    for curve in (faithfulness.deletion, faithfulness.insertion):
        _, scores, area = curve(lambda batch: pytest.fail("asked"), image, map)
        assert np.isnan(scores).all() and np.isnan(area)
    assert not pxap.score_histogram(normalise(map), OBJECT).any()
    if not np.isfinite(map).all():
        with pytest.raises(InputError, match="NaN or infinity"):
            resize_map(map, (20, 20))


# ---- the command line

ASKED = ["run", "--name", "corpus", "--dataset", "folder", "--segmenters", "threshold,grabcut"]


def studied(folder, toy, home, *more: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAIUTILS_STUDIES", str(home))
        patch.setattr(run, "load_classifier", lambda name, precision: toy)
        assert main([*ASKED, "--root", str(folder), *more]) == 0
        return open_study("corpus")


@pytest.fixture(scope="module")
def study(folder, cases, toy, tmp_path_factory):
    home = tmp_path_factory.mktemp("studies")
    return studied(folder, toy, home, "--explainers", "gradcam,ig,vargrad")


def test_a_run_measures_or_names_every_file(study, cases):
    errors = study.table("errors")
    lone = errors["sample"] == "of-no-image"  # a mask alone
    assert errors.loc[lone, "message"].tolist() == ["no image of this mask"]
    lost = errors[~lone & errors["stage"].isin(["load", "skipped", "evaluation"])]
    assert set(study.sample_ids) | set(lost["sample"]) == set(cases)
    assert not set(study.sample_ids) & set(lost["sample"])
    assert set(lost["stage"]) == {"load", "skipped"}
    for row in lost.itertuples():
        case = cases[row.sample]
        assert case.either or (case.reason and re.search(case.reason, row.message)), row.message
        assert row.error == "InputError" and row.sample in row.message
    read = {id for id, case in cases.items() if not case.reason and not case.either}
    assert read <= set(study.sample_ids)


def test_no_table_has_a_row_of_a_file_that_was_skipped(study):
    for name in study.tables:
        if name != "errors":
            assert set(study.table(name)["sample"]) <= set(study.sample_ids), name


def test_no_number_comes_from_nothing(study, cases):
    """Undefined where the mask is empty or the map flat, finite everywhere else."""
    truthless = {id for id in study.sample_ids if not cases[id].either and not cases[id].mask.any()}
    assert {"mask-empty", "mask-void-only"} <= truthless
    table = study.table("localisation").pivot(
        index=["sample", "cue"], columns="metric", values="value"
    )
    assert not np.isinf(table.to_numpy()).any()
    of_truth = ["iou", "dice", "coverage", "spill", "relevance_mass", "relevance_rank"]
    of_truth += ["pointing_0", "pointing_15", "iou_oracle"]
    empty = table.index.get_level_values("sample").isin(truthless)
    assert table.loc[empty, of_truth].isna().all(axis=None)
    flat = [np.isnan(study.saliency(id, cue)).any() for id, cue in table.index]
    assert any(flat) and not all(flat)
    assert table.loc[flat, ["iou", "threshold", "relevance_rank"]].isna().all(axis=None)
    sound = ~np.array(flat) & ~empty
    assert table.loc[sound, ["iou", "dice", "coverage", "threshold"]].notna().all(axis=None)
    bounded = table[[*of_truth, "gini", "threshold"]]
    assert ((bounded >= 0) & (bounded <= 1) | bounded.isna()).all(axis=None)
    shares = study.table("samples").set_index("sample")["object_share"]
    assert np.isnan(shares["mask-void-only"]) and shares["mask-full"] == 1
    assert shares["mask-empty"] == 0


def test_files_of_equal_pixels_get_equal_numbers(study, cases):
    """However they are stored and whatever they are called: names give no seed to these maps."""
    twins = [id for id, case in cases.items() if case.image is RGB and not case.atol]
    twins = [id for id in twins if np.array_equal(cases[id].mask, cases["plain-png"].mask)]
    twins = [id for id in twins if cases[id].void is None]
    assert len(twins) > 60
    table = study.table("localisation")
    table = table[table["cue"].isin(["gradcam", "ig"])]
    table = table[table["sample"].isin(twins)]
    spread = table.groupby(["cue", "metric"])["value"].agg(lambda values: values.nunique())
    assert (spread <= 1).all()


def test_names_survive_in_the_tables_and_as_folders(study):
    ids = study.sample_ids
    for name in ("図書館", "a\nb", "x" * 251, "<b>x<b>", "=1+1", "é" * 125, "nan", "None", "007"):
        assert name in ids and study.saliency(name, "gradcam").shape == RGB.shape[:2]


def test_the_command_line_says_what_was_skipped(tmp_path, toy, capsys):
    (tmp_path / "data" / "images").mkdir(parents=True)
    for name in "ab":
        Image.fromarray(RGB).save(tmp_path / "data" / "images" / f"{name}.png")
    (tmp_path / "data" / "images" / "broken.png").write_text("no image")
    study = studied(tmp_path / "data", toy, tmp_path / "studies", "--explainers", "gradcam")
    said = capsys.readouterr().err
    assert "broken load" in said and "1 failures in all: table 'errors'" in said
    assert study.sample_ids == ["a", "b"]
    assert study.table("segmentation")["iou"].isna().all()  # there are no masks


def test_a_folder_whose_own_name_is_no_utf8_is_studied(tmp_path, toy):
    root = os.fsencode(tmp_path) + b"/caf\xe9"
    os.makedirs(root + b"/images")
    for name in (b"good.png", b"bad.png"):
        with open(root + b"/images/" + name, "wb") as stream:
            Image.fromarray(RGB).save(stream, "PNG") if name == b"good.png" else stream.write(b"x")
    home = tmp_path / "studies"
    study = studied(os.fsdecode(root), toy, home, "--explainers", "gradcam")
    assert study.sample_ids == ["good"]
    assert study.table("errors")["message"].str.contains(r"caf\\udce9/images/bad\.png").all()


def test_an_explainer_that_gives_no_numbers_is_named(tmp_path, toy, monkeypatch):
    """NaN at one image: told, and the others fused without it; a constant map stays undefined."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "masks").mkdir()
    for name in "ab":
        Image.fromarray(RGB).save(tmp_path / "data" / "images" / f"{name}.png")
        Image.fromarray(np.full(RGB.shape[:2], 255, np.uint8)).save(
            tmp_path / "data" / "masks" / f"{name}.png"
        )
    maps = iter([np.nan, 7.0])
    gradients = EXPLAINERS["ig"]
    constant = lambda self, query, rng: np.full((32, 32), next(maps), np.float32)  # noqa: E731
    monkeypatch.setattr(gradients, "attribute", constant)
    study = studied(tmp_path / "data", toy, tmp_path / "studies", "--explainers", "gradcam,ig")
    errors = study.table("errors")
    assert errors[["sample", "stage", "cue"]].to_numpy().tolist() == [["a", "explanation", "ig"]]
    assert "not finite" in errors["message"][0]
    table = study.table("localisation").set_index(["sample", "cue", "metric"])["value"]
    assert ("a", "ig", "iou") not in table.index and np.isnan(table["b", "ig", "iou"])
    assert table["a", "gradcam", "iou"] == table["b", "gradcam", "iou"]
    weights = study.table("weights").set_index(["sample", "fusion", "explainer"])
    assert (weights.loc[("b", slice(None), "ig"), "weight"] == 0).all()
    assert (weights.loc["b", "dropped"] == 1).all() and (weights.loc["a", "dropped"] == 0).all()


@pytest.mark.slow
def test_every_explainer_and_segmenter_through_the_whole_corpus(
    folder, cases, toy, tmp_path, monkeypatch
):
    # one window of 32 px would hide all that the toy sees
    monkeypatch.setitem(PRESETS["fast"], "occlusion", SETTINGS["occlusion"])
    more = ["--explainers", ",".join(EXPLAINERS)]
    more += ["--segmenters", "threshold,grabcut,random_walker"]
    with np.errstate(divide="raise"):
        study = studied(folder, toy, tmp_path, *more)
    assert {*EXPLAINERS} <= set(study.table("localisation")["cue"])
    test_a_run_measures_or_names_every_file(study, cases)
    test_no_table_has_a_row_of_a_file_that_was_skipped(study)
    test_no_number_comes_from_nothing(study, cases)


@pytest.mark.slow
def test_the_embedded_sam_takes_what_it_can_and_names_the_rest(dataset, cases):
    sam = load_segmenter("embedded_sam", threads=1)
    for id in ("white", "size-8x8", "size-20000x20", "grey16", "mask-void-only"):
        sample = dataset.load(id)
        sam.set_image(sample.image)
        ramp = np.tile(np.linspace(0, 1, sample.image.shape[1]), (len(sample.image), 1))
        found = sam.predict(PROMPTINGS["dual"](ramp, np.random.default_rng(0)))
        assert found.mask.shape == sample.mask.shape and np.isfinite(found.score)
    with pytest.raises(InputError, match="too thin for SAM"):
        sam.set_image(np.zeros((8, 20_000, 3), np.uint8))
