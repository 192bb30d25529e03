"""Photographs in figures: in what grid, what stands around them, and what without them."""

import re
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.figures.style import style
from xaiutils.names import COLOURS, in_order, title
from xaiutils.study import Study

WIDTH = 7.1  # inches: 18 cm, so that type sizes are those on paper


def grid(
    shapes: list[tuple[int, int]],
    columns: int,
    width: float = WIDTH,
    left: float = 0.42,
    head: float = 0.4,
    feet: tuple[float, ...] = (0.06,),
    gap: float = 0.05,
) -> tuple[Figure, np.ndarray]:
    """A figure with a row of equal panels for each image shape (H, W); its axes (rows, columns).

    All panels are as wide as each other and as high as their image needs, so that no image is cut
    or distorted. left, head, feet and gap are inches: left of the rows for their labels, above all
    for the columns' titles, below each row for its text (repeated over the rows), between columns.
    """
    w = (width - left - gap * (columns - 1)) / columns
    heights = [w * h / max(image_width, 1) for h, image_width in shapes]
    below = [feet[row % len(feet)] for row in range(len(shapes))]
    total = head + sum(heights) + sum(below)
    figure = plt.figure(figsize=(width, total), dpi=120)
    axes = np.empty((len(shapes), columns), dtype=object)
    top = total - head
    for row, height in enumerate(heights):
        bottom = (top - height) / total
        for column in range(columns):
            x = (left + column * (w + gap)) / width
            axes[row, column] = figure.add_axes([x, bottom, w / width, height / total])
        top -= height + below[row]
    return figure, axes


def row_label(ax: Axes, text: str, size: float = 9) -> None:
    """The name of a row, upright at its left, wrapped to the height of the row."""
    height = ax.get_position().height * ax.figure.get_figheight()
    fitting = int(height / (0.62 * size / 72))
    lines = textwrap.wrap(text, max(fitting, 5), break_long_words=False)
    ax.set_ylabel("\n".join(lines[:2]), fontsize=size, parse_math=False)


def headline(figure: Figure, text: str) -> None:
    """The figure's title, above it, wrapped to its width: what is seen, computed from the data."""
    lines = wrapped(text, int(11.2 * figure.get_figwidth()))
    height = figure.get_figheight()
    figure.text(0.01, 1 + 0.08 / height, lines, fontsize=11, fontweight="bold", va="bottom")


def below(
    figure: Figure, text: str, handles: list | None = None, columns: int = 4, skip: float = 0.06
) -> None:
    """What stands under a figure, `skip` inches down: a legend of `handles`, if any, and the
    caption, wrapped to the figure's width."""
    height = figure.get_figheight()
    if handles:
        place = {"loc": "upper left", "bbox_to_anchor": (0, -skip / height)}
        legend = figure.legend(handles=handles, ncol=columns, fontsize=8.5, **place)
        legend.set_in_layout(False)  # it stands outside: the panels need not make room
        skip += 0.1 + 0.19 * -(-len(handles) // columns)
    lines = wrapped(text, int(15.5 * figure.get_figwidth()))
    figure.text(0.01, -skip / height, lines, va="top", fontsize=8, color="#555555")


# "n = 78", "seed 0", "88 %", and the ends of an interval stay on one line
WHOLE = re.compile(r"\b(?:n =|seed) (?=\d)|(?<=\d) (?=%)|(?<=\d,) (?=[-−+]?[\d.]+\])")


def wrapped(text: str, width: int) -> str:
    """Lines of at most `width` characters that part no number from what it belongs to."""
    whole = WHOLE.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    lines = textwrap.fill(whole, width, break_on_hyphens=False)
    return lines.replace("\N{NO-BREAK SPACE}", " ")


def cue_legend(cues) -> list:
    """A dot in its colour for every cue, for `below`."""
    dot = {"marker": "o", "linestyle": ""}
    return [
        plt.Line2D([], [], color=COLOURS.get(cue, "#333333"), label=title(cue), **dot)
        for cue in in_order(cues)
    ]


def not_stored(study: Study, what: str) -> Figure:
    """A small figure that says why pictures are missing: the study has its tables only."""
    with style():
        figure = plt.figure(figsize=(WIDTH, 0.7), dpi=120)
        text = (
            f"{what}: study {study.name!r} is stored without its maps and masks; "
            "run it where its images are to see them."
        )
        figure.text(0.01, 0.5, textwrap.fill(text, 100), va="center", fontsize=9)
    return figure
