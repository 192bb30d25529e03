"""What a study survives: kills, company, full disks, damage; and what each file says of itself."""

import errno
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from faulty_run import BASE, EXPLAINERS, toy_classifier

from xaiutils import compiled, learned, run, shards, store, study
from xaiutils.analyses import analyse
from xaiutils.cli import main
from xaiutils.config import TABLES
from xaiutils.errors import InputError, UnusableFile, WriteError
from xaiutils.probe import Probe, load_probe, save_probe
from xaiutils.segmenters import load_segmenter
from xaiutils.study import Study, open_study, run_study

HERE = Path(__file__).resolve().parent
STORED = HERE.parent / "data" / "studies"
INDEX = "units/index.json"
KILLS = 20
UNITS = BASE.limit * (len(EXPLAINERS) + 1)  # computed ones: maps and evaluations


class Forks:
    """The processes of `faulty_run`, whose studies lie in `root`."""

    def __init__(self, root: Path):
        self.root = root
        command = [sys.executable, str(HERE / "faulty_run.py")]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=env
        )
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, *jobs: dict) -> list[int]:
        """Run jobs at the same time: their exit statuses."""
        filled = [{"studies": str(self.root), "log": str(self.root / "log"), **job} for job in jobs]
        print(json.dumps(filled), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate(timeout=60)

    def log(self) -> list[tuple[str, ...]]:
        """(sample, unit) as they were computed."""
        path = self.root / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(line.split()) for line in lines]

    def study(self, name: str = "toy") -> Study:
        folder = self.root / name
        return Study(study.read_config(folder / "config.json"), folder)


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    found = Forks(tmp_path_factory.mktemp("forks"))
    yield found
    found.close()


