"""A probe: a logistic regression over a classifier's frozen features, in place of its last layer.

    dataset = load_dataset("voc2012", root, logit="probe")
    probe = train_on(classifier, dataset.train)
    probed = with_probe(classifier, probe)      # explained as any classifier; dataset's targets fit

Trained on image-level labels alone, one class against the rest: the only reading of "which logit
is explained" that is weak supervision in the strict sense.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from xaiutils.classifiers import FrozenClassifier
from xaiutils.datasets import Dataset
from xaiutils.errors import InputError
from xaiutils.store import digest, parse_json, read_unit, write_text, write_unit
from xaiutils.weights import cache_dir

SCHEMA = 1  # of the artefact
KIND = "xaiutils probe"
FEATURES = 1  # raised when a change in the code changes the features
C = 0.01  # inverse strength of the L2 penalty on standardised features


@dataclass(frozen=True, eq=False)
class Probe:
    """The logits `weights @ features + bias` of `classes`; their sigmoid is the probability.

    weights (K, D) and bias (K,) float32, for features as the network gives them: standardisation
    is folded in. skipped: the classes without a logit, each with its reason. trained_on: what it
    was made from (data set, classifier, images, positives by class, C ...), JSON-able.
    """

    weights: np.ndarray
    bias: np.ndarray
    classes: tuple[str, ...]
    skipped: Mapping[str, str]
    trained_on: Mapping[str, object]

    @property
    def digest(self) -> str:
        """Equal for equal logits."""
        return digest(self.weights, self.bias, list(self.classes))

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(N, D) -> (N, K)."""
        return features @ self.weights.T + self.bias


# --- features


def features(classifier: FrozenClassifier, dataset: Dataset) -> np.ndarray:
    """(N, D) float32, what the last linear layer of the classifier gets for each of `dataset.ids`.

    Kept in the cache by the classifier's weights and the image's content, where the weights are
    pinned by a hash. Raises InputError for an image that cannot be read.
    """
    frozen = _without_head(classifier)
    return np.stack(
        [_features(frozen, classifier.digest, dataset.load(id).image) for id in dataset.ids]
    )


def _features(frozen: FrozenClassifier, weights: str, image: np.ndarray) -> np.ndarray:
    """(D,) of one image, from the cache or computed."""
    key = digest(FEATURES, weights, asdict(frozen.preprocess), image)
    path = cache_dir() / "features" / f"{frozen.name}-{key}.npz"
    found = read_unit(path) if weights else None
    if found is None:
        found = {}, {"features": frozen.logits(frozen.preprocess(image)[None])[0]}
        if weights:
            write_unit(path, found[0], **found[1])
    return found[1]["features"]


def _without_head(classifier: FrozenClassifier) -> FrozenClassifier:
    """The classifier whose "logits" are its features; float32 and without a digest, so that its
    graph, which is needed once, is not kept."""
    precision = None if classifier.precision is None else "f32"
    head = torch.nn.Identity()
    return _with_head(classifier, lambda _: head, (), precision, digest="")


# --- training


