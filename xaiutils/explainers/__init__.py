"""The nine explainers of the paper, by name, with a fast and a full preset."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from importlib import import_module

from xaiutils.errors import InputError
from xaiutils.explainers.base import Explainer, Query, capture, saliency

ABSOLUTE = ("ig",)


class Registry(Mapping[str, type[Explainer]]):
    """Classes by name, imported when asked for: a reader of stored maps needs the names alone, and
    torch with the explainers' libraries takes most of the time that a notebook needs to start."""

    def __init__(self, places: dict[str, tuple[str, str]]):
        self._places = places

    def __getitem__(self, name: str) -> type[Explainer]:
        module, cls = self._places[name]
        return getattr(import_module(f"xaiutils.explainers.{module}"), cls)

    def sign(self, name: str) -> str:
        """What the class says (`Explainer.sign`), without its import."""
        return "absolute" if name in ABSOLUTE else "positive"

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


# in the order of the paper's Table 2
EXPLAINERS = Registry(
    {
        "gradcam": ("cam", "GradCAM"),
        "gradcam++": ("cam", "GradCAMPlusPlus"),
        "scorecam": ("cam", "ScoreCAM"),
        "fasterscorecam": ("cam", "FasterScoreCAM"),
        "ig": ("gradients", "IntegratedGradients"),
        "vargrad": ("gradients", "VarGrad"),
        "occlusion": ("occlusion", "Occlusion"),
        "kernelshap": ("surrogates", "KernelSHAP"),
        "lime": ("surrogates", "LIME"),
    }
)

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
