"""Random bytes for every reader of files, for a few seconds each (`fuzz.py` is the program)."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from xaiutils.config import StudyConfig
from xaiutils.datasets import load_dataset
from xaiutils.errors import InputError
from xaiutils.run import write_config
from xaiutils.study import read_config

HERE = Path(__file__).resolve().parent
READERS = ("image", "unit", "config", "labels", "table", "archive", "probe", "json", "plan")
READERS += ("coco", "lists")
needs_atheris = pytest.mark.skipif(
    find_spec("atheris") is None, reason='atheris is not installed: pip install -e ".[fuzz]"'
)


def fuzz(arguments: list[str], folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
    )


@pytest.mark.slow
@needs_atheris
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_refuses_or_reads_whatever_it_is_given(reader, tmp_path):
    done = fuzz([str(HERE / "fuzz.py"), reader, "--seconds", "6"], tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.slow
@needs_atheris
def test_the_fuzzer_finds_a_fault_that_is_there(tmp_path):
    planted = "import fuzz\n"
    planted += "def reader(path):\n    if path.read_bytes()[2:3] == b'z': raise KeyError('here')\n"
    planted += "fuzz.READERS['labels'] = (reader, *fuzz.READERS['labels'][1:])\nfuzz.main()\n"
    done = fuzz(["-c", planted, "labels", "--seconds", "60"], tmp_path)
    assert done.returncode != 0 and "KeyError: 'here'" in done.stderr + done.stdout
    assert [path for path in tmp_path.iterdir() if path.name.startswith("crash-")]


# ---- what a fuzzer would need long to find


ODD = [None, True, -1, 10**30, 1.5, "", "x", "../../etc", "\ud800", "a\0b", [], [[]], [None], [1]]
ODD += [
    {},
    {"a": 1},
    [["lime", 5]],
    [["lime", [["samples"]]]],
    [["nobody", []]],
    ["gradcam", ["ig"]],
]


@pytest.mark.parametrize("field", [field.name for field in fields(StudyConfig)])
def test_every_odd_value_of_a_setting_is_refused_or_of_the_right_type(field, tmp_path):
    path = tmp_path / "config.json"
    write_config(path, StudyConfig())
    stored = json.loads(path.read_text())
    whole = type(getattr(StudyConfig(), field))
    for value in ODD:
        stored["config"][field] = value
        path.write_text(json.dumps(stored))
        try:
            found = getattr(read_config(path), field)
        except InputError as error:
            assert re.search(rf"{field.rstrip('s')}|setting|explainer", str(error))
        else:
            assert isinstance(found, (whole, type(None), str, int))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "1", '"x"', "[" * 100_000, '{"schema": 1}', '{"schema": [1]}'),
        *('{"schema": 1, "config": []}', '{"schema": 1, "config": {"other": 1}}', "\ufeff{}"),
    ],
    ids=range(12),
)
def test_what_is_no_configuration_is_refused_by_name(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"config\.json: "):
        read_config(path)


def test_a_number_of_five_thousand_digits_is_no_class(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    (tmp_path / "labels.csv").write_text(f"file,label,imagenet_index\na,cat,{'9' * 5000}\n")
    with pytest.raises(InputError, match=r"labels\.csv: imagenet_index '9{20}' is not a whole"):
        load_dataset("folder", tmp_path)
