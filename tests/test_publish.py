"""Publishing a study: tables and summary without images or paths."""

import json

import pandas as pd
import pytest

from xaiutils.errors import InputError
from xaiutils.publish import publish


def test_the_published_copy_names_no_folder_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    from xaiutils.datasets import SAMPLE_ROOT
    from xaiutils.study import StudyConfig, open_study, run_study

    config = StudyConfig(
        "tiny",
        dataset="folder",
        root=str(SAMPLE_ROOT),
        limit=2,
        explainers=("gradcam", "gradcam++"),
        segmenters=("threshold",),
        promptings=("dual",),
    )
    run_study(config, progress=False)
    folder = publish("tiny", tmp_path / "stored")
    stored = json.loads((folder / "config.json").read_text())
    assert stored["config"]["root"] is None and not (folder / "units").exists()
    assert str(tmp_path) not in "".join(p.read_text() for p in folder.glob("*.*[nv]"))
    summary = pd.read_csv(folder / "summary.csv")
    assert list(summary)[:4] == ["cue", "prompting", "segmenter", "metric"]
    assert (folder / "claims.csv").exists()
    with pytest.raises(InputError, match="the study itself"):
        publish("tiny", tmp_path / "studies")
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "stored"))
    assert open_study("tiny").has_arrays is False
    assert len(open_study("tiny").table("localisation")) > 0
