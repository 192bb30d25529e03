"""The four experiments as manifests: a row a composite, all choices drawn from one seed.

Columns: experiment, sample, object, target (ImageNet class, -1: the predicted one), x, y, scale,
ground, ground_seed, companions ("name@x,y,scale" with semicolons between), and the factors that
the experiment varies: eccentricity, kind, split. Any row can be made again by `render`.
"""

import zlib
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from xaiutils.cutouts.compose import Composite, place
from xaiutils.cutouts.grounds import CANVAS, whole_seed
from xaiutils.cutouts.sources import BUNDLED, GROUNDS, UNUSUAL, Library
from xaiutils.errors import InputError

COLUMNS = [
    "experiment",
    "sample",
    "object",
    "target",
    "x",
    "y",
    "scale",
    "ground",
    "ground_seed",
    "companions",
    "eccentricity",
    "kind",
    "split",
]
SCALES = (0.25, 0.4, 0.55)  # longest side of the object, as a share of the canvas's
ECCENTRICITIES = (0.0, 0.1, 0.2, 0.3)  # object's centre to the canvas's, in sides of the canvas
KINDS = ("usual", "unusual", "plain", "noise")
SHARES = (50, 80, 95, 100)  # percent of a class's training composites on its own ground
BIASED = ("ocean_waves", "corn_maze")  # the grounds of birds and of mammals
PLACES = 3  # composites of each held-out object and ground in "bias"


class Rendered(NamedTuple):
    """image (S, S, 3) uint8; mask of the object and others, of its companions, (S, S) bool."""

    image: np.ndarray
    mask: np.ndarray
    others: tuple[np.ndarray, ...]


def stream(seed: int, *names: str) -> np.random.Generator:
    """An independent stream for each purpose."""
    return np.random.default_rng([whole_seed(seed), *(zlib.crc32(name.encode()) for name in names)])


def render(library: Library, row) -> Rendered:
    """The composite of a manifest's row. What comes later covers what is below it.

    InputError, naming the composite, where its files or numbers cannot be used.
    """
    try:
        return _rendered(library, row)
    except InputError as error:
        raise InputError(f"composite {row.sample}: {error}") from error


def _rendered(library: Library, row) -> Rendered:
    image = library.ground(row.ground, int(row.ground_seed), CANVAS)
    image, mask = place(image, library.cutout(row.object), row.x, row.y, row.scale)
    others = []
    for text in filter(None, str(row.companions).split(";")):
        name, numbers = text.split("@")
        x, y, scale = map(float, numbers.split(","))
        image, other = place(image, library.cutout(name), x, y, scale)
        mask = mask & ~other
        others = [*(m & ~other for m in others), other]
    return Rendered(image, mask, tuple(others))


def whole(composite: Composite | Rendered) -> np.ndarray:
    """The union of the object and its companions."""
    return np.logical_or.reduce([composite.mask, *getattr(composite, "others", ())])


def _rows(rows: list[dict]) -> pd.DataFrame:
    empty = {"companions": "", "eccentricity": np.nan, "kind": "", "split": ""}
    return pd.DataFrame([{**empty, **row} for row in rows], columns=COLUMNS)


def _target(library: Library, name: str) -> int:
    """The first of its classes; -1 where several or none fit: the likeliest is taken when shown."""
    indices = library.entries[name].indices
    return indices[0] if len(indices) == 1 else -1


def _natural(library: Library) -> list[str]:
    return [g for group in GROUNDS.values() for g in group if g in library.grounds] or [
        "pink",
        "gradient",
        "plain",
    ]


def chosen(library: Library, count: int, rng: np.random.Generator, animals=False) -> list[str]:
    """`count` recognised cut-outs in random order (fewer if there are no more), whole ones only."""
    names = [n for n in library.recognised if not n.startswith(BUNDLED)] or library.recognised
    if animals:
        names = [n for n in names if library.entries[n].habitat != "other"] or names
    return [names[i] for i in rng.permutation(len(names))[:count]]


def place_and_size(library: Library, seed: int = 0, objects: int = 20) -> pd.DataFrame:
    """The same object on the same ground at every place and size (paired): 11 cells."""
    rows = []
    rng = stream(seed, "place")
    for name in chosen(library, objects, rng):
        grounds = _natural(library)
        ground = grounds[rng.integers(len(grounds))]
        ground_seed = int(rng.integers(2**31))
        angle = rng.uniform(0, 2 * np.pi)
        for scale in SCALES:
            for e in ECCENTRICITIES:
                if e > (1 - scale) / 2:
                    continue
                # whole thousandths: the manifest's text holds the very numbers
                x, y = (round(0.5 + e * f(angle), 3) for f in (np.cos, np.sin))
                lower, upper = scale / 2 + 0.002, 1 - scale / 2 - 0.002
                rows.append({
                    "experiment": "place", "sample": f"{name}-s{scale:.2f}-e{e:.1f}",
                    "object": name, "target": _target(library, name),
                    "x": min(max(x, lower), upper), "y": min(max(y, lower), upper),
                    "scale": scale, "ground": ground, "ground_seed": ground_seed,
                    "eccentricity": e,
                })  # fmt: skip
    return _rows(rows)


