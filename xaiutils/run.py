"""Running a study: every unit that is missing is computed, stored and gathered into tables."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from xaiutils import __version__
from xaiutils.classifiers import HUB, FrozenClassifier, Passes, load_classifier
from xaiutils.config import (
    EVALUATION_SCHEMA,
    SCHEMA,
    TABLES,
    StudyConfig,
    sam2_options,
    segmenter_of,
    stream,
)
from xaiutils.datasets import Dataset, Sample
from xaiutils.datasets.base import as_text
from xaiutils.errors import InputError, WriteError
from xaiutils.evaluation import Evaluation, evaluate
from xaiutils.explainers import Explainer, Query, describe, saliency
from xaiutils.probe import Probe, find_probe, with_probe
from xaiutils.segmenters import Segmenter
from xaiutils.statistics import summary
from xaiutils.store import (
    alone,
    digest,
    pack,
    read_unit,
    sweep,
    write_json,
    write_table,
    write_text,
    write_unit,
)
from xaiutils.streams import moved_into


def complete(config: StudyConfig, folder: Path, dataset: Dataset, progress: bool = True) -> None:
    """Compute what is missing of a study and write its tables into `folder`.

    What fails on one image is a row of the errors table; the other images go on. Interrupting
    loses the unit in flight and nothing else.
    """
    ids = dataset.ids[: config.limit]
    if not ids:
        raise InputError(f"data set {config.dataset!r} has no samples")
    run = Run(config, folder, dataset)
    total = len(ids) * (len(config.explainers) + 1)
    with tqdm(total=total, desc=config.name, unit="unit", disable=not progress, delay=2) as bar:
        rows, index = run.collect(ids, bar)
    rows["errors"] = skipped_rows(dataset) + rows["errors"]
    with alone(folder / "units"):  # of two that end together, one's tables stand, not some of each
        finish(config, folder, index, as_tables(rows))


def as_tables(rows: dict[str, list[dict]]) -> dict[str, pd.DataFrame]:
    """The rows of every table as a frame, an empty one with its columns."""
    return {name: pd.DataFrame(rows[name], columns=TABLES[name]) for name in TABLES}


def skipped_rows(dataset: Dataset) -> list[dict]:
    """A row of the errors table for each sample that the data set leaves out."""
    return [
        {"sample": id, **_error("skipped", "", InputError(reason))}
        for reason, skipped in dataset.skipped.items()
        for id in skipped
    ]


def chosen_class(sample: Sample, probabilities: np.ndarray) -> int:
    """The class that is explained: the sample's own, the likeliest candidate, or the top-1."""
    if sample.target is not None:
        return sample.target
    if sample.candidates:
        return max(sample.candidates, key=lambda index: probabilities[index])
    return int(probabilities.argmax())


