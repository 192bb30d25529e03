"""Click on an image and SAM answers: the human in the loop, counted and drawn as a curve."""

import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.clicks import next_click
from xaiutils.figures import style
from xaiutils.figures.clicks import draw_mask
from xaiutils.figures.panels import DPI
from xaiutils.figures.photos import WIDTH, below, headline
from xaiutils.study import Study
from xaiutils.widgets.click_canvas import ClickCanvas
from xaiutils.widgets.click_scene import status
from xaiutils.widgets.frontend import is_headless, need_maps, pick
from xaiutils.widgets.prompter import Prompter

SEGMENTER = "embedded_sam"
SCRIPTED = 5  # clicks of the still figure


def scripted(prompter: Prompter, n: int = SCRIPTED) -> None:
    """At most n clicks of the simulated user (`next_click`), fewer where nothing is wrong.

    Without a true mask there is nothing to correct: one click in the middle.
    """
    sample = prompter.sample
    if not sample.mask.any():
        height, width = sample.mask.shape
        prompter.click((width - 1) / 2, (height - 1) / 2)
        return
    for _ in range(n):
        click = next_click(prompter.mask, sample.mask, sample.void)
        if click is None:
            return
        prompter.click(*click)


def click_figure(study: Study, id: str) -> Figure:
    """The image after a few scripted clicks, and the curve that led there."""
    prompter = Prompter(study.segmenter(SEGMENTER), study.sample(id))
    scripted(prompter)
    height, width = prompter.mask.shape
    with style.style():
        size = (WIDTH, min(max(3.6 * height / width, 2.4), 5))
        figure, (left, right) = plt.subplots(1, 2, figsize=size, dpi=DPI, layout="constrained")
        draw_mask(left, prompter.sample, prompter.mask, None, prompter.points)
        left.set_xlabel(status(prompter))
        draw_curve(right, prompter)
        headline(figure, f"{id}, corrected by a simulated user: {status(prompter)}")
        below(
            figure,
            "Numbers: the clicks, orange on the object and blue off it, each on the deepest pixel "
            f"of the largest error. Yellow: SAM's mask; cyan: ground truth. {study.caption()}",
        )
    return figure


def draw_curve(ax: Axes, prompter: Prompter) -> None:
    """IoU against clicks; an empty panel where there is no true mask."""
    clicks, values = zip(*prompter.curve)
    ax.plot(clicks, values, "o-", color="#333333", markersize=5)
    ax.set(xlabel="clicks", ylabel="IoU", ylim=(-0.02, 1), xticks=range(max(clicks) + 1))
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)


class ClickToPrompt(widgets.VBox):
    """The dropdown `image`, the checkbox `truth` and the `canvas`."""

    def __init__(self, study: Study, id: str):
        self.study = study
        self.image = widgets.Dropdown(options=study.sample_ids, value=id, description="image")
        self.truth = widgets.Checkbox(True, description="show the true outline (cyan)")
        self.canvas = ClickCanvas(self.prompter())
        super().__init__([widgets.HBox([self.image, self.truth]), self.canvas])
        self.image.observe(self.load, "value")
        widgets.link((self.truth, "value"), (self.canvas, "truth"))

    def prompter(self) -> Prompter:
        return Prompter(self.study.segmenter(SEGMENTER), self.study.sample(self.image.value))

    def load(self, _=None) -> None:
        """The chosen image, embedded, without a prompt."""
        self.canvas.status = "SAM reads the image …"
        self.canvas.show(self.prompter())


def click_to_prompt(
    study: Study, image: str | None = None, headless: bool | None = None
) -> ClickToPrompt | Figure:
    """Click on an image: a point on the object, with shift off it, or drag a box; SAM answers.

    The embedded SAM with the study's settings. A box counts as two clicks. The IoU is shown where
    there is a true mask. image: where it starts; default the study's first. headless: see
    `xaiutils.widgets`; the still figure is clicked on by the simulated user. Raises InputError for
    a study without maps and for an unknown image.
    """
    need_maps(study)
    id = pick("image", image, study.sample_ids)
    return click_figure(study, id) if is_headless(headless) else ClickToPrompt(study, id)
