"""A study: a configuration, and what it produced. Runs the grid, stores every result, resumes.

    study = open_study("demo")          # runs it first where something is missing or stale
    study.table("localisation")         # tidy tables, one Parquet file each
    study.saliency("cat", "gradcam")    # stored maps and masks

A unit of work is one explanation (image, explainer, settings) or the evaluation of one image. Each
is a file named by a digest of all that it depends on: what is there and whole is never computed
again, and a changed setting recomputes only what depends on it.
"""

import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from xaiutils import __version__
from xaiutils.classifiers import CLASSIFIERS, FrozenClassifier, Passes, load_classifier
from xaiutils.datasets import Dataset, Sample, load_dataset
from xaiutils.errors import InputError
from xaiutils.evaluation import Evaluation, evaluate, to_image
from xaiutils.explainers import (
    EXPLAINERS,
    PRESETS,
    Explainer,
    Query,
    describe,
    make_explainer,
    saliency,
)
from xaiutils.fusion import FUSIONS
from xaiutils.names import CLASSIFIER_TITLES, SEGMENTER_TITLES, in_order
from xaiutils.prompting import PROMPTINGS
from xaiutils.segmenters import REGISTRY, Segmenter, load_segmenter
from xaiutils.statistics import summary
from xaiutils.store import (
    digest,
    pack,
    read_unit,
    unpack,
    write_table,
    write_text,
    write_unit,
)

# Raised when a change in the code changes what units or tables hold: older ones are recomputed.
SCHEMA = 1

TABLES: dict[str, list[str]] = {
    "samples": [
        "sample",
        "label",
        "target",
        "target_name",
        "probability",
        "predicted_name",
        "height",
        "width",
        "object_share",
    ],
    "explanations": ["sample", "explainer", "settings", "seconds", "forward", "backward"],
    "localisation": ["sample", "cue", "metric", "value"],
    "agreement": ["sample", "a", "b", "metric", "value"],
    "weights": ["sample", "fusion", "explainer", "weight", "rounds", "dropped"],
    "segmentation": [
        "sample",
        "cue",
        "prompting",
        "segmenter",
        "iou",
        "dice",
        "score",
        "seconds",
    ],
    "proxy": ["sample", "cue", "reference", "coverage", "spill"],
    "errors": ["stage", "sample", "cue", "error", "message"],
}


@dataclass(frozen=True)
class StudyConfig:
    """What is measured. Equal configurations on equal images give equal tables.

    `settings` overrides single settings of explainers: {"lime": {"samples": 500}}.
    `segmenters` maps names to their options: {"embedded_sam": {"runtime": "openvino"}}.
    `limit` takes the first images only. `precision` is that of the compiled classifier. `reading`
    and `logit` say what a sample is and which class is explained (see `load_dataset`).
    """

    name: str = "demo"
    dataset: str = "sample"
    root: str | None = None
    split: str | None = None
    reading: str = "class"
    logit: str = "given"
    limit: int | None = None
    classifier: str = "efficientnet_lite0"
    precision: str | None = "f32"
    preset: str = "fast"
    explainers: tuple[str, ...] = tuple(EXPLAINERS)
    settings: tuple[tuple[str, tuple[tuple[str, object], ...]], ...] = ()
    fusions: tuple[str, ...] = tuple(FUSIONS)
    promptings: tuple[str, ...] = ("dual", "peak", "points", "box", "literal")
    segmenters: tuple[str, ...] = ("embedded_sam", "grabcut", "random_walker", "threshold")
    sam_runtime: str = "openvino"
    seed: int = 0

    def __post_init__(self):
        _known("classifier", [self.classifier], CLASSIFIERS)
        _known("preset", [self.preset], PRESETS)
        _known("explainer", self.explainers, EXPLAINERS)
        _known("fusion", self.fusions, FUSIONS)
        _known("prompting", self.promptings, PROMPTINGS)
        _known("segmenter", self.segmenters, REGISTRY)
        if not self.explainers or not self.promptings:
            raise InputError("a study needs at least one explainer and one prompting")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"limit is {self.limit}: it must be at least 1")
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise InputError(f"study name {self.name!r} cannot name a folder")
        for explainer, settings in self.settings:
            make_explainer(explainer, self.preset, **dict(settings))

    def make_explainers(self) -> dict[str, Explainer]:
        """The explainers with their settings, by name, in the paper's order."""
        given = {name: dict(settings) for name, settings in self.settings}
        return {
            name: make_explainer(name, self.preset, **given.get(name, {}))
            for name in in_order(self.explainers)
        }


def _known(kind: str, names, known) -> None:
    for name in names:
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}; known: {', '.join(known)}")


STUDIES: dict[str, StudyConfig] = {
    "demo": StudyConfig("demo"),
    "demo-resnet50": StudyConfig("demo-resnet50", classifier="resnet50"),
}