class Run:
    """One pass over a study's samples; the models are loaded when the first unit needs them."""

    def __init__(self, config: StudyConfig, folder: Path, dataset: Dataset):
        self.config = config
        self.folder = folder
        self.units = folder / "units"
        self.dataset = dataset
        self.explainers = config.make_explainers()

    @cached_property
    def probe(self) -> Probe | None:
        """With logit "probe" the study's, from its files or trained now."""
        if self.dataset.train is None:
            return None
        path, name = self.folder / "probe.json", self.config.classifier
        return find_probe(path, name, self._load_classifier, self.dataset.train)

    @cached_property
    def classifier(self) -> FrozenClassifier:
        classifier = self._load_classifier()
        return classifier if self.probe is None else with_probe(classifier, self.probe)

    def _load_classifier(self) -> FrozenClassifier:
        return load_classifier(self.config.classifier, self.config.precision)

    @cached_property
    def unpinned(self) -> list[str]:
        """The digest of weights that a name does not pin: a hub's file may change under it."""
        return [self.classifier.digest] if self.config.classifier in HUB else []

    @cached_property
    def checkpoint(self) -> str | None:
        """The SHA-256 of SAM2's checkpoint, which may be moved, or be another under its name; None
        for Meta's. Read once a run. InputError if it is not there."""
        path = self.config.sam2_checkpoint
        return None if path is None else file_digest(Path(path))

    @cached_property
    def segmenters(self) -> dict[str, Segmenter]:
        return {name: segmenter_of(self.config, name) for name in self.config.segmenters}

    def collect(self, ids: Sequence[str], bar) -> tuple[dict[str, list[dict]], dict[str, dict]]:
        """The rows of every table for some samples, and the unit files of each sample."""
        rows: dict[str, list[dict]] = {table: [] for table in TABLES}
        index: dict[str, dict] = {}
        if "sam2" in self.config.segmenters:  # a wrong checkpoint ends a run before its hours
            _ = self.checkpoint, self.segmenters
        for id in ids:
            for table, found in self.one(id, index, bar):
                rows[table] += [{"sample": id, **row} for row in found]
        return rows, index

    def one(self, id: str, index: dict, bar) -> Iterator[tuple[str, list[dict]]]:
        """(table, rows) of one sample; its unit files are entered into `index`."""
        try:
            sample = self.dataset.load(id)
        except Exception as error:  # whatever a file does to its reader, it costs one image
            bar.update(len(self.explainers) + 1)
            yield "errors", [_error("load", "", error)]
            return
        target, row = self.describe(sample)
        maps, files, explanations, errors = self.explain(sample, target, bar)
        yield "explanations", explanations
        yield "errors", errors
        if maps:
            try:
                name, meta = self.evaluate(sample, maps, files)
                index[id] = {"explanations": files, "evaluation": name}
                yield from meta["rows"].items()
                yield "samples", [row]
            except WriteError:
                raise
            except Exception as error:
                yield "errors", [_error("evaluation", "", error)]
        bar.update(1)

    def describe(self, sample: Sample) -> tuple[int, dict]:
        """The class that is explained and the sample's row; one forward pass, kept as a unit."""
        key = self.key(sample, sample.target, sample.candidates, sample.label, sample.mask)
        path = self.units / sample.id / f"sample.{key}.npz"
        unit = read_unit(path)
        if unit is None:
            logits = self.classifier.logits(self.classifier.preprocess(sample.image)[None])[0]
            p = self.classifier.probabilities(logits[None])[0]
            target = chosen_class(sample, p)
            names = self.classifier.class_names
            valid = ~sample.void
            row = {
                "label": sample.label,
                "target": self.classifier.class_index(target),
                "target_name": names[target],
                "probability": float(p[target]),
                "predicted_name": names[int(p.argmax())],
                "height": sample.image.shape[0],
                "width": sample.image.shape[1],
                "object_share": float(sample.mask[valid].mean()) if valid.any() else float("nan"),
            }
            unit = ({"row": row}, {})
            write_unit(path, unit[0])
        row = unit[0]["row"]
        return row["target"], row

    def key(self, sample: Sample, *parts) -> str:
        """Digest of an image, the classifier, its probe and whatever else a unit depends on."""
        config = self.config
        probe = [] if self.probe is None else [self.probe.digest]
        known = [config.classifier, config.precision, *self.unpinned]
        return digest(SCHEMA, sample.image, *known, *probe, *parts)

    def explain(self, sample: Sample, target: int, bar):
        """Every explainer's raw map, from its unit or computed: saliency maps (S, S) by name."""
        maps, files, rows, errors = {}, {}, [], []
        query = None
        for name, explainer in self.explainers.items():
            bar.set_postfix_str(f"{sample.id}: {explainer.title}", refresh=False)
            key = self.key(sample, target, name, asdict(explainer), self.config.seed)
            file = f"{name}.{key}.npz"
            unit = read_unit(self.units / sample.id / file)
            if unit is None:
                try:
                    query = query or self.query(sample, target)
                    unit = self.compute(query, explainer, sample.id)
                    write_unit(self.units / sample.id / file, unit[0], **unit[1])
                except InputError:
                    raise
                except Exception as error:  # one explainer's failure must not cost the others
                    errors.append(_error("explanation", name, error))
                    bar.update(1)
                    continue
            files[name] = file
            maps[name] = saliency(unit[1]["map"], explainer.sign)
            rows.append({"explainer": name, "settings": describe(explainer), **unit[0]})
            bar.update(1)
        return maps, files, rows, errors

    def query(self, sample: Sample, target: int) -> Query:
        return Query(self.classifier, self.classifier.preprocess(sample.image), target)

    def compute(self, query: Query, explainer: Explainer, id: str):
        """One explanation: ({seconds, forward, backward}, {map})."""
        passes = self.classifier.passes = Passes()
        start = time.perf_counter()
        raw = explainer.attribute(query, stream(self.config.seed, id, explainer.name))
        seconds = time.perf_counter() - start + passes.seconds
        if not np.isfinite(raw).all():
            raise ValueError(f"{explainer.title} gave a map that is not finite")
        meta = {"seconds": seconds, "forward": passes.forward, "backward": passes.backward}
        return meta, {"map": raw}

    def evaluate(self, sample: Sample, maps: dict[str, np.ndarray], files: dict[str, str]):
        """The evaluation's unit, from its file or computed: (file name, meta)."""
        config = self.config
        options = [config.fusions, config.promptings, config.segmenters, config.sam_runtime]
        if "sam2" in config.segmenters:
            options.append(sam2_options(config) | {"checkpoint": self.checkpoint})
        parts = [sorted(files.values()), sample.mask, sample.void, options, config.seed]
        key = digest(EVALUATION_SCHEMA, *parts)
        path = self.units / sample.id / f"evaluation.{key}.npz"
        unit = read_unit(path)
        if unit is None:
            result = evaluate(
                sample,
                maps,
                config.fusions,
                config.promptings,
                self.segmenters,
                lambda purpose: stream(config.seed, sample.id, purpose),
            )
            unit = _as_unit(result, sample.image.shape[:2])
            write_unit(path, unit[0], **unit[1])
        return path.name, unit[0]


