"""A study of a million images: planning, asking and gathering take a minute and little memory.

Simulated are five tables of a compact study of nine explainers: samples, explanations,
localisation, agreement (one measure of the several) and segmentation (one mask a cue), without
fusions. Not simulated are thresholds (41 levels a cue, which alone would be 369 million rows),
votes, mask_agreement, weights and proxy: with all of them `gather` takes longer, in proportion to
the rows; its memory does not grow. What is held below a minute is a processor's seconds: on shared
machines those of the clock are as much the neighbours' as ours. Both are printed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from million import CHUNK, IMAGES, METRICS

from xaiutils.store import write_table
from xaiutils.tally import summary_of

SECONDS, GIGABYTES = 60, 2


@pytest.mark.slow
def test_a_million_images_within_a_minute_and_two_gigabytes(tmp_path):
    folder = tmp_path / "million"
    script = Path(__file__).with_name("million.py")

    def step(name: str) -> dict:
        command = [sys.executable, str(script), name, str(folder)]
        env = {**os.environ, "XAIUTILS_STUDIES": str(tmp_path)}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
        cost = json.loads(done.stdout.splitlines()[-1])
        found = cost.pop("found")
        print(name, {key: round(value, 2) for key, value in cost.items()})
        if name != "make":
            assert cost["cpu_seconds"] < SECONDS and cost["peak_gb"] < GIGABYTES, (name, cost)
        return found

    total = IMAGES // CHUNK
    step("plan")
    step("make")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == total + 3  # the plan's table, its JSON, and the lock
    found = step("status")
    assert found["shards_done"] == total and found["samples_done"] == IMAGES
    step("gather")
    rows = {"samples": 1, "explanations": 9, "localisation": 9 * len(METRICS), "agreement": 36}
    for name, count in rows.items():
        assert pq.read_metadata(folder / f"{name}.parquet").num_rows == count * IMAGES
    ends = pq.read_table(folder / "samples.parquet", columns=["sample"])["sample"]
    assert [ends[0].as_py(), ends[-1].as_py()] == ["image0000000", f"image{IMAGES - 1:07}"]
    summary = pd.read_csv(folder / "summary.csv")
    assert len(summary) == 9 * len(METRICS) and (summary["n"] == IMAGES).all()


def test_the_summary_of_a_large_study_is_that_of_a_small_one(tmp_path):
    """Sums over row groups against the bootstrap: equal means, intervals within its noise."""
    rng = np.random.default_rng(0)
    n = 4000
    cues = np.repeat(["b", "a"], n)
    value = np.where(rng.random(2 * n) < 0.1, np.nan, rng.random(2 * n))
    maps = {"sample": "i", "cue": cues, "metric": "gini", "value": value}
    left_out = {"sample": "i", "cue": cues, "metric": "iou", "value": 2.0}
    masks = {"sample": "i", "cue": cues, "prompting": "dual", "segmenter": "threshold"}
    masks |= {"iou": rng.random(2 * n), "dice": value, "score": 1.0, "seconds": 1.0}
    tables = pd.concat([pd.DataFrame(maps), pd.DataFrame(left_out)], ignore_index=True)
    write_table(tmp_path / "localisation.parquet", tables)
    write_table(tmp_path / "segmentation.parquet", pd.DataFrame(masks))
    small, large = summary_of(tmp_path, n), summary_of(tmp_path, n, large=10)
    numbers = ["mean", "low", "high"]
    pd.testing.assert_frame_equal(small.drop(columns=numbers), large.drop(columns=numbers))
    assert np.allclose(small["mean"], large["mean"], rtol=0, atol=1e-12)
    assert np.allclose(small[numbers], large[numbers], rtol=0, atol=1e-3)
