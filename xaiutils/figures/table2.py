"""Figures of notebook 1 about Table 2: printed numbers against ours, and its readings."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.config import StudyConfig
from xaiutils.figures.panels import panels
from xaiutils.figures.photos import WIDTH, below, cue_legend, headline
from xaiutils.figures.style import style
from xaiutils.names import COLOURS
from xaiutils.sections.published import NOT_COMPARABLE
from xaiutils.sections.table2 import MEASURES, NOT_MEASURED, effectiveness_title, order_title
from xaiutils.sections.words import signed


def printed_against_ours(cells: pd.DataFrame, order: pd.DataFrame, caption: str) -> Figure:
    """Each method's printed number against ours: rows measures, columns printed data sets.

    cells, order: from `sections.table2`; the first reading of each measure, of what was measured.
    """
    cells = cells.drop_duplicates(["cue", "measure", "dataset"]).dropna(subset="ours")
    remarks = cells.drop_duplicates("dataset").set_index("dataset")["remark"]
    datasets, measures = remarks.index, [m for m in MEASURES if m in set(cells.measure)]
    with style():
        figure, axes = plt.subplots(len(measures), len(datasets), figsize=(WIDTH, 6.9), dpi=120,
                                    sharex=True, sharey=True, squeeze=False,
                                    layout="constrained")  # fmt: skip
        for row, measure in zip(axes, measures):
            for ax, dataset in zip(row, datasets):
                part = cells[(cells["measure"] == measure) & (cells["dataset"] == dataset)]
                _scatter(ax, part)
                ax.set_title(_rho_title(order, dataset, part["metric"].iloc[0]))
            row[0].set_ylabel(f"{MEASURES[measure]}, ours")
        for ax, dataset in zip(axes[-1], datasets):
            ax.set_xlabel(_column(dataset, remarks[dataset]))
        headline(figure, order_title(order))
        text = (
            "Vertical: our mean and 95 % interval over photographs. Dashed: equal numbers. "
            f"{_remarks(remarks)} {caption}"
        )
        below(figure, text, cue_legend(cells["cue"]))
    return figure


def _column(dataset: str, remark: str) -> str:
    """The label of a column, which says where its numbers may not be held against each other."""
    odd = f"\n({NOT_COMPARABLE})" if remark.startswith(NOT_COMPARABLE) else ""
    return f"printed for {dataset}{odd}"


def _remarks(remarks: pd.Series) -> str:
    """Each remark once, after the columns that it is of: "CUB-200-2011, USIS10K not ...; ..."."""
    columns = [
        f"{', '.join(part.index)} {remark}" for remark, part in remarks.groupby(remarks, sort=False)
    ]
    return "; ".join(columns) + "."


def _scatter(ax: Axes, part: pd.DataFrame) -> None:
    colours = [COLOURS.get(cue, "#333333") for cue in part["cue"]]
    ax.plot([0, 1], [0, 1], "--", color="#aaaaaa", linewidth=0.8, zorder=0)
    ax.vlines(part["printed"], part["low"], part["high"], colors=colours, linewidth=1, alpha=0.6)
    ax.scatter(part["printed"], part["ours"], c=colours, s=26, zorder=3)
    ax.set(xlim=(0.2, 1.03), ylim=(0, 1.03), xticks=[0.25, 0.5, 0.75, 1])


def _rho_title(order: pd.DataFrame, dataset: str, metric: str) -> str:
    row = order[(order["dataset"] == dataset) & (order["metric"] == metric)].iloc[0]
    if not np.isfinite(row["rho"]):
        return "too few methods to rank"
    return f"ρ = {signed(row['rho'])} (n = {row['methods']})"


def readings(order: pd.DataFrame, caption: str, config: StudyConfig | None = None) -> Figure:
    """Rank correlation with the printed column for each reading of each measure.

    config: the study's; the title is of the column of its data set, where there is one.
    """
    names = order.drop_duplicates("metric")
    with style():
        figure, ax = panels(1, 0.68 * len(names))
        markers = dict(zip(order["dataset"].unique(), ["o", "s", "^", "D"]))
        colours = dict(zip(markers, ["#0072b2", "#d55e00", "#117733", "#aa4499"]))
        for place, (dataset, part) in enumerate(order.groupby("dataset", sort=False)):
            y = np.arange(len(part)) + 0.22 * (place - 1)
            ax.hlines(y, part["low"], part["high"], color=colours[dataset], linewidth=1.6)
            ax.plot(part["rho"], y, markers[dataset], color=colours[dataset],
                    label=f"printed for {dataset}")  # fmt: skip
        labels = [f"{MEASURES[r.measure]}:\n{r.reading}" for r in names.itertuples()]
        ax.set_yticks(np.arange(len(names)), labels, fontsize=8)
        ax.axvline(0, color="#333333", linewidth=0.8)
        ax.grid(axis="x", color="#dddddd", linewidth=0.6)
        ax.set(xlim=(-1, 1), ylim=(len(names) - 0.5, -0.5), xlabel="rank correlation of methods, "
               "ours against printed (1: same order)")  # fmt: skip
        headline(figure, effectiveness_title(order, config))
        text = (
            f"n = {order['methods'].max()} methods each; 95 % interval: photographs drawn again. "
            f"{NOT_MEASURED} {caption}"
        )
        below(figure, text, ax.get_legend_handles_labels()[0])
    return figure
