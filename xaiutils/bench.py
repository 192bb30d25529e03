"""How long each explanation takes, against the same work done with the plain libraries.

    python -m xaiutils.bench            # or: make bench

Same model, settings, photographs and threads, in one process, plain and ours in turn. Writes
figures/bench/speed.csv, a row a classifier and method: medians of the runs in seconds, the ratio of
plain to ours (its median, minimum and maximum over the pairs), model passes, the share of ours that
is model passes, peak memory over that before the call, and Spearman's correlation of the two maps.
Times here are noisy: read the ratios.
"""

import argparse
import contextlib
import ctypes
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from scipy.stats import spearmanr

from xaiutils import plain
from xaiutils.classifiers import FrozenClassifier, Passes, load_classifier
from xaiutils.datasets import Sample, load_dataset
from xaiutils.evaluation import to_image
from xaiutils.explainers import EXPLAINERS, Explainer, Query, make_explainer, saliency
from xaiutils.fusion import entropy_kl_iou
from xaiutils.prompting import dual
from xaiutils.report import output_folder, save_table
from xaiutils.segmenters import load_segmenter

COLUMNS = [
    "classifier",
    "method",
    "plain_s",
    "ours_s",
    "ratio",
    "ratio_min",
    "ratio_max",
    "passes",
    "pass_share",
    "plain_peak_mb",
    "ours_peak_mb",
    "spearman",
    "spearman_seeds",
    "runs",
]
PERTURB = ("scorecam", "fasterscorecam", "occlusion", "kernelshap", "lime")
SAMPLED = ("vargrad", "kernelshap", "lime")
RUNS = {"efficientnet_lite0": 3, "resnet50": 2}  # plain Score-CAM on ResNet-50 takes minutes


