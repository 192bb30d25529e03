"""Figures of faithfulness, stability and randomisation; bars are 95 % intervals over images."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.figures.panels import nothing, panels
from xaiutils.figures.photos import below, cue_legend, headline
from xaiutils.figures.style import intervals, style
from xaiutils.names import COLOURS, in_order
from xaiutils.sections.faithfulness import (
    CONTROLS,
    STAGES,
    completeness_title,
    faithfulness_title,
    measured,
    name,
    randomisation_title,
    stability_title,
)
from xaiutils.sections.words import percent
from xaiutils.statistics import FEWEST

CONTROL = "#777777"


def completeness_against_faithfulness(
    table: pd.DataFrame, controls: pd.DataFrame, text: str
) -> Figure:
    """Coverage of the object against insertion minus deletion, a cross an explainer.

    `table` is `sections.faithfulness.completeness_and_faithfulness`, `controls` `curves`, whose
    controls are drawn as lines: they cover nothing on purpose.
    """
    if table.empty:
        return nothing("Completeness against faithfulness: no map has both measures")
    with style():
        figure, ax = panels(1, 3.6)
        for size, row in zip(np.linspace(11, 5, len(table)), table.itertuples()):
            colour = COLOURS.get(row.cue, "#333333")
            ax.hlines(row.gap, row.coverage_low, row.coverage_high, colors=colour, alpha=0.7)
            ax.vlines(row.coverage, row.gap_low, row.gap_high, colors=colour, alpha=0.7)
            ax.plot(row.coverage, row.gap, "o", color=colour, markersize=size,
                    markerfacecolor="none", markeredgewidth=1.6, zorder=3)  # fmt: skip
        _control_lines(ax, controls)
        ax.set(xlabel="completeness: share of the object that the map covers", xlim=(0, 1),
               ylabel="faithfulness:\ninsertion minus deletion")  # fmt: skip
        headline(figure, completeness_title(table))
        below(figure, f"Maps thresholded by Otsu for coverage. Crosses: 95 % intervals. Lines: "
              f"maps that have not seen the image. {text}", cue_legend(table["cue"]))  # fmt: skip
    return figure


def _control_lines(ax: Axes, curves: pd.DataFrame) -> None:
    gap = curves[(curves["metric"] == "gap") & curves["cue"].isin(CONTROLS)].set_index("cue")
    styles = dict(zip(CONTROLS, (":", "--", "-.")))
    for cue, row in gap.iterrows():
        ax.axhline(row["mean"], color=CONTROL, linestyle=styles[cue], linewidth=1,
                   label=CONTROLS[cue].split(": ")[1])  # fmt: skip
    if len(gap):
        ax.legend(fontsize=8, loc="best")


def areas(table: pd.DataFrame, text: str) -> Figure:
    """Deletion (low is good) and insertion (high is good) of every cue and control."""
    with style():
        figure, axes = panels(2, 3.7)
        for ax, metric, side in zip(axes, ("deletion", "insertion"), ("low", "high")):
            part = table[table["metric"] == metric]
            intervals(ax, part)
            ax.set(xlabel=f"area under {metric} ({side} is good)", xlim=(0, None))
            ax.set_yticks(range(len(part)), [name(cue) for cue in part["cue"]])
        axes[1].tick_params(labelleft=False)
        headline(figure, faithfulness_title(table))
        below(figure, f"Probability of the explained class while pixels are blurred, or shown, in "
              f"the map's order. {text}")  # fmt: skip
    return figure


PANELS = {
    "max_sensitivity": "max-sensitivity\nto noise (log)",
    "augmentation_spread": "spread over\naugmentations",
    "seed_spread": "spread over seeds",
    "seed_correlation": "ρ with another seed",
}


def stability(table: pd.DataFrame, text: str) -> Figure:
    """Noise, mild augmentations and another seed; `table` is that of the analysis."""
    if table.empty:
        return nothing("Stability was not measured")
    with style():
        figure, axes = panels(len(PANELS), 3.1)
        for ax, (metric, label) in zip(axes, PANELS.items()):
            intervals(ax, measured(table, metric), "explainer")
            ax.set_xlabel(label)
            ax.tick_params(labelleft=ax is axes[0])
        axes[0].set_xscale("log")
        headline(figure, stability_title(table))
        n = table["sample"].nunique()
        slow = table[table["explainer"] == "scorecam"]["sample"].nunique()
        below(figure, f"Measured on {n} of the study's images (Score-CAM on {slow}), fast preset, "
              "few draws. Noise is 2 % of the input's range; augmentations are the mirror image "
              f"and 10 % more light. The study: {text}")  # fmt: skip
    return figure


def randomisation(table: pd.DataFrame, text: str) -> Figure:
    """Rank correlation with the trained network's map while the weights are randomised.

    `table` is that of `sections.faithfulness.randomised`.
    """
    if table.empty:
        return nothing("Randomisation was not measured")
    stages = [stage for stage in STAGES if stage in set(table["stage"])]
    cues = in_order(table["explainer"])
    with style():
        figure, ax = panels(1, 3.4)
        for i, cue in enumerate(cues):
            part = table[table["explainer"] == cue].set_index("stage").reindex(stages)
            x = np.arange(len(stages)) + (i - len(cues) / 2) * 0.05
            ax.plot(x, part["mean"], "o-", color=COLOURS.get(cue), markersize=4, linewidth=1.2)
            ax.vlines(x, part["low"], part["high"], colors=COLOURS.get(cue), linewidth=1)
        ax.axhline(0, color="#999999", linewidth=0.8)
        ax.set_xticks(range(len(stages)), stages)
        ax.set(xlabel="layers with shuffled weights, from the output down",
               ylabel="Spearman correlation with\nthe trained network's map")  # fmt: skip
        headline(figure, randomisation_title(table))
        n = table["n"].max()
        few = "" if n >= FEWEST else ", which show a direction"
        below(figure, f"Measured on {n} of the study's images{few}. Trained: nothing shuffled, "
              "fast preset and another seed, so what is missing to 1 is the explainer's own "
              f"noise. The study: {text}", cue_legend(cues))  # fmt: skip
    return figure


def texture(table: pd.DataFrame, text: str) -> Figure:
    """Grid, speckle and border of the maps; `table` is that of the analysis."""
    labels = {
        "grid_edges": "edges on Occlusion's grid",
        "high_frequency": "power in periods < 8 px",
        "border_share": "mass in the outer 5 %",
    }
    single = table[table["explainer"] != "superpixels"]
    if single.empty:
        return nothing("Texture was not measured")
    with style():
        figure, axes = panels(3, 3.1)
        for ax, (metric, label) in zip(axes, labels.items()):
            intervals(ax, measured(single, metric), "explainer")
            ax.set_xlabel(label)
            ax.set_xlim(-0.04 * ax.get_xlim()[1], None)  # dots at zero are seen whole
            ax.tick_params(labelleft=ax is axes[0])
        headline(figure, _texture_title(single))
        below(figure, f"Shares. The outer 5 % of the side are 19 % of the area. {text}")
    return figure


def _texture_title(table: pd.DataFrame) -> str:
    found = measured(table, "high_frequency").dropna(subset="mean")
    if found.empty:
        return "Texture of the maps"
    row = found.loc[found["mean"].idxmax()]
    return (
        f"{name(row['explainer'])} is the finest: {percent(row['mean'])} of its power in periods "
        "below 8 pixels"
    )
