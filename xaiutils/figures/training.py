"""Figures of notebook 4 on trained segmenters: seeds and heads, blind training, bias.

Each takes the tables of analyses and a caption. Bars are 95 % intervals over images.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xaiutils.figures.panels import nothing, panels
from xaiutils.figures.photos import below, headline
from xaiutils.figures.style import style
from xaiutils.names import AGREEMENT, BOX, COLOURS, CONFIDENCE, PLAIN, SAM, TRUTH, title
from xaiutils.sections.bias import CONTEXT, amplification, beyond_truth
from xaiutils.sections.curves import (
    LAST,
    PSEUDO,
    TRUTH_RULE,
    averages,
    remedies,
    rule_difference,
    stopped,
)
from xaiutils.sections.trained import (
    NOT_MEASURED,
    best_explainer,
    by_explainer,
    difference,
    source_title,
    sources_of,
    trained_correlations,
    trained_means,
)
from xaiutils.sections.words import estimate, number, rho_text

OTHER = {TRUTH: "#332288", BOX: "#999933", SAM: "#777777"}
VARIANT_COLOURS = {CONFIDENCE: "#ee7733", AGREEMENT: "#009988"}


def colour(source: str) -> str:
    return COLOURS.get(source, OTHER.get(source, "#333333"))


def named_rows(ax: Axes, names: list[str]) -> None:
    """Names on the y axis, first on top, and a light grid."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


# Trained on pseudo-labels -----------------------------------------------------------------------


def trained_heads(table: pd.DataFrame, text: str) -> Figure:
    """Left: seed and trained head of each source; right: quality of the labels against the head.

    `table` is that of the analysis "trained".
    """
    if table.empty:
        return nothing(NOT_MEASURED)
    means, rho = trained_means(table), trained_correlations(table).set_index(["of", "level"])
    y, colours = np.arange(len(means)), [colour(source) for source in means["source"]]
    with style():
        figure, (left, right) = panels(2, 3.6, gridspec_kw={"width_ratios": [1.5, 1]})
        left.hlines(y, means["low"], means["high"], colors=colours, linewidth=2)
        left.scatter(means["mean"], y, c=colours, s=34, zorder=3)
        left.hlines(y + 0.25, means["seed_low"], means["seed_high"], colors=colours, linewidth=1)
        left.scatter(means["seed"], y + 0.25, c="white", edgecolors=colours, s=24, zorder=2)
        named_rows(left, [source_title(source) for source in means["source"]])
        left.set(xlabel="IoU on validation images", xlim=(-0.04, 1.04))
        right.plot([0, 1], [0, 1], color="#999999", lw=0.8, ls="--")
        right.vlines(means["label_iou"], means["low"], means["high"], colors=colours, alpha=0.5)
        right.scatter(means["label_iou"], means["mean"], c=colours, s=34, zorder=3)
        right.set(xlabel="IoU of the training labels", ylabel="IoU of the trained head",
                  xlim=(-0.04, 1.04), ylim=(-0.04, 1.04),
                  title=f"ρ = {rho_text(rho.loc[('labels', 'of the means')])}")  # fmt: skip
        headline(figure, _trained_headline(table))
        handles = [
            Line2D([], [], marker="o", lw=2, color="#333333", label="trained head"),
            Line2D([], [], marker="o", lw=0, markerfacecolor="white", color="#333333",
                   label="the source's own mask, untrained"),
        ]  # fmt: skip
        below(figure, f"Head: one hidden layer on frozen EfficientNet-Lite0 features, trained on "
              f"the labels of {means['labels'].max()} training images. ρ: rank correlation over "
              f"the explainers. {text}", handles)  # fmt: skip
    return figure


def _trained_headline(table: pd.DataFrame) -> str:
    best = best_explainer(table)
    gain = difference(table, TRUTH, best)[:3]
    return (
        f"What the labels cost: true masks train a head that is {estimate(*gain, sign=True)} IoU "
        f"better than the best explainer's ({source_title(best)})"
    )


# No feedback ------------------------------------------------------------------------------------


def blind_training(table: pd.DataFrame, text: str) -> Figure:
    """Losses on pseudo-labels, true IoU, and what weighting the loss changes.

    `table` is that of the analysis "curves".
    """
    if table.empty:
        return nothing(NOT_MEASURED)
    means, stops = averages(table), stopped(table)
    plain = means[means["variant"] == PLAIN]
    with style():
        figure, (loss, truth, remedy) = panels(3, 3.2)
        _losses(loss, plain)
        _truths(truth, plain)
        _remedies(remedy, remedies(stops))
        lost = [
            estimate(*rule_difference(stops, rule, TRUTH_RULE)[:3], sign=True)
            for rule in (PSEUDO, LAST)
        ]
        headline(figure, "Without true masks: stopping by pseudo-labels changes the IoU by "
                 f"{lost[0]}, not stopping by {lost[1]}")  # fmt: skip
        handles = [
            Line2D([], [], color=colour(source), label=source_title(source))
            for source in sources_of(plain)
        ]
        below(figure, "Left: mean loss over the explainers, shaded from the lowest to the highest. "
              "Middle: a line a source, its 95 % interval shaded; the triangle is where the "
              "held-out loss on pseudo-labels is lowest, the star where the true IoU is highest. "
              "Right: weighted minus plain loss, stopped by held-out pseudo-labels, with 95 % "
              f"intervals. {text}", handles)  # fmt: skip
    return figure


LOSSES = ("pseudo_loss", "-", "training images"), ("held_out_loss", "--", "held out")
BAND = {"color": "#333333", "alpha": 0.12, "linewidth": 0}


