"""How much a map moves when nothing that matters has changed: noise, seed, mild augmentation.

Rows sample, explainer, metric, value; on the first `SAMPLES` images, as few as decide a claim,
since every number asks for several explanations. Explainers have the fast preset's settings
whatever the study's are, and few draws: the maximum over more draws would be higher.

- `max_sensitivity`: over `DRAWS` disturbances of the network's input by 2 % of its range
  (`metrics.stability`), of the raw map, with the explainer's own seed held fixed;
- `seed_spread`, `seed_correlation`: over `SEEDS` seeds, the normalised maps' relative spread and
  their mean pairwise Spearman correlation; 0 and 1 for explainers that draw nothing;
- `augmentation_spread`: the same spread over the image, its mirror image and a brighter copy, with
  the mirroring undone.

Score-CAM costs as much as all others together: it is measured on the first `SLOW_SAMPLES` only.
"""

from collections.abc import Callable

import numpy as np
import torch

from xaiutils.analyses.faithfulness import query_of
from xaiutils.config import stream
from xaiutils.explainers import Explainer, Query, make_explainer, saliency
from xaiutils.maps import normalise
from xaiutils.metrics.agreement import spearman
from xaiutils.metrics.stability import max_sensitivity, spread
from xaiutils.names import in_order
from xaiutils.statistics import FEWEST
from xaiutils.study import Study

COLUMNS = ["sample", "explainer", "metric", "value"]
VERSION = 1
SAMPLES, SLOW_SAMPLES = FEWEST, 1
DRAWS, SEEDS = 2, 3
RADIUS = 0.02
BRIGHTER = 1.1
DRAWING = ("vargrad", "kernelshap", "lime")  # explainers that depend on a seed
SLOW = ("scorecam",)


def units(study: Study) -> list[str]:
    return study.sample_ids[:SAMPLES]


def measure(study: Study, unit: str) -> list[dict]:
    few = unit in study.sample_ids[:SLOW_SAMPLES]
    names = [name for name in in_order(study.config.explainers) if few or name not in SLOW]
    query, rows = query_of(study, unit), []
    augmented = augmentations(study, unit, query)
    for name in names:
        rng = stream(study.config.seed, unit, "stability", name)
        found = stability(make_explainer(name, "fast"), query, augmented, rng)
        rows += [dict(zip(COLUMNS, (unit, name, *row))) for row in found.items()]
    return rows


Undo = Callable[[np.ndarray], np.ndarray]


def augmentations(study: Study, id: str, query: Query) -> list[tuple[torch.Tensor, Undo]]:
    """Mild changes of the image at the network's input, each with what undoes it on the map."""
    image = study.sample(id).image
    brighter = np.clip(image.astype(np.float32) * BRIGHTER, 0, 255).round().astype(np.uint8)
    return [
        (query.image.flip(-1), lambda map: map[:, ::-1]),
        (study.classifier.preprocess(brighter), lambda map: map),
    ]


def stability(
    explainer: Explainer,
    query: Query,
    augmented: list[tuple[torch.Tensor, Undo]],
    rng: np.random.Generator,
) -> dict[str, float]:
    """The four measures of one explainer on one image."""
    seed = int(rng.integers(2**32))
    first = explainer.attribute(query, np.random.default_rng(seed))

    def explain(image: np.ndarray) -> np.ndarray:
        if image is undisturbed:
            return first
        return again(explainer, query, torch.from_numpy(image.astype(np.float32)), seed)

    undisturbed = query.image.numpy()
    others = [undo(again(explainer, query, image, seed)) for image, undo in augmented]
    seeded = [first] * SEEDS
    if explainer.name in DRAWING:
        more = range(1, SEEDS)
        seeded[1:] = [explainer.attribute(query, np.random.default_rng([seed, i])) for i in more]
    return {
        "max_sensitivity": max_sensitivity(explain, undisturbed, rng, RADIUS, DRAWS),
        "seed_spread": spread(as_cues(seeded, explainer)),
        "seed_correlation": mean_correlation(as_cues(seeded, explainer)),
        "augmentation_spread": spread(as_cues([first, *others], explainer)),
    }


def again(explainer: Explainer, query: Query, image: torch.Tensor, seed: int) -> np.ndarray:
    """The raw map of another image (3, S, S), for the same class and with the same seed."""
    other = Query(query.classifier, image, query.target)
    return explainer.attribute(other, np.random.default_rng(seed))


def as_cues(raw: list[np.ndarray], explainer: Explainer) -> np.ndarray:
    """(N, S, S): raw maps as they are used for cues, in [0, 1]; a flat one is NaN."""
    return np.stack([normalise(saliency(map, explainer.sign)) for map in raw])


def mean_correlation(maps: np.ndarray) -> float:
    """Mean Spearman correlation over the pairs of maps (N, S, S); NaN if one is flat."""
    return float(spearman(maps)[np.triu_indices(len(maps), 1)].mean())
