"""Figures of trust without ground truth: correlations, risk-coverage curves, a ranked strip."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaiutils.figures.panels import nothing, panels
from xaiutils.figures.photos import below, headline
from xaiutils.figures.style import style
from xaiutils.names import title
from xaiutils.sections.trust import (
    COMBINED,
    at_level,
    best_signal,
    score_headline,
    score_title,
    with_combinations,
)
from xaiutils.sections.words import number
from xaiutils.trust import SIZES, TARGETS, excess, risk_coverage, signals_of

SIGNAL, COMBINATION, CONTROL = "#0072b2", "#d55e00", "#999999"
POOLED = "#56b4e9"
CURVES = ("#0072b2", "#e69f00", "#117733", "#d55e00")


def colour(score: str) -> str:
    """Signals, combinations and controls (sizes) each have a colour."""
    return COMBINATION if score in COMBINED else CONTROL if score in SIZES else SIGNAL


def score_bars(scores: pd.DataFrame, caption: str) -> Figure:
    """Spearman's rho of every score with the IoU of map and of mask; scores in one order."""
    order = at_level(scores, "mask_iou").dropna(subset="rho").index.tolist()
    if not order:
        return nothing("Too few images for a correlation.")
    with style():
        figure, axes = panels(len(TARGETS), 0.26 * len(order) + 1.1, sharey=True)
        for ax, (target, name) in zip(axes, TARGETS.items()):
            _bars(ax, scores, target, order)
            ax.set(title=f"IoU of the {name}", xlabel="Spearman's ρ")
        headline(figure, score_headline(scores))
        dot = {"marker": "o", "linestyle": ""}
        handles = [
            plt.Line2D([], [], color=SIGNAL, label="signal", **dot),
            plt.Line2D([], [], color=COMBINATION, label="combination", **dot),
            plt.Line2D([], [], color=CONTROL, label="size, a control", **dot),
            plt.Line2D([], [], color="#333333", fillstyle="none", label="all pairs", **dot),
        ]
        text = (
            "Full: ranking images for one explainer, mean over explainers and fusions, with 95 % "
            "interval (images drawn again). Hollow: over all pairs of image and explainer, "
            f"likewise. {caption}"
        )
        below(figure, text, handles)
    return figure


def _bars(ax: Axes, scores: pd.DataFrame, target: str, order: list[str]) -> None:
    within = at_level(scores, target).reindex(order)
    pooled = at_level(scores, target, "all pairs").reindex(order)
    places, colours = np.arange(len(order)), [colour(score) for score in order]
    ax.barh(places, within["rho"], color=colours, height=0.62, alpha=0.35)
    ax.hlines(places, within["low"], within["high"], colors=colours, linewidth=2)
    ax.scatter(within["rho"], places, c=colours, s=22, zorder=3)
    ax.hlines(places + 0.22, pooled["low"], pooled["high"], colors="#333333", linewidth=0.8)
    ax.scatter(pooled["rho"], places + 0.22, c="none", edgecolors="#333333", s=16, zorder=4)
    ax.axvline(0, color="#333333", linewidth=0.8)
    most = within["n"].max()
    few = {s: f" (n = {n:.0f})" for s, n in within["n"].items() if n < most / 2}
    ax.set_yticks(places, [score_title(score) + few.get(score, "") for score in order])
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def risk_curves(
    table: pd.DataFrame, scores: pd.DataFrame, caption: str, cue: str = "fused-weighted"
) -> Figure:
    """Mean of 1 - IoU among the most trusted, by the share kept: one cue's maps and masks.

    table: from `trust.features`. Grey: ordered by the IoU itself, and in a blind order.
    """
    part = table[table["cue"] == cue]
    if part["mask_iou"].notna().sum() < 2:
        return nothing(f"No risk-coverage curve: {title(cue)} has fewer than two masks.")
    with style():
        figure, axes = panels(len(TARGETS), 4.6, sharey=True)
        for ax, (target, name) in zip(axes, TARGETS.items()):
            _curves(ax, with_combinations(table, target), scores, target, cue)
            ax.set(title=f"{title(cue)}: {name}", xlabel="share of the images kept", xlim=(0, 1))
        axes[0].set_ylabel("risk: mean of 1 − IoU")
        axes[0].set_ylim(0, None)
        headline(figure, _curve_title(table, scores, cue))
        text = "The most trusted images first; a curve that falls to the left is worth its trust. "
        below(figure, text + "In brackets: the area above the best order's, as a share of a blind "
              f"order's: above 1 is worse than blind. {caption}", skip=0.1)  # fmt: skip
    return figure


def drawn(table: pd.DataFrame, scores: pd.DataFrame, target: str) -> list[str]:
    """The best signal, the paper's two and the combination."""
    wanted = dict.fromkeys([best_signal(scores, target), "entropy", "agreement", "combination"])
    return [name for name in wanted if name in [*signals_of(table), "combination"]]


def _curves(ax: Axes, table: pd.DataFrame, scores: pd.DataFrame, target: str, cue: str) -> None:
    part = table[table["cue"] == cue]
    for score, shade in zip(drawn(table, scores, target), CURVES):
        if part[score].notna().sum() < 2:  # too few images for a combination
            continue
        coverage, risk = risk_coverage(part[score], part[target])
        label = f"{score_title(score)} ({number(excess(part[score], part[target]))})"
        ax.plot(coverage, risk, color=shade, label=label)
    coverage, risk = risk_coverage(part[target], part[target])
    ax.plot(coverage, risk, color="#888888", linestyle=":", label="ordered by IoU")
    ax.axhline(1 - part[target].mean(), color="#888888", linestyle="--", label="blind order")
    ax.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15))


def _curve_title(table: pd.DataFrame, scores: pd.DataFrame, cue: str) -> str:
    """The best signal's risk at half the images against that of all."""
    best = best_signal(scores, "mask_iou")
    part = table[table["cue"] == cue]
    if best is None:
        return "Risk against coverage"
    coverage, risk = risk_coverage(part[best], part["mask_iou"])
    if not len(risk):
        return "Risk against coverage"
    half = risk[np.searchsorted(coverage, 0.5)]
    return (
        f"Masks: {number(risk[-1])} risk on all images, {number(half)} on the half with the best "
        f"{score_title(best)}"
    )
