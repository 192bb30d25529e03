"""The small pictures of a gallery: maps, votes, prompts and masks of one image, as JPEG.

All are drawn at the size they are shown in, `SIDE` pixels at most, and named by number, since a USB
stick may not take the names of the images.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageColor, ImageDraw
from skimage.measure import find_contours

from xaiutils.datasets import Sample
from xaiutils.errors import InputError
from xaiutils.figures.proxy import BACKGROUND, FOREGROUND, dual_cues
from xaiutils.figures.style import MAP, MASK, PEAK, TRUTH
from xaiutils.images import resize_map
from xaiutils.maps import is_flat, peak
from xaiutils.prompting import Prompts
from xaiutils.sections.cues import explainers, kind, main_prompting, prompted, proxy_segmenter
from xaiutils.sections.votes import vote_map
from xaiutils.study import Study

SIDE = 280  # pixels of the longer side
QUALITY = 78


@dataclass(frozen=True)
class Pictures:
    """File names below the gallery's folder, and the size (width, height) that all of them have.

    cues: cue -> "map", "prompts" and "mask" where there is one; references: floor or ceiling ->
    its mask.
    """

    size: tuple[int, int]
    photo: str
    votes: str
    cues: dict[str, dict[str, str]]
    references: dict[str, str]


@dataclass(frozen=True)
class Route:
    """How the study came from a cue to a mask: the segmenter and the prompting that are shown."""

    segmenter: str
    prompting: str
    references: tuple[str, ...]


class Reading(Study):
    """A study that keeps its tables and the masks of the image it read last: many pictures are
    drawn of one image."""

    def __init__(self, study: Study):
        super().__init__(study.config, study.folder)
        self.table = cache(super().table)
        self._evaluation = lru_cache(1)(super()._evaluation)


def route(study: Study) -> Route | None:
    """The SAM of a study, its main prompting, its floors and ceilings; None without a SAM."""
    table = study.table("segmentation")
    try:
        found = prompted(table)
    except InputError:
        return None
    others = tuple(c for c in found["cue"].unique() if kind(c) in ("floor", "ceiling"))
    return Route(proxy_segmenter(table), main_prompting(table), others)


def draw(study: Study, id: str, folder: Path, number: int, way: Route | None) -> Pictures:
    """Write all pictures of one image into `folder`/<number> and name them."""
    sample = study.sample(id)
    canvas = Canvas(sample)
    place = Path("pictures") / f"{number:04d}"
    (folder / place).mkdir(parents=True)

    def save(name: str, image: Image.Image) -> str:
        image.save(folder / place / f"{name}.jpg", quality=QUALITY, subsampling=0, optimize=True)
        return f"{place.as_posix()}/{name}.jpg"

    cues = {}
    for k, cue in enumerate(study.cues):
        cues[cue] = {"map": save(f"{k:02d}-map", canvas.heat(study.saliency(id, cue)))}
        if way is not None:
            prompts = dual_cues(study, id, cue, way.prompting)
            cues[cue]["prompts"] = save(f"{k:02d}-prompts", canvas.prompts(prompts))
            mask = mask_or_none(study, id, cue, way.prompting, way.segmenter)
            if mask is not None:
                cues[cue]["mask"] = save(f"{k:02d}-mask", canvas.filled(mask, MASK))
    references = {}
    for k, cue in enumerate(way.references if way else ()):
        mask = mask_or_none(study, id, cue, cue.partition(":")[2], way.segmenter)
        if mask is not None:
            references[cue] = save(f"reference-{k}", canvas.filled(mask, MASK))
    count = vote_map(study, sample) / max(len(explainers(study)), 1)
    photo, votes = save("photo", canvas.photo()), save("votes", canvas.votes(count))
    return Pictures(canvas.size, photo, votes, cues, references)


def mask_or_none(study: Study, id: str, cue: str, prompting: str, segmenter: str):
    """The stored mask (H, W) bool, None where there is none: a flat map prompts nothing."""
    try:
        return study.mask(id, cue, prompting, segmenter)
    except InputError:
        return None


class Canvas:
    """One image at the size of the pictures; the outline of its object is on every one of them."""

    def __init__(self, sample: Sample):
        height, width = sample.image.shape[:2]
        self.scale = min(1.0, SIDE / max(height, width))
        self.size = max(round(width * self.scale), 1), max(round(height * self.scale), 1)
        small = Image.fromarray(sample.image).resize(self.size, Image.Resampling.LANCZOS)
        self.rgb = np.asarray(small, float)
        self.truth = self._small(sample.mask)

    def photo(self) -> Image.Image:
        return self._finish(self.rgb)

    def heat(self, map: np.ndarray) -> Image.Image:
        """A map (H, W) in [0, 1] over the image in grey, a dot at its maximum; grey if flat."""
        grey = np.repeat(self.rgb.mean(axis=2, keepdims=True), 3, axis=2)
        if is_flat(map):
            return self._finish(grey)
        image = self._finish(self._coloured(grey, self._resized(map), MAP))
        self._dot(ImageDraw.Draw(image), peak(map), PEAK)
        return image

    def votes(self, share: np.ndarray) -> Image.Image:
        """The share (H, W) of the explainers that mark a pixel, dark none and yellow all."""
        grey = np.repeat(self.rgb.mean(axis=2, keepdims=True), 3, axis=2)
        return self._finish(self._coloured(grey, self._resized(share), "viridis", 0.8))

    def filled(self, mask: np.ndarray, colour: str) -> Image.Image:
        """A mask (H, W) bool as a tint."""
        return self._finish(self._tinted(self.rgb, mask, colour, 0.55))

    def prompts(self, prompts: Prompts) -> Image.Image:
        """Regions as tints, foreground points as dots, the first red, background as crosses."""
        rgb = self.rgb
        for region, colour in ((prompts.foreground, FOREGROUND), (prompts.background, BACKGROUND)):
            if region is not None:
                rgb = self._tinted(rgb, region, colour, 0.35)
        image = self._finish(rgb)
        pen = ImageDraw.Draw(image)
        if prompts.box is not None:
            pen.rectangle([float(v * self.scale) for v in prompts.box], outline=FOREGROUND, width=2)
        for point in prompts.points[prompts.labels == 0]:
            self._cross(pen, point, BACKGROUND)
        for k, point in enumerate(prompts.points[prompts.labels == 1]):
            self._dot(pen, point, FOREGROUND if k else PEAK)
        return image

    def _resized(self, values: np.ndarray) -> np.ndarray:
        return np.clip(resize_map(values, self.size[::-1]), 0, 1)

    def _small(self, mask: np.ndarray) -> np.ndarray:
        return resize_map(mask.astype(np.float32), self.size[::-1]) >= 0.5

    def _coloured(self, grey, values, colours: str, alpha: float = 0.6) -> np.ndarray:
        return (1 - alpha) * grey + alpha * 255 * colormaps[colours](values)[..., :3]

    def _tinted(self, rgb: np.ndarray, mask: np.ndarray, colour: str, alpha: float) -> np.ndarray:
        tint = np.where(self._small(mask)[..., None], ImageColor.getrgb(colour), rgb)
        return (1 - alpha) * rgb + alpha * tint

    def _finish(self, rgb: np.ndarray) -> Image.Image:
        """As an image, the object's outline drawn."""
        image = Image.fromarray(rgb.round().astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for line in find_contours(np.pad(self.truth, 1).astype(float), 0.5):
            pen.line([(x - 1, y - 1) for y, x in line], fill=TRUTH, width=2)
        return image

    def _dot(self, pen: ImageDraw.ImageDraw, point, colour: str, radius: int = 4) -> None:
        x, y = (float(v) * self.scale for v in point)
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=colour, outline="white")

    def _cross(self, pen: ImageDraw.ImageDraw, point, colour: str, arm: int = 4) -> None:
        x, y = (float(v) * self.scale for v in point)
        for width, stroke in ((5, "white"), (3, colour)):
            pen.line((x - arm, y - arm, x + arm, y + arm), fill=stroke, width=width)
            pen.line((x - arm, y + arm, x + arm, y - arm), fill=stroke, width=width)