def release_freed_memory() -> None:
    """Give memory that was freed back to the system: what a call reuses would not show as its own.

    glibc only; elsewhere the peaks of later calls are too small.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class Peak:
    """Seconds, and the most resident memory over that at the start (MB), of a `with` block."""

    def __enter__(self):
        release_freed_memory()
        self._process, self._done = psutil.Process(), threading.Event()
        self._start = self._most = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self._clock = time.perf_counter()
        return self

    def _watch(self):
        while not self._done.wait(0.005):
            self._most = max(self._most, self._process.memory_info().rss)

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self._clock
        self._done.set()
        self._thread.join()
        self.mb = (self._most - self._start) / 1e6


class Clocked:
    """A classifier whose compiled forward is timed: how much of an explanation is model passes."""

    def __init__(self, classifier: FrozenClassifier):
        self.seconds = 0.0
        forward = classifier._forward

        def timed(batch):
            start = time.perf_counter()
            logits = forward(batch)
            self.seconds += time.perf_counter() - start
            return logits

        classifier.__dict__["_forward"] = timed


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; NaN where a map is constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(spearmanr(a.ravel(), b.ravel()).statistic)


def time_method(name: str, explainer: Explainer, query: Query, clock: Clocked, seed: int) -> dict:
    """One pair of runs, plain and then ours, on one photograph."""
    classifier, x = query.classifier, query.image[None]
    with Peak() as theirs:
        reference = plain.PLAIN[name](classifier, x, query.target, explainer, seed)
    classifier.passes, clock.seconds = Passes(), 0.0
    with Peak() as ours:
        rng = np.random.default_rng(seed) if name == "vargrad" else _Fixed(seed)
        found = explainer.attribute(query, rng)
    row = {
        "plain_s": theirs.seconds,
        "ours_s": ours.seconds,
        "passes": classifier.passes.forward,
        "pass_share": clock.seconds / ours.seconds if name in PERTURB else float("nan"),
        "plain_peak_mb": theirs.mb,
        "ours_peak_mb": ours.mb,
        "spearman": rank_correlation(found, reference),
        "spearman_seeds": float("nan"),
    }
    if name in SAMPLED and seed == 1:  # how far the library's own seeds are apart: once is enough
        other = plain.PLAIN[name](classifier, x, query.target, explainer, seed + 1)
        row["spearman_seeds"] = rank_correlation(reference, other)
    return row | {"map": saliency(found, explainer.sign)}


class _Fixed:
    """Stands for a generator that hands out one seed, so that lime and shap draw as theirs do."""

    def __init__(self, seed: int):
        self._seed = seed

    def integers(self, _high):
        return self._seed


def time_pipeline(sample: Sample, maps: dict[str, np.ndarray], segmenter) -> dict:
    """From nine maps to ten masks: fuse, prompt, segment; plain sessions against ours."""
    fused = entropy_kl_iou(np.stack(list(maps.values()))).map
    cues = [to_image(map, sample.image.shape[:2]) for map in [*maps.values(), fused]]
    prompts = [dual(cue, np.random.default_rng(0)) for cue in cues]
    with Peak() as theirs:
        reference = plain.sam_masks(sample.image, prompts)
    with Peak() as ours:
        segmenter.set_image(sample.image)
        found = [prediction.mask for prediction in segmenter.predict_many(prompts)]
    same = [np.sum(a & b) / max(np.sum(a | b), 1) for a, b in zip(reference, found, strict=True)]
    return {
        "plain_s": theirs.seconds,
        "ours_s": ours.seconds,
        "plain_peak_mb": theirs.mb,
        "ours_peak_mb": ours.mb,
        "mask_iou": float(np.mean(same)),
    }


def collect(classifier: FrozenClassifier, preset: str, runs: int, report) -> dict[str, list[dict]]:
    """Every pair of runs by method, each run on another bundled photograph."""
    dataset = load_dataset("sample")
    segmenter = load_segmenter("embedded_sam", runtime="openvino")
    clock = Clocked(classifier)
    classifier.logits(np.zeros((1, 3, classifier.size, classifier.size), "f4"))
    explainers = {name: make_explainer(name, preset) for name in EXPLAINERS}
    found: dict[str, list[dict]] = {name: [] for name in [*EXPLAINERS, "masks"]}
    for run in range(runs + 1):  # the first is a warm-up, of the quick methods only
        sample = dataset.load(dataset.ids[run % len(dataset)])
        query = Query(classifier, classifier.preprocess(sample.image), sample.target)
        maps = {}
        for name, explainer in explainers.items():
            if run == 0 and name in PERTURB:
                continue
            row = time_method(name, explainer, query, clock, seed=run)
            maps[name] = row.pop("map")
            if run:
                found[name].append(row)
                report(f"run {run} {name}: {row['plain_s']:.2f} s, ours {row['ours_s']:.2f} s")
        masks = time_pipeline(sample, maps, segmenter)
        if run:
            found["masks"].append(masks)
    return found


def row_of(classifier: str, method: str, pairs: list[dict]) -> dict:
    """Medians over the runs, and the spread of the ratio over its pairs."""
    table = pd.DataFrame(pairs)
    ratio = table["plain_s"] / table["ours_s"]
    row = {"classifier": classifier, "method": method, "runs": len(table)}
    for column in COLUMNS:
        if column in table:
            peak = column.endswith("peak_mb")
            row[column] = table[column].max() if peak else table[column].median()
    return row | {"ratio": ratio.median(), "ratio_min": ratio.min(), "ratio_max": ratio.max()}


def total(parts: list[list[dict]]) -> list[dict]:
    """The runs of several methods one after the other: seconds and passes add up."""
    rows = []
    for pairs in zip(*parts, strict=True):
        table = pd.DataFrame(list(pairs))
        summed = {key: table[key].sum() for key in ("plain_s", "ours_s", "passes") if key in table}
        peaks = {key: table[key].max() for key in ("plain_peak_mb", "ours_peak_mb")}
        rows.append(summed | peaks)
    return rows


def speed_table(classifier: str, found: dict[str, list[dict]]) -> pd.DataFrame:
    """A row a method, then `all nine`, and `pipeline`: all nine and ten masks of the fused cues."""
    nine = total([found[name] for name in EXPLAINERS])
    rows = [row_of(classifier, name, found[name]) for name in EXPLAINERS]
    rows.append(row_of(classifier, "all nine", nine))
    rows.append(row_of(classifier, "pipeline", total([nine, found["masks"]])))
    return pd.DataFrame(rows).reindex(columns=COLUMNS)


def others(folder: Path, tables: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """The rows of an earlier run about classifiers that this one has not timed."""
    path = folder / "speed.csv"
    if not path.exists():
        return []
    earlier = pd.read_csv(path)
    timed = pd.concat(tables)["classifier"].unique()
    return [earlier[~earlier["classifier"].isin(timed)]]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m xaiutils.bench", description=__doc__)
    parser.add_argument("--classifiers", default="efficientnet_lite0,resnet50")
    parser.add_argument("--preset", default="fast")
    parser.add_argument(
        "--runs", type=int, help="interleaved pairs of runs (default 3; ResNet-50 2)"
    )
    parser.add_argument("--folder", default="", help="default: figures/bench of the repository")
    options = parser.parse_args(arguments)
    folder = output_folder("bench", options.folder)
    print(f"{torch.get_num_threads()} threads, preset {options.preset}")
    tables = []
    for name in options.classifiers.split(","):
        classifier = load_classifier(name)
        runs = options.runs or RUNS.get(name, 3)
        say = lambda text, name=name: print(f"{name}: {text}", flush=True)  # noqa: E731
        tables.append(speed_table(name, collect(classifier, options.preset, runs, say)))
        save_table(pd.concat([*others(folder, tables), *tables]), folder, "speed")
    print(pd.concat(tables).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