def usual_and_unusual(library: Library, seed: int = 0, objects: int = 52) -> pd.DataFrame:
    """The same object at the same place on four grounds (paired)."""
    rows = []
    rng = stream(seed, "ground")
    for name in chosen(library, objects, rng, animals=True):
        habitat = library.entries[name].habitat
        x, y = (round(float(v), 3) for v in rng.uniform(0.35, 0.65, 2))
        for kind in KINDS:
            ground, ground_seed = _ground_of(library, kind, habitat, rng)
            rows.append({
                "experiment": "ground", "sample": f"{name}-{kind}", "object": name,
                "target": _target(library, name), "x": x, "y": y, "scale": 0.5,
                "ground": ground, "ground_seed": ground_seed, "kind": kind,
            })  # fmt: skip
    return _rows(rows)


def _ground_of(library: Library, kind: str, habitat: str, rng: np.random.Generator):
    natural = GROUNDS.get(habitat, ()) if kind == "usual" else UNUSUAL.get(habitat, ())
    names = [g for g in natural if g in library.grounds] or ["gradient"]
    names = {"plain": ["plain"], "noise": ["pink"]}.get(kind, names)
    return names[rng.integers(len(names))], int(rng.integers(2**31))


def in_company(library: Library, seed: int = 0, pairs: int = 200) -> pd.DataFrame:
    """Two objects of different classes side by side, left and right by chance.

    InputError where there are no two.
    """
    rows = []
    rng = stream(seed, "company")
    names = chosen(library, 10**6, rng)
    if not any(differ(library, a, b) for a, b in combinations(names, 2)):
        raise InputError(
            f"{library.root}: company needs two cut-outs of different classes; of its {len(names)} "
            "no two are"
        )
    grounds = _natural(library)
    for k in range(pairs):
        a, b = _two(library, names, rng)
        left = bool(rng.integers(2))
        xa, xb = (0.27, 0.73) if left else (0.73, 0.27)
        ya, yb = (round(float(v), 3) for v in rng.uniform(0.4, 0.6, 2))
        rows.append({
            "experiment": "company", "sample": f"pair{k:03}", "object": a,
            "target": _target(library, a), "x": xa, "y": ya, "scale": 0.42,
            "ground": grounds[rng.integers(len(grounds))],
            "ground_seed": int(rng.integers(2**31)), "companions": f"{b}@{xb},{yb},0.42",
        })  # fmt: skip
    return _rows(rows)


def _two(library: Library, names: list[str], rng: np.random.Generator) -> tuple[str, str]:
    while True:
        a, b = (names[i] for i in rng.choice(len(names), 2, replace=False))
        if differ(library, a, b):
            return a, b


def differ(library: Library, a: str, b: str) -> bool:
    """Whether two cut-outs have no ImageNet class in common."""
    return not set(library.entries[a].indices) & set(library.entries[b].indices)


def planted_bias(library: Library, seed: int = 0, held_out: int = 17) -> pd.DataFrame:
    """Birds and mammals on two grounds, all four combinations: the pool that heads are trained on
    (split "train") and, of other objects, the composites that are explained ("test")."""
    rng = stream(seed, "bias")
    rows = []
    for kind in ("birds", "mammals"):
        names = [n for n in library.names if kind in library.folders(n)]
        if len(names) < 4:
            raise InputError(
                f"{library.root}: the planted bias needs Tux Paint's birds and mammals; "
                "`python -m xaiutils.cutouts fetch` gets them"
            )
        names = [names[i] for i in rng.permutation(len(names))]
        count = min(held_out, len(names) // 2)
        splits = {"test": names[:count], "train": names[count : 2 * count]}
        for split, members in splits.items():
            for name in members:
                for ground in BIASED:
                    for k in range(PLACES):
                        scale = (0.35, 0.45, 0.55)[k % 3]
                        x, y = rng.uniform(scale / 2 + 0.01, 1 - scale / 2 - 0.01, 2)
                        rows.append({
                            "experiment": "bias", "sample": f"{name}-{ground}-{k}",
                            "object": name, "target": int(kind == "mammals"),
                            "x": round(float(x), 3), "y": round(float(y), 3), "scale": scale,
                            "ground": ground, "ground_seed": int(rng.integers(2**31)),
                            "kind": kind, "split": split,
                        })  # fmt: skip
    return _rows(rows)


EXPERIMENTS = {
    "place": place_and_size,
    "ground": usual_and_unusual,
    "company": in_company,
    "bias": planted_bias,
}
