"""Cutting a map at any level: its outline against the true mask, IoU, coverage and spill."""

from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from xaiutils.errors import InputError
from xaiutils.figures import style
from xaiutils.figures.photos import below, grid, headline
from xaiutils.maps import is_flat, otsu, threshold
from xaiutils.metrics.localisation import coverage, iou, spill
from xaiutils.names import title
from xaiutils.study import Study
from xaiutils.widgets import raster
from xaiutils.widgets.frontend import is_headless, line, listed, need_maps, pick, said

NAN = float("nan")
LEGEND = "Yellow: the map cut at the level. Cyan: ground truth."


def at_threshold(
    map: np.ndarray, mask: np.ndarray, void: np.ndarray | None, level: float
) -> dict[str, float]:
    """level, iou, coverage and spill of a map in [0, 1] cut at `level` (`map >= level`).

    map, mask and void have one shape, any. The three measures are NaN for a flat map, and where
    there is no object. Raises InputError for a level outside [0, 1].
    """
    if not 0 <= level <= 1:
        raise InputError(f"level is {level}: it must be between 0 and 1")
    if is_flat(map):
        return {"level": float(level), "iou": NAN, "coverage": NAN, "spill": NAN}
    E = threshold(map, level)
    measures = {"iou": iou, "coverage": coverage, "spill": spill}
    return {"level": float(level)} | {name: m(E, mask, void) for name, m in measures.items()}


def start_level(map: np.ndarray, void: np.ndarray | None) -> float:
    """Otsu's threshold of the map outside void; the middle for a flat map, which has none."""
    value = otsu(map, None if void is None else ~void)
    return value if np.isfinite(value) else 0.5


@dataclass(frozen=True)
class View:
    """One cue on one image, ready to be cut at any level without reading anything again.

    values (N,) float32 and inside (N,) bool: the map and the mask at full size, without the void
    pixels. level: Otsu's. small (h, w), truth (h, w), photo and heat (h, w, 3): for the picture.
    """

    id: str
    cue: str
    values: np.ndarray
    inside: np.ndarray
    level: float
    small: np.ndarray
    truth: np.ndarray
    photo: np.ndarray
    heat: np.ndarray


def view(study: Study, id: str, cue: str) -> View:
    """Everything that cutting needs, read once."""
    sample, map = study.sample(id), study.saliency(id, cue)
    photo = raster.small_photo(sample.image)
    small = raster.small_map(map, photo)
    return View(
        id,
        cue,
        map[~sample.void],
        sample.mask[~sample.void],
        start_level(map, sample.void),
        small,
        raster.small_mask(sample.mask, photo),
        photo,
        raster.heat(photo, small),
    )


def sentence(view: View, found: dict[str, float]) -> str:
    """ "Grad-CAM on koala, cut at 0.41: IoU 0.52, coverage 0.80, spill 0.40"."""
    rest = {"IoU": found["iou"], "coverage": found["coverage"], "spill": found["spill"]}
    text = f"{title(view.cue)} on {view.id}, {said('cut at', found['level'])}: {listed(rest)}"
    return f"{text} (a flat map)" if np.isnan(view.small).any() else text


def picture(view: View, level: float) -> np.ndarray:
    """The map and the photograph side by side, both with the cut map and the true mask, uint8."""
    cut = threshold(view.small, level)
    panels = []
    for ground in (view.heat, view.photo):
        drawn = raster.outlined(ground, cut, style.MASK)
        panels.append(raster.outlined(drawn, view.truth, style.TRUTH))
    return raster.side_by_side(panels)


def tick(view: View, level: float) -> tuple[str, str]:
    """What a move of the slider shows, as HTML: (numbers, picture)."""
    text = sentence(view, at_threshold(view.values, view.inside, None, level))
    return line(text), raster.tag(picture(view, level), f"{text}. {LEGEND}")


def threshold_figure(study: Study, id: str, cue: str) -> Figure:
    """The explorer standing still at Otsu's threshold."""
    sample, map = study.sample(id), study.saliency(id, cue)
    shown = view(study, id, cue)
    found = at_threshold(map, sample.mask, sample.void, shown.level)
    with style.style():
        figure, axes = grid([sample.image.shape[:2]], 2, left=0.02, head=0.05)
        style.heat(axes[0, 0], sample.image, map, dot=False)
        style.picture(axes[0, 1], sample.image)
        for ax in axes[0]:
            style.outline(ax, threshold(map, shown.level), style.MASK)
            style.outline(ax, sample.mask)
        headline(figure, sentence(shown, found))
        below(figure, f"{LEGEND} The level is Otsu's. {study.caption()}")
    return figure


class ThresholdExplorer(widgets.VBox):
    """Dropdowns `image` and `cue`, the slider `level`, and below `numbers` and `shown`.

    Another image or cue starts at its own Otsu threshold; the button `otsu` goes back to it.
    """

    def __init__(self, study: Study, id: str, cue: str):
        self.study = study
        self.image = widgets.Dropdown(options=study.sample_ids, value=id, description="image")
        cues = [(title(each), each) for each in study.cues]
        self.cue = widgets.Dropdown(options=cues, value=cue, description="explainer")
        self.level = widgets.FloatSlider(
            0.5, min=0, max=1, step=0.005, description="threshold", readout_format=".3f"
        )
        self.otsu = widgets.Button(description="Otsu", tooltip="back to Otsu's threshold")
        self.numbers, self.shown = widgets.HTML(), widgets.HTML()
        choice = widgets.HBox([self.image, self.cue, self.level, self.otsu])
        choice.layout.flex_flow = "row wrap"
        super().__init__([choice, self.numbers, self.shown])
        self.load()
        self.image.observe(self.load, "value")
        self.cue.observe(self.load, "value")
        self.level.observe(self.draw, "value")
        self.otsu.on_click(self.to_otsu)

    def load(self, _=None) -> None:
        """Read the chosen map, and start at its Otsu threshold."""
        self.view = view(self.study, self.image.value, self.cue.value)
        self.to_otsu()
        self.draw()  # the level may be the same as before

    def to_otsu(self, _=None) -> None:
        self.level.value = self.view.level

    def draw(self, _=None) -> None:
        self.numbers.value, self.shown.value = tick(self.view, self.level.value)


def threshold_explorer(
    study: Study,
    image: str | None = None,
    explainer: str | None = None,
    headless: bool | None = None,
) -> ThresholdExplorer | Figure:
    """Choose an image and an explainer (or fusion), cut its map at any level, see what it costs.

    image, explainer: where it starts; default the study's first. headless: see `xaiutils.widgets`.
    Raises InputError for a study without maps, an unknown image or explainer.
    """
    need_maps(study)
    id = pick("image", image, study.sample_ids)
    cue = pick("explainer", explainer, study.cues)
    if is_headless(headless):
        return threshold_figure(study, id, cue)
    return ThresholdExplorer(study, id, cue)
