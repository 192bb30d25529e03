"""Prompting strategies that are meant to win: rows like those of the table `segmentation`.

Prompting "gallery" and "gallery-learned": the mask that each chooses of every gallery of the
analysis `gallery`, which has to be made first; the learned and the graph-based fusion also by
Otsu's threshold ("otsu") and by the paper's dual cues ("dual"). Beside them the masks that no map
proposed, chosen by a blob in the centre (cue "floor:centre map"), and the best mask of any gallery,
chosen with the truth ("ceiling:best of gallery"). score is SAM's; seconds those of all masks of the
gallery.

The choosers' numbers come from `data/learned/selection.json`, found on training images alone.
"""

import time

import numpy as np
import pandas as pd

from xaiutils import gallery, learned
from xaiutils.analyses import gallery as masks
from xaiutils.config import stream
from xaiutils.evaluation import NAN
from xaiutils.gallery import FEATURES
from xaiutils.maps import is_flat, otsu, threshold
from xaiutils.metrics.localisation import dice, iou
from xaiutils.prompting import dual
from xaiutils.sections.cues import explainers
from xaiutils.study import TABLES, Study

COLUMNS = TABLES["segmentation"]
VERSION = [1, masks.VERSION, learned.version("selection")]
NEW = ("fused-stacked", "fused-graph")
CEILING = "ceiling:best of gallery"


def units(study: Study) -> list[str]:
    return study.sample_ids


def measure(study: Study, unit: str) -> list[dict]:
    segmenter = masks.sam_of(study)
    name = "sam2" if "sam2" in study.config.segmenters else masks.SEGMENTER
    table = study.table("gallery")
    table = table[table["sample"] == unit]
    rows = [{**row, "segmenter": name} for row in choices(table, learned.read("selection"))]
    sample = study.sample(unit)
    segmenter.set_image(sample.image)
    single = {cue: study.saliency(unit, cue) for cue in explainers(study)}
    for cue, map in masks.fusions(study, sample, single).items():
        if cue in NEW:
            rng = stream(study.config.seed, unit, f"{cue} dual")
            rows += fused_rows(cue, map, sample, segmenter, name, rng)
    return [{"sample": unit, **row} for row in rows]


def choices(table: pd.DataFrame, selection: dict) -> list[dict]:
    """What both choosers take of every gallery in one image's table, and the best of all."""
    rows = []
    for cue, part in table.groupby("cue", sort=False):
        for prompting in ("gallery", "gallery-learned"):
            weights = learned.weights_for(selection, prompting, cue)
            best = gallery.scores(part[list(FEATURES)].to_numpy(float), weights).argmax()
            rows.append(_row(cue, prompting, part.iloc[best], part["seconds"].sum()))
    defined = table.dropna(subset=["iou"])
    if len(defined):
        best = defined.loc[defined["iou"].idxmax()]
        rows.append(_row(CEILING, "gallery", best, NAN))
    return rows


def _row(cue: str, prompting: str, candidate: pd.Series, seconds: float) -> dict:
    measured = {name: float(candidate[name]) for name in ("iou", "dice", "score")}
    return {"cue": cue, "prompting": prompting, **measured, "seconds": float(seconds)}


def fused_rows(cue: str, map: np.ndarray, sample, segmenter, name: str, rng) -> list[dict]:
    """A fusion by Otsu's threshold and by dual cues; NaN for a flat map."""
    undefined = {"iou": NAN, "dice": NAN, "score": NAN, "seconds": NAN}
    flat = is_flat(map)
    seed = undefined if flat else _measured(threshold(map, otsu(map, ~sample.void)), sample)
    prompted = undefined
    if not flat:
        start = time.perf_counter()
        found = segmenter.predict(dual(map, rng))
        seconds = time.perf_counter() - start
        prompted = {**_measured(found.mask, sample), "score": found.score, "seconds": seconds}
    return [
        {"cue": cue, "prompting": "otsu", "segmenter": "threshold", **seed},
        {"cue": cue, "prompting": "dual", "segmenter": name, **prompted},
    ]


def _measured(mask: np.ndarray, sample) -> dict:
    pair = mask, sample.mask, sample.void
    return {"iou": iou(*pair), "dice": dice(*pair), "score": NAN, "seconds": NAN}