@pytest.fixture
def forks(process, tmp_path):
    process.root = tmp_path
    return process


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A study of two photographs in this process."""
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    toy = toy_classifier()
    monkeypatch.setattr(run, "load_classifier", lambda name, precision: toy)
    return replace(BASE, limit=2, explainers=EXPLAINERS[:2])


def tables(found: Study) -> dict[str, pd.DataFrame]:
    """Every table without its timings."""
    return {name: found.table(name).drop(columns="seconds", errors="ignore") for name in TABLES}


def same(a: dict, b: dict) -> bool:
    return all(a[name].equals(b[name]) for name in TABLES)


def whole_units(folder: Path) -> set[tuple[str, str]]:
    paths = (folder / "units").glob("*/*.npz")
    return {(p.parent.name, p.name.split(".")[0]) for p in paths if store.read_unit(p) is not None}


def unit_files(folder: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in (folder / "units").glob("*/*.npz")}


# --- kills ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_twenty_times(forks):
    assert forks({"config": {"name": "calm"}}) == [0]
    calm = tables(forks.study("calm"))
    (forks.root / "log").unlink()
    rng, whole = random.Random(0), []
    while len(whole) < KILLS:
        # a unit takes a tenth of a second: a process lives for one to three of them
        (status,) = forks({"after": rng.uniform(0.02, 0.33), "pause": 0.1})
        assert status in (-9, 0)  # 0: on a fast machine it may have ended before
        if status == -9:
            whole.append((len(forks.log()), whole_units(forks.root / "toy")))
    assert forks({}) == [0]
    assert same(calm, tables(forks.study()))
    log = forks.log()
    assert UNITS <= len(log) <= UNITS + KILLS
    for done, kept in whole:  # what was whole at a kill is never computed after it
        assert not kept & set(log[done:])


@pytest.mark.slow
def test_killed_while_the_tables_are_written(forks):
    """Nothing is computed then; whatever stands afterwards, the next run completes."""
    assert forks({}) == [0]
    calm, count = tables(forks.study()), len(forks.log())
    for after in (0.2, 0.4, 0.6, 0.8, 1.0):
        assert forks({"after": after, "pause": 0.5}) == [-9]
        assert same(calm, tables(forks.study()))
    assert len(forks.log()) == count


# --- company --------------------------------------------------------------------------------------


def left_behind(folder: Path) -> list[Path]:
    return [p for p in folder.rglob(".*") if p.name != ".lock"]


@pytest.mark.slow
def test_two_processes_with_one_configuration(forks):
    assert forks({"config": {"name": "calm"}}) == [0]
    assert forks({"pause": 0.01}, {"pause": 0.01}) == [0, 0]
    assert same(tables(forks.study("calm")), tables(forks.study()))
    folder = forks.root / "toy"
    assert len(whole_units(folder)) == len(unit_files(folder)) == UNITS + BASE.limit
    assert left_behind(folder) == []


@pytest.mark.slow
def test_two_configurations_under_one_name(forks):
    """As if one had run after the other: all tables are of one of them, that of config.json."""
    calm = {}
    for seed in (0, 1):
        assert forks({"config": {"name": f"calm{seed}", "seed": seed}}) == [0]
        calm[seed] = tables(forks.study(f"calm{seed}"))
    assert not same(calm[0], calm[1])
    assert forks(*[{"config": {"seed": seed}, "pause": 0.02} for seed in (0, 1)]) == [0, 0]
    assert_whole(forks.study(), calm)
    # all is computed now; one writes a table every fifth of a second, the other comes in between
    slow, quick = {"config": {"seed": 0}, "pause": 1.0}, {"config": {"seed": 1}, "wait": 1.2}
    assert forks(slow, quick) == [0, 0]
    assert_whole(forks.study(), calm)


def assert_whole(found: Study, calm: dict[int, dict]) -> None:
    assert same(tables(found), calm[found.config.seed])
    found.saliency(found.sample_ids[0], "fused-weighted")  # the index is of the same run


@pytest.mark.slow
def test_one_of_two_is_killed(forks):
    assert forks({"config": {"name": "calm"}}) == [0]
    assert forks({"pause": 0.02}, {"pause": 0.02, "after": 0.5}) == [0, -9]
    assert same(tables(forks.study("calm")), tables(forks.study()))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_tables(forks, monkeypatch, workers):
    assert forks({}) == [0]
    monkeypatch.setenv("XAIUTILS_STUDIES", str(forks.root))
    shards.plan(replace(BASE, name="cut"), chunk=1)
    parts = [list(range(k, BASE.limit, workers)) for k in range(workers)]
    cut = {"config": {"name": "cut"}}
    assert forks(*[{**cut, "shards": part} for part in parts]) == [0] * workers
    assert forks({**cut, "shards": []}, {**cut, "shards": []}) == [0, 0]  # gathered twice at once
    for name, table in tables(forks.study()).items():
        pd.testing.assert_frame_equal(table, tables(forks.study("cut"))[name])


# --- numbers are a function of the configuration --------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_any_batch_size_gives_the_same_maps_to_their_last_digits(config, monkeypatch, batch):
    config = replace(config, explainers=EXPLAINERS)
    found = tables(run_study(config, progress=False))
    monkeypatch.setattr(compiled, "batch_size", lambda size: batch)
    toy = toy_classifier()
    assert toy.batch == batch
    monkeypatch.setattr(run, "load_classifier", lambda name, precision: toy)
    other = run_study(replace(config, name="other"), progress=False)
    for id in other.sample_ids:
        for name in EXPLAINERS:
            first = Study(config, study.studies_dir() / "toy").raw(id, name)
            np.testing.assert_allclose(other.raw(id, name), first, rtol=1e-4, atol=1e-6)
    # sums in another order move a map's last digits, and a pixel at a threshold to its other side
    for name, table in tables(other).items():
        pd.testing.assert_frame_equal(table, found[name], rtol=0.02, atol=0.02)


def test_the_order_of_the_samples_changes_no_row(config, monkeypatch):
    first = tables(run_study(config, progress=False))
    given = study.dataset_of

    def reversed_ids(config):
        found = given(config)
        return replace(found, ids=found.ids[: config.limit][::-1])

    monkeypatch.setattr(study, "dataset_of", reversed_ids)
    second = run_study(replace(config, name="other"), progress=False)
    assert second.sample_ids == first["samples"]["sample"].tolist()[::-1]
    for name, table in tables(second).items():
        ordered = table.sort_values("sample", kind="stable", ignore_index=True)
        pd.testing.assert_frame_equal(ordered, first[name])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"device": "cuda", "sam2_model": "sam2.1_hiera_large"}, {}),  # without SAM2: nothing
        ({"fusions": ("mean",)}, {"evaluation": 2}),
        ({"promptings": ("peak",)}, {"evaluation": 2}),
        ({"segmenters": ("threshold", "random_walker")}, {"evaluation": 2}),
        ({"explainers": EXPLAINERS}, {"lime": 2, "evaluation": 2}),
        ({"explainers": EXPLAINERS[:1]}, {"evaluation": 2}),
        ({"limit": 3}, {"sample": 1, "gradcam": 1, "occlusion": 1, "evaluation": 1}),
        ({"limit": 1}, {}),
        ({"seed": 1}, {"gradcam": 2, "occlusion": 2, "evaluation": 2}),
        ({"preset": "full"}, {}),  # both settings of occlusion are given
        ({"precision": None}, {"sample": 2, "gradcam": 2, "occlusion": 2, "evaluation": 2}),
    ],
    ids=lambda value: ",".join(value) or "nothing" if isinstance(value, dict) else None,
)
def test_a_change_recomputes_what_depends_on_it(config, change, expected):
    before = unit_files(run_study(config, progress=False).folder)
    after = unit_files(run_study(replace(config, **change), progress=False).folder)
    new = [path.name.split(".")[0] for path in after if path not in before]
    assert {name: new.count(name) for name in set(new)} == expected
    assert all(after[path] == time for path, time in before.items())


def test_a_checkpoint_of_sam2_counts_by_its_content(config, tmp_path, monkeypatch):
    """Moved, its masks are kept; another one under its name makes new ones."""
    found = {"threshold": load_segmenter("threshold")}  # what a SAM2 answers is of no matter here
    monkeypatch.setattr(run.Run, "segmenters", found)
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    for path in (first, second):
        path.write_bytes(b"weights")

    def evaluations(path: Path) -> set[str]:
        asked = {"segmenters": ("threshold", "sam2"), "sam2_checkpoint": str(path)}
        done = run_study(replace(config, **asked), progress=False)
        return {files["evaluation"] for files in store.read_json(done.folder / INDEX).values()}

    known = evaluations(first)
    assert len(known) == 2 and evaluations(second) == known
    second.write_bytes(b"others")
    assert not evaluations(second) & known
    second.unlink()
    with pytest.raises(InputError, match=r"second\.pt: cannot be read"):
        evaluations(second)


# --- disks ----------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """A small file system of its own: `disk(options)` mounts it or mounts it otherwise."""
    place = tmp_path / "studies"
    place.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("no mount here")
        if done.returncode:
            pytest.skip(f"may not mount a file system: {done.stderr.strip()}")

    yield mount
    subprocess.run(["umount", str(place)], capture_output=True)


ASKED = ["run", "--name", "mine", "--limit", "3", "--explainers", "gradcam,fasterscorecam"]
ASKED += ["--segmenters", "threshold"]


def refused(arguments: list[str], capsys) -> str:
    """The one line that the command line says of bad input."""
    assert main(arguments) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    return last


@pytest.mark.slow
def test_a_full_disk(config, disk, capsys):
    disk("size=24k")
    assert "No space left on device" in refused(ASKED, capsys)
    folder = study.studies_dir() / "mine"
    before = unit_files(folder)
    assert before and left_behind(folder) == []
    assert len(whole_units(folder)) == len(before)
    disk("remount,size=8m")
    assert main(ASKED) == 0
    assert all(unit_files(folder)[path] == time for path, time in before.items())
    assert len(open_study("mine").sample_ids) == 3


@pytest.mark.slow
def test_a_folder_that_becomes_read_only(config, disk, capsys):
    disk("size=8m")
    assert main(ASKED) == 0
    found = tables(open_study("mine"))
    disk("remount,ro")
    assert "Read-only file system" in refused([*ASKED, "--seed", "1"], capsys)
    assert same(found, tables(open_study("mine")))


@pytest.mark.parametrize("kind", ["sample", "gradcam", "evaluation", "table", "config"])
def test_no_room_for_one_kind_of_file_ends_the_study(config, monkeypatch, kind):
    """A row of the errors table would not do: the other images could not be stored either."""
    write = store._replace

    def full(path: Path, save) -> None:
        def fail(stream):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        name = "table" if path.suffix == ".parquet" else path.name.split(".")[0]
        write(path, fail if name == kind else save)

    monkeypatch.setattr(store, "_replace", full)
    with pytest.raises(WriteError, match="No space left on device"):
        run_study(config, progress=False)
    assert left_behind(study.studies_dir()) == []
    monkeypatch.setattr(store, "_replace", write)
    assert len(run_study(config, progress=False).table("errors")) == 0


@pytest.mark.parametrize("count", [1, 3, len(TABLES) + 2])
def test_a_disk_that_fills_up_among_the_tables_leaves_those_of_before(config, monkeypatch, count):
    """The fourth table, the summary's turn, or the index: nothing has taken its place yet."""
    found = run_study(config, progress=False)
    before = {path: path.read_bytes() for path in found.folder.glob("*.*") if path.is_file()}
    write, written = store._replace, []

    def filling(path: Path, save) -> None:
        if path.suffix != ".npz":
            written.append(path)
        full = len(written) > count
        write(path, (lambda stream: _no_room()) if full else save)

    monkeypatch.setattr(store, "_replace", filling)
    with pytest.raises(WriteError, match="No space left on device"):
        run_study(replace(config, seed=1), progress=False)
    assert {path: path.read_bytes() for path in before} == before
    assert left_behind(found.folder) == []
    assert open_study("toy").config == config


