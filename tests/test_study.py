"""The study: what it stores, resumes, recomputes and survives. A tiny network, real photographs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import SmallNet, frozen

from xaiutils import run, store, study
from xaiutils.config import EVALUATION_SCHEMA
from xaiutils.datasets import load_dataset
from xaiutils.errors import InputError
from xaiutils.statistics import mean_interval, paired_difference, summary
from xaiutils.study import STUDIES, TABLES, Study, StudyConfig, open_study, run_study

SETTINGS = (
    ("fasterscorecam", (("max_channels", 4),)),
    ("occlusion", (("window", 8), ("stride", 8))),
)
EXPLAINERS = ("gradcam", "fasterscorecam", "occlusion")


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A study of three bundled photographs with a toy classifier and no SAM: a second or two."""
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    model = SmallNet(classes=1000)
    toy = frozen(model, 32, model.features, classes=1000)
    monkeypatch.setattr(run, "load_classifier", lambda name, precision: toy)
    return StudyConfig(
        "toy",
        limit=3,
        explainers=EXPLAINERS,
        settings=SETTINGS,
        promptings=("dual",),
        segmenters=("threshold",),
    )


def tables(found: Study) -> dict[str, pd.DataFrame]:
    """Every table without its timings."""
    drop = ["seconds"]
    return {name: found.table(name).drop(columns=drop, errors="ignore") for name in TABLES}


def assert_equal_tables(a: dict, b: dict):
    for name in TABLES:
        pd.testing.assert_frame_equal(a[name], b[name])


def units(found: Study, pattern="*") -> dict:
    return {p: p.stat().st_mtime_ns for p in (found.folder / "units").glob(f"*/{pattern}.npz")}


def test_tables_have_their_columns_and_one_row_a_unit(config):
    found = run_study(replace(config, segmenters=("random_walker", "threshold")), progress=False)
    for name, columns in TABLES.items():
        assert list(found.table(name).columns) == columns
    assert found.sample_ids == list(load_dataset("sample").ids[:3])
    assert len(found.table("explanations")) == 3 * 3
    assert len(found.table("errors")) == 0
    cues = [*EXPLAINERS, "fused-weighted", "fused-mean", "fused-max", "fused-random"]
    assert found.cues == cues
    # three pairs of explainers, three measures, three images
    assert len(found.table("agreement")) == 27
    segmentation = found.table("segmentation")
    assert len(segmentation) == 3 * len(cues) * 2
    assert set(segmentation["prompting"]) == {"dual", "otsu"}


def test_stored_maps_and_masks_match_the_tables(config):
    found = run_study(config, progress=False)
    id = found.sample_ids[0]
    sample = found.sample(id)
    map = found.saliency(id, "gradcam")
    assert map.shape == sample.mask.shape
    assert (map.min(), map.max()) == (0, 1)
    assert found.raw(id, "occlusion").min() < 0  # signed as the method gives it
    mask = found.mask(id, "gradcam", "otsu", "threshold")
    expected = (mask & sample.mask).sum() / (mask | sample.mask).sum()
    rows = found.table("segmentation").query("sample == @id and cue == 'gradcam'")
    assert rows.set_index("prompting").loc["otsu", "iou"] == pytest.approx(expected)
    rows = found.table("localisation").query("sample == @id and cue == 'gradcam'")
    assert rows.set_index("metric").loc["iou", "value"] == pytest.approx(expected)
    weights = found.table("weights").query("sample == @id").groupby("fusion")["weight"].sum()
    np.testing.assert_allclose(weights, 1)


def test_a_second_run_computes_nothing(config, monkeypatch):
    first = run_study(config, progress=False)
    before = units(first)
    monkeypatch.setattr(run, "load_classifier", None)  # calling it would fail
    monkeypatch.setattr("xaiutils.config.load_segmenter", None)
    second = run_study(config, progress=False)
    assert units(second) == before
    assert_equal_tables(tables(first), tables(second))


def test_a_finished_named_study_opens_without_a_run_and_a_changed_one_runs(config, monkeypatch):
    monkeypatch.setitem(STUDIES, "toy", config)
    first = open_study("toy", progress=False)
    id = first.sample_ids[0]
    with monkeypatch.context() as patch:
        patch.setattr(run, "complete", None)  # a run would fail
        again = open_study("toy")
        assert (again.saliency(id, "gradcam") == first.saliency(id, "gradcam")).all()
    (unit,) = (first.folder / "units" / id).glob("gradcam.*.npz")
    unit.unlink()
    assert open_study("toy", progress=False).saliency(id, "gradcam").shape  # computed again
    monkeypatch.setitem(STUDIES, "toy", replace(config, seed=1))
    assert open_study("toy", progress=False).config.seed == 1
    stored = json.loads((first.folder / "config.json").read_text())
    assert (stored["evaluation"], stored["config"]["seed"]) == (EVALUATION_SCHEMA, 1)


