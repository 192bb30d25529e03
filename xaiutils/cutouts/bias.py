"""The planted bias: heads that were taught the ground with the object, so that the truth is known.

A linear head on EfficientNet-Lite0's frozen, pooled features tells birds from mammals. In training
a class stands on its own ground (birds on waves, mammals in corn) in 50, 80, 95 or 100 % of its
composites; at 50 % the ground says nothing. All four heads are outputs of one network, so that
one pass serves them. Test objects are others than those trained on.
"""

import copy
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression

from xaiutils import training
from xaiutils.classifiers import FrozenClassifier
from xaiutils.cutouts.measure import FIRST, GROUPS, Explained, explain
from xaiutils.cutouts.plans import BIASED, SHARES, render, stream
from xaiutils.cutouts.sources import Library
from xaiutils.evaluation import to_image
from xaiutils.explainers import Query, make_explainer, saliency
from xaiutils.maps import otsu, threshold
from xaiutils.metrics.localisation import coverage, iou, spill
from xaiutils.prompting import PROMPTINGS
from xaiutils.store import digest, read_json, read_unit, write_json, write_unit

SCHEMA = 2
C = 0.01  # inverse strength of the heads' L2 penalty, on standardised features


def congruent(row) -> bool:
    """Whether an object stands on its class's own ground."""
    return row.ground == BIASED[int(row.target)]


def weights_of(manifest: pd.DataFrame, share: int) -> np.ndarray:
    """Weight of each training composite: `share` percent of a class's weight is on its ground."""
    own = np.array([congruent(row) for row in manifest.itertuples()])
    return np.where(own, share, 100 - share) / 100


def fit_head(features: np.ndarray, classes: np.ndarray, weights: np.ndarray):
    """(w (F,), b): w.f + b is the logit of class 1, by weighted logistic regression."""
    mean, std = features.mean(0), features.std(0) + 1e-6
    model = LogisticRegression(C=C, max_iter=2000)
    used = weights > 0
    model.fit(((features - mean) / std)[used], classes[used], sample_weight=weights[used])
    w = model.coef_[0] / std
    return w, float(model.intercept_[0] - w @ mean)


def with_heads(classifier: FrozenClassifier, heads) -> FrozenClassifier:
    """The same network with, for each head, the logits of class 0 and 1 (-z, z): 2 R outputs."""
    model = copy.deepcopy(classifier.model)
    layer = torch.nn.Linear(len(heads[0][0]), 2 * len(heads))
    with torch.no_grad():
        for i, (w, b) in enumerate(heads):
            for k, sign in enumerate((-1, 1)):
                layer.weight[2 * i + k] = torch.from_numpy(sign * w).float()
                layer.bias[2 * i + k] = sign * b
    model.classifier = layer
    names = [f"{kind}, {share} %" for share in SHARES for kind in ("birds", "mammals")]
    return FrozenClassifier(
        "planted bias", model, classifier.preprocess, names, model.bn2, precision="f32"
    )


def pooled(classifier: FrozenClassifier, images: list[np.ndarray]) -> np.ndarray:
    """(N, F) float64 pooled features of images (S, S, 3) uint8."""
    with torch.inference_mode():
        parts = [
            classifier.model.forward_head(
                classifier.model.forward_features(classifier.preprocess(image)[None]),
                pre_logits=True,
            )
            for image in images
        ]
    return torch.cat(parts).double().numpy()