def _no_room():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("kept", ["weights.parquet", "config.json", "errors.parquet"])
def test_tables_of_two_runs_are_refused(config, kept):
    """As if a process had been killed while it renamed its files: one is that of before."""
    found = run_study(config, progress=False)
    before = (found.folder / kept).read_bytes()
    run_study(replace(config, seed=1), progress=False)
    open_study("toy")
    (found.folder / kept).write_bytes(before)
    with pytest.raises(UnusableFile, match=r"and config\.json are of different runs"):
        open_study("toy")
    run_study(config, progress=False)
    assert open_study("toy").config == config


def test_a_study_from_before_tables_named_their_run_is_opened(config):
    found = run_study(config, progress=False)
    for name in TABLES:
        store.write_table(found.folder / f"{name}.parquet", found.table(name))
    assert open_study("toy").config == config
    stored = store.read_json(found.folder / "config.json")
    del stored["run"]
    (found.folder / "config.json").write_text(json.dumps(stored))
    assert len(open_study("toy").table("samples")) == 2


def test_what_killed_processes_left_is_deleted_after_a_day(config):
    folder = run_study(config, progress=False).folder
    unit = next(folder.glob("units/*/"))
    left = [folder / ".samples.parquet.ab12", unit / ".gradcam.0f.npz.x_yz", folder / ".part.q1"]
    mine = [folder / ".notes", folder / ".lock.txt", unit / ".keep"]
    for path in (*left[:2], *mine):
        path.touch()
    left[2].mkdir()
    (left[2] / "samples.parquet").touch()
    run_study(config, progress=False)
    assert all(path.exists() for path in (*left, *mine))  # somebody may still be writing
    for path in (*left, *mine, left[2] / "samples.parquet"):
        os.utime(path, (1e9, 1e9))
    run_study(config, progress=False)
    assert not any(path.exists() for path in left) and all(path.exists() for path in mine)


