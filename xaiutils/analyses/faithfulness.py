"""Does the classifier depend on what a map marks? Deletion and insertion areas of every cue.

Rows sample, cue, metric, value:

- `deletion`, `insertion`: area under the probability of the explained class while the highest
  pixels of the network's input go or come, in `STEPS` steps, against the blurred image
  (`metrics.faithfulness`). Cues are the explainers, two fusions and three controls that have not
  seen the image.
- `attribution_sum`, `score_difference`: what a completeness axiom sets equal, for each explainer:
  the sum of its raw map, and the logit of the image minus that of the zero input, the baseline of
  Integrated Gradients and KernelSHAP. A KernelSHAP value counts once a superpixel, not once a
  pixel. Other methods promise no such equality; their sums are there as the contrast.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy.ndimage import zoom

from xaiutils.classifiers import FrozenClassifier
from xaiutils.config import stream
from xaiutils.explainers import EXPLAINERS, Query, saliency
from xaiutils.explainers.masked import scores
from xaiutils.fusion import FUSIONS
from xaiutils.metrics.faithfulness import blurred, deletion, insertion
from xaiutils.study import Study

COLUMNS = ["sample", "cue", "metric", "value"]
VERSION = 1
STEPS = 16
BLOBS = 7  # cells along a side of the coarse random map: the last layer of the usual networks
FUSED = ("weighted", "mean")  # the fusions that draw nothing at random


def units(study: Study) -> list[str]:
    return study.sample_ids


def measure(study: Study, unit: str) -> list[dict]:
    """About 15 cues x 2 curves x (STEPS + 1) forward passes of one image."""
    query, raw = query_of(study, unit), raw_maps(study, unit)
    maps = input_maps(raw) | controls(query.classifier.size, stream(study.config.seed, unit))
    rows = curves(query, maps) + completeness(query, raw, superpixel_counts(study))
    return [{"sample": unit, **row} for row in rows]


def query_of(study: Study, id: str) -> Query:
    """The sample's image at the network's input and the class that the study explains."""
    target = study.table("samples").set_index("sample").loc[id, "target"]
    classifier = study.classifier
    return Query(classifier, classifier.preprocess(study.sample(id).image), int(target))


def raw_maps(study: Study, id: str) -> dict[str, np.ndarray]:
    """The study's raw maps (S, S) of one sample by explainer; one that failed is left out."""
    known = study.table("explanations")
    names = known.loc[known["sample"] == id, "explainer"]
    return {name: study.raw(id, name) for name in names}


def input_maps(raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Saliency maps (S, S) of the explainers and of their fusions, at the network's input."""
    maps = {name: saliency(map, EXPLAINERS[name].sign) for name, map in raw.items()}
    stack = np.stack(list(maps.values()))
    return maps | {f"fused-{name}": FUSIONS[name](stack, None).map for name in FUSED}


def controls(size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Maps (size, size) that no image and no network has shaped.

    Two random ones, since the grain of a map matters to the curves: a value for each pixel breaks
    up every texture at once, a coarse grid enlarged has the grain of a CAM. And a Gaussian around
    the centre, sigma a quarter of the side: where photographers put their object.
    """
    pixels = rng.random((size, size))
    blobs = zoom(rng.random((BLOBS, BLOBS)), size / BLOBS, order=1, mode="nearest", grid_mode=True)
    offset = (np.arange(size) - (size - 1) / 2) / (size / 4)
    centre = np.exp(-(offset[:, None] ** 2 + offset**2) / 2)
    return {
        "control:random pixels": pixels,
        "control:random blobs": blobs,
        "control:centre": centre,
    }


def curves(query: Query, maps: Mapping[str, np.ndarray]) -> list[dict]:
    """Rows (cue, metric, value) of both areas of every map."""
    image = query.image.numpy()
    base = blurred(image)

    def probability(batch: np.ndarray) -> np.ndarray:
        return scores(query, batch, "probability")

    measures: dict[str, Callable] = {"deletion": deletion, "insertion": insertion}
    return [
        {"cue": cue, "metric": metric, "value": area(probability, image, map, base, STEPS)[2]}
        for cue, map in maps.items()
        for metric, area in measures.items()
    ]


def superpixel_counts(study: Study) -> dict[str, int]:
    """About how many superpixels those explainers hide that hide superpixels."""
    made = study.config.make_explainers()
    return {name: e.superpixels for name, e in made.items() if hasattr(e, "superpixels")}


def completeness(
    query: Query, raw: Mapping[str, np.ndarray], counts: Mapping[str, int]
) -> list[dict]:
    """Rows (cue, attribution_sum or score_difference, value) of every raw map."""
    difference = score_difference(query.classifier, query.image, query.target)
    rows = []
    for cue, map in raw.items():
        weight = 1 / region_sizes(query.superpixels(counts[cue])) if cue in counts else 1.0
        total = float((map.astype(np.float64) * weight).sum())
        rows.append({"cue": cue, "metric": "attribution_sum", "value": total})
        rows.append({"cue": cue, "metric": "score_difference", "value": difference})
    return rows


def region_sizes(labels: np.ndarray) -> np.ndarray:
    """(S, S): for each pixel, how many pixels its superpixel has."""
    return np.bincount(labels.ravel())[labels]


def score_difference(classifier: FrozenClassifier, image: torch.Tensor, target: int) -> float:
    """Logit of the image minus logit of the zero input, by the uncompiled float32 network."""
    with torch.no_grad():
        both = classifier.differentiable(torch.stack([image, torch.zeros_like(image)]))
    return float(both[0, target] - both[1, target])