def train_probe(
    features: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...],
    c: float = C,
    trained_on: Mapping[str, object] | None = None,
) -> Probe:
    """One logistic regression per class, against the rest, with an L2 penalty.

    features (N, D) float; labels (N, K) bool, whether an image shows a class, columns in the order
    of `classes`; c: scikit-learn's C, on standardised features. Nothing is random. Classes that
    all images show, or none, have no logit: `Probe.skipped`. Raises InputError for shapes that do
    not fit, features that are not finite, c <= 0, and where fewer than two classes are left.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels, bool)
    _check(features, labels, classes, c)
    counts = labels.sum(axis=0)
    learnt = [k for k in range(len(classes)) if 0 < counts[k] < len(labels)]
    if len(learnt) < 2:
        raise InputError(
            f"a probe needs two classes that some images show and some do not: of {len(classes)} "
            f"in {len(labels)} images there are {len(learnt)}"
        )
    scale = StandardScaler().fit(features)
    fits = [_fit(scale.transform(features), labels[:, k], c) for k in learnt]
    weights = np.stack([fit.coef_[0] for fit in fits]) / scale.scale_
    bias = np.array([fit.intercept_[0] for fit in fits]) - weights @ scale.mean_
    positives = {classes[k]: int(counts[k]) for k in learnt}
    made_from = {**(trained_on or {}), "images": len(labels), "positives": positives, "C": c}
    skipped = {
        classes[k]: _reason(counts[k], len(labels)) for k in range(len(classes)) if k not in learnt
    }
    names = tuple(positives)
    return Probe(weights.astype("f4"), bias.astype("f4"), names, skipped, made_from)


def _fit(features: np.ndarray, labels: np.ndarray, c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=10_000, tol=1e-8).fit(features, labels)


def _reason(count: int, images: int) -> str:
    return f"{'all' if count else 'none'} of the {images} training images show it"


def _check(features: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], c: float) -> None:
    if features.ndim != 2 or labels.shape != (len(features), len(classes)):
        raise InputError(
            f"features {features.shape} and labels {labels.shape} must be (N, D) and "
            f"(N, {len(classes)}), a column for each of the classes"
        )
    if not np.isfinite(features).all():
        raise InputError("features hold NaN or infinite values")
    if not c > 0:
        raise InputError(f"c is {c}: it must be above 0")


def label_matrix(dataset: Dataset) -> np.ndarray:
    """(N, K) bool: whether the image of each id shows each of `dataset.classes`."""
    return np.array([[c in dataset.labels[id] for c in dataset.classes] for id in dataset.ids])


def train_on(classifier: FrozenClassifier, dataset: Dataset, c: float = C) -> Probe:
    """The probe of a classifier and a training split with one sample per image."""
    made_from = _made_from(classifier.name, dataset, c) | {"classifier_digest": classifier.digest}
    data = features(classifier, dataset), label_matrix(dataset)
    return train_probe(*data, dataset.classes, c, made_from)


def _made_from(classifier: str, dataset: Dataset, c: float) -> dict[str, object]:
    """What decides the probe, but for the classifier's weights: names, labels, bytes of images."""
    labels = digest(list(dataset.ids), label_matrix(dataset), list(dataset.classes))
    parts = {"dataset": dataset.name, "labels": labels, "classifier": classifier, "C": c}
    return parts | {"features": FEATURES, "image_files": _digest_of_files(dataset)}


def _digest_of_files(dataset: Dataset) -> str:
    sha = hashlib.sha256()
    for id in dataset.ids:
        if id in dataset.files:
            sha.update(hashlib.sha256(_read(dataset.files[id])).digest())
    return sha.hexdigest()


def find_probe(
    path: Path, name: str, load: Callable[[], FrozenClassifier], train: Dataset
) -> Probe:
    """The probe stored in `path` if it was made of the classifier `name` and the training split;
    else it is trained, on the classifier that `load` gives, and stored there.

    Raises InputError for a damaged file: see `load_probe`.
    """
    if path.exists():
        probe = load_probe(path)
        if _made_from(name, train, C).items() <= probe.trained_on.items():
            return probe
    probe = train_on(load(), train, C)
    save_probe(probe, path)
    return probe


# --- artefact


def save_probe(probe: Probe, path: str | Path) -> None:
    """Write the weights beside `path`, under its name as .npz, and then `path`: JSON that says what
    they are and their file's SHA-256."""
    path = Path(path)
    file = path.with_suffix(".npz")
    write_unit(file, {}, weights=probe.weights, bias=probe.bias)
    stored = {
        "schema": SCHEMA,
        "kind": KIND,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "classes": list(probe.classes),
        "skipped": dict(probe.skipped),
        "trained_on": dict(probe.trained_on),
    }
    stored["digest"] = _digest_of(stored)
    write_text(path, json.dumps(stored, indent=2) + "\n")


def load_probe(path: str | Path) -> Probe:
    """What `save_probe` wrote; nothing is unpickled.

    Raises InputError, with the file's name, for a missing or damaged file, one of another kind or
    schema, and weights that do not have the SHA-256, the shapes and the type that they should.
    """
    path = Path(path)
    stored = _read_description(path)
    file = path.with_suffix(".npz")
    if hashlib.sha256(_read(file)).hexdigest() != stored["sha256"]:
        raise _unusable(file, f"does not have the SHA-256 that {path.name} states")
    if _digest_of(stored) != stored.get("digest"):
        raise _unusable(path, "was changed: it does not have the digest that it states")
    found = read_unit(file)
    if found is None:
        raise _unusable(file, "does not hold the arrays of a probe")
    classes = tuple(stored["classes"])
    _check_arrays(file, found[1], len(classes))
    arrays = found[1]["weights"], found[1]["bias"]
    return Probe(*arrays, classes, stored["skipped"], stored["trained_on"])


def _digest_of(stored: dict) -> str:
    """Of all that the JSON says but its digest: the names of the logits above all."""
    return digest(json.dumps({k: v for k, v in stored.items() if k != "digest"}, sort_keys=True))