def test_an_interrupted_run_resumes_and_ends_with_the_same_tables(config, monkeypatch):
    whole = tables(run_study(config, progress=False))
    shutil.rmtree(study.studies_dir())
    compute, done = run.Run.compute, []

    def interrupted(self, query, explainer, id):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append((id, explainer.name))
        return compute(self, query, explainer, id)

    monkeypatch.setattr(run.Run, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study(config, progress=False)
    monkeypatch.setattr(run.Run, "compute", lambda *a: done.append("more") or compute(*a))
    resumed = run_study(config, progress=False)
    assert done.count("more") == 9 - 4
    assert_equal_tables(whole, tables(resumed))


def test_a_changed_setting_recomputes_only_what_depends_on_it(config):
    first = run_study(config, progress=False)
    before = units(first)
    changed = (SETTINGS[0], ("occlusion", (("window", 16), ("stride", 8))))
    second = run_study(replace(config, settings=changed), progress=False)
    new = [p.name.split(".")[0] for p in units(second) if p not in before]
    assert sorted(new) == sorted(["occlusion", "evaluation"] * 3)
    assert all(units(second)[p] == time for p, time in before.items())


@pytest.mark.parametrize("harm", ["cut short", "a flipped byte", "empty"])
def test_a_damaged_unit_is_computed_again(config, harm):
    found = run_study(config, progress=False)
    whole = tables(found)
    for path in units(found, "gradcam*"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes({"cut short": data[:100], "a flipped byte": data, "empty": b""}[harm])
    assert_equal_tables(whole, tables(run_study(config, progress=False)))


def test_a_failing_explainer_is_a_row_and_the_rest_goes_on(config, monkeypatch):
    compute = run.Run.compute

    def failing(self, query, explainer, id):
        if explainer.name == "occlusion" and id == "espresso":
            raise RuntimeError("out of luck")
        return compute(self, query, explainer, id)

    monkeypatch.setattr(run.Run, "compute", failing)
    found = run_study(config, progress=False)
    (row,) = found.table("errors").to_dict("records")
    assert row["sample"] == "espresso"
    assert row["cue"] == "occlusion"
    assert row["message"] == "out of luck"
    assert found.table("samples")["sample"].tolist() == ["cat", "espresso", "hens"]
    assert len(found.table("explanations")) == 8
    monkeypatch.setattr(run.Run, "compute", compute)
    assert len(run_study(config, progress=False).table("errors")) == 0  # tried again, and mended


def folder_of(tmp_path, names):
    root = tmp_path / "own"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    sample = load_dataset("sample")
    from PIL import Image

    for name in names:
        item = sample.load(name)
        Image.fromarray(item.image).save(root / "images" / f"{name}.png")
        Image.fromarray(item.mask.astype(np.uint8) * 255).save(root / "masks" / f"{name}.png")
    return root


def test_a_broken_image_is_a_row_and_the_other_images_go_on(config, tmp_path):
    root = folder_of(tmp_path, ["cat", "owl", "panda"])
    (root / "images" / "owl.png").write_bytes(b"not an image")
    found = run_study(replace(config, dataset="folder", root=str(root), limit=None), progress=False)
    assert found.sample_ids == ["cat", "panda"]
    (row,) = found.table("errors").to_dict("records")
    assert (row["stage"], row["sample"]) == ("load", "owl")
    assert "owl.png" in row["message"]
    # without labels.csv the classifier's top-1 is explained
    assert (found.table("samples")["predicted_name"] == found.table("samples")["target_name"]).all()


def test_images_without_masks_give_nan_and_are_counted(config, tmp_path):
    root = folder_of(tmp_path, ["cat", "owl"])
    shutil.rmtree(root / "masks")
    found = run_study(replace(config, dataset="folder", root=str(root), limit=None), progress=False)
    assert found.table("segmentation")["iou"].isna().all()
    assert np.isfinite(found.table("agreement").query("metric == 'spearman'")["value"]).any()
    summarised = pd.read_csv(found.folder / "summary.csv")
    assert (summarised.query("metric == 'iou'")["undefined"] == 2).all()


def test_every_image_failing_ends_with_its_reason(config, tmp_path):
    root = folder_of(tmp_path, ["cat"])
    (root / "images" / "cat.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"no image could be processed.*cat\.png"):
        run_study(replace(config, dataset="folder", root=str(root), limit=None), progress=False)


def test_another_seed_changes_only_what_is_random(config):
    first = run_study(config, progress=False)
    second = run_study(replace(config, name="other", seed=1), progress=False)
    id = first.sample_ids[0]
    np.testing.assert_array_equal(first.raw(id, "gradcam"), second.raw(id, "gradcam"))
    one, two = (s.table("weights").query("fusion == 'random'")["weight"] for s in (first, second))
    assert not np.allclose(one, two)


def test_a_stored_study_opens_without_its_maps(config):
    found = run_study(config, progress=False)
    shutil.rmtree(found.folder / "units")
    stored = open_study("toy")
    assert stored.config == config
    assert not stored.has_arrays
    assert_equal_tables(tables(found), tables(stored))
    with pytest.raises(InputError, match="has tables only"):
        stored.saliency("cat", "gradcam")


def test_a_study_of_another_schema_is_refused(config):
    found = run_study(config, progress=False)
    path = found.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 0}))
    with pytest.raises(InputError, match="schema 0"):
        open_study("toy")


