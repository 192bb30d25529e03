"""Panels of figures without photographs: their size, a matrix of numbers, an empty figure."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.figures.photos import WIDTH
from xaiutils.figures.style import style
from xaiutils.sections.words import number

DPI = 120


def panels(n: int, height: float, **options):
    """A figure of the full width and `height` inches with n panels side by side: (figure, axes)."""
    return plt.subplots(1, n, figsize=(WIDTH, height), dpi=DPI, layout="constrained", **options)


def numbers(ax: Axes, values: np.ndarray, cmap: str, low: float, high: float) -> None:
    """A matrix as colours with its numbers printed; NaN stays white and says so."""
    ax.imshow(values, cmap=cmap, vmin=low, vmax=high, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        dark = not np.isfinite(value) or (value - low) / (high - low) > 0.5
        said = number(value) if np.isfinite(value) else "–"
        ax.text(column, row, said, ha="center", va="center", fontsize=8.5,
                color="black" if dark else "white")  # fmt: skip
    ax.spines[:].set_visible(False)


def nothing(text: str) -> Figure:
    """A small figure that says why there is nothing to draw."""
    with style():
        figure = plt.figure(figsize=(WIDTH, 0.5), dpi=DPI)
        figure.text(0.01, 0.5, text, va="center", fontsize=9)
    return figure
