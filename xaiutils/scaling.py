"""How time and memory grow with images, samples, image size and processes.

    python -m xaiutils.scaling          # part of: make bench

Every point is a process of its own on copies of one bundled photograph; time is that of the work
without start-up, memory the most that the process held. Writes figures/bench/scaling.csv and
scaling.png with the slope of a line fitted in log-log: 1 is proportional, 0 is constant.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image

from xaiutils.datasets import load_dataset
from xaiutils.figures.style import caption, style
from xaiutils.report import output_folder, save_figure, save_table
from xaiutils.study import StudyConfig, run_study

AXES = {
    "images": [1, 10, 100],
    "samples": [128, 256, 512, 1024, 2048],
    "size": [128, 256, 512, 1024],
    "workers": [1, 2],
}
LABELS = {
    "images": "images (copies of one)",
    "samples": "LIME samples",
    "size": "longest side of the image (px)",
    "workers": "processes (12 images, 2 threads in all)",
}
QUICK = (("lime", (("samples", 128),)), ("occlusion", (("stride", 32),)))


def config(axis: str, value: int, root: str) -> StudyConfig:
    """The work of a point: a few quick explainers, or the one whose samples are varied."""
    segmenters = ("embedded_sam", "threshold") if axis == "size" else ("threshold",)
    explainers, settings = ("gradcam", "occlusion", "lime"), QUICK
    if axis == "samples":
        explainers, settings = ("lime",), (("lime", (("samples", value),)),)
    return StudyConfig(
        f"scaling-{axis}-{value}",
        dataset="folder",
        root=root,
        explainers=explainers,
        settings=settings,
        promptings=("dual",),
        segmenters=segmenters,
    )


def copies(folder: Path, count: int, side: int = 320) -> None:
    """`count` copies of a bundled photograph and its mask, the longest side `side` px."""
    sample = load_dataset("sample").load("hens")
    scale = side / max(sample.mask.shape)
    size = [round(length * scale) for length in sample.mask.shape[::-1]]
    for kind, array in (("images", sample.image), ("masks", sample.mask.astype(np.uint8) * 255)):
        (folder / kind).mkdir(parents=True)
        picture = Image.fromarray(array).resize(size)
        for i in range(count):
            picture.save(folder / kind / f"{i:03d}.png")


def work(axis: str, value: int, root: str) -> float:
    """Run a point's study in this process; seconds without the loading of the models."""
    study = config(axis, value, root)
    with tempfile.TemporaryDirectory() as folder:  # one image first: models, kernels and caches
        copies(Path(folder, "one"), 1)
        with patch.dict(os.environ, XAIUTILS_STUDIES=folder):
            run_study(config("images", 1, f"{folder}/one"), progress=False)
    empty = tempfile.mkdtemp(dir=root)  # nothing computed here yet
    with patch.dict(os.environ, XAIUTILS_STUDIES=empty):
        start = time.perf_counter()
        run_study(study, progress=False)
        return time.perf_counter() - start


def worker(job: tuple[str, int, str, int]) -> float:
    """One of several processes, with its share of the threads."""
    axis, value, root, threads = job
    torch.set_num_threads(threads)
    return work(axis, value, root)


def point(axis: str, value: int) -> dict:
    """Seconds and peak memory of one point, measured in this process (or its workers)."""
    workers = value if axis == "workers" else 1
    counts = {"images": value, "workers": 12 // workers}
    side = value if axis == "size" else 320
    with tempfile.TemporaryDirectory() as folder:
        roots = [Path(folder, str(i)) for i in range(workers)]
        for root in roots:
            copies(root, counts.get(axis, 1), side)
        threads = max(torch.get_num_threads() // workers, 1)
        jobs = [(axis, value, str(root), threads) for root in roots]
        if workers == 1:
            seconds, who = worker(jobs[0]), resource.RUSAGE_SELF
        else:
            with multiprocessing.get_context("spawn").Pool(workers) as pool:
                seconds = max(pool.map(worker, jobs))
            who = resource.RUSAGE_CHILDREN
    return {"seconds": seconds, "peak_mb": resource.getrusage(who).ru_maxrss / 1e3}


def measure() -> pd.DataFrame:
    """Every point in a fresh process: a row each with axis, value, seconds, peak_mb."""
    rows = []
    for axis, values in AXES.items():
        for value in values:
            command = [sys.executable, "-m", "xaiutils.scaling", "--point", axis, str(value)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append({"axis": axis, "value": value, **json.loads(done.stdout.splitlines()[-1])})
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of the least-squares line through (log x, log y)."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def scaling_figure(table: pd.DataFrame) -> Figure:
    """Two rows, time and memory, a column an axis, with the fitted slope in each title."""
    with style():
        figure, grid = plt.subplots(2, len(AXES), figsize=(11, 5), sharex="col", layout="tight")
        for column, axis in enumerate(AXES):
            part = table[table["axis"] == axis]
            for row, (value, unit) in enumerate(
                [("seconds", "time (s)"), ("peak_mb", "peak (MB)")]
            ):
                ax = grid[row, column]
                ax.plot(part["value"], part[value], "o-", color="#0072b2")
                ax.set(
                    xscale="log",
                    yscale="log",
                    title=f"slope {slope(part['value'], part[value]):.2f}",
                )
                ax.set_xticks(part["value"], [str(v) for v in part["value"]])
                ax.minorticks_off()
                low, high = part[value].min(), part[value].max()
                ax.set_ylim(low / 1.6, high * 1.6)
                ticks = np.geomspace(low, high, 3) if high > 1.1 * low else [np.sqrt(low * high)]
                ax.set_yticks(
                    ticks, [f"{tick:,.0f}" if tick > 100 else f"{tick:.1f}" for tick in ticks]
                )
                if column == 0:
                    ax.set_ylabel(unit)
            grid[1, column].set_xlabel(LABELS[axis])
        caption(figure, "EfficientNet-Lite0; Grad-CAM, Occlusion and LIME; size: with embedded SAM")
    return figure


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m xaiutils.scaling", description=__doc__)
    parser.add_argument("--point", nargs=2, metavar=("AXIS", "VALUE"), help="measure one point")
    parser.add_argument("--folder", default="", help="default: figures/bench of the repository")
    options = parser.parse_args(arguments)
    if options.point:
        print(json.dumps(point(options.point[0], int(options.point[1]))))
        return
    folder = output_folder("bench", options.folder)
    table = save_table(measure(), folder, "scaling")
    save_figure(scaling_figure(table), folder, "scaling")


if __name__ == "__main__":
    main()
