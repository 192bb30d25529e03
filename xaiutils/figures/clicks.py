"""Figures of the human in the loop: curves over clicks, one mask being corrected, and a cell."""

import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.analyses.clicks import SEGMENTER, start_prompts
from xaiutils.clicks import Click, correct, next_click
from xaiutils.figures.panels import panels
from xaiutils.figures.photos import below, grid, headline, not_stored
from xaiutils.figures.style import MASK, fill, outline, picture, style
from xaiutils.metrics.localisation import iou
from xaiutils.names import COLOURS, title
from xaiutils.prompting import Prompts
from xaiutils.sections.clicks import (
    ENOUGH,
    click_table,
    click_title,
    curve_table,
    in_start_order,
    start_title,
)
from xaiutils.sections.words import number
from xaiutils.study import Study

NOTHING = "#000000"
FOREGROUND, BACKGROUND = "#ff5a00", "#2f7fff"  # as the prompts of notebook 3
HEADLESS = "XAIUTILS_HEADLESS"  # set where nobody can press a button


def start_colour(start: str) -> str:
    return NOTHING if start == "none" else COLOURS.get(start, "#333333")


def click_curves(table: pd.DataFrame, caption: str, level: float = ENOUGH) -> Figure:
    """Mean IoU against clicks from every start (left); clicks that each start saves (right).

    table: the analysis "clicks".
    """
    found = curve_table(table)
    with style():
        figure, axes = panels(2, 3.6, width_ratios=[1.4, 1])
        for start in in_start_order(found["start"]):
            _curve(axes[0], found[found["start"] == start], start)
        axes[0].axhline(level, color="#888888", linestyle=":", linewidth=1)
        axes[0].set(xlabel="clicks", ylabel="IoU with the object", ylim=(-0.02, 1))
        _saved(axes[1], click_table(table, level))
        headline(figure, click_title(table))
        handles = [
            plt.Line2D([], [], color=start_colour(s), linestyle=line_style(s), label=start_title(s))
            for s in in_start_order(found["start"])
        ]
        text = (
            "A simulated user clicks the deepest pixel of the largest error. Bands and bars: 95 % "
            f"intervals. Saved: clicks from nothing to the IoU of the start. Dotted: IoU {level}. "
        )
        below(figure, text + caption, handles, columns=3)
    return figure


def line_style(start: str) -> str:
    """Starts that are no explanation are dashed."""
    return "--" if start == "none" or start.startswith(("floor:", "ceiling:")) else "-"


def _curve(ax: Axes, part: pd.DataFrame, start: str) -> None:
    colour = start_colour(start)
    ax.plot(part["clicks"], part["mean"], color=colour, linestyle=line_style(start))
    ax.fill_between(part["clicks"], part["low"], part["high"], color=colour, alpha=0.1, linewidth=0)


def _saved(ax: Axes, table: pd.DataFrame) -> None:
    part = table[table["start"] != "none"]
    places, colours = np.arange(len(part)), [start_colour(start) for start in part["start"]]
    ax.hlines(places, part["saved_low"], part["saved_high"], colors=colours, linewidth=2)
    ax.scatter(part["saved"], places, c=colours, s=34, zorder=3)
    ax.set_yticks(places, [start_title(start) for start in part["start"]])
    ax.set_ylim(len(part) - 0.5, -0.5)
    ax.set(xlabel="clicks saved", xlim=(0, None))
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)


# One photograph -----------------------------------------------------------------------------------


def draw_mask(ax: Axes, sample, mask: np.ndarray, start: Prompts | None, clicks: list[Click]):
    """A photograph with a mask, the start's points small, the clicks large and numbered."""
    picture(ax, sample.image)
    if mask.any():
        fill(ax, mask, MASK, 0.4)
    outline(ax, sample.mask)
    if start is not None:
        for (x, y), label in zip(start.points, start.labels):
            ax.plot(x, y, ".", color=FOREGROUND if label else BACKGROUND, markersize=5)
    for k, (x, y, label) in enumerate(clicks, 1):
        ax.plot(x, y, "o", color=FOREGROUND if label else BACKGROUND,
                markeredgecolor="white", markersize=8)  # fmt: skip
        ax.text(x, y, k, color="white", fontsize=6, ha="center", va="center")
    value = iou(mask, sample.mask, sample.void)
    ax.set_xlabel(f"{len(clicks)} clicks, IoU {number(value)}", labelpad=2)


def correction_strip(study: Study, id: str, cue: str = "fused-weighted", n: int = 3) -> Figure:
    """One mask after 0, 1, ... n scripted clicks: above from the cue's prompts, below from nothing.

    The clicks are those of the simulated user; nothing is stored, SAM answers while it is drawn.
    """
    if not study.has_arrays:
        return not_stored(study, "A mask that is corrected by clicks")
    sample = study.sample(id)
    segmenter = study.segmenter(SEGMENTER)
    segmenter.set_image(sample.image)
    starts = {title(cue): start_prompts(study, id, cue), "from nothing": None}
    values = {name: [] for name in starts}
    with style():
        figure, axes = grid([sample.image.shape[:2]] * 2, n + 1, head=0.05, feet=(0.24,))
        for row, (name, start) in zip(axes, starts.items()):
            row[0].set_ylabel(name, fontsize=9)
            clicks: list[Click] = []
            for ax in row:
                mask = correct(segmenter, start, clicks).mask
                draw_mask(ax, sample, mask, start, clicks)
                values[name] += [iou(mask, sample.mask, sample.void)]
                click = next_click(mask, sample.mask, sample.void)
                clicks = clicks if click is None else [*clicks, click]
        headline(figure, _corrected_title(values))
        below(
            figure,
            "Numbers: clicks of the simulated user, orange on the object and blue off it; small "
            f"dots: the explanation's points; cyan: ground truth. {study.caption()}",
        )
    return figure


def _corrected_title(values: dict[str, list[float]]) -> str:
    """The IoU of each start before a click and after one."""
    cue, nothing = values
    one = {name: number(found[1]) for name, found in values.items() if len(found) > 1}
    before = number(values[cue][0])
    if not one:
        return f"One photograph: {before} from {cue} before any click"
    return (
        f"One photograph: IoU {before} from {cue} without a click and {one[cue]} after one, "
        f"{one[nothing]} after one {nothing}"
    )


def interactive() -> bool:
    """False where XAIUTILS_HEADLESS is set: nobody is there to press a button."""
    return not os.environ.get(HEADLESS)
