"""A study in shards: the same tables, whole files only, and nothing computed twice."""

import builtins
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import SmallNet, frozen

from xaiutils import executors, run, shards
from xaiutils.cli import main
from xaiutils.errors import InputError, UnusableFile
from xaiutils.store import write_table
from xaiutils.study import TABLES, Study, StudyConfig, run_study


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Four bundled photographs, a toy network, no SAM."""
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    model = SmallNet(classes=1000)
    toy = frozen(model, 32, model.features, classes=1000)
    monkeypatch.setattr(run, "load_classifier", lambda name, precision: toy)
    settings = (("occlusion", (("window", 8), ("stride", 8))),)
    return StudyConfig(
        "whole",
        limit=4,
        explainers=("gradcam", "occlusion"),
        settings=settings,
        promptings=("dual",),
        segmenters=("threshold",),
    )


def tables(study: Study) -> dict[str, pd.DataFrame]:
    return {name: study.table(name).drop(columns="seconds", errors="ignore") for name in TABLES}


def same(a: Study, b: Study, **tolerance) -> None:
    for name, table in tables(a).items():
        pd.testing.assert_frame_equal(table, tables(b)[name], **tolerance)


@pytest.mark.parametrize("chunk, compact", [(1, False), (3, False), (3, True)])
def test_shards_give_the_tables_of_one_process(config, chunk, compact):
    whole = run_study(config, progress=False)
    folder = shards.plan(replace(config, name="cut"), chunk, compact)
    todo = shards.pending(folder)
    assert len(todo) == -(-4 // chunk)
    executors.sequential(folder, todo[::-1])  # whatever the order
    shards.gather(folder)
    cut = Study(replace(config, name="cut"), folder)
    same(whole, cut)
    assert pd.read_csv(folder / "summary.csv").equals(pd.read_csv(whole.folder / "summary.csv"))
    id = whole.sample_ids[2]
    if compact:
        assert not (folder / "units" / id).exists()
    else:
        assert (cut.saliency(id, "gradcam") == whole.saliency(id, "gradcam")).all()


def test_a_finished_shard_is_not_computed_again(config, monkeypatch):
    folder = shards.plan(config, 2)
    path = shards.run_shard(folder, 0)
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(run.Run, "collect", None)
    assert shards.run_shard(folder, 0) == path and path.stat().st_mtime_ns == before
    assert shards.pending(folder) == [1]
    found = shards.status(folder)
    assert found == {"shards": 2, "samples": 4, "shards_done": 1, "samples_done": 2, "errors": 0}


@pytest.mark.parametrize("harm", ["cut", "flip", "empty"])
def test_damage_is_found_and_mended(config, harm):
    folder = shards.plan(config, 2)
    executors.sequential(folder, [0, 1])
    path = shards.read_plan(folder).path(folder, 1)
    whole = path.read_bytes()
    middle = len(whole) // 4
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    path.write_bytes({"cut": whole[:-20], "flip": flipped, "empty": b""}[harm])
    assert shards.pending(folder) == [1]
    with pytest.raises(InputError, match="shard 1 is not done or damaged"):
        shards.gather(folder)
    shards.run_shard(folder, 1)  # from units that are there still: the same bytes
    assert path.read_bytes() == whole
    assert shards.pending(folder) == []


def test_other_settings_are_other_shards(config):
    folder = shards.plan(config, 4)
    shards.run_shard(folder, 0)
    shards.plan(replace(config, seed=1), 4)
    assert shards.pending(folder) == [0]
    shards.plan(config, 4)
    assert shards.pending(folder) == []


def test_errors_are_counted_and_gathered(config, monkeypatch):
    monkeypatch.setattr(run.Run, "query", lambda *_: 1 / 0)
    with pytest.raises(InputError, match="no image could be processed"):
        run_study(config, progress=False)
    folder = shards.plan(replace(config, name="cut"), 2)
    executors.sequential(folder, [0, 1])
    assert shards.status(folder)["errors"] == 8  # two explainers on four images
    with pytest.raises(InputError, match="no image could be processed; the first: division"):
        shards.gather(folder)


def test_bad_arguments(config, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="chunk is 0"):
        shards.plan(config, 0)
    with pytest.raises(InputError, match=r"plan\.json: not found"):
        shards.pending(tmp_path)
    folder = shards.plan(config, 4)
    with pytest.raises(InputError, match=r"shard 7 is outside 0\.\.0"):
        shards.run_shard(folder, 7)
    with pytest.raises(InputError, match="workers is 0"):
        executors.local(0)
    given = builtins.__import__

    def without(name, *rest):
        if name == "submitit":
            raise ImportError(name)
        return given(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="needs submitit"):
        executors.slurm(2)


def replanned(folder: Path, ids: list[str], **change: object) -> None:
    """The plan with other samples, as whole as one that `plan` wrote."""
    shards.write_plan(folder, shards.read_plan(folder).config, ids, 1, True)
    path = folder / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


@pytest.mark.parametrize("id", ["../../../victim", "..", ".", "", "/victim", "a/../../../victim"])
def test_a_plan_deletes_nothing_outside_its_folder(config, tmp_path, id):
    folder = shards.plan(config, 1, compact=True)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "thesis.tex").touch()
    replanned(folder, [id])
    for asked in (shards.status, shards.pending, shards.gather, lambda f: shards.run_shard(f, 0)):
        with pytest.raises(UnusableFile, match=r"plan\.parquet: '.*' is no sample's name"):
            asked(folder)
    assert (victim / "thesis.tex").exists()


def test_a_sample_that_the_data_set_has_not_is_refused(config):
    folder = shards.plan(config, 1, compact=True)
    (folder / "units" / "other").mkdir(parents=True)
    replanned(folder, ["other"])
    with pytest.raises(UnusableFile, match=r"plan\.parquet: the data set has no sample 'other'"):
        shards.run_shard(folder, 0)
    assert (folder / "units" / "other").exists()


def test_a_plan_of_two_halves_is_refused_until_it_is_planned_again(config):
    """As if a second `run` had been killed between its two files."""
    folder = shards.plan(config, 2)
    before = (folder / "plan.json").read_bytes()
    shards.plan(replace(config, limit=3), 2)
    (folder / "plan.json").write_bytes(before)
    for asked in (shards.pending, shards.gather):
        with pytest.raises(
            UnusableFile, match=r"plan\.parquet: is not the plan that plan\.json is"
        ):
            asked(folder)
    shards.plan(config, 2)
    assert shards.pending(folder) == [0, 1]


def test_a_plan_is_written_whole_or_not_at_all(config, monkeypatch):
    folder = shards.plan(config, 2)
    monkeypatch.setattr(shards, "write_config", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shards.plan(replace(config, limit=3), 1)
    assert shards.status(folder)["samples"] == 4 and not list(folder.glob(".part*"))


def test_a_plan_from_before_it_had_a_digest_is_read(config):
    folder = shards.plan(config, 2)
    path = folder / "plan.json"
    stored = json.loads(path.read_text())
    del stored["samples"]
    path.write_text(json.dumps(stored))
    assert shards.pending(folder) == [0, 1]


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{}", '{"schema": 1, "config": {}}'])
def test_what_is_no_plan_is_named(config, text):
    folder = shards.plan(config, 2)
    (folder / "plan.json").write_text(text)
    with pytest.raises(InputError, match=r"plan\.json: "):
        shards.status(folder)


@pytest.mark.parametrize(
    "table", [{"a": [1]}, {"shard": ["x"], "sample": ["cat"]}, {"shard": [0], "sample": [7]}, {}]
)
def test_a_foreign_table_of_the_plan_is_named(config, table):
    folder = shards.plan(config, 2)
    write_table(folder / "plan.parquet", pd.DataFrame(table))
    with pytest.raises(UnusableFile, match=r"plan\.parquet: holds other columns"):
        shards.status(folder)


def test_local_processes_take_no_module_from_where_they_are_started(config, tmp_path, monkeypatch):
    for name in ("numpy.py", "json.py", "xaiutils.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", "import numpy, xaiutils.executors; print(numpy.__file__)"]
    env = {**os.environ, **executors.environment(3)}
    found = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert str(tmp_path) not in found.stdout and not (tmp_path / "executed").exists()
    assert env["OMP_NUM_THREADS"] == "3"


def test_the_command_line(config, capsys):
    asked = [
        "run",
        "--name",
        "mine",
        "--limit",
        "3",
        "--explainers",
        "gradcam",
        "--segmenters",
        "threshold",
    ]
    assert main([*asked, "--executor", "sequential", "--chunk", "2"]) == 0
    assert "2 shards to run" in capsys.readouterr().out
    assert main(["status", "--study", "mine"]) == 0
    assert "shards done 2" in capsys.readouterr().out
    assert main([*asked, "--executor", "sequential", "--chunk", "2"]) == 0
    assert "0 shards to run" in capsys.readouterr().out
    assert main(["gather", "--study", "mine"]) == 0
    assert main(["status", "--study", "other"]) == 2
    assert "has no shards" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_give_the_tables_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path))
    config = StudyConfig(
        "one", limit=4, explainers=("gradcam", "occlusion"), segmenters=("threshold",)
    )
    whole = run_study(config, progress=False)
    folder = shards.plan(replace(config, name="two"), 1)
    executors.local(2)(folder, shards.pending(folder))
    shards.gather(folder)
    # other numbers of threads add in another order; Otsu's threshold then moves by a bin at most
    same(whole, Study(replace(config, name="two"), folder), rtol=0, atol=0.02)


def test_the_stored_benchmark_keeps_its_promise():
    """Two processes on two cores: 1.6 times; the runner's own share of a study: under 3 %."""
    path = Path(__file__).parents[1] / "figures" / "bench" / "shards.csv"
    table = pd.read_csv(path).set_index("executor")
    assert table.loc["two processes", "speedup"] >= 1.6
    assert table.loc["sequential, models loaded", "overhead"] < 0.03
    assert (table["others"] < 0.05).all()  # measured on a quiet machine
