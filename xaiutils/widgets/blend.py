"""A fusion blended by hand beside the study's computed one, both judged by Otsu's threshold."""

from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure

from xaiutils.evaluation import to_image
from xaiutils.explainers import EXPLAINERS, saliency
from xaiutils.figures import style
from xaiutils.figures.photos import below, grid, headline
from xaiutils.fusion import by_hand
from xaiutils.maps import otsu, threshold
from xaiutils.metrics.localisation import iou
from xaiutils.names import title
from xaiutils.sections.cues import explainers
from xaiutils.study import Study
from xaiutils.widgets import raster
from xaiutils.widgets.frontend import is_headless, line, need_maps, pick, said

COMPUTED = "fused-weighted"  # confidence x consensus, `fusion.entropy_kl_iou`
NAN = float("nan")
LEGEND = "Yellow: Otsu's threshold. Cyan: ground truth."


def by_otsu(map: np.ndarray, mask: np.ndarray, void: np.ndarray) -> dict[str, float]:
    """level and iou of a map (H, W) cut by Otsu's threshold; both NaN for a flat map."""
    level = otsu(map, ~void)
    if not np.isfinite(level):
        return {"level": NAN, "iou": NAN}
    return {"level": level, "iou": iou(threshold(map, level), mask, void)}


@dataclass(frozen=True)
class Stack:
    """The maps of one image and what the study made of them.

    explainers: K names. maps (K, S, S) float32, non-negative, at the size at which they were fused.
    weights (K,): the computed ones, 0 for a map that was dropped. computed (H, W) float32 in
    [0, 1]. mask, void (H, W) bool. photo (h, w, 3) uint8 and truth (h, w) bool: for the picture.
    """

    id: str
    explainers: list[str]
    maps: np.ndarray
    weights: np.ndarray
    computed: np.ndarray
    mask: np.ndarray
    void: np.ndarray
    photo: np.ndarray
    truth: np.ndarray


def stack(study: Study, id: str) -> Stack:
    """Everything that blending needs, read once."""
    sample, names = study.sample(id), explainers(study)
    photo = raster.small_photo(sample.image)
    return Stack(
        id,
        names,
        np.stack([saliency(study.raw(id, name), EXPLAINERS.sign(name)) for name in names]),
        computed_weights(study, id, names),
        study.saliency(id, COMPUTED),
        sample.mask,
        sample.void,
        photo,
        raster.small_mask(sample.mask, photo),
    )


def computed_weights(study: Study, id: str, names: list[str]) -> np.ndarray:
    """(K,) the weights of the computed fusion, as the study stored them."""
    table = study.table("weights")
    mine = table[(table["sample"] == id) & (table["fusion"] == COMPUTED.removeprefix("fused-"))]
    return mine.set_index("explainer")["weight"].reindex(names).fillna(0).to_numpy(float)


def equal_weights(stack: Stack) -> np.ndarray:
    """(K,) one for each explainer: where the blend by hand starts."""
    return np.ones(len(stack.explainers))


def blend(stack: Stack, weights: np.ndarray) -> np.ndarray:
    """(H, W) float32 in [0, 1]: the maps with these weights (K,), which need not sum to 1.

    The study's own steps: fused at the size of the maps, then brought to the image. All NaN for
    weights of 0. Raises InputError as `fusion.by_hand` does.
    """
    return to_image(by_hand(stack.maps, weights).map, stack.mask.shape)


def compare(stack: Stack, weights: np.ndarray) -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """The map (H, W) and `by_otsu` of the blend "by hand" and of the "computed" fusion."""
    maps = {"by hand": blend(stack, weights), "computed": stack.computed}
    return {name: (map, by_otsu(map, stack.mask, stack.void)) for name, map in maps.items()}


def sentence(stack: Stack, both: dict) -> str:
    """ "koala: IoU 0.50 by hand (left), 0.52 computed (right)"."""
    hand, computed = (found["iou"] for _, found in both.values())
    return f"{stack.id}: {said('IoU', hand)} by hand (left), {said('', computed)} computed (right)"