def _as_unit(result: Evaluation, shape: tuple[int, int]) -> tuple[dict, dict[str, np.ndarray]]:
    meta = {"rows": dict(result.rows), "masks": [list(key) for key in result.masks], "shape": shape}
    return meta, {"masks": pack(list(result.masks.values()), shape), **result.fused}


def _error(stage: str, cue: str, error: Exception) -> dict:
    name, message = type(error).__name__, as_text(str(error))
    return {"stage": stage, "cue": cue, "error": name, "message": message}


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def finish(config: StudyConfig, folder: Path, index: dict, tables: dict[str, pd.DataFrame]) -> None:
    """Write tables, summary, index of the units and, last, the configuration.

    All are whole before the first takes its place: a full disk leaves what was there before.
    InputError where no image could be processed.
    """
    require_samples(config, len(tables["samples"]), tables["errors"])
    for place in (folder, *folder.glob("units/*/")):
        sweep(place)
    run = run_key(config, index)
    with moved_into(folder, last="config.json") as place:
        for name, table in tables.items():
            write_table(place / f"{name}.parquet", table, run=run)
        write_text(place / "summary.csv", summarise(tables).to_csv(index=False))
        conclude(config, place, index)


def run_key(config: StudyConfig, index: dict) -> str:
    """What tells the tables of one run from those of another: settings and unit files, which
    depend on the images. A compact study has no unit files."""
    return digest(asdict(config), index)


def require_samples(config: StudyConfig, count: int, errors: pd.DataFrame) -> None:
    """InputError with the first error's message if `count`, the images that went through, is 0."""
    if not count:
        failed = errors[errors["stage"] != "skipped"]["message"]
        reason = failed.iloc[0] if len(failed) else "no reason recorded"
        raise InputError(f"study {config.name!r}: no image could be processed; the first: {reason}")


def conclude(config: StudyConfig, folder: Path, index: dict) -> None:
    """The index of the units, then the configuration: with it the study is complete."""
    write_json(folder / "units" / "index.json", index)
    write_config(folder / "config.json", config, run=run_key(config, index))


def write_config(path: Path, config: StudyConfig, **more: object) -> None:
    """What `study.read_config` reads, with the version that wrote it and whatever else is given."""
    stored = {"schema": SCHEMA, "evaluation": EVALUATION_SCHEMA, "xaiutils": __version__}
    stored |= {"config": asdict(config), **more}
    write_text(path, json.dumps(stored, indent=2) + "\n")


def summarise(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean and 95 % interval over images of every cue, prompting, segmenter and metric."""
    masks = tables["segmentation"].melt(
        ["cue", "prompting", "segmenter"], ["iou", "dice"], "metric", "value"
    )
    maps = tables["localisation"]
    maps = maps[~maps["metric"].isin(["iou", "dice"])].assign(
        prompting="otsu", segmenter="threshold"
    )
    both = pd.concat([masks, maps[masks.columns]], ignore_index=True)
    return summary(both, ["cue", "prompting", "segmenter", "metric"])
