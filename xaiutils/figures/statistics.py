"""Figures of the statistics: who can be told apart, and which measures agree."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xaiutils.comparison import Ranking
from xaiutils.figures.panels import nothing, numbers, panels
from xaiutils.figures.photos import below, headline
from xaiutils.figures.style import style
from xaiutils.names import COLOURS, title
from xaiutils.sections.metric_order import order_title, p_equals, pair, ranking_title
from xaiutils.sections.words import number


def critical_difference(rankings: dict[str, Ranking], text: str) -> Figure:
    """Demsar's diagram, a panel a measure: mean ranks, and a bar over those not told apart."""
    if not rankings:
        return nothing("Critical differences: there is nothing to rank")
    with style():
        figure, axes = panels(len(rankings), 3.4, squeeze=False)
        for ax, (measure, found) in zip(axes[0], rankings.items()):
            names = list(found.ranks.index)
            places = np.arange(len(names))
            half = found.distance / 2
            colours = [COLOURS.get(cue, "#333333") for cue in names]
            # two ranks are told apart when their half-lines do not meet
            ax.hlines(places, found.ranks - half, found.ranks + half, colors=colours, linewidth=2)
            ax.scatter(found.ranks, places, c=colours, s=34, zorder=3)
            _cliques(ax, found, names)
            ax.set_yticks(places, [title(cue) for cue in names])
            ax.set(xlim=(0, len(names) + 1), ylim=(len(names) - 0.5, -0.5),
                   xticks=range(1, len(names) + 1),
                   xlabel=f"mean rank by {measure}, 1 is best")  # fmt: skip
            ax.set_title(f"n = {found.n}, Friedman {p_equals(found.p)}", loc="left")
        measure, found = next(iter(rankings.items()))
        headline(figure, ranking_title(found, measure))
        below(figure, "Lines: half of Nemenyi's critical difference (5 %) to either side; grey "
              f"bars join explainers that are not told apart. {text}")  # fmt: skip
    return figure


def _cliques(ax, found: Ranking, names: Sequence[str]) -> None:
    """A grey bar at the left for every group that the critical difference does not split."""
    for i, group in enumerate(found.cliques()):
        x = 0.22 + 0.3 * i
        first, last = names.index(group[0]), names.index(group[-1])
        ax.vlines(x, first - 0.2, last + 0.2, colors="#aaaaaa", linewidth=3)


def metric_matrix(table: pd.DataFrame, text: str) -> Figure:
    """Rank correlations among measures above the diagonal, their intervals below it.

    `table` is that of `sections.metric_order.metric_correlations`.
    """
    if table.empty:
        return nothing("Rank correlation of measures: there are no two of them")
    names = list(dict.fromkeys([*table["a"], *table["b"]]))
    values = np.full((len(names), len(names)), np.nan)
    with style():
        figure, ax = panels(1, 1.0 + 0.42 * len(names))
        for i, a in enumerate(names):
            for j, b in enumerate(names[i + 1 :], i + 1):
                values[i, j] = pair(table, a, b)["rho"]
        numbers(ax, values, "RdBu_r", -1, 1)
        for text_ in ax.texts:  # below the diagonal stand the intervals
            column, row = (round(p) for p in text_.get_position())
            text_.set_color("white" if abs(np.nan_to_num(values[row, column])) > 0.6 else "black")
            if column < row:
                found = pair(table, names[row], names[column])
                ends = number(found["low"]), number(found["high"])
                text_.set(text=f"[{ends[0]}, {ends[1]}]", fontsize=7)
            elif column == row:
                text_.set_text("")
        ax.set_yticks(range(len(names)), names)
        ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        ax.tick_params(length=0)
        headline(figure, order_title(table))
        k, n = table["k"].iloc[0], table["n"].iloc[0]
        below(figure, f"Spearman's ρ over the means of {k} explainers (n = {n} images each); below "
              "the diagonal its 95 % interval over images. Every measure is turned so that high is "
              f"good. {text}")  # fmt: skip
    return figure