def picture(stack: Stack, both: dict) -> np.ndarray:
    """The blend by hand at the left, the computed fusion at the right, uint8."""
    panels = []
    for map, found in both.values():
        small = raster.small_map(map, stack.photo)
        drawn = raster.heat(stack.photo, small)
        drawn = raster.outlined(drawn, threshold(small, found["level"]), style.MASK)
        panels.append(raster.outlined(drawn, stack.truth, style.TRUTH))
    return raster.side_by_side(panels)


def tick(stack: Stack, weights: np.ndarray) -> tuple[str, str]:
    """What a move of a slider shows, as HTML: (numbers, picture)."""
    both = compare(stack, weights)
    text = sentence(stack, both)
    return line(text), raster.tag(picture(stack, both), f"{text}. {LEGEND}")


def blend_figure(study: Study, id: str) -> Figure:
    """The blend standing still at equal weights."""
    sample, maps = study.sample(id), stack(study, id)
    both = compare(maps, equal_weights(maps))
    with style.style():
        figure, axes = grid([sample.image.shape[:2]], 2, left=0.02, head=0.25, feet=(0.24,))
        for ax, (name, (map, found)) in zip(axes[0], both.items()):
            style.heat(ax, sample.image, map, dot=False)
            style.outline(ax, threshold(map, found["level"]), style.MASK)
            style.outline(ax, sample.mask)
            ax.set_title("equal weights" if name == "by hand" else title(COMPUTED))
            ax.set_xlabel(said("IoU", found["iou"]), labelpad=2)
        headline(figure, sentence(maps, both).replace("by hand", "by equal weights"))
        below(figure, f"{LEGEND} {study.caption()}")
    return figure


class FusionBlend(widgets.VBox):
    """The dropdown `image`, one of `sliders` for each explainer, and below `numbers` and `shown`.

    `equal` and `computed` are buttons that set all weights at once.
    """

    def __init__(self, study: Study, id: str):
        self.study, self.paused = study, False
        self.image = widgets.Dropdown(options=study.sample_ids, value=id, description="image")
        self.sliders = {
            name: widgets.FloatSlider(
                1, min=0, max=1, step=0.01, description=title(name),
                style={"description_width": "12em"}, layout={"width": "26em"},
            )
            for name in explainers(study)
        }  # fmt: skip
        self.equal = widgets.Button(description="equal weights")
        self.computed = widgets.Button(description="computed weights")
        self.numbers, self.shown = widgets.HTML(), widgets.HTML()
        columns = widgets.HBox([*self.sliders.values()])
        columns.layout.flex_flow = "row wrap"
        choice = widgets.HBox([self.image, self.equal, self.computed])
        super().__init__([choice, columns, self.numbers, self.shown])
        self.load()
        self.image.observe(self.load, "value")
        self.equal.on_click(self.to_equal)
        self.computed.on_click(self.to_computed)
        for slider in self.sliders.values():
            slider.observe(self.draw, "value")

    @property
    def weights(self) -> np.ndarray:
        return np.array([slider.value for slider in self.sliders.values()])

    def load(self, _=None) -> None:
        """Read the chosen image's maps; the weights stay as they are."""
        self.stack = stack(self.study, self.image.value)
        self.draw()

    def to_equal(self, _=None) -> None:
        self.set(equal_weights(self.stack))

    def to_computed(self, _=None) -> None:
        """The computed weights, the largest of them at 1 so that the sliders use their range."""
        top = self.stack.weights.max()
        self.set(self.stack.weights / top if top > 0 else self.stack.weights)

    def set(self, weights: np.ndarray) -> None:
        """All sliders at once, and one picture in the end."""
        self.paused = True
        for slider, weight in zip(self.sliders.values(), weights):
            slider.value = float(weight)
        self.paused = False
        self.draw()

    def draw(self, _=None) -> None:
        if not self.paused:
            self.numbers.value, self.shown.value = tick(self.stack, self.weights)


def fusion_blend(
    study: Study, image: str | None = None, headless: bool | None = None
) -> FusionBlend | Figure:
    """Weigh the explainers by hand, and see the blend beside the computed weighted fusion.

    image: where it starts; default the study's first. headless: see `xaiutils.widgets`. Raises
    InputError for a study without maps or without the weighted fusion, and for an unknown image.
    """
    need_maps(study)
    pick("fusion", COMPUTED, study.cues)
    id = pick("image", image, study.sample_ids)
    return blend_figure(study, id) if is_headless(headless) else FusionBlend(study, id)
