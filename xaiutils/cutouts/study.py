"""The stored study "cutouts": run what is missing, gather the tables of what is there.

Tables (Parquet, in data/studies/cutouts): objects, manifest, photographs, scores (how the
classifier takes each composite), maps (where each map lies), settings, and of the planted bias
bias_predictions, bias_regions.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from pathlib import Path

import pandas as pd

from xaiutils import __version__
from xaiutils.classifiers import FrozenClassifier, load_classifier
from xaiutils.config import studies_dir
from xaiutils.cutouts.bias import Bias
from xaiutils.cutouts.measure import FIRST, GROUPS, SCHEMA, Runner, settings_table
from xaiutils.cutouts.plans import EXPERIMENTS
from xaiutils.cutouts.recognise import photographs, recognise
from xaiutils.cutouts.sources import Library, open_library
from xaiutils.errors import InputError, WriteError
from xaiutils.segmenters import load_segmenter
from xaiutils.store import read_json, write_json, write_table, write_text

CLASSIFIER = "efficientnet_lite0"
STEPS = (4, 2, 1)  # objects that the costlier explainers are asked about: every fourth first
REST = [group for group in GROUPS if group != FIRST]
Go = Callable[[], bool]  # whether there is time left


def run_cutouts(name: str, root: str | None, go: Go, seed: int = 0) -> bool:
    """Compute missing units while `go()`; True if none is missing.

    The cheapest explainers come first, on all composites; then the others on every fourth object,
    on every second, on all, so that whenever it stops they have been asked about the same ones.
    A unit that fails is named on stderr, left out, and tried again by the next run; an experiment
    that the folder does not allow is left out, too.
    """
    library, folder = open_library(root), studies_dir() / name
    classifier = load_classifier(CLASSIFIER)
    _objects(library, classifier, folder)
    plans = allowed(library, seed)
    runner = Runner(library, classifier, folder, seed)
    bias = Bias(library, classifier, plans.pop("bias"), folder, seed) if "bias" in plans else None
    failed: set[str] = set()
    for step, group in [(1, FIRST), *((step, group) for step in STEPS for group in REST)]:
        lists = [
            [(runner, row) for row in runner.units(plan, group, step)] for plan in plans.values()
        ]
        if bias:
            lists.append([(bias, row) for row in spread(list(bias.units(group, step)))])
        if not _all(in_turn(lists), group, go, failed):
            return False
        if bias and group == FIRST and not _regions(bias, go, failed):
            return False
    return not failed


def allowed(library: Library, seed: int) -> dict[str, pd.DataFrame]:
    """The manifests of the experiments that the library has the cut-outs for; the others are named.

    InputError if there is none.
    """
    plans, refused = {}, []
    for name, plan in EXPERIMENTS.items():
        try:
            plans[name] = plan(library, seed)
        except InputError as error:
            refused.append(f"experiment {name} is left out: {error}")
    if not plans:
        raise InputError("; ".join(refused))
    for line in refused:
        print(line, file=sys.stderr)
    return plans


def in_turn(lists: list[list]) -> list:
    """One of each list after the other, so that every beginning holds all experiments."""
    return [each for turn in zip_longest(*lists) for each in turn if each is not None]


def spread(rows: list, step: int = 7) -> list:
    """Every `step`-th row first: the classes stand one after the other in the manifest."""
    return [row for start in range(step) for row in rows[start::step]]


def _all(units: list, group: str, go: Go, failed: set[str]) -> bool:
    for runner, row in units:
        name = f"{row.sample} ({group})"
        if name not in failed and not runner.path(row, group).exists():
            if not go():
                return False
            attempt(partial(runner.run, row, group), name, failed)
    print(f"{group}: {len(units)} composites", flush=True)
    return True


def attempt(unit: Callable[[], None], name: str, failed: set[str]) -> None:
    """Compute a unit; where it fails, say which: one composite must not cost the others."""
    try:
        unit()
    except WriteError:  # the others could not be kept either
        raise
    except Exception as error:
        failed.add(name)
        print(f"{name} failed: {type(error).__name__}: {error}", file=sys.stderr)


def _objects(library: Library, classifier: FrozenClassifier, folder: Path) -> None:
    if not (folder / "objects.parquet").exists():
        write_table(folder / "objects.parquet", recognise(library, classifier))
        write_table(folder / "photographs.parquet", photographs(classifier))


def _regions(bias: Bias, go: Go, failed: set[str]) -> bool:
    """What SAM and a trained segmenter make of the seeds: one unit a composite, one for all."""
    segmenter = None
    for row in bias.units("sam"):
        path = bias.path(row, "sam")
        if not path.exists():
            if not go():
                return False
            segmenter = segmenter or load_segmenter("embedded_sam", runtime="openvino")
            unit = partial(_prompted, bias, row, segmenter, path)
            attempt(unit, f"{row.sample} (SAM)", failed)
    path = _trained_path(bias)
    if not path.exists():
        if not go():
            return False
        attempt(partial(_trained, bias, path), "trained segmenter (bias)", failed)
    return True


def _prompted(bias: Bias, row, segmenter, path: Path) -> None:
    write_json(path, bias.prompted(row, segmenter))


def _trained_path(bias: Bias) -> Path:
    return bias.folder / "units" / f"bias.trained.{bias.key}.json"


def _trained(bias: Bias, path: Path) -> None:
    write_json(path, json.loads(bias.trained(bias.classifier.model).to_json(orient="records")))


def gather(name: str, root: str | None, seed: int = 0) -> Path:
    """Write the tables of what is there so far, the settings and config.json.

    InputError if nothing is there.
    """
    library, folder = open_library(root), studies_dir() / name
    classifier = load_classifier(CLASSIFIER)
    plans = allowed(library, seed)
    write_table(folder / "manifest.parquet", pd.concat(plans.values(), ignore_index=True))
    write_table(folder / "settings.parquet", settings_table())
    bias = Bias(library, classifier, plans.pop("bias"), folder, seed) if "bias" in plans else None
    runner = Runner(library, classifier, folder, seed)
    parts = [runner.gather(manifest) for manifest in plans.values()]
    found = [part["maps"] for part in parts] + ([bias.maps()] if bias else [])
    maps = pd.concat(found, ignore_index=True)
    if maps.empty:
        raise InputError(f"{folder}: nothing is computed yet; `run` does it")
    scores = pd.concat([part["scores"] for part in parts], ignore_index=True)
    write_table(folder / "maps.parquet", maps)
    write_table(folder / "scores.parquet", scores)
    if bias:
        _write_bias(bias, folder)
    _write_config(folder, name, maps, seed)
    return folder


def _write_bias(bias: Bias, folder: Path) -> None:
    write_table(folder / "bias_predictions.parquet", bias.predictions())
    rows = []
    for row in bias.units("sam"):
        if bias.path(row, "sam").exists():
            rows += read_json(bias.path(row, "sam"))
    trained = _trained_path(bias)
    if trained.exists():
        rows += read_json(trained)
    if rows:
        table = pd.DataFrame(rows)
        table["share"] = table["share"].astype(str)
        write_table(folder / "bias_regions.parquet", table)


def _write_config(folder: Path, name: str, maps: pd.DataFrame, seed: int) -> None:
    """Like the other studies' config.json, with a kind of its own so that none takes it for one."""
    counts = maps.groupby("experiment")["sample"].nunique().to_dict()
    said = ", ".join(f"{count} ({e})" for e, count in counts.items())
    stored = {
        "schema": f"cutouts {SCHEMA}",
        "xaiutils": __version__,
        "config": {"name": name, "dataset": "cutouts", "classifier": CLASSIFIER, "seed": seed,
                   "composites": counts, "settings": asdict_of(settings_table())},
        "caption": f"n = {said} composites, EfficientNet-Lite0, seed {seed}",
    }  # fmt: skip
    write_text(folder / "config.json", json.dumps(stored, indent=2) + "\n")


def asdict_of(table: pd.DataFrame) -> dict[str, str]:
    return dict(zip(table["cue"], table["settings"], strict=True))
