"""Publishing a study: tables and summary without images or paths; thresholds tuned elsewhere."""

import json

import pandas as pd
import pytest

from xaiutils.errors import InputError
from xaiutils.publish import at_tuned, publish, tuned_thresholds


def curve(cue, *values):
    return [("s", cue, level, value) for level, value in zip((0.25, 0.5, 0.75), values)]


def frame(*curves):
    rows = [row for rows in curves for row in rows]
    return pd.DataFrame(rows, columns=["sample", "cue", "level", "iou"])


def test_thresholds_are_chosen_on_one_set_and_applied_to_another():
    train = frame(curve("gradcam", 0.1, 0.6, 0.5), curve("ig", 0.4, 0.2, 0.1))
    levels = tuned_thresholds(train)
    assert levels.to_dict() == {"gradcam": 0.5, "ig": 0.25}
    found = at_tuned(frame(curve("gradcam", 0.9, 0.3, 0.8), curve("ig", 0.2, 0.7, 0.7)), levels)
    assert found["iou"].tolist() == [0.3, 0.2]  # not the best of these images


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
