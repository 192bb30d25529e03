"""What all figures share: type sizes, colours of maps and masks, overlays, intervals, captions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from skimage.measure import find_contours

from xaiutils.maps import peak
from xaiutils.names import COLOURS, title

MAP = "magma"  # perceptually uniform, dark is low
TRUTH = "#00e5ff"  # outline of the ground truth
MASK = "#ffd400"  # fill of a predicted mask
PEAK = "#ff2d2d"  # the red dot of the paper's Figure 2
RC = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "legend.frameon": False,
}


@contextmanager
def style() -> Iterator[None]:
    """The project's look, for the figures drawn inside; nothing global is changed."""
    # a notebook's backend is set up at its first use; in there, leaving would undo half of it
    plt.get_backend()
    with sns.axes_style("ticks"), plt.rc_context(RC):
        yield


def fine_enough(ax: Axes, shape: tuple[int, int]) -> tuple[int, int]:
    """(width, height) px, at most `shape`'s: 300 dots an inch of the panel, for print and screen.

    What is larger costs each rendering (PNG and PDF) and is seen by nobody.
    """
    inches = max(ax.get_window_extent().size) / ax.figure.dpi
    scale = min(1.0, 300 * inches / max(shape))
    return max(round(scale * shape[1]), 1), max(round(scale * shape[0]), 1)


def fit(ax: Axes, image: np.ndarray) -> np.ndarray:
    """An image or map (H, W, ...) no finer than `fine_enough`."""
    return cv2.resize(image, fine_enough(ax, image.shape[:2]), interpolation=cv2.INTER_AREA)


def show(ax: Axes, image: np.ndarray, shape: tuple[int, int] | None = None) -> None:
    """An image (h, w, 3 or 4) uint8 in the pixel coordinates of its (H, W), default its own."""
    height, width = shape or image.shape[:2]
    ax.imshow(fit(ax, image), extent=(-0.5, width - 0.5, height - 0.5, -0.5))


def picture(ax: Axes, image: np.ndarray, shape: tuple[int, int] | None = None) -> None:
    """An image (h, w, 3) without axes, see `show`."""
    show(ax, image, shape)
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


def heat(
    ax: Axes, image: np.ndarray, map: np.ndarray, alpha: float = 0.6, dot: bool = True
) -> None:
    """A map (H, W) in [0, 1] over its image in grey; the red dot is the map's maximum."""
    grey = np.repeat(fit(ax, image).mean(axis=2, keepdims=True), 3, axis=2)
    flat = not np.isfinite(map).all()
    colours = grey if flat else 255 * plt.get_cmap(MAP)(fit(ax, map))[..., :3]
    picture(ax, ((1 - alpha) * grey + alpha * colours).astype(np.uint8), map.shape)
    if flat:
        ax.text(0.5, 0.5, "flat map", ha="center", va="center", transform=ax.transAxes)
        return
    if dot:
        x, y = peak(map)
        ax.plot(x, y, "o", color=PEAK, markeredgecolor="white", markersize=6)


def fill(ax: Axes, mask: np.ndarray, colour: str = MASK, alpha: float = 0.55) -> None:
    """A mask (H, W) bool as a translucent colour with its outline."""
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[mask] = np.round(255 * np.array(to_rgba(colour, alpha)))
    show(ax, rgba)
    outline(ax, mask, colour, 1.0)


def outline(ax: Axes, mask: np.ndarray, colour: str = TRUTH, width: float = 1.2) -> None:
    """The border of a mask (H, W) bool."""
    for line in find_contours(np.pad(mask, 1).astype(float), 0.5):
        ax.plot(line[:, 1] - 1, line[:, 0] - 1, color=colour, linewidth=width)
    height, width_px = mask.shape
    ax.set(xlim=(-0.5, width_px - 0.5), ylim=(height - 0.5, -0.5))


def intervals(ax: Axes, table: pd.DataFrame, y: str = "cue") -> None:
    """A row a cue: the mean as a point in the cue's colour with its 95 % interval, first on top.

    `table` has the columns `y`, mean, low, high (see `statistics.summary`).
    """
    places = np.arange(len(table))
    colours = [COLOURS.get(cue, "#333333") for cue in table[y]]
    ax.hlines(places, table["low"], table["high"], colors=colours, linewidth=2)
    ax.scatter(table["mean"], places, c=colours, s=34, zorder=3)
    rows(ax, table[y])


def rows(ax: Axes, cues: Sequence[str]) -> None:
    """Names of cues on the y axis, first on top, and a light grid."""
    ax.set_yticks(range(len(cues)), [title(cue) for cue in cues])
    ax.set_ylim(len(cues) - 0.5, -0.5)
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def caption(figure: Figure, text: str) -> None:
    """A small line under the figure: n, classifier, segmenter, settings (study.caption())."""
    figure.text(0.01, -0.01, text, ha="left", va="top", fontsize=7.5, color="#555555")
