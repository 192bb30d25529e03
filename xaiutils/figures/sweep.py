"""The figure of notebook 4 on rules of thumb: which choices decide the result?"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.figures.panels import DPI, nothing
from xaiutils.figures.photos import WIDTH, below, cue_legend, headline
from xaiutils.figures.style import style
from xaiutils.names import COLOURS
from xaiutils.sections.sweep import DEFAULTS, MAP, SAM, sweep_means, sweep_ranges
from xaiutils.sections.trained import NOT_MEASURED
from xaiutils.sections.words import estimate


def sweep(table: pd.DataFrame, text: str) -> Figure:
    """A panel a factor (mean IoU of SAM's masks by value, a line a cue), then all their ranges.

    `table` is that of the analysis "sweep".
    """
    if table.empty:
        return nothing(NOT_MEASURED)
    means, ranges = sweep_means(table), sweep_ranges(table)
    shown = [factor for factor in DEFAULTS if factor in set(means["factor"])]
    rows = -(-len(shown) // 4)
    with style():
        figure = plt.figure(figsize=(WIDTH, 2.1 * rows + 2.3), dpi=DPI, layout="constrained")
        above, under = figure.subfigures(2, 1, height_ratios=[rows, 1.15])
        grid = above.add_gridspec(rows, 4)
        first = None
        for place, factor in enumerate(shown):
            ax = above.add_subplot(grid[divmod(place, 4)], sharey=first)
            ax.tick_params(labelleft=place % 4 == 0)
            first = first or ax
            _factor(ax, means[means["factor"] == factor], factor)
            if place % 4 == 0:
                ax.set_ylabel("IoU")
        _ranges(under.add_subplot(), ranges)
        headline(figure, _headline(ranges))
        n = table["sample"].nunique()
        below(
            figure,
            f"Measured on {n} of the study's images. Solid: SAM's masks (of the box around the "
            "thresholded region for the threshold, else of points), dotted: thresholded maps; "
            "bars: 95 % intervals over images; the grey line marks the default. Bottom: best minus "
            "worst mean IoU over a factor's values, by cue and averaged, with the interval of that "
            "range and the number of values in brackets; drawing is chance alone. "
            f"One factor at a time, the others at their defaults. The study: {text}",
            cue_legend(means["cue"].unique()),
        )
    return figure


def _headline(ranges: pd.DataFrame) -> str:
    """The largest range and what chance gives; none is called the largest of all, see `lead`."""
    top, chance = ranges.iloc[0], ranges[ranges["factor"] == "drawing"]["range"]
    what = "the thresholded map" if top["result"] == MAP else "SAM's mask"
    text = (
        f"One at a time: the {top['factor']} moves the mean IoU of {what} by "
        f"{estimate(top['range'], top['low'], top['high'])}"
    )
    return text + (f", another random draw by {chance.iloc[0]:.2f}" if len(chance) else "")


def _factor(ax: Axes, means: pd.DataFrame, factor: str) -> None:
    """One factor: values across in the order tried, mean IoU upwards."""
    values = list(dict.fromkeys(means["value"]))
    for (result, cue), part in means.groupby(["result", "cue"], sort=False):
        x = [values.index(value) for value in part["value"]]
        look = {"color": COLOURS.get(cue, "#333333"), "lw": 1.1}
        ax.plot(x, part["mean"], ls="-" if result == SAM else ":", marker="o", ms=3, **look)
        ax.vlines(x, part["low"], part["high"], color=look["color"], lw=0.6, alpha=0.6)
    if DEFAULTS[factor] in values:
        ax.axvline(values.index(DEFAULTS[factor]), color="#bbbbbb", lw=0.8, zorder=0)
    crowded = {"rotation": 90} if len(values) > 6 else {}
    ax.set_xticks(range(len(values)), values, fontsize=7.5, **crowded)
    ax.set_title(factor, fontsize=8.5)


def _ranges(ax: Axes, found: pd.DataFrame) -> None:
    y = np.arange(len(found))
    colours = ["#4477aa" if result == SAM else "#aabbcc" for result in found["result"]]
    ax.barh(y, found["range"], color=colours, height=0.6)
    ax.hlines(y, found["low"], found["high"], color="#333333", lw=1)
    names = [
        f"{row.factor} ({'SAM' if row.result == SAM else 'map'}, {row.options})"
        for row in found.itertuples()
    ]
    ax.set_yticks(y, names, fontsize=8)
    ax.invert_yaxis()
    ax.set(xlabel="best minus worst mean IoU", xlim=(0, None))
