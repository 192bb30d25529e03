"""A finished class-wise or binary study of three small VOC images, with maps known by construction.

Cue "gradcam" marks each object exactly; "ig" is shifted by two pixels, and flat on image 3. SAM's
masks from dual prompts are those maps grown by one pixel to the right; the floor is the whole left
half. The network is left out: what a study stores is all there is.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from xaiutils.datasets import load_dataset
from xaiutils.pseudo_labels import write_voc

DOG, PERSON, COW, VOID = 12, 15, 10, 255
CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
SCORES = {"dog": 0.9, "person": 0.8, "cow": 0.7, "object": 0.6}


def label_images() -> dict[str, np.ndarray]:
    """Three true label images (12, 16): dog and person beside each other with void, cow, dog."""
    empty = np.zeros((12, 16), np.uint8)
    one, two, three = empty.copy(), empty.copy(), empty.copy()
    one[2:6, 2:8], one[2:6, 8:12], one[0, :] = DOG, PERSON, VOID
    two[3:9, 4:9] = COW
    three[1:4, 1:5] = DOG
    return {"2007_000001": one, "2007_000002": two, "2007_000003": three}


def write_tree(root: Path) -> None:
    """The images as a VOC 2012 tree, split val."""
    images = label_images()
    write_voc(root / "VOC2012", images.items(), CLASSES, split="val")
    (root / "VOC2012" / "JPEGImages").mkdir()
    for name in images:
        Image.new("RGB", (16, 12), "green").save(root / "VOC2012" / "JPEGImages" / f"{name}.jpg")


class ToyStudy:
    """What `Study` offers to those who read one; `without`: samples that it does not have."""

    name = "toy"
    cues = ("gradcam", "ig")

    def __init__(self, root: Path, reading: str = "class", without: tuple[str, ...] = ()):
        write_tree(root)
        self.config = SimpleNamespace(
            dataset="voc2012", root=str(root), split="val", reading=reading, logit="mapped"
        )
        self.dataset = load_dataset("voc2012", root, "val", reading=reading)
        self.sample_ids = [id for id in self.dataset.ids if id not in without]

    def sample(self, id: str):
        return self.dataset.load(id)

    def saliency(self, id: str, cue: str) -> np.ndarray:
        mask = self.sample(id).mask
        if cue == "ig":
            mask = np.roll(mask, 2, axis=1)
            if id.startswith("2007_000003"):
                return np.full(mask.shape, np.nan, np.float32)
        return mask.astype(np.float32)

    def mask(self, id: str, cue: str, prompting: str, segmenter: str) -> np.ndarray:
        if cue.startswith("floor"):
            return np.broadcast_to(np.arange(16) < 8, (12, 16)).copy()
        map = self.saliency(id, cue) > 0
        return map | np.roll(map, 1, axis=1)

    def label(self, id: str) -> str:
        return self.sample(id).label if self.config.reading == "class" else "object"

    def table(self, name: str) -> pd.DataFrame:
        rows = {"samples": [], "localisation": [], "segmentation": []}
        for id in self.sample_ids:
            rows["samples"].append({"sample": id, "label": self.sample(id).label})
            for cue in self.cues:
                rows["localisation"].append({"sample": id, "cue": cue, "metric": "iou"})
                rows["segmentation"].append(self._row(id, cue, "dual", "embedded_sam"))
                rows["segmentation"].append(self._row(id, cue, "peak", "embedded_sam"))
                rows["segmentation"].append(self._row(id, cue, "otsu", "threshold"))
            floor = self._row(id, "floor:centre point", "centre point", "embedded_sam")
            rows["segmentation"].append(floor)
        return pd.DataFrame(rows[name])

    def _row(self, id: str, cue: str, prompting: str, segmenter: str) -> dict:
        flat = cue in self.cues and np.isnan(self.saliency(id, cue)).any()
        row = {"sample": id, "cue": cue, "prompting": prompting, "segmenter": segmenter}
        score = np.nan if flat else SCORES[self.label(id)]
        return row | {"score": score, "seconds": np.nan if flat else 0.1}
