"""Gathering tables whose shards differ: without rows, without values, of other number types."""

from collections import defaultdict
from dataclasses import replace

import pandas as pd
import pytest

from xaiutils import shards
from xaiutils.config import TABLES, StudyConfig
from xaiutils.datasets import Dataset
from xaiutils.errors import InputError
from xaiutils.store import read_whole

SIZE = {"height": 3, "width": 4, "object_share": 0.5}
NAMES = {"label": None, "target": 1, "target_name": "hen", "predicted_name": "hen"}
ERROR = {"stage": "load", "cue": "", "error": "ValueError", "message": "cut short"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A plan of three shards of one sample each, and two samples that the data set leaves out."""
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path))
    dataset = Dataset("folder", ("a", "b", "c"), lambda id: None)
    dataset = replace(dataset, skipped={"no mask": ("x", "y")})
    monkeypatch.setattr(shards, "dataset_of", lambda config: dataset)
    return shards.plan(StudyConfig("mine"), chunk=1, compact=True)


def write(folder, shard: int, **tables: list[dict]) -> None:
    known = shards.read_plan(folder)
    rows = defaultdict(list, tables)
    shards.write_shard(known.path(folder, shard), {name: rows[name] for name in TABLES}, {})


def test_tables_of_unequal_shards(folder):
    write(folder, 0, samples=[{"sample": "a", **NAMES, **SIZE, "probability": 1}])
    row = {"sample": "b", **NAMES, **SIZE, "probability": 0.5}
    write(folder, 1, samples=[{**row, "label": "bird"}])
    write(folder, 2, errors=[{"sample": "c", **ERROR}])
    shards.gather(folder)
    samples = read_whole(folder / "samples.parquet")
    assert samples["sample"].tolist() == ["a", "b"]
    assert samples["probability"].tolist() == [1, 0.5]
    assert samples["label"].isna().tolist() == [True, False]
    errors = read_whole(folder / "errors.parquet")
    assert errors["sample"].tolist() == ["x", "y", "c"]
    assert errors["stage"].tolist() == ["skipped", "skipped", "load"]
    empty = read_whole(folder / "localisation.parquet")
    assert empty.empty and list(empty.columns) == TABLES["localisation"]
    assert not [path for path in folder.rglob("*") if path.name.startswith(".part")]


def test_what_is_left_out_is_told_where_nothing_failed(folder):
    for k, id in enumerate("abc"):
        write(folder, k, samples=[{"sample": id, **NAMES, **SIZE, "probability": 0.5}])
    shards.gather(folder)
    assert read_whole(folder / "errors.parquet")["message"].tolist() == ["no mask", "no mask"]


def test_a_failed_gathering_leaves_the_tables_of_before(folder):
    for k, id in enumerate("abc"):
        write(folder, k, samples=[{"sample": id, **NAMES, **SIZE, "probability": 0.5}])
    shards.gather(folder)
    before = (folder / "samples.parquet").read_bytes()
    path = shards.read_plan(folder).path(folder, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[:30] + bytes([whole[30] ^ 255]) + whole[31:])
    with pytest.raises(InputError, match="shard 2 is not done or damaged"):
        shards.gather(folder)
    assert (folder / "samples.parquet").read_bytes() == before
    assert not list(folder.glob(".part*"))
    assert pd.read_json(folder / "config.json", typ="series")["config"]["name"] == "mine"