class Bias:
    """The experiment, step by step; every step is kept in `folder`/units."""

    def __init__(
        self,
        library: Library,
        classifier: FrozenClassifier,
        manifest: pd.DataFrame,
        folder: Path,
        seed: int = 0,
    ):
        self.library, self.classifier, self.seed = library, classifier, seed
        self.manifest, self.folder = manifest, folder
        self.key = digest(SCHEMA, manifest.astype(str).values.tolist(), classifier.name, C, seed)

    def part(self, split: str) -> pd.DataFrame:
        return self.manifest[self.manifest["split"] == split]

    def image(self, row) -> np.ndarray:
        return render(self.library, row).image

    @cached_property
    def features(self) -> np.ndarray:
        """(N, F) of the manifest's composites."""
        path = self.folder / "units" / f"bias.features.{self.key}.npz"
        unit = read_unit(path)
        if unit is None:
            found = pooled(self.classifier, [self.image(row) for row in self.manifest.itertuples()])
            write_unit(path, {}, features=found)
            return found
        return unit[1]["features"]

    @cached_property
    def heads(self) -> list[tuple[np.ndarray, float]]:
        train = (self.manifest["split"] == "train").to_numpy()
        classes = self.manifest["target"].to_numpy()[train]
        return [
            fit_head(self.features[train], classes, weights_of(self.part("train"), share))
            for share in SHARES
        ]

    @cached_property
    def biased(self) -> FrozenClassifier:
        return with_heads(self.classifier, self.heads)

    def predictions(self) -> pd.DataFrame:
        """sample, share, own (on its class's ground), correct, logit of its class; test only."""
        test = (self.manifest["split"] == "test").to_numpy()
        rows = []
        for share, (w, b) in zip(SHARES, self.heads, strict=True):
            z = self.features[test] @ w + b
            for row, value in zip(self.part("test").itertuples(), z, strict=True):
                logit = float(value if row.target else -value)
                rows.append({"sample": row.sample, "object": row.object, "share": share,
                             "own": congruent(row), "correct": float(logit > 0),
                             "logit": logit})  # fmt: skip
        return pd.DataFrame(rows)

    def path(self, row, group: str) -> Path:
        return self.folder / "units" / f"bias.{row.sample}.{group}.{self.key}.json"

    def units(self, group: str, step: int = 1):
        """Test composites; the costlier groups take the first place of each object and ground.

        step: those of every step-th object only.
        """
        part = self.part("test")
        objects = list(dict.fromkeys(part["object"]))
        for row in part.itertuples(index=False):
            asked = group == FIRST or row.sample.endswith("-0")
            if asked and objects.index(row.object) % step == 0:
                yield row

    def run(self, row, group: str) -> None:
        """Explain the logit of a composite's class by each of the heads."""
        made = render(self.library, row)
        what = [
            Explained(str(share), 2 * i + int(row.target), made.mask)
            for i, share in enumerate(SHARES)
        ]
        seed = int(stream(self.seed, "bias", row.sample).integers(2**31))
        rows = explain(self.biased, made.image, what, GROUPS[group], seed)
        write_json(self.path(row, group), rows)

    def maps(self) -> pd.DataFrame:
        """The rows of the units that are there."""
        rows = []
        for group in GROUPS:
            for row in self.units(group):
                if self.path(row, group).exists():
                    found = read_json(self.path(row, group))
                    rows += [{"experiment": "bias", "sample": row.sample, **each} for each in found]
        return pd.DataFrame(rows)

    # what SAM and a trained segmenter make of Grad-CAM -------------------------------------------

    def seed_map(self, row, image: np.ndarray, i: int) -> np.ndarray:
        """Grad-CAM (S, S) of the composite's class by the i-th head."""
        query = Query(self.biased, self.biased.preprocess(image), 2 * i + int(row.target))
        explainer = make_explainer("gradcam")
        return saliency(explainer.attribute(query, np.random.default_rng(0)), explainer.sign)

    def prompted(self, row, segmenter) -> list[dict]:
        """IoU, coverage and spill of the seed and of SAM's mask from it, by head."""
        made = render(self.library, row)
        segmenter.set_image(made.image)
        rows = []
        for i, share in enumerate(SHARES):
            full = to_image(self.seed_map(row, made.image, i), made.mask.shape)
            if not np.isfinite(full).all():
                continue
            rng = stream(self.seed, "sam", row.sample)
            mask = segmenter.predict(PROMPTINGS["points"](full, rng)).mask
            rows += region_rows(row, share, "seed", threshold(full, otsu(full)), made.mask)
            rows += region_rows(row, share, "SAM", mask, made.mask)
        return rows

    def trained(self, model) -> pd.DataFrame:
        """A segmenter trained on each head's seeds, tried on the test objects.

        Training composites (the first place of each object and ground) weigh what they weighed
        for the head. "truth": the same segmenter trained on the exact masks, unweighted.
        """
        train = [row for row in self.part("train").itertuples() if row.sample.endswith("-0")]
        test = [row for row in self.part("test").itertuples() if row.sample.endswith("-0")]
        made = {row.sample: render(self.library, row) for row in [*train, *test]}
        encoded = {
            row.sample: training.encode(model, made[row.sample].image) for row in [*train, *test]
        }
        x = np.stack([encoded[row.sample] for row in train])
        rows = []
        for i, share in enumerate([*SHARES, "truth"]):
            labels, weights = zip(
                *(self._labels(row, made[row.sample], i) for row in train), strict=True
            )
            head = training.fit(
                x, np.stack(labels), np.stack(weights), stream(self.seed, "segmenter")
            )
            for row in test:
                truth = made[row.sample].mask
                mask = training.predict(head, encoded[row.sample], truth.shape)
                rows += region_rows(row, share, "trained", mask, truth)
        return pd.DataFrame(rows)

    def _labels(self, row, made, i: int) -> tuple[np.ndarray, np.ndarray]:
        if i == len(SHARES):
            return training.grid_labels(made.mask)
        full = to_image(self.seed_map(row, made.image, i), made.mask.shape)
        flat = not np.isfinite(full).all()
        label, weight = training.grid_labels(made.mask & False if flat else full >= otsu(full))
        share = SHARES[i] if congruent(row) else 100 - SHARES[i]
        return label, weight * (0 if flat else np.float32(share / 100))


def region_rows(row, share, what: str, mask: np.ndarray, truth: np.ndarray) -> list[dict]:
    """Rows (sample, object, share, own, what, metric, value); "ground": share of it covered."""
    values = {
        "iou": iou(mask, truth),
        "coverage": coverage(mask, truth),
        "spill": spill(mask, truth),
        "ground": float((mask & ~truth).sum() / (~truth).sum()),
    }
    ids = {"sample": row.sample, "object": row.object, "share": str(share), "own": congruent(row)}
    return [{**ids, "what": what, "metric": m, "value": v} for m, v in values.items()]