def test_unknown_names_are_refused_before_anything_runs(config):
    with pytest.raises(InputError, match="unknown study 'demu'; known: demo"):
        open_study("demu")
    for field, value, word in [
        ("classifier", "vgg", "unknown classifier 'vgg'"),
        ("explainers", ("gradcan",), "unknown explainer 'gradcan'"),
        ("segmenters", ("sam9",), "unknown segmenter 'sam9'"),
        ("promptings", ("dul",), "unknown prompting 'dul'"),
        ("fusions", ("media",), "unknown fusion 'media'"),
        ("settings", (("lime", (("sample", 3),)),), "no setting 'sample'"),
        ("preset", "medium", "unknown preset 'medium'"),
        ("limit", 0, "limit is 0"),
        ("name", "../x", "cannot name a folder"),
    ]:
        with pytest.raises(InputError, match=word):
            StudyConfig(**{"name": "x", field: value})
    found = run_study(config, progress=False)
    with pytest.raises(InputError, match="has no table 'mask'"):
        found.table("mask")
    with pytest.raises(InputError, match="no mask of 'grabcut'"):
        found.mask("cat", "gradcam", "dual", "grabcut")
    with pytest.raises(InputError, match="no sample 'dog'"):
        found.raw("dog", "gradcam")
    with pytest.raises(InputError, match="no map of 'lime'"):
        found.raw("cat", "lime")


def test_a_folder_that_cannot_be_written_is_named(config, tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XAIUTILS_STUDIES", str(blocker))
    with pytest.raises(InputError, match="cannot be written"):
        run_study(config, progress=False)


def test_named_studies_are_valid_and_bear_their_names():
    for name, named in STUDIES.items():
        assert named.name == name
        assert len(named.make_explainers()) == 9


# --- store and statistics -------------------------------------------------------------------


def test_digest_tells_contents_apart():
    a = np.arange(4)
    assert store.digest(1, a) == store.digest(1, a.copy())
    assert store.digest(1, a) != store.digest(1, a.astype(float))
    assert store.digest(1, a) != store.digest(1, a.reshape(2, 2))
    assert store.digest("ab", "c") != store.digest("a", "bc")
    assert store.digest({"x": 1, "y": 2}) == store.digest({"y": 2, "x": 1})


def test_units_round_trip_and_leave_no_temporary_files(tmp_path):
    path = tmp_path / "deep" / "unit.npz"
    map = np.random.default_rng(0).normal(size=(5, 7)).astype("f4")
    store.write_unit(path, {"seconds": 0.5, "value": float("nan")}, map=map)
    meta, arrays = store.read_unit(path)
    assert meta["seconds"] == 0.5
    assert np.isnan(meta["value"])
    np.testing.assert_array_equal(arrays["map"], map)
    assert [p.name for p in path.parent.iterdir()] == ["unit.npz"]
    assert store.read_unit(tmp_path / "none.npz") is None


def test_masks_pack_and_unpack():
    masks = list(np.random.default_rng(0).random((3, 5, 7)) > 0.5)
    packed = store.pack(masks, (5, 7))
    for row, mask in zip(packed, masks, strict=True):
        np.testing.assert_array_equal(store.unpack(row, (5, 7)), mask)
    assert store.pack([], (5, 7)).shape == (0, 5)


def test_mean_interval_of_known_cases():
    assert mean_interval([2.0, 2.0, 2.0]) == (2, 2, 2)
    mean, low, high = mean_interval([0.0, 1.0] * 200)
    assert mean == 0.5
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)
    assert mean_interval([0.3])[0] == 0.3
    assert np.isnan(mean_interval([0.3])[1])
    assert np.isnan(mean_interval([np.nan])[0])
    assert mean_interval([1.0, np.nan, 3.0])[0] == 2


def test_summary_counts_what_is_undefined():
    table = pd.DataFrame({"cue": ["a", "a", "b"], "value": [1.0, np.nan, 3.0]})
    found = summary(table, "cue")
    assert found["n"].tolist() == [1, 1]
    assert found["undefined"].tolist() == [1, 0]
    assert found["mean"].tolist() == [1, 3]


def test_paired_difference_uses_the_images_that_both_have():
    rows = [("1", "a", 0.9), ("1", "b", 0.5), ("2", "a", 0.7), ("2", "b", 0.5), ("3", "a", 0.1)]
    table = pd.DataFrame(rows, columns=["sample", "cue", "value"])
    mean, low, high, n = paired_difference(table, "a", "b")
    assert n == 2
    assert mean == pytest.approx(0.3)
    assert low <= mean <= high
    assert paired_difference(table, "a", "none")[3] == 0
