"""What was learned on training images: numbers in `data/learned/*.json`, and how they were found.

    python -m xaiutils.learned stacking  --study NAME-train   # pixel labels -> stacking.json
    python -m xaiutils analyse --study NAME-train gallery
    python -m xaiutils.learned selection --study NAME-train   # masks' true IoU -> selection.json

Everything here looks at the masks of the training study, and at no other image. The files are
plain numbers: they are checked when read, and nothing in them is executed.

stacking.json: the logistic regression of `learned_fusion.stack`. selection.json: for "gallery" and
"gallery-learned", each for single explainers and for fusions, the weights of `gallery.scores`, with
the mean IoU of the chosen masks in a cross-validation that keeps all of an image's masks together;
"chosen" is the cue and the chooser that are best there, the one to be used on other images. The
file of the repository comes from the first 30 images of voc2012-subset-train ("images").
"""

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from xaiutils.errors import InputError
from xaiutils.gallery import FEATURES, scores
from xaiutils.learned_fusion import fit_stacking
from xaiutils.sections.cues import explainers, kind
from xaiutils.store import digest, other_version, parse_json, write_text
from xaiutils.study import Study, open_study

FOLDER = Path(__file__).resolve().parents[1] / "data" / "learned"
SCHEMA = 1  # of the files in it
FOLDS = 6
RULE = {  # the rule's weights that are tried: agreement with the maps is 1, the others ...
    "supported": (0.0, 1.0),
    "consensus": (0.0, 0.25, 0.5, 1.0),
    "score": (0.0, 0.3, 0.6),
    "centre": (0.0, 0.25, 0.5),
}
RIDGES = (1.0, 10.0, 100.0, 1000.0, 10000.0)
FITTED = {  # whose masks the weights were found on; the stacked fusion has seen these labels
    "single": None,  # every explainer
    "fused": ("fused-weighted", "fused-mean"),
}


def read(name: str, folder: Path = FOLDER) -> dict:
    """The contents of a file of `data/learned`; InputError if it is missing or not as it should."""
    path = folder / f"{name}.json"
    if not path.exists():
        raise InputError(f"{path}: not found; `python -m xaiutils.learned {name}` makes it")
    try:
        found = parse_json(path.read_bytes())
        CHECKS[name](found)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{path}: not what `python -m xaiutils.learned {name}` writes") from error
    if found.get("schema", SCHEMA) != SCHEMA:
        raise InputError(other_version(path, found["schema"], SCHEMA))
    return found


