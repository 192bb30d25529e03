"""Every mask of every gallery (`xaiutils.gallery`), with its features and its true IoU.

A row a candidate: of each explainer, each fusion (the paper's, the mean, the stacked and the graph
one) and, as a control, of a blob in the centre that stands in for an explanation. A single
explainer's gallery holds the shared masks and those that its own map suggests; a fusion's holds
those of all explainers too. iou and dice are the truth that a choice is to be judged by; the
features never see it. seconds: SAM's for this mask (0 for a union).
"""

import time
from dataclasses import dataclass, field

import numpy as np

from xaiutils import gallery, learned, learned_fusion
from xaiutils.config import stream
from xaiutils.datasets import Sample
from xaiutils.gallery import FEATURES, Candidate
from xaiutils.maps import is_flat
from xaiutils.metrics.localisation import dice, iou
from xaiutils.sections.cues import explainers, proxy_segmenter
from xaiutils.segmenters import Segmenter
from xaiutils.study import Study

COLUMNS = ["sample", "cue", "candidate", "iou", "dice", "seconds", *FEATURES]
VERSION = [1, learned.version("stacking")]
FUSED = ("fused-weighted", "fused-mean")
CONTROL = "floor:centre map"
SEGMENTER = "embedded_sam"


def units(study: Study) -> list[str]:
    return study.sample_ids


def measure(study: Study, unit: str) -> list[dict]:
    sample = study.sample(unit)
    single = {name: study.saliency(unit, name) for name in explainers(study)}
    fused = fusions(study, sample, single)
    bench = Bench(sam_of(study), sample)
    shared = bench.propose(gallery.shared_prompts(sample.mask.shape))
    own = {
        cue: bench.propose(
            gallery.map_prompts(map, stream(study.config.seed, unit, f"{cue} gallery")), f"{cue} "
        )
        for cue, map in {**single, **fused}.items()
    }
    everyone = [candidate for cue in single for candidate in own[cue]]
    rows = []
    for cue, map in single.items():
        rows += bench.rows(cue, [*shared, *own[cue]], map, [map])
    for cue, map in fused.items():
        rows += bench.rows(cue, [*shared, *everyone, *own[cue]], map, list(single.values()))
    blob = gallery.centre_map(sample.mask.shape)
    rows += bench.rows(CONTROL, shared, blob, [blob])
    return [{"sample": unit, **row} for row in rows]


def sam_of(study: Study) -> Segmenter:
    """The study's SAM; the embedded one where the study used none (a training study)."""
    if set(study.config.segmenters) & {"sam2", SEGMENTER}:
        return study.segmenter(proxy_segmenter(study.table("segmentation")))
    return study.segmenter(SEGMENTER)


def fusions(study: Study, sample: Sample, single: dict) -> dict[str, np.ndarray]:
    """The study's fusions that are compared, and the two that are made here, by cue."""
    found = {cue: study.saliency(sample.id, cue) for cue in FUSED if cue in study.cues}
    if learned.version("stacking") is not None:
        found["fused-stacked"] = learned_fusion.stack(single, learned.read("stacking"))
    if "fused-weighted" in found:
        found["fused-graph"] = learned_fusion.graph(found["fused-weighted"], sample.image)
    return found


@dataclass
class Bench:
    """One image before its segmenter; each mask is timed and compared with the truth once."""

    segmenter: Segmenter
    sample: Sample
    known: dict[int, dict] = field(default_factory=dict)

    def __post_init__(self):
        self.segmenter.set_image(self.sample.image)

    def propose(self, prompts: dict, prefix: str = "") -> list[Candidate]:
        found = []
        for name, prompt in prompts.items():
            start = time.perf_counter()
            made = gallery.propose(self.segmenter, {name: prompt}, prefix)
            found += made
            for candidate in made:
                self.truth(candidate, time.perf_counter() - start)
        return found

    def truth(self, candidate: Candidate, seconds: float = 0.0) -> dict:
        """iou, dice and seconds of a candidate (which is kept, so that its id stays its own)."""
        if id(candidate) not in self.known:
            masks = candidate.mask, self.sample.mask, self.sample.void
            found = {"iou": iou(*masks), "dice": dice(*masks), "seconds": seconds}
            self.known[id(candidate)] = {"candidate": candidate, "found": found}
        return self.known[id(candidate)]["found"]

    def rows(self, cue: str, candidates: list[Candidate], map, others) -> list[dict]:
        """A row for each mask of a cue's gallery; none for a flat map, which chooses nothing."""
        if is_flat(map) or not candidates:
            return []
        start = time.perf_counter()
        whole = gallery.gallery(self.segmenter, candidates, others)
        again = [c for c in whole[len(candidates) :] if c.logits is not None]
        each = (time.perf_counter() - start) / max(len(again), 1)
        for candidate in again:
            self.truth(candidate, each)
        table = gallery.features(whole, map, others)
        return [
            {"cue": cue, "candidate": c.name, **self.truth(c), **dict(zip(FEATURES, row.tolist()))}
            for c, row in zip(whole, table)
        ]