# --- damage ---------------------------------------------------------------------------------------


def damage(path: Path, harm: str) -> None:
    data = bytearray(path.read_bytes())
    if harm == "folder":
        path.unlink()
        path.mkdir()
        return
    if harm == "flip":
        data[len(data) // 3] ^= 0x10
    path.write_bytes(data[: len(data) // 2] if harm == "cut" else b"" if harm == "empty" else data)


HARMS = ["cut", "flip", "empty"]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("kind", ["sample", "gradcam", "evaluation"])
def test_a_damaged_unit_is_computed_again(config, kind, harm):
    found = run_study(config, progress=False)
    before, (path, *_) = tables(found), sorted(found.folder.glob(f"units/*/{kind}.*.npz"))
    damage(path, harm)
    assert store.read_unit(path) is None
    assert same(before, tables(run_study(config, progress=False)))
    assert store.read_unit(path) is not None


def test_a_folder_in_the_way_of_a_unit_is_named(config, capsys):
    assert main(ASKED) == 0
    (path, *_) = sorted((study.studies_dir() / "mine").glob("units/*/gradcam.*.npz"))
    damage(path, "folder")
    line = refused(ASKED, capsys)
    assert path.name in line and "is in the way: remove it" in line
    path.rmdir()
    assert main(ASKED) == 0


def broken(value: int, data: bytes):
    """Copies with one byte changed."""
    for k in range(len(data)):
        yield data[:k] + bytes([data[k] ^ value]) + data[k + 1 :]


def test_any_byte_of_a_unit_may_flip(tmp_path):
    """Either nothing that is read has changed, or the unit counts as missing."""
    path = tmp_path / "unit.npz"
    meta, map = {"rows": [1, 2]}, np.random.default_rng(0).normal(size=(8, 8)).astype("f4")
    store.write_unit(path, meta, map=map, other=map[:2])
    whole = path.read_bytes()
    for value in (0x01, 0x04, 0x80):
        for data in broken(value, whole):
            path.write_bytes(data)
            found = store.read_unit(path)
            if found is not None:
                assert found[0] == meta and sorted(found[1]) == ["map", "other"]
                assert (found[1]["map"] == map).all() and (found[1]["other"] == map[:2]).all()


@pytest.mark.slow
def test_any_byte_of_a_table_may_flip(tmp_path):
    path = tmp_path / "table.parquet"
    rows = {"sample": ["a", "b"], "metric": ["iou", "dice"], "value": [0.5, np.nan], "n": [1, 2]}
    table, errors = pd.DataFrame(rows), 0
    store.write_table(path, table)
    for data in broken(0x04, path.read_bytes()):
        path.write_bytes(data)
        try:
            found = store.read_whole(path)
        except InputError as error:
            assert str(path) in str(error)
            errors += 1
        else:
            pd.testing.assert_frame_equal(found, table)
    assert errors > 1000


def test_any_byte_of_stored_json_may_flip(tmp_path):
    path, content = tmp_path / "units.json", {"cat": {"evaluation": "e.1.npz"}, "x": [1.5, None]}
    store.write_json(path, content)
    for value in (0x01, 0x04, 0x80):
        for data in broken(value, path.read_bytes()):
            (tmp_path / "broken.json").write_bytes(data)
            try:
                found = store.read_json(tmp_path / "broken.json")
            except InputError:
                continue
            # a flipped key of the outer layer: no longer taken for ours, and no index either
            assert found == content or "cat" not in found


@pytest.mark.parametrize("harm", ["cut", "empty", "folder"])  # any flipped byte: above
def test_a_damaged_table_is_named(config, capsys, harm):
    found = run_study(config, progress=False)
    damage(found.folder / "weights.parquet", harm)
    with pytest.raises(InputError, match=r"weights\.parquet: damaged .* run the study again"):
        open_study("toy").table("weights")
    if harm != "folder":
        assert len(run_study(config, progress=False).table("weights"))
    else:
        with pytest.raises(InputError, match="remove it"):
            run_study(config, progress=False)


@pytest.mark.parametrize("harm", [*HARMS, "folder"])
@pytest.mark.parametrize("name", ["config.json", "units/index.json"])
def test_damaged_json_is_named(config, harm, name):
    found = run_study(config, progress=False)
    path = found.folder / name
    if (name, harm) == ("config.json", "flip"):  # plain JSON, which people may edit
        path.write_text(path.read_text().replace('"schema"', '"scheme"'))
    else:
        damage(path, harm)
    with pytest.raises(InputError, match=re.escape(str(path))):
        open_study("toy").saliency(found.sample_ids[0], "gradcam")
    if harm != "folder":
        run_study(config, progress=False)
        open_study("toy").saliency(found.sample_ids[0], "gradcam")


def test_the_command_line_names_damaged_files(config, capsys):
    assert main(ASKED) == 0
    folder = study.studies_dir() / "mine"
    assert main([*ASKED, "--executor", "sequential"]) == 0
    for name, arguments in {
        "localisation.parquet": ["claims", "--study", "mine"],
        "plan.json": ["status", "--study", "mine"],
        "plan.parquet": ["gather", "--study", "mine"],
        "config.json": ["analyse", "--study", "mine", "pxap"],
    }.items():
        damage(folder / name, "cut")
        assert name in refused(arguments, capsys)


def test_settings_of_another_version_are_named(config):
    path = run_study(config, progress=False).folder / "config.json"
    stored = json.loads(path.read_text())
    stored["config"]["flavour"] = "mint"
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError, match=r"holds no study's settings .*flavour"):
        open_study("toy")
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match="schema None"):
        open_study("toy")


# --- versions -------------------------------------------------------------------------------------


def version_of(path: Path) -> int | None:
    """The version that a stored file states."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return json.loads(file["unit"].tobytes())["schema"]
    if path.suffix == ".parquet":
        return json.loads(pq.read_metadata(path).metadata[store.NOTE])["schema"]
    return json.loads(path.read_text())["schema"]


def test_every_stored_file_states_its_version(config, tmp_path):
    """All that a study leaves in its folder, by a plain run, in shards, analysed, with a probe."""
    folder = run_study(config, progress=False).folder
    shards.plan(config, 1)
    for path in shards.run_shards(folder, [0, 1]):
        assert path.exists()
    shards.gather(folder)
    analyse(open_study("toy"), "pxap", progress=False)
    arrays = np.zeros((2, 3), "f4"), np.zeros(2, "f4")
    save_probe(Probe(*arrays, ("a", "b"), {}, {}), folder / "probe.json")
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"]
    # CSV is for people and spreadsheets; config.json beside it has the version
    stored = [p for p in files if p.suffix != ".csv"]
    assert {p.suffix for p in stored} == {".npz", ".parquet", ".json"}
    assert {p.name for p in stored if p.suffix == ".json"} == {
        *("config.json", "plan.json", "probe.json", "index.json")
    }
    assert {p.stem for p in folder.glob("*.parquet")} == {*TABLES, "plan", "pxap"}
    assert len(list(folder.glob("shards/*.parquet"))) == 2
    assert {path.name: version_of(path) for path in stored} == {p.name: 1 for p in stored}
    assert load_probe(folder / "probe.json").classes == ("a", "b")
    for path in learned.FOLDER.glob("*.json"):
        assert version_of(path) == learned.SCHEMA


# who else writes, and why that needs no version of ours
WRITERS = {
    "store.py": "units, tables, JSON: each with its version",
    "streams.py": "tables that grow, stamped by `store.stamp`",
    "run.py": "config.json with the schema, summary.csv",
    "shards.py": "summary.csv",
    "publish.py": "config.json as it was, summary.csv",
    "probe.py": "probe.json with the schema",
    "learned.py": "data/learned with the schema",
    "cutouts/study.py": "config.json with the schema",
    "claims/__init__.py": "claims.csv",
    "pseudo_labels.py": "VOC and COCO, formats of others",
    "site/__init__.py": "site.json with the schema; pages",
    "site/reference.py": "pages",
    "site/ledger.py": "pages",
    "site/gallery.py": "pages",
    "site/notebooks.py": "pages",
    "batch.py": "pages",
    "report.py": "figures, which nothing reads again",
    "cost.py": "a report for people",
    "weights.py": "weights of others, known by their SHA-256",
}
WRITING = re.compile(r"write_text\(|write_bytes\(|savez|to_parquet|ParquetWriter\(|json\.dump\(")


def test_nothing_else_in_the_package_writes_files_that_are_read_again():
    package = HERE.parent / "xaiutils"
    found = {
        str(path.relative_to(package)).replace(os.sep, "/")
        for path in package.rglob("*.py")
        if WRITING.search(path.read_text())
    }
    assert found <= set(WRITERS), found - set(WRITERS)


def test_a_unit_of_another_version(tmp_path, monkeypatch):
    path, map = tmp_path / "unit.npz", np.arange(4.0)
    text = np.frombuffer(json.dumps({"seconds": 1}).encode(), np.uint8)
    np.savez_compressed(path, meta=text, map=map)  # as it was before units stated a version
    meta, arrays = store.read_unit(path)
    assert meta == {"seconds": 1} and list(arrays) == ["map"]
    with monkeypatch.context() as newer:
        newer.setattr(store, "FORMAT", 2)
        store.write_unit(path, {}, map=map)
    assert store.read_unit(path) is None  # computed again


def test_a_table_of_another_version(tmp_path, monkeypatch):
    path, table = tmp_path / "table.parquet", pd.DataFrame({"a": [1]})
    table.to_parquet(path)
    assert store.read_whole(path).equals(table)
    with monkeypatch.context() as newer:
        newer.setattr(store, "FORMAT", 2)
        store.write_table(path, table)
    with pytest.raises(InputError, match=r"table\.parquet: written with schema 2.*check out"):
        store.read_whole(path)


def test_an_index_of_another_version(config, monkeypatch):
    found = run_study(config, progress=False)
    path, id = found.folder / "units" / "index.json", found.sample_ids[0]
    index = store.read_json(path)
    path.write_text(json.dumps(index))  # as it was before it stated a version
    assert open_study("toy").raw(id, "gradcam").shape == (32, 32)
    with monkeypatch.context() as newer:
        newer.setattr(store, "FORMAT", 2)
        store.write_json(path, index)
    with pytest.raises(InputError, match=r"index\.json: written with schema 2"):
        open_study("toy").raw(id, "gradcam")


@pytest.mark.parametrize("name", learned.CHECKS)
@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "", "{}", "1e999", "null", b"\xff\xfe"])
def test_what_holds_no_learned_numbers_is_named(tmp_path, name, text):
    path = tmp_path / f"{name}.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=rf"{name}\.json: not what"):
        learned.read(name, tmp_path)


@pytest.mark.parametrize("name", learned.CHECKS)
def test_learned_numbers_of_another_version(tmp_path, name):
    path = tmp_path / f"{name}.json"
    found = learned.read(name)
    older = {key: value for key, value in found.items() if key != "schema"}
    path.write_text(learned.as_text(older))
    assert learned.read(name, tmp_path) == older
    # the digest by which analyses know them is of the numbers: theirs are not computed again
    assert learned.version(name, tmp_path) == learned.version(name)
    path.write_text(learned.as_text({**older, "schema": 2}))
    with pytest.raises(InputError, match="written with schema 2"):
        learned.read(name, tmp_path)


@pytest.mark.parametrize("name", sorted(p.parent.name for p in STORED.glob("*/config.json")))
def test_the_stored_studies_open(monkeypatch, name):
    monkeypatch.delenv("XAIUTILS_STUDIES", raising=False)
    if json.loads((STORED / name / "config.json").read_text())["schema"] != study.SCHEMA:
        pytest.skip("not a study of this kind")
    found = Study(study.read_config(STORED / name / "config.json"), STORED / name)
    assert {*TABLES} <= {*found.tables}
    assert all(len(found.table(table).columns) for table in found.tables)
    assert len(found.sample_ids) > 0
    if found.config.logit == "probe":
        load_probe(found.folder / "probe.json")
