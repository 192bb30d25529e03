"""Does a map depend on what the network has learnt? Adebayo et al. 2018, cascading randomisation.

The weights of a copy of the classifier are randomised from the output downwards, stage after stage,
and the same class is explained again. A map that stays as it was shows the image, not the
network's reasons. Rows sample, explainer, stage, metric, value: `spearman` and `ssim` of the new
map with the study's own, on the first `SAMPLES` images, at the fast preset.

Stage "trained" randomises nothing: the study's network at the fast preset with another seed. What
falls short of 1 there is the explainer's own noise (and the preset's), not the network's.

A layer's weights are randomised by shuffling each of its tensors, which keeps their distribution;
the statistics of the batch norms above it are then taken anew from the images at hand, so that
activations keep a range in which the network still tells images apart. A unit is a stage: its
network is compiled once for all images. Score-CAM asks for as many passes as all others together:
only its fast kin is tried.
"""

import copy

import numpy as np
import torch
from skimage.metrics import structural_similarity

from xaiutils.analyses.faithfulness import query_of
from xaiutils.classifiers import FrozenClassifier
from xaiutils.config import stream
from xaiutils.explainers import EXPLAINERS, Query, make_explainer, saliency
from xaiutils.maps import normalise
from xaiutils.metrics.agreement import spearman
from xaiutils.names import in_order
from xaiutils.study import Study

COLUMNS = ["sample", "explainer", "stage", "metric", "value"]
VERSION = 1
SAMPLES = 4
SKIPPED = ("scorecam",)
# stage -> share of the layers with weights that are randomised, counted from the output; 0 is none,
# the smallest positive share still takes one layer
STAGES = {"trained": 0.0, "head": 1e-9, "top quarter": 0.25, "top half": 0.5, "all": 1.0}
WEIGHTED = (torch.nn.Conv2d, torch.nn.Linear)
NORMS = torch.nn.modules.batchnorm._BatchNorm


def units(study: Study) -> list[str]:
    return [stage.replace(" ", "_") for stage in STAGES]


def measure(study: Study, unit: str) -> list[dict]:
    stage = unit.replace("_", " ")
    ids = study.sample_ids[:SAMPLES]
    queries = {id: query_of(study, id) for id in ids}
    images = torch.stack([query.image for query in queries.values()])
    rng = stream(study.config.seed, "randomisation")  # one stream: each stage extends the last
    classifier = randomised(study.classifier, STAGES[stage], images, rng)
    names = [name for name in in_order(study.config.explainers) if name not in SKIPPED]
    rows = []
    for id, query in queries.items():
        other = Query(classifier, query.image, query.target)
        for name in names:
            seed = stream(study.config.seed, id, "randomisation", name)
            raw = make_explainer(name, "fast").attribute(other, seed)
            found = similarity(study.raw(id, name), raw, EXPLAINERS[name].sign)
            rows += [dict(zip(COLUMNS, (id, name, stage, *row))) for row in found.items()]
    return rows


def randomised(
    classifier: FrozenClassifier, share: float, images: torch.Tensor, rng: np.random.Generator
) -> FrozenClassifier:
    """A copy whose top `share` of layers has shuffled weights; itself where the share is 0.

    `images` (B, 3, S, S) set the statistics of the batch norms.
    """
    if share == 0:
        return classifier
    model = copy.deepcopy(classifier.model)
    names = {module: name for name, module in classifier.model.named_modules()}
    lowest = shuffle_top(model, share, rng)[-1]
    renew_norms(model, lowest, images)
    return FrozenClassifier(
        f"{classifier.name}-randomised",
        model,
        classifier.preprocess,
        classifier.class_names,
        model.get_submodule(names[classifier.target_layer]),
        classifier.reshape,
        precision=classifier.precision,
    )


def shuffle_top(model: torch.nn.Module, share: float, rng: np.random.Generator) -> list[str]:
    """Shuffle every parameter of the top `share` of layers with weights, in place, from the output
    down; their names. A layer is a convolution or a linear one, in the order of their definition.
    """
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, WEIGHTED)][::-1]
    chosen = layers[: max(round(share * len(layers)), 1)]
    for _, layer in chosen:
        for parameter in layer.parameters(recurse=False):
            order = torch.from_numpy(rng.permutation(parameter.numel()))
            parameter.data = parameter.data.flatten()[order].reshape(parameter.shape)
    return [name for name, _ in chosen]


@torch.no_grad()
def renew_norms(model: torch.nn.Module, lowest: str, images: torch.Tensor) -> None:
    """Set running mean and variance of the batch norms that follow the layer named `lowest` to
    those of `images`, in place; those below it see what they were trained on."""
    modules = dict(model.named_modules())
    following = list(modules.values())[list(modules).index(lowest) :]
    norms = [module for module in following if isinstance(module, NORMS)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    model(images)
    for norm, momentum in zip(norms, kept):
        norm.eval().momentum = momentum


def similarity(one: np.ndarray, other: np.ndarray, sign: str) -> dict[str, float]:
    """Spearman correlation and SSIM of two raw maps (S, S), read as cues; NaN if one is flat."""
    maps = np.stack([normalise(saliency(raw, sign)) for raw in (one, other)])
    if not np.isfinite(maps).all():
        return {"spearman": float("nan"), "ssim": float("nan")}
    return {
        "spearman": float(spearman(maps)[0, 1]),
        "ssim": float(structural_similarity(*maps, data_range=1.0)),
    }
