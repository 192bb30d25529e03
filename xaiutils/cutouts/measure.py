"""Explaining composites: units on disk, one a composite and explainer, each a list of rows.

Nothing is kept of the maps but what is measured of them; a composite is made again from its row of
the manifest whenever it is needed.
"""

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from xaiutils.classifiers import FrozenClassifier
from xaiutils.cutouts.plans import Rendered, render, stream
from xaiutils.cutouts.recognise import softmax
from xaiutils.cutouts.sources import Library
from xaiutils.evaluation import to_image
from xaiutils.explainers import Explainer, Query, make_explainer, saliency
from xaiutils.maps import border_share, otsu, threshold
from xaiutils.metrics.localisation import coverage, iou, pointing_game, relevance_mass, spill
from xaiutils.store import digest, read_json, write_json

# Fewer samples than the presets: the same composite is explained nine times, eight hundred times.
SETTINGS: dict[str, dict[str, object]] = {
    "gradcam": {},
    "gradcam++": {},
    "vargrad": {"samples": 8},
    "ig": {"steps": 12},
    "fasterscorecam": {"max_channels": 48},
    "occlusion": {"window": 56, "stride": 28},
    "kernelshap": {"samples": 128, "superpixels": 36},
    "lime": {"samples": 128, "superpixels": 36},
    "scorecam": {"max_channels": 384},
}
# What costs more than a hundred passes is asked of every second or fourth object (pair) only.
EVERY = {"scorecam": 2, "kernelshap": 4, "lime": 4}  # "kernelshap" is the group of lime too
FIRST = "cams"
GROUPS = {
    FIRST: ("gradcam", "gradcam++"),
    "vargrad": ("vargrad",),
    "fasterscorecam": ("fasterscorecam",),
    "occlusion": ("occlusion",),
    "ig": ("ig",),
    "kernelshap": ("kernelshap", "lime"),
    "scorecam": ("scorecam",),
}
SCHEMA = 2


@dataclass(frozen=True)
class Explained:
    """One logit to be explained: what it is called in the tables, its index, and the two masks:
    the object that it stands for, and the other one (None: all else)."""

    name: str
    target: int
    mask: np.ndarray
    other: np.ndarray | None = None


def explainers() -> dict[str, Explainer]:
    return {name: make_explainer(name, "full", **given) for name, given in SETTINGS.items()}


def remembering(classifier: FrozenClassifier) -> FrozenClassifier:
    """A copy whose `logits` answers a batch that it has seen from memory.

    Two logits of one image are asked with the very same masked images (equal random streams): the
    second then costs nothing. Keep it for one image only.
    """
    seen: dict[bytes, np.ndarray] = {}
    asked = copy.copy(classifier)

    def logits(images) -> np.ndarray:
        images = np.ascontiguousarray(images, dtype=np.float32)
        starts = range(0, len(images), classifier.batch)
        return np.concatenate([answer(images[i : i + classifier.batch]) for i in starts])

    def answer(batch: np.ndarray) -> np.ndarray:
        key = hashlib.blake2b(batch.data, digest_size=16).digest()
        if key not in seen:
            seen[key] = classifier.logits(batch)
        return seen[key]

    asked.logits = logits
    return asked


def likeliest(classifier: FrozenClassifier, image: np.ndarray, indices: tuple[int, ...]) -> int:
    """Of several classes that fit, the one with the highest logit; the top-1 where none fits."""
    logits = classifier.logits(classifier.preprocess(image)[None])[0]
    return int(max(indices, key=lambda i: logits[i]) if indices else logits.argmax())


def explained(library: Library, classifier, row, made: Rendered) -> list[Explained]:
    """The logits to be explained of a composite: that of its object, and of its companion."""
    own = likeliest(classifier, made.image, library.entries[row.object].indices)
    if not made.others:
        return [Explained("object", own, made.mask)]
    name = row.companions.split("@")[0]
    second = likeliest(classifier, made.image, library.entries[name].indices)
    (other,) = made.others
    return [
        Explained("A", own, made.mask, other),
        Explained("B", second, other, made.mask),
    ]


def measures(map: np.ndarray, mask: np.ndarray, other: np.ndarray | None) -> dict[str, float]:
    """Of a map (S, S), non-negative: where it lies on the composite (448 x 448)."""
    full = to_image(map, mask.shape)
    E = threshold(full, otsu(full))
    found = {
        "iou": iou(E, mask) if E.any() else float("nan"),
        "coverage": coverage(E, mask) if E.any() else float("nan"),
        "spill": spill(E, mask),
        "pointing_15": pointing_game(full, mask, None, 15),
        "relevance_mass": relevance_mass(full, mask) if np.isfinite(full).all() else float("nan"),
        "border_share": border_share(full) if np.isfinite(full).all() else float("nan"),
    }
    if other is not None:
        found["iou_other"] = iou(E, other) if E.any() else float("nan")
        found["mass_other"] = (
            relevance_mass(full, other) if np.isfinite(full).all() else float("nan")
        )
    return found