def studies_dir() -> Path:
    """Where studies live: `XAIUTILS_STUDIES`, else data/studies of the repository."""
    given = os.environ.get("XAIUTILS_STUDIES")
    return Path(given) if given else Path(__file__).resolve().parents[1] / "data" / "studies"


def stream(seed: int, *names: str) -> np.random.Generator:
    """An independent random stream for each purpose, whatever else is computed before it."""
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


class Study:
    """A stored study, read lazily."""

    def __init__(self, config: StudyConfig, folder: Path):
        self.config = config
        self.folder = folder

    @property
    def name(self) -> str:
        return self.config.name

    def table(self, name: str) -> pd.DataFrame:
        """One of the tidy tables; their columns are in `TABLES`."""
        if name not in TABLES:
            raise InputError(f"unknown table {name!r}; known: {', '.join(TABLES)}")
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            raise InputError(f"{path}: not found; run `python -m xaiutils run --study {self.name}`")
        return pd.read_parquet(path)

    @cached_property
    def sample_ids(self) -> list[str]:
        return self.table("samples")["sample"].tolist()

    @cached_property
    def cues(self) -> list[str]:
        """Explainers, then fusions, in the order of the paper's Table 2."""
        return in_order(self.table("localisation")["cue"].unique())

    @cached_property
    def dataset(self) -> Dataset:
        config = self.config
        return load_dataset(
            config.dataset, config.root, config.split, reading=config.reading, logit=config.logit
        )

    @property
    def has_arrays(self) -> bool:
        """False for a stored study whose tables alone are here, without maps and masks."""
        return (self.folder / "units").is_dir()

    def sample(self, id: str) -> Sample:
        """The image with its mask, from the data set."""
        return self.dataset.load(id)

    def raw(self, id: str, explainer: str) -> np.ndarray:
        """(S, S) float32, signed as the method gives it."""
        found = self._units(id)
        if explainer not in found["explanations"]:
            raise InputError(f"study {self.name!r} has no map of {explainer!r} for sample {id!r}")
        unit = read_unit(self.folder / "units" / id / found["explanations"][explainer])
        if unit is None:
            raise InputError(f"the map of {explainer!r} for {id!r} is damaged: run the study again")
        return unit[1]["map"]

    def saliency(self, id: str, cue: str) -> np.ndarray:
        """(H, W) float32 in [0, 1] at image size; all NaN for a flat map."""
        row = self.table("samples").set_index("sample").loc[id]
        return to_image(self._small(id, cue), (int(row["height"]), int(row["width"])))

    def _small(self, id: str, cue: str) -> np.ndarray:
        if cue in EXPLAINERS:
            return saliency(self.raw(id, cue), EXPLAINERS[cue].sign)
        _, arrays = self._evaluation(id)
        if cue not in arrays:
            raise InputError(f"study {self.name!r} has no cue {cue!r}; it has {self.cues}")
        return arrays[cue]

    def mask(self, id: str, cue: str, prompting: str, segmenter: str) -> np.ndarray:
        """(H, W) bool: what the segmenter made of the cue's prompts."""
        meta, arrays = self._evaluation(id)
        key = [cue, prompting, segmenter]
        if key not in meta["masks"]:
            raise InputError(
                f"study {self.name!r} has no mask of {segmenter!r} from {cue!r} ({prompting}) for "
                f"{id!r}: not asked for, or undefined (flat map)"
            )
        return unpack(arrays["masks"][meta["masks"].index(key)], tuple(meta["shape"]))

    def _units(self, id: str) -> dict:
        index = json.loads(self._read("index.json"))
        if id not in index:
            raise InputError(f"study {self.name!r} has no sample {id!r}")
        return index[id]

    def _evaluation(self, id: str) -> tuple[dict, dict[str, np.ndarray]]:
        unit = read_unit(self.folder / "units" / id / self._units(id)["evaluation"])
        if unit is None:
            raise InputError(f"the evaluation of {id!r} is damaged: run the study again")
        return unit

    def _read(self, name: str) -> str:
        path = self.folder / "units" / name
        if not path.exists():
            raise InputError(
                f"study {self.name!r} has tables only, no maps or masks; to compute them run "
                f"`python -m xaiutils run --study {self.name}` where its images are"
            )
        return path.read_text()

    def caption(self) -> str:
        """n, data set, classifier, settings and segmenter, for captions."""
        config = self.config
        data = (
            "bundled photographs" if config.dataset == "sample" else f"images of {config.dataset}"
        )
        names = [SEGMENTER_TITLES[name] for name in config.segmenters if "sam" in name]
        return ", ".join(
            [
                f"n = {len(self.sample_ids)} {data}",
                CLASSIFIER_TITLES[config.classifier],
                f"{config.preset} preset",
                *names,
                f"seed {config.seed}",
            ]
        )


