"""The nine explainers of the paper, by name, with a fast and a full preset."""

from dataclasses import asdict, fields

from xaiutils.errors import InputError
from xaiutils.explainers.base import Explainer, Query, capture, saliency
from xaiutils.explainers.cam import FasterScoreCAM, GradCAM, GradCAMPlusPlus, ScoreCAM
from xaiutils.explainers.gradients import IntegratedGradients, VarGrad
from xaiutils.explainers.occlusion import Occlusion
from xaiutils.explainers.surrogates import LIME, KernelSHAP

# in the order of the paper's Table 2
EXPLAINERS: dict[str, type[Explainer]] = {
    method.name: method
    for method in (
        GradCAM,
        GradCAMPlusPlus,
        ScoreCAM,
        FasterScoreCAM,
        IntegratedGradients,
        VarGrad,
        Occlusion,
        KernelSHAP,
        LIME,
    )
}

# "full" is the dataclasses' defaults; "fast" takes fewer samples, for demonstrations and tests
PRESETS: dict[str, dict[str, dict[str, object]]] = {
    "full": {},
    "fast": {
        "ig": {"steps": 32},
        "vargrad": {"samples": 16},
        "occlusion": {"stride": 16},
        "kernelshap": {"samples": 256},
        "lime": {"samples": 256},
    },
}


def make_explainer(name: str, preset: str = "full", **settings) -> Explainer:
    """An explainer by name, with a preset's settings and then the given ones."""
    if name not in EXPLAINERS:
        raise InputError(f"unknown explainer {name!r}; known: {', '.join(EXPLAINERS)}")
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    known = [field.name for field in fields(EXPLAINERS[name])]
    for key in settings:
        if key not in known:
            known_text = ", ".join(known) or "none"
            raise InputError(f"{name} has no setting {key!r}; its settings: {known_text}")
    return EXPLAINERS[name](**{**PRESETS[preset].get(name, {}), **settings})


def describe(explainer: Explainer) -> str:
    """The settings of an explainer in one line, for tables and captions."""
    return ", ".join(f"{key}={value}" for key, value in asdict(explainer).items()) or "no settings"


__all__ = [
    "EXPLAINERS",
    "PRESETS",
    "Explainer",
    "Query",
    "capture",
    "describe",
    "make_explainer",
    "saliency",
]
