"""Figure of notebook 3: strategies of prompting against the floors, paired by image."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xaiutils.figures.panels import nothing, panels
from xaiutils.figures.photos import below, headline
from xaiutils.figures.style import rows, style
from xaiutils.names import COLOURS, in_order
from xaiutils.sections.strategies import (
    GALLERIES,
    MARGIN,
    TARGET,
    Chosen,
    best_floor,
    of,
    row_of,
    strategy_title,
)

MARKERS = {"dual": "^", "gallery": "o", "gallery-learned": "s"}
LABELS = {
    "dual": "dual cues (the paper's)",
    "gallery": "gallery, chosen by a rule",
    "gallery-learned": "gallery, chosen by a regression on training masks",
}
CONTROL, CEILING = "floor:centre map", "ceiling:best of gallery"


def strategies(table: pd.DataFrame, text: str, chosen: Chosen | None = None) -> Figure:
    """Mean IoU of every cue under each strategy, and the paired difference from the best floor.

    `table` is that of `sections.strategies.strategy_table`. Dashed: the best plain floor and the
    gallery chosen by the image's centre; dotted: the best mask of any gallery.
    """
    shown = table[table["prompting"].isin(GALLERIES) & table["kind"].isin(["explainer", "fusion"])]
    cues = in_order(shown["cue"].unique())
    if not cues:
        return nothing("This study has no galleries: `python -m xaiutils analyse` makes them.")
    with style():
        figure, axes = panels(2, 1.0 + 0.36 * len(cues), sharey=True, width_ratios=[1.3, 1])
        for offset, prompting in zip((-0.25, 0, 0.25), MARKERS):
            part = of(table, prompting).set_index("cue").reindex(cues)
            _points(axes[0], part, ("mean", "low", "high"), prompting, offset)
            _points(axes[1], part, ("gain", "gain_low", "gain_high"), prompting, offset)
        _lines(axes[0], table)
        axes[1].axvline(0, color="#555555", linewidth=0.8)
        axes[1].axvline(MARGIN, color="#555555", linewidth=0.8, linestyle=(0, (1, 1.5)))
        axes[0].set(xlabel="IoU of the SAM mask with the objects", xlim=(0, 1))
        axes[1].set(xlabel="difference from the best floor")
        rows(axes[0], cues)
        axes[1].tick_params(labelleft=False)
        headline(figure, strategy_title(table, chosen))
        shapes = [
            Line2D(
                [],
                [],
                marker=MARKERS[name],
                color="#444444",
                lw=0,
                label=LABELS[name],
                mfc="white" if name == "dual" else "#444444",
            )
            for name in MARKERS
        ]
        below(figure, _note(table) + text, shapes, columns=2)
    return figure


def _points(ax: Axes, part: pd.DataFrame, columns: tuple, prompting: str, offset: float) -> None:
    mean, low, high = columns
    y = np.arange(len(part)) + offset
    colours = [COLOURS.get(cue, "#333333") for cue in part.index]
    faces = "white" if prompting == "dual" else colours
    ax.hlines(y, part[low], part[high], colors=colours, linewidth=1.3)
    ax.scatter(part[mean], y, marker=MARKERS[prompting], s=24, zorder=3,
               facecolors=faces, edgecolors=colours)  # fmt: skip


def _lines(ax: Axes, table: pd.DataFrame) -> None:
    """The best plain floor, the control, the ceiling, and the target."""
    floor = best_floor(table)
    found = [
        (floor, COLOURS["floor:centre box"], (0, (4, 2))),
        (row_of(table, CONTROL, "gallery"), "#555555", (0, (4, 2))),
        (row_of(table, CEILING, "gallery"), COLOURS["ceiling:true box"], (0, (1, 1.5))),
    ]
    for row, colour, dashes in found:
        if row is not None:
            ax.axvline(row["mean"], color=colour, lw=1.2, ls=dashes, zorder=0.8)
    ax.axvline(TARGET, color="#f0c9a0", lw=4, zorder=0.5)


def _note(table: pd.DataFrame) -> str:
    return (
        "Mean and 95 % interval. Dashed olive: the best plain floor; dashed grey: the rule on "
        "the masks that no map proposed, chosen by the image's centre; dotted: the gallery's "
        "best mask, chosen "
        f"with the truth; shaded line: the target, {TARGET}. Right, dotted: {MARGIN:+.2f}. "
        "Fused, stacked was fitted on pixel labels of the training images, and so was the choice "
        "by regression. "
    )