def explain(
    classifier: FrozenClassifier, image: np.ndarray, what: list[Explained], names, seed: int
) -> list[dict]:
    """Rows (cue, explained, metric, value) of some explainers on one composite.

    They share what explainers can share of a logit, and the logits what they can share of an
    explainer: its random stream, and with it the masked images.
    """
    asked, every = remembering(classifier), explainers()
    x = asked.preprocess(image)
    rows = []
    for each in what:
        query = Query(asked, x, each.target)
        for name in names:
            raw = every[name].attribute(query, stream(seed, name))
            found = measures(saliency(raw, every[name].sign), each.mask, each.other)
            rows += rows_of(name, each.name, found)
    return rows


def rows_of(cue: str, explained: str, found: dict[str, float]) -> list[dict]:
    """One row a metric."""
    return [{"cue": cue, "explained": explained, "metric": m, "value": v} for m, v in found.items()]


def floors(side: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Maps that know nothing of the image: a box at the centre and one anywhere, half a side."""
    maps = {}
    for name, (y, x) in {
        "floor:centre box": (side // 4, side // 4),
        "floor:random box": rng.integers(0, side // 2 + 1, 2),
    }.items():
        maps[name] = np.zeros((side, side), np.float32)
        maps[name][y : y + side // 2, x : x + side // 2] = 1
    return maps


def scores(classifier, library: Library, row, made: Rendered, what: list[Explained]) -> list[dict]:
    """How the classifier takes the composite, and the ground without the object."""
    ground = library.ground(row.ground, int(row.ground_seed))
    batch = np.stack([classifier.preprocess(image).numpy() for image in (made.image, ground)])
    logits = classifier.logits(batch)
    p = softmax(logits)
    names = classifier.class_names
    return [
        {
            "explained": each.name,
            "target": each.target,
            "target_name": names[each.target],
            "logit": float(logits[0, each.target]),
            "probability": float(p[0, each.target]),
            "rank": int((p[0] > p[0, each.target]).sum()),
            "ground_logit": float(logits[1, each.target]),
            "ground_probability": float(p[1, each.target]),
            "object_share": float(each.mask.mean()),
        }
        for each in what
    ]


class Runner:
    """Computes the units that are missing, in an order in which any beginning is useful."""

    def __init__(self, library: Library, classifier: FrozenClassifier, folder: Path, seed: int = 0):
        self.library, self.classifier, self.folder, self.seed = library, classifier, folder, seed

    def units(self, manifest: pd.DataFrame, group: str, step: int = 1) -> Iterator[object]:
        """The rows of the manifest that a group of explainers is asked about.

        step: those of every step-th object (pair) only.
        """
        objects = list(dict.fromkeys(manifest["object"]))
        for k, row in enumerate(manifest.itertuples(index=False)):
            nth = k if row.experiment == "company" else objects.index(row.object)
            if nth % max(every(group), step) == 0:
                yield row

    def path(self, row, group: str) -> Path:
        given = [[name, SETTINGS[name]] for name in GROUPS[group]]
        key = digest(SCHEMA, [str(value) for value in row], given, self.classifier.name, self.seed)
        return self.folder / "units" / f"{row.experiment}.{row.sample}.{group}.{key}.json"

    def run(self, row, group: str) -> None:
        """One unit: the rows of a composite's maps; the first group also holds its scores."""
        made = render(self.library, row)
        what = explained(self.library, self.classifier, row, made)
        seed = int(stream(self.seed, row.experiment, row.sample).integers(2**31))
        found = {"maps": explain(self.classifier, made.image, what, GROUPS[group], seed)}
        if group == FIRST:
            found["scores"] = scores(self.classifier, self.library, row, made, what)
            for cue, map in floors(self.classifier.size, stream(seed, "floors")).items():
                for each in what:
                    values = measures(map, each.mask, each.other)
                    found["maps"] += rows_of(cue, each.name, values)
        write_json(self.path(row, group), found)

    def gather(self, manifest: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Tables "maps" and "scores" of the units that are there."""
        tables: dict[str, list[dict]] = {"maps": [], "scores": []}
        for group in GROUPS:
            for row in self.units(manifest, group):
                path = self.path(row, group)
                if path.exists():
                    ids = {"experiment": row.experiment, "sample": row.sample}
                    for table, found in read_json(path).items():
                        tables[table] += [{**ids, **each} for each in found]
        return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def every(group: str) -> int:
    return EVERY.get(group, 1)


def settings_table() -> pd.DataFrame:
    """The explainers' settings, and which were asked of every fourth composite only."""
    rows = [
        {"cue": name, "settings": json.dumps(asdict(e)), "every": every(name)}
        for name, e in explainers().items()
    ]
    return pd.DataFrame(rows)