def _losses(ax: Axes, plain: pd.DataFrame) -> None:
    epochs = by_explainer(plain).groupby("epoch")
    for name, line, label in LOSSES:
        ax.fill_between(list(epochs.groups), epochs[name].min(), epochs[name].max(), **BAND)
        ax.plot(epochs[name].mean(), color="#333333", ls=line, label=label)
    ax.set(xlabel="epoch", ylabel="loss on pseudo-labels", xscale="log", ylim=(0, None))
    epoch_ticks(ax, list(epochs.groups))
    ax.legend(fontsize=7.5, loc="lower center", bbox_to_anchor=(0.5, 1), ncol=1)


def epoch_ticks(ax: Axes, epochs) -> None:
    ax.set_xticks(list(epochs)[::2], [str(epoch) for epoch in epochs][::2])
    ax.minorticks_off()


def _truths(ax: Axes, plain: pd.DataFrame) -> None:
    for source in sources_of(plain):
        part = plain[plain["source"] == source].set_index("epoch")
        band = {**BAND, "color": colour(source)}
        ax.fill_between(part.index, part["low"], part["high"], **band)
        ax.plot(part.index, part["mean"], color=colour(source), lw=1.2)
        for epoch, marker in ((part["held_out_loss"].idxmin(), "v"), (part["mean"].idxmax(), "*")):
            size = 70 if marker == "*" else 26
            ax.scatter(epoch, part["mean"][epoch], color=colour(source), marker=marker, s=size)
    ax.set(xlabel="epoch", ylabel="true IoU, validation", xscale="log")
    epoch_ticks(ax, sorted(plain["epoch"].unique()))


def _remedies(ax: Axes, found: pd.DataFrame) -> None:
    found = found[found["rule"] == PSEUDO]
    sources = sources_of(found[found["source"] != "all"])
    sources = ["all", *sources]
    for offset, (variant, shade) in zip((-0.15, 0.15), VARIANT_COLOURS.items(), strict=True):
        part = found[found["variant"] == variant].set_index("source").reindex(sources)
        y = np.arange(len(sources)) + offset
        ax.hlines(y, part["low"], part["high"], colors=shade, linewidth=1.5)
        ax.scatter(part["mean"], y, color=shade, s=18, zorder=3, label=variant)
    ax.axvline(0, color="#999999", lw=0.8)
    named_rows(ax, ["Mean of explainers", *map(title, sources[1:])])
    ax.tick_params(axis="y", labelsize=7.5)
    ax.set_xlabel("change of the IoU")
    ax.legend(fontsize=7.5, loc="lower center", bbox_to_anchor=(0.5, 1), ncol=1)


# Bias -------------------------------------------------------------------------------------------

REGION_TITLES = {
    "ring": "ring around the object",
    "far": "far background",
    "other classes": "other classes",
}


FEW = 0.2  # a headline leaves out what fewer of the images show


def context(table: pd.DataFrame, text: str) -> Figure:
    """How much context seeds label as object, and the heads trained on them; a panel a region.

    `table` is that of the analysis "bias".
    """
    found = amplification(table)
    shown = [region for region in CONTEXT if region in set(found["region"])]
    if not shown:
        return nothing(NOT_MEASURED)
    sources = sources_of(found[found["source"] != "all"])
    with style():
        figure, axes = panels(len(shown), 3.6, sharey=True, squeeze=False)
        for ax, region in zip(axes[0], shown):
            part = found[found["region"] == region].set_index("source").reindex(sources)
            _dumbbells(ax, part, sources)
            n = int(part["n"].max())
            ax.set(xlabel="labelled as object, %")
            ax.set_title(f"{REGION_TITLES[region]}\n(n = {n})", fontsize=9)
        named_rows(axes[0, 0], [source_title(source) for source in sources])
        headline(figure, _context_headline(found, table))
        handles = [
            Line2D([], [], marker="o", lw=0, markerfacecolor="white", color="#333333",
                   label="seed"),
            Line2D([], [], marker="o", lw=2, color="#333333",
                   label="head trained on such seeds, with the interval of the paired change"),
        ]  # fmt: skip
        below(figure, "Share of each region's pixels that is labelled as object, mean over "
              "validation images; the interval is that of the change, drawn from the seed's dot, "
              "so that it can reach below zero. Other classes: images whose explained class "
              f"stands beside others. {text}", handles, 2)  # fmt: skip
    return figure


def _dumbbells(ax: Axes, part: pd.DataFrame, sources: list[str]) -> None:
    y, colours = np.arange(len(sources)), [colour(source) for source in sources]
    low, high = (100 * (part["seed"] + part[end]) for end in ("low", "high"))
    ax.hlines(y, low, high, colors=colours, linewidth=2)
    ax.scatter(100 * part["seed"], y, facecolors="white", edgecolors=colours, s=30, zorder=2)
    ax.scatter(100 * part["head"], y, c=colours, s=30, zorder=3)
    ax.grid(axis="x", color="#dddddd", linewidth=0.6)
    left, right = min([0, *low.dropna()]), ax.get_xlim()[1]
    ax.set_xlim(left - 0.04 * right, right)  # a dot at zero is whole


def _context_headline(found: pd.DataFrame, table: pd.DataFrame) -> str:
    rows = found[found["source"] == "all"].set_index("region")
    extra = beyond_truth(table).set_index("region")
    said = [
        f"{REGION_TITLES[region]} {100 * rows['mean'][region]:+.0f} points".replace("-", "−")
        for region in CONTEXT
        if region in rows.index and rows["n"][region] >= FEW * rows["n"].max()
    ]
    tail = ""
    if "far" in extra.index:
        gap = number(100 * extra["mean"]["far"], 0, sign=True).replace("+0", "0")
        tail = f"; far background {gap} against a head taught by true masks"
    return f"From seed to trained head: {', '.join(said)}{tail}"