def _read(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"{path}: not found; a probe is trained when its study runs")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_description(path: Path) -> dict:
    data = _read(path)
    try:
        stored = parse_json(data)
    except ValueError as error:
        raise _unusable(path, f"is no JSON ({error})") from error
    if not isinstance(stored, dict) or stored.get("kind") != KIND:
        raise _unusable(path, "does not describe a probe")
    if stored.get("schema") != SCHEMA:
        raise _unusable(path, f"has schema {stored.get('schema')}, this version reads {SCHEMA}")
    wanted = {"sha256": str, "classes": list, "skipped": dict, "trained_on": dict}
    if bad := [key for key, kind in wanted.items() if not isinstance(stored.get(key), kind)]:
        raise _unusable(path, f"lacks {', '.join(bad)}")
    return stored


def _check_arrays(file: Path, arrays: dict[str, np.ndarray], classes: int) -> None:
    shapes = {name: array.shape for name, array in arrays.items()}
    if (
        set(shapes) != {"weights", "bias"}
        or len(shapes["weights"]) != 2
        or shapes["weights"][0] != classes
        or shapes["bias"] != (classes,)
        or any(array.dtype != np.float32 for array in arrays.values())
    ):
        raise _unusable(file, f"must hold float32 weights ({classes}, D) and bias ({classes},)")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise _unusable(file, "holds NaN or infinite values")


def _unusable(path: Path, why: str) -> InputError:
    return InputError(f"{path}: {why}; remove the probe's files to train it again")


# --- the classifier


def with_probe(classifier: FrozenClassifier, probe: Probe) -> FrozenClassifier:
    """A copy of the classifier with the probe for its last linear layer: same features, same
    target layer, logits and names of the probe's classes.

    Raises InputError for a probe of another classifier, and for a network whose logits are not
    those of a linear layer.
    """
    made_for = probe.trained_on.get("classifier_digest", classifier.digest)
    if made_for != classifier.digest:
        raise InputError(
            f"the probe was trained on features of {probe.trained_on.get('classifier')} with "
            f"weights {made_for[:16]!r}, not of {classifier.name} with {classifier.digest[:16]!r}"
        )
    changed = digest(classifier.digest, probe.digest) if classifier.digest else ""
    head = partial(_linear, probe)
    probed = _with_head(classifier, head, probe.classes, classifier.precision, changed)
    probed.one_vs_rest = True
    return probed


def _linear(probe: Probe, old: torch.nn.Linear) -> torch.nn.Linear:
    if old.in_features != probe.weights.shape[1]:
        raise InputError(
            f"the probe reads {probe.weights.shape[1]} features, the network has {old.in_features}"
        )
    head = torch.nn.Linear(*probe.weights.shape[::-1])
    head.weight.data = torch.from_numpy(probe.weights.copy())
    head.bias.data = torch.from_numpy(probe.bias.copy())
    return head.to(old.weight.device)


def _with_head(
    classifier: FrozenClassifier,
    make: Callable[[torch.nn.Linear], torch.nn.Module],
    names: tuple[str, ...],
    precision: str | None,
    digest: str,
) -> FrozenClassifier:
    """A copy whose last linear layer is replaced by what `make` gives for it."""
    name = head_name(classifier)
    layer = _name_of(classifier.model, classifier.target_layer)
    model = copy.deepcopy(classifier.model)
    model.set_submodule(name, make(model.get_submodule(name)))
    return FrozenClassifier(
        classifier.name,
        model,
        classifier.preprocess,
        names,
        model.get_submodule(layer),
        classifier.reshape,
        precision,
        digest,
    )


def head_name(classifier: FrozenClassifier) -> str:
    """The name, in the network, of the linear layer that gives its logits.

    It is the last one. InputError where the logits are not its output, on a small batch.
    """
    linear = [n for n, m in classifier.model.named_modules() if isinstance(m, torch.nn.Linear)]
    if not linear:
        raise InputError(f"{classifier.name} has no linear layer that a probe could replace")
    kept = []
    layer = classifier.model.get_submodule(linear[-1])
    handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        with torch.inference_mode():
            device = layer.weight.device
            logits = classifier.model(classifier.probe().to(device))
    finally:
        handle.remove()
    if len(kept) != 1 or kept[0] is not logits:  # something follows it
        raise InputError(f"{classifier.name}: its logits are not those of the layer {linear[-1]}")
    return linear[-1]


def _name_of(model: torch.nn.Module, wanted: torch.nn.Module) -> str:
    return next(name for name, module in model.named_modules() if module is wanted)