def open_study(name: str, progress: bool = True) -> Study:
    """A study by name; a named one is completed first where something is missing or stale.

    A study that is only stored (its images are not here) is opened as it is.
    """
    folder = studies_dir() / name
    stored = folder / "config.json"
    if name in STUDIES:
        return run_study(STUDIES[name], progress)
    if not stored.exists():
        known = sorted(
            {*STUDIES, *(path.parent.name for path in folder.parent.glob("*/config.json"))}
        )
        raise InputError(f"unknown study {name!r}; known: {', '.join(known)}")
    return Study(_read_config(stored), folder)


def _read_config(path: Path) -> StudyConfig:
    stored = json.loads(path.read_text())
    if stored.get("schema") != SCHEMA:
        raise InputError(
            f"{path}: written with schema {stored.get('schema')}, this version reads {SCHEMA}; "
            "run the study again or check out the version that wrote it"
        )
    values = {key: _tuples(value) for key, value in stored["config"].items()}
    return StudyConfig(**values)


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def run_study(config: StudyConfig, progress: bool = True) -> Study:
    """Compute what is missing, gather the tables, and return the study.

    What fails on one image is a row of the errors table; the other images go on. Interrupting
    loses the unit in flight and nothing else.
    """
    study = Study(config, studies_dir() / config.name)
    dataset = study.dataset
    ids = dataset.ids[: config.limit]
    if not ids:
        raise InputError(f"data set {config.dataset!r} has no samples")
    index, rows = {}, {table: [] for table in TABLES}
    for reason, skipped in dataset.skipped.items():
        rows["errors"] += [
            {"sample": id, **_error("skipped", "", InputError(reason))} for id in skipped
        ]
    run = Run(study)
    total = len(ids) * (len(config.explainers) + 1)
    with tqdm(total=total, desc=config.name, unit="unit", disable=not progress, delay=2) as bar:
        for id in ids:
            for table, found in run.one(id, index, bar):
                rows[table] += [{"sample": id, **row} for row in found]
    if not rows["samples"]:
        failed = [row for row in rows["errors"] if row["stage"] != "skipped"]
        reason = failed[0]["message"] if failed else "no reason recorded"
        raise InputError(f"study {config.name!r}: no image could be processed; the first: {reason}")
    _write(study, index, rows)
    return study


def chosen_class(sample: Sample, probabilities: np.ndarray) -> int:
    """The class that is explained: the sample's own, the likeliest candidate, or the top-1."""
    if sample.target is not None:
        return sample.target
    if sample.candidates:
        return max(sample.candidates, key=lambda index: probabilities[index])
    return int(probabilities.argmax())


class Run:
    """One pass over a study's samples; the models are loaded when the first unit needs them."""

    def __init__(self, study: Study):
        self.config = study.config
        self.units = study.folder / "units"
        self.dataset = study.dataset
        self.explainers = study.config.make_explainers()

    @cached_property
    def classifier(self) -> FrozenClassifier:
        return load_classifier(self.config.classifier, self.config.precision)

    @cached_property
    def segmenters(self) -> dict[str, Segmenter]:
        options = {"embedded_sam": {"runtime": self.config.sam_runtime}}
        return {
            name: load_segmenter(name, **options.get(name, {})) for name in self.config.segmenters
        }

    def one(self, id: str, index: dict, bar) -> Iterator[tuple[str, list[dict]]]:
        """(table, rows) of one sample; its unit files are entered into `index`."""
        try:
            sample = self.dataset.load(id)
        except InputError as error:
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
            p = np.exp(logits.astype(np.float64) - logits.max())
            p /= p.sum()
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
        """Digest of an image, the classifier and whatever else a unit depends on."""
        config = self.config
        return digest(SCHEMA, sample.image, config.classifier, config.precision, *parts)

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
        key = digest(SCHEMA, sorted(files.values()), sample.mask, sample.void, options, config.seed)
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
    return {"stage": stage, "cue": cue, "error": type(error).__name__, "message": str(error)}


def _write(study: Study, index: dict, rows: dict[str, list[dict]]) -> None:
    """The tables, the summary and the configuration, which is written last."""
    tables = {name: pd.DataFrame(rows[name], columns=TABLES[name]) for name in TABLES}
    for name, table in tables.items():
        write_table(study.folder / f"{name}.parquet", table)
    write_text(study.folder / "summary.csv", summarise(tables).to_csv(index=False))
    write_text(study.folder / "units" / "index.json", json.dumps(index))
    stored = {"schema": SCHEMA, "xaiutils": __version__, "config": asdict(study.config)}
    write_text(study.folder / "config.json", json.dumps(stored, indent=2) + "\n")


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
