"""One step of a study of a million images on synthetic shards, with what it cost.

python tests/million.py STEP FOLDER      # make, plan, status or gather: prints JSON
"""

import json
import re
import sys
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm.auto import tqdm

from xaiutils import shards
from xaiutils.config import TABLES, StudyConfig
from xaiutils.datasets import Dataset
from xaiutils.explainers import EXPLAINERS
from xaiutils.run import as_tables

IMAGES, CHUNK = 1_000_000, 500
METRICS = (
    *("iou", "dice", "coverage", "spill", "threshold", "pointing_15", "pointing_0"),
    *("relevance_mass", "relevance_rank", "entropy", "gini", "iou_oracle"),
)
CONFIG = StudyConfig("million", promptings=("dual",), segmenters=("threshold",), fusions=())


def ids_of(shard: int) -> list[str]:
    return [f"image{i:07}" for i in range(shard * CHUNK, (shard + 1) * CHUNK)]


def rows_of(id: str, rng: np.random.Generator) -> dict[str, list[dict]]:
    """An image's rows as a run makes them, of the tables that this simulation holds."""
    settings, cost = "samples=256, superpixels=50", {"forward": 256, "backward": 0}
    cues = list(EXPLAINERS)
    names = {"label": "object", "target": 7, "target_name": "cock", "predicted_name": "hen"}
    size = {"height": 375, "width": 500, "probability": rng.random(), "object_share": rng.random()}
    rows = {
        "samples": [names | size],
        "explanations": [
            {"explainer": cue, "settings": settings, "seconds": rng.random(), **cost}
            for cue in cues
        ],
        "localisation": [
            {"cue": cue, "metric": metric, "value": rng.random()}
            for cue in cues
            for metric in METRICS
        ],
        "agreement": [
            {"a": a, "b": b, "metric": "iou", "value": rng.random()}
            for a, b in combinations(cues, 2)
        ],
        "segmentation": [
            {"cue": cue, "prompting": "otsu", "segmenter": "threshold"}
            | dict(zip(("iou", "dice", "score", "seconds"), rng.random(4).tolist()))
            for cue in cues
        ],
    }
    return {name: [{"sample": id, **row} for row in found] for name, found in rows.items()}


def make(folder: Path) -> None:
    """The shard files: the first row by row, the others with its rows under their own names."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[dict]] = {name: [] for name in TABLES}
    for id in ids_of(0):
        for name, found in rows_of(id, rng).items():
            rows[name] += found
    known = shards.read_plan(folder)
    parts = {n: shards.as_arrow(n, t) for n, t in as_tables(rows).items() if len(t)}
    parts = {name: part.combine_chunks().unify_dictionaries() for name, part in parts.items()}
    codes = {
        name: np.repeat(np.arange(CHUNK, dtype=np.int32), len(part) // CHUNK)
        for name, part in parts.items()
    }
    parts = {name: shards.conform(part, part.schema) for name, part in parts.items()}
    for k in tqdm(range(len(known.shards)), "shards", mininterval=10):
        names = pa.array(ids_of(k))
        for name, part in parts.items():
            column = pa.DictionaryArray.from_arrays(codes[name], names)
            parts[name] = part.set_column(part.column_names.index("sample"), "sample", column)
        shards.write_parts(known.path(folder, k), parts, 0)


def peak_gb() -> float:
    """This program's own peak: `ru_maxrss` starts from the peak of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**20


def main(step: str, folder: Path) -> None:
    ids = tuple(f"image{i:07}" for i in range(IMAGES)) if step in ("plan", "gather") else ()
    dataset = Dataset("folder", ids, lambda id: None)
    shards.dataset_of = lambda config: dataset  # no images: the list of their names is all
    start, clock = time.perf_counter(), time.process_time()
    steps = {
        "plan": lambda: str(shards.plan(CONFIG, CHUNK, compact=True)),
        "make": lambda: make(folder),
        "status": lambda: shards.status(folder),
        "gather": lambda: shards.gather(folder),
    }
    found = steps[step]()
    seconds = time.perf_counter() - start
    cost = {"seconds": seconds, "cpu_seconds": time.process_time() - clock, "peak_gb": peak_gb()}
    print(json.dumps({**cost, "found": found}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
