"""Figures of notebook 4 (section 5, pitfalls of explanations as segmentation signals).

Each takes tables of `xaiutils.sections` and a caption, or the study where photographs are shown.
Bars are 95 % intervals over images.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xaiutils.figures.panels import nothing, numbers, panels
from xaiutils.figures.photos import below, grid, headline, not_stored, row_label
from xaiutils.figures.proxy import mask_with_iou
from xaiutils.figures.style import outline, picture, rows, style
from xaiutils.names import COLOURS, SEGMENTER_TITLES, in_order, title
from xaiutils.sections.correlation import LEVELS
from xaiutils.sections.cues import FUSED, main_prompting, proxy_segmenter
from xaiutils.sections.picks import four
from xaiutils.sections.pitfalls import agreement_change, size_correlations
from xaiutils.sections.seed_quality import LABEL_FREE, ceiling_table, refiners_of
from xaiutils.sections.words import count, estimate, rho_text, signed
from xaiutils.study import Study

REFINER_COLOURS = {
    "embedded_sam": "#4477aa",
    "sam2": "#4477aa",
    "grabcut": "#ee6677",
    "random_walker": "#ccbb44",
    LABEL_FREE: "#555555",
}
RULES = {"fixed 0.5": "X", "tuned": "D", "Otsu": "o", "oracle": "*"}


# Figure 4 ---------------------------------------------------------------------------------------


def masks_of_four(study: Study, ids: list[str], agreement: pd.Series) -> Figure:
    """Figure 4: SAM's masks from four explainers and from the fused map; a row an image.

    `agreement` gives each image's mean pairwise IoU of the four masks (`disagreement` of
    `sections.pitfalls`).
    """
    if not study.has_arrays or not ids:
        return not_stored(study, "Figure 4, SAM's masks from four explainers")
    table, samples = study.table("segmentation"), [study.sample(id) for id in ids]
    route = main_prompting(table), proxy_segmenter(table)
    cues = [*four(study.cues), *([FUSED] if FUSED in study.cues else [])]
    with style():
        shapes = [s.image.shape[:2] for s in samples]
        figure, axes = grid(shapes, 1 + len(cues), feet=(0.22,), head=0.3)
        for row, sample in zip(axes, samples):
            picture(row[0], sample.image)
            outline(row[0], sample.mask)
            row_label(row[0], sample.label)
            row[0].set_xlabel(f"agree: {agreement[sample.id]:.2f}", labelpad=2)
            for ax, cue in zip(row[1:], cues):
                mask_with_iou(ax, study, sample, cue, *route, table)
        heads = [title(cue).replace("Integrated Gradients", "Integrated Grad.") for cue in cues]
        for ax, head in zip(axes[0], ["photograph", *heads]):
            ax.set_title(head, fontsize=8.5)
        low, high = agreement[ids].min(), agreement[ids].max()
        headline(figure, "One photograph, four explainers: their masks agree with an IoU of "
                 f"{low:.2f} to {high:.2f}")  # fmt: skip
        below(
            figure,
            "Yellow: SAM's mask, below it its IoU with the ground truth (cyan line). Agree: mean "
            f"pairwise IoU of the four explainers' masks. {study.caption()}",
        )
    return figure


def agreement_matrix(maps: pd.DataFrame, masks: pd.DataFrame, text: str) -> Figure:
    """Pairwise IoU: above the diagonal of the thresholded maps, below it of their SAM masks."""
    pairs = agreement_change(maps, masks)
    if pairs.empty:
        return nothing("Agreement of masks: there are no two explainers to compare")
    cues = in_order([*pairs["a"], *pairs["b"]])
    place = {cue: i for i, cue in enumerate(cues)}
    values = np.full((len(cues), len(cues)), np.nan)
    for row in pairs.itertuples():
        i, j = sorted((place[row.a], place[row.b]))
        values[i, j], values[j, i] = row.maps, row.masks
    with style():
        figure, ax = panels(1, 1.3 + 0.42 * len(cues))
        numbers(ax, values, "viridis", 0, 1)
        names = [title(cue) for cue in cues]
        ax.set_yticks(range(len(cues)), names)
        ax.set_xticks(range(len(cues)), names, rotation=35, ha="right", rotation_mode="anchor")
        ax.tick_params(length=0)
        after = f"{pairs['masks'].mean():.2f} of their" if pairs["masks"].notna().any() else "no"
        headline(
            figure, f"Mean pairwise IoU: {pairs['maps'].mean():.2f} of the maps, {after} SAM masks"
        )
        below(figure, "Above the diagonal: maps thresholded by Otsu. Below it: SAM masks from the "
              f"same maps. Means over images. {text}")  # fmt: skip
    return figure


# Seed quality -----------------------------------------------------------------------------------


def seed_against_final(table: pd.DataFrame, found: pd.DataFrame, text: str) -> Figure:
    """Seed IoU against final IoU, a point an explanation, a panel a segmenter.

    `table` is `seed_quality.seeds`, `found` `seed_quality.seed_correlations`.
    """
    names, cues = refiners_of(table), in_order(table["cue"].unique())
    pooled = found[found["level"] == "pooled"].set_index("segmenter")
    with style():
        figure, axes = panels(len(names), 3.0, sharey=True, squeeze=False)
        for ax, name in zip(axes[0], names):
            part = table[table["segmenter"] == name]
            _scatter(ax, part, cues)
            row = pooled.loc[name]
            ax.set(title=f"{SEGMENTER_TITLES[name]}\nρ = {rho_text(row)}", xlabel="IoU of the seed")
        axes[0, 0].set_ylabel("IoU of the final mask")
        handles = [
            Line2D([], [], marker="o", lw=0, color=COLOURS.get(cue, "#333333"), label=title(cue))
            for cue in cues
        ]
        above = ceiling_table(table)
        shares = ", ".join(
            f"{100 * r.above_seed:.0f} % ({SEGMENTER_TITLES[r.segmenter]})"
            for r in above.itertuples()
        )
        headline(figure, f"Better than the seed: {shares}")
        below(
            figure,
            "A point: one explainer on one image. On the dashed line the final mask is as good as "
            "its seed; shaded: better than its seed. ρ: rank correlation of all pairs with its "
            f"95 % interval (bootstrap over images). {text}",
            handles,
        )
    return figure


def _scatter(ax: Axes, part: pd.DataFrame, cues: list[str]) -> None:
    ax.fill_between([0, 1], [0, 1], 1, color="#f3f3f3", lw=0)
    ax.plot([0, 1], [0, 1], color="#888888", lw=1, ls="--")
    alpha = max(0.25, min(0.85, 60 / max(len(part) / max(len(cues), 1), 1)))
    for cue in cues:
        rows_of = part[part["cue"] == cue]
        ax.scatter(rows_of["seed"], rows_of["final"], s=16, alpha=alpha, linewidths=0.3,
                   color=COLOURS.get(cue, "#333333"), edgecolors="white")  # fmt: skip
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    ax.set_xticks([0, 0.5, 1])


def correlation_levels(found: pd.DataFrame, text: str) -> Figure:
    """The four rank correlations of seed and final IoU, by segmenter, with their intervals."""
    names, levels = list(dict.fromkeys(found["segmenter"])), list(LEVELS)
    offsets = np.linspace(-0.22, 0.22, len(names)) if len(names) > 1 else [0.0]
    with style():
        figure, ax = panels(1, 2.6)
        for offset, name in zip(offsets, names):
            part = found[found["segmenter"] == name].set_index("level").reindex(levels)
            y, colour = np.arange(len(levels)) + offset, REFINER_COLOURS[name]
            ax.hlines(y, part["low"], part["high"], color=colour, linewidth=2)
            ax.scatter(part["rho"], y, color=colour, s=30, zorder=3, label=SEGMENTER_TITLES[name])
        ax.axvline(0, color="#555555", linewidth=0.8)
        ax.set_yticks(range(len(levels)), [LEVELS[level] for level in levels])
        ax.set(ylim=(len(levels) - 0.5, -0.5), xlabel="rank correlation of seed IoU and final IoU",
               xlim=(min(-0.3, np.nanmin([*found["low"], 0]) - 0.05), 1.02))  # fmt: skip
        ax.grid(axis="x", color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        above = int((found["low"] > 0).sum())
        headline(figure, f"Clearly positive: {count(above, len(found), 'rank correlations')} "
                 "of seed and final IoU")  # fmt: skip
        below(
            figure,
            "Bars: 95 % interval, bootstrap over images; clearly: it excludes zero. The last row "
            f"has one pair of values an explainer, hence its width. {text}",
            ax.get_legend_handles_labels()[0],
        )
    return figure


# Refinement -------------------------------------------------------------------------------------


def refinement_gain(table: pd.DataFrame, text: str) -> Figure:
    """Final minus seed IoU by explainer and segmenter; `table` is `seed_quality.refinement`."""
    names, cues = list(dict.fromkeys(table["segmenter"])), in_order(table["cue"].unique())
    offsets = np.linspace(-0.24, 0.24, len(names)) if len(names) > 1 else [0.0]
    with style():
        figure, ax = panels(1, 0.8 + 0.34 * len(cues))
        for offset, name in zip(offsets, names):
            part = table[table["segmenter"] == name].set_index("cue").reindex(cues)
            y, colour = np.arange(len(cues)) + offset, REFINER_COLOURS[name]
            ax.hlines(y, part["low"], part["high"], color=colour, linewidth=2)
            ax.scatter(part["mean"], y, color=colour, s=26, zorder=3, label=SEGMENTER_TITLES[name])
        ax.axvline(0, color="#555555", linewidth=0.8)
        rows(ax, cues)
        ax.set_xlabel("IoU of the final mask minus IoU of its seed")
        means = table.groupby("segmenter", sort=False)["mean"].mean()
        said = ", ".join(f"{SEGMENTER_TITLES[n]} {signed(m)}" for n, m in means.items())
        headline(figure, f"Refined minus seed IoU: {said}")
        below(
            figure,
            "Mean and 95 % interval of the paired difference; in the title the mean over the "
            f"explainers. {text}",
            ax.get_legend_handles_labels()[0],
        )
    return figure


def rank_chart(order: pd.DataFrame, found: pd.DataFrame, text: str) -> Figure:
    """Ranks of the explainers as seeds, after each refinement, and by the label-free agreement.

    `order` is `seed_quality.ranking`, `found` `seed_quality.ranking_correlations`.
    """
    ranks = order.rank(ascending=False, method="first")
    rho = found.set_index("segmenter")
    heads = {"seed": "the seeds\n(truth)", LABEL_FREE: "agreement\nwith SAM\n(no truth)"}
    x = np.arange(len(ranks.columns))
    with style():
        figure, ax = panels(1, 1.2 + 0.33 * len(ranks))
        for cue, row in ranks.iterrows():
            colour = COLOURS.get(cue, "#333333")
            ax.plot(x, row, "-o", color=colour, lw=2, markersize=18, markeredgecolor="white")
            for i, value in zip(x, order.loc[cue]):
                if np.isfinite(value):
                    ax.text(i, row.iloc[i], f".{round(100 * value):02d}", ha="center", va="center",
                            fontsize=8, fontweight="bold", color=_on(colour))  # fmt: skip
        ends = ranks.iloc[:, 0], ranks.iloc[:, -1]
        ax.set_yticks(ends[0], [title(cue) for cue in ranks.index])
        right = ax.secondary_yaxis("right")
        right.set_yticks(ends[1], [title(cue) for cue in ranks.index])
        for axis in (ax, right):
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
        labels = []
        for name in ranks.columns:
            head = heads.get(name, SEGMENTER_TITLES.get(name, name))
            known = name in rho.index and np.isfinite(rho["rho"][name])
            labels.append(f"{head}\nρ = {estimate(rho['rho'][name])}" if known else head)
        ax.set_xticks(x, labels)
        ax.xaxis.tick_top()
        ax.set(ylim=(len(ranks) + 0.6, 0.4), xlim=(-0.25, len(x) - 0.75))
        keep = rho["rho"].drop(LABEL_FREE, errors="ignore").dropna()
        headline(
            figure,
            "Refinement keeps the seeds' order of explainers with ρ from "
            f"{estimate(keep.min())} to {estimate(keep.max())}"
            if len(keep)
            else "The order of the explainers, as seeds and refined",
        )
        below(
            figure,
            "Best on top; in the dots the mean IoU (with the truth; in the last column of a seed "
            "with its own SAM mask). ρ: rank correlation with the seeds' order; intervals in the "
            f"text. {text}",
        )
    return figure


def _on(colour: str) -> str:
    """Black or white, whichever reads better on a colour."""
    r, g, b = plt.matplotlib.colors.to_rgb(colour)
    return "black" if 0.299 * r + 0.587 * g + 0.114 * b > 0.55 else "white"


# Heuristics -------------------------------------------------------------------------------------


def heuristics(rules: pd.DataFrame, found: pd.DataFrame, whole: float, text: str) -> Figure:
    """Left: IoU of the maps under each threshold rule. Right: how far each choice moves the IoU.

    `rules` is `sections.thresholds.threshold_rules`, `found` `sections.pitfalls.choices`, `whole`
    the mean IoU of the whole image as a mask.
    """
    cues = in_order(rules["cue"].unique())
    with style():
        figure, (left, right) = panels(2, 1.2 + 0.34 * len(cues), width_ratios=[1, 0.8])
        left.axvline(whole, color="#777777", linestyle="--", linewidth=1, zorder=1)
        for rule, offset in zip(RULES, (0.27, 0.09, -0.09, -0.27)):
            part = rules[rules["rule"] == rule].set_index("cue").reindex(cues)
            y = np.arange(len(cues)) + offset
            colours = [COLOURS.get(cue, "#333333") for cue in cues]
            left.hlines(y, part["low"], part["high"], colors=colours, linewidth=1.3)
            left.scatter(part["mean"], y, c=colours, marker=RULES[rule], zorder=3,
                         s=60 if rule == "oracle" else 22)  # fmt: skip
        rows(left, cues)
        most = rules[["mean", "high"]].max().max()
        left.set(xlabel="IoU of the thresholded map", xlim=(-0.02, min(1, most + 0.05)))
        right.barh(range(len(found)), found["range"], color="#aab4be", height=0.6)
        right.hlines(range(len(found)), found["low"], found["high"], color="#333333", lw=1.2)
        for i, row in found.iterrows():
            end = row[["range", "high"]].max()
            right.text(end, i, f" {row['range']:.2f}", va="center", fontsize=8.5)
        names = [choice.replace(" (", "\n(") for choice in found["choice"]]
        right.set_yticks(range(len(found)), names, fontsize=8.5)
        right.invert_yaxis()
        most = found[["range", "high"]].max().max()
        right.set(xlabel="best minus worst mean IoU", xlim=(0, 1.25 * most))
        if len(found):
            top, last = found.iloc[0], found.iloc[-1]
            headline(figure, f"The {top['choice']} moves the mean IoU by {top['range']:.2f}, the "
                     f"{last['choice']} by {last['range']:.2f}")  # fmt: skip
        handles = [
            Line2D([], [], marker=RULES[rule], lw=0, color="#444444", label=rule)
            for rule in RULES
            if rule in set(rules["rule"])
        ]
        handles.append(Line2D([], [], color="#777777", ls="--", label="the whole image as a mask"))
        below(figure, "Left: mean and 95 % interval; the oracle takes each image's best threshold, "
              "so it has seen the answer. Right: each choice by itself, the others at their "
              f"defaults, with the interval of the range. {text}", handles)  # fmt: skip
    return figure


# Object size ------------------------------------------------------------------------------------


def size_against_iou(table: pd.DataFrame, text: str) -> Figure:
    """Object size against the IoU averaged over explainers; two points an image, seed and SAM.

    `table` is `sections.pitfalls.sizes`.
    """
    found = size_correlations(table).set_index("of")
    x, look = 100 * table["object_share"], {"s": 30, "edgecolors": "#4477aa", "zorder": 3}
    with style():
        figure, ax = panels(1, 3.2)
        ax.vlines(x, table["seed"], table["final"], color="#4477aa", lw=1, alpha=0.5)
        ax.scatter(x, table["seed"], facecolors="white", label="thresholded map", **look)
        ax.scatter(x, table["final"], facecolors="#4477aa", label="SAM mask", **look)
        ax.set(xlabel="object's share of the image, %", ylabel="IoU, mean of the explainers",
               xscale="log", ylim=(-0.02, 1.02))  # fmt: skip
        _plain_percent(ax, x)
        said = "clear" if found["low"]["final"] > 0 or found["high"]["final"] < 0 else "no clear"
        headline(figure, f"Object size and IoU of SAM's masks: {said} rank correlation "
                 f"(ρ = {rho_text(found.loc['final'])})")  # fmt: skip
        below(figure, "A line joins the two masks of an image. ρ: rank correlation with its 95 % "
              f"interval (bootstrap over images); clear: it excludes zero. {text}",
              ax.get_legend_handles_labels()[0])  # fmt: skip
    return figure


def _plain_percent(ax: Axes, values: pd.Series) -> None:
    """Readable ticks on a logarithmic axis."""
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if values.min() / 2 < t]
    ticks = [t for t in ticks if t < 2 * values.max()]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