def version(name: str, folder: Path = FOLDER) -> str | None:
    """A digest of a file of `data/learned`, None without it: what was made with other numbers is
    made again."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    return digest(as_text({key: v for key, v in read(name, folder).items() if key != "schema"}))


def as_text(numbers: dict) -> str:
    return json.dumps(numbers, indent=1) + "\n"


def _check_stacking(found: dict) -> None:
    numbers = np.array([*found["coefficients"], found["intercept"]], float)
    if len(numbers) != 3 * len(found["explainers"]) + 1 or not np.isfinite(numbers).all():
        raise ValueError("coefficients")


def _check_selection(found: dict) -> None:
    for prompting in ("gallery", "gallery-learned"):
        for group in FITTED:
            weights = found[prompting][group]["weights"]
            if not set(weights) <= set(FEATURES):
                raise ValueError("features")
            if not np.isfinite(np.array(list(weights.values()), float)).all():
                raise ValueError("weights")
    cue, prompting = found["chosen"]
    if cue not in found[prompting][group_of(cue)]["held_out_by_cue"]:
        raise ValueError("chosen")


CHECKS = {"stacking": _check_stacking, "selection": _check_selection}


def weights_for(selection: dict, prompting: str, cue: str) -> dict[str, float]:
    """The weights of `gallery.scores` for a cue: those of single explainers or of fusions.

    The centre's blob, which stands in for an explanation, is treated as a single explainer is.
    """
    return selection[prompting][group_of(cue)]["weights"]


def group_of(cue: str) -> str:
    """One of `FITTED`."""
    return "fused" if kind(cue) == "fusion" else "single"


# Fitting ----------------------------------------------------------------------------------------


def stacking(study: Study) -> dict:
    """`fit_stacking` on all images of a study."""
    maps, masks, voids = [], [], []
    for id in study.sample_ids:
        sample = study.sample(id)
        maps.append({name: study.saliency(id, name) for name in explainers(study)})
        masks.append(sample.mask)
        voids.append(sample.void)
    return {"study": study.name, **fit_stacking(maps, masks, voids)}


def selection(table: pd.DataFrame, name: str) -> dict:
    """Weights of both choosers from the table of the analysis "gallery" of study `name`."""
    table = table.dropna(subset=["iou", *FEATURES])
    found = {"study": name, "images": int(table["sample"].nunique())}
    groups = {}
    for group, cues in FITTED.items():
        wanted = table["cue"].map(kind) == "explainer" if cues is None else table["cue"].isin(cues)
        groups[group] = galleries(table[wanted])
    for prompting, fit in {"gallery": fit_rule, "gallery-learned": fit_ridge}.items():
        found[prompting] = {group: chosen(part, fit) for group, part in groups.items()}
    means = {
        (cue, prompting): iou
        for prompting in ("gallery", "gallery-learned")
        for group in groups
        for cue, iou in found[prompting][group]["held_out_by_cue"].items()
    }
    return found | {"chosen": list(max(means, key=means.get))}


class Gallery(NamedTuple):
    """The masks of one image and cue: features (n, F), true IoU (n,)."""

    sample: str
    cue: str
    features: np.ndarray
    iou: np.ndarray


def galleries(table: pd.DataFrame) -> list[Gallery]:
    """Each gallery of a table."""
    return [
        Gallery(*key, part[list(FEATURES)].to_numpy(float), part["iou"].to_numpy(float))
        for key, part in table.groupby(["sample", "cue"], sort=True)
    ]


def mean_chosen(parts: Sequence, weights: dict) -> float:
    """Mean true IoU of the masks that the weights choose, one a gallery."""
    return float(np.mean([p.iou[scores(p.features, weights).argmax()] for p in parts]))


def fit_rule(parts: Sequence) -> dict[str, float]:
    """The rule whose chosen masks have the highest mean IoU, the first among equals."""
    tried = [dict(zip(RULE, values)) | {"others": 1.0} for values in product(*RULE.values())]
    return max(tried, key=lambda weights: mean_chosen(parts, weights))


def fit_ridge(parts: Sequence, strength: float | None = None) -> dict[str, float]:
    """Ridge regression of the IoU on the features, within galleries, as weights per feature.

    Features and IoU are taken from their gallery's mean: only the order within an image matters.
    Each gallery weighs the same. The strength is the one whose held-out choices are best.
    """
    if strength is None:
        held = [cross_validated(parts, lambda p, s=s: fit_ridge(p, s)) for s in RIDGES]
        strength = RIDGES[int(np.argmax(held))]
    x = np.concatenate([(a - a.mean(axis=0)) / np.sqrt(len(a)) for _, _, a, _ in parts])
    y = np.concatenate([(b - b.mean()) / np.sqrt(len(b)) for _, _, _, b in parts])
    scale = np.maximum(np.sqrt((x**2).sum(axis=0) / len(parts)), 1e-9)
    z = x / scale
    penalty = strength / 1000 * len(parts) * np.eye(z.shape[1])
    beta = np.linalg.solve(z.T @ z + penalty, z.T @ y) / scale
    return dict(zip(FEATURES, beta.tolist()))


def cross_validated(parts: Sequence, fit) -> float:
    """Mean IoU of held-out choices: the galleries of an image are in one fold."""
    return float(np.mean(held_out(parts, fit)))


def held_out(parts: Sequence, fit) -> list[float]:
    """The true IoU of each gallery's chosen mask, by weights that have not seen its image."""
    order = {sample: i for i, sample in enumerate(sorted({part.sample for part in parts}))}
    folds = min(FOLDS, len(order))
    fold = [order[part.sample] % folds for part in parts]
    weights = [fit([p for p, own in zip(parts, fold) if own != k]) for k in range(folds)]
    return [
        float(part.iou[scores(part.features, weights[k]).argmax()]) for part, k in zip(parts, fold)
    ]


def chosen(parts: Sequence, fit) -> dict:
    """Weights from all training images, with what they choose held out, and the best there is."""
    values = pd.Series(held_out(parts, fit))
    return {
        "weights": fit(parts),
        "held_out_iou": float(values.mean()),
        "held_out_by_cue": values.groupby([part.cue for part in parts]).mean().to_dict(),
        "best_iou": float(np.mean([part.iou.max() for part in parts])),
        "galleries": len(parts),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit one file from a training study and write it."""
    parser = argparse.ArgumentParser(prog="python -m xaiutils.learned", description=__doc__)
    parser.add_argument("name", choices=list(CHECKS))
    parser.add_argument("--study", required=True, help="a study of a training split")
    given = parser.parse_args(arguments)
    study = open_study(given.study)
    if given.name == "stacking":
        found = stacking(study)
    else:
        found = selection(study.table("gallery"), study.name)
    write_text(FOLDER / f"{given.name}.json", as_text({"schema": SCHEMA, **found}))
    print(f"{FOLDER / given.name}.json written")


if __name__ == "__main__":
    main()
