"""Which cut-outs the classifier knows: on grey, is one of their classes among the five likeliest?

The same is asked of the bundled photographs as they are, so that composites can be compared.
"""

import numpy as np
import pandas as pd

from xaiutils.classifiers import FrozenClassifier
from xaiutils.cutouts.compose import place
from xaiutils.cutouts.sources import BUNDLED, TOP, Library
from xaiutils.datasets import load_dataset

SCALE = 0.7


def recognise(library: Library, classifier: FrozenClassifier) -> pd.DataFrame:
    """A row a cut-out: object, label, habitat, target (-1: none), rank (0: top-1), probability,
    predicted_name, recognised. target is the likeliest of the cut-out's classes."""
    rows = []
    for name in library.names:
        image = place(library.ground("grey", 0), library.cutout(name), 0.5, 0.5, SCALE).image
        entry = library.entries[name]
        found = _ask(classifier, image, entry.indices)
        known = found["target"] >= 0 and found["rank"] < TOP
        rows.append({"object": name, "label": entry.label, "habitat": entry.habitat, **found,
                     "recognised": bool(known), "reason": entry.reason})  # fmt: skip
    return pd.DataFrame(rows)


def photographs(classifier: FrozenClassifier) -> pd.DataFrame:
    """The bundled photographs as they are, with their own targets; columns as `recognise`."""
    dataset = load_dataset("sample")
    rows = []
    for id in dataset.ids:
        sample = dataset.load(id)
        rows.append(
            {"object": f"{BUNDLED}{id}", **_ask(classifier, sample.image, (sample.target,))}
        )
    return pd.DataFrame(rows)


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _ask(classifier: FrozenClassifier, image: np.ndarray, indices: tuple[int, ...]) -> dict:
    p = softmax(classifier.logits(classifier.preprocess(image)[None])[0])
    target = max(indices, key=lambda i: p[i]) if indices else -1
    return {
        "target": target,
        "rank": int((p > p[target]).sum()) if indices else -1,
        "probability": float(p[target]) if indices else float("nan"),
        "predicted_name": classifier.class_names[int(p.argmax())],
        "predicted_probability": float(p.max()),
    }
