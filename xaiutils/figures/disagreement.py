"""Figures of notebook 2 (section 3, disagreement)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.cluster.hierarchy import dendrogram

from xaiutils.figures.panels import nothing, panels
from xaiutils.figures.photos import WIDTH, below, cue_legend, grid, headline, not_stored, row_label
from xaiutils.figures.style import MASK, heat, intervals, outline, picture, style
from xaiutils.names import COLOURS, in_order, title
from xaiutils.sections.cues import explainers
from xaiutils.sections.disagreement import (
    PRINTED_GAIN,
    agreement_title,
    best_single,
    clusters,
    differences,
    fusion_title,
    gain_title,
    matrix,
    trust_correlations,
    trust_title,
    weight_table,
    weight_title,
)
from xaiutils.sections.votes import precision_title, seed, vote_map, votes_title
from xaiutils.sections.words import percent, signed
from xaiutils.statistics import mean_interval, summary
from xaiutils.study import Study

# Pairwise agreement -----------------------------------------------------------------------------


def agreement_matrix(pairs: pd.DataFrame, caption: str) -> Figure:
    """Mean IoU of thresholded maps and mean Spearman correlation of every pair, clustered by IoU.

    pairs: from `pairs`. The cell of Grad-CAM and LIME (claim C09) is framed.
    """
    overlap = matrix(pairs, "iou")
    tree = clusters(overlap)
    with style():
        figure = plt.figure(figsize=(WIDTH, 4.7), dpi=120)
        leaves = list(range(len(overlap)))
        if tree is not None:
            branch = figure.add_axes([0.205, 0.885, 0.375, 0.09])
            with plt.rc_context({"lines.linewidth": 0.8}):
                drawn = dendrogram(tree, ax=branch, link_color_func=lambda _: "#555555")
            leaves = drawn["leaves"]
            branch.axis("off")
        order = [overlap.index[leaf] for leaf in leaves]
        left = figure.add_axes([0.205, 0.315, 0.375, 0.565])
        right = figure.add_axes([0.605, 0.315, 0.375, 0.565])
        _cells(left, overlap.loc[order, order], "IoU of thresholded maps")
        rank = matrix(pairs, "spearman").reindex(index=order, columns=order)
        _cells(right, rank, "Spearman correlation of maps", labels=False)
        headline(figure, agreement_title(pairs))
        below(figure, f"Means over photographs, ordered by average linkage of 1 − IoU; framed: "
              f"Grad-CAM and LIME. {caption}")  # fmt: skip
    return figure


def _cells(ax: Axes, square: pd.DataFrame, name: str, labels: bool = True) -> None:
    """One annotated matrix; the diagonal, which says nothing, is left white."""
    shown = square.to_numpy(float, copy=True)
    np.fill_diagonal(shown, np.nan)
    ax.imshow(shown, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(shown):
        if np.isfinite(value):
            ax.text(j, i, _short(value), ha="center", va="center", fontsize=8,
                    color="white" if value < 0.6 else "black")  # fmt: skip
    names = [title(cue) for cue in square.index]
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names if labels else [])
    ax.tick_params(length=0)
    ax.set_xlabel(name)
    sns.despine(ax=ax, left=True, bottom=True)
    _frame(ax, square)


def _short(value: float) -> str:
    """Two digits without the leading zero, as cells are narrow: ".27", "−.03", "1"."""
    text = f"{value:.2f}".replace("-", "−").replace("0.", ".", 1)
    return "1" if text == "1.00" else text


def _frame(ax: Axes, square: pd.DataFrame) -> None:
    names = list(square.index)
    if {"gradcam", "lime"} <= set(names):
        i, j = names.index("gradcam"), names.index("lime")
        for x, y in ((i, j), (j, i)):
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor="#ff2d2d",
                                   linewidth=2, clip_on=False))  # fmt: skip


# Votes ------------------------------------------------------------------------------------------


def vote_maps(study: Study, ids: list[str]) -> Figure:
    """For several photographs, how many explainers mark each pixel; ground truth outlined."""
    if not study.has_arrays:
        return not_stored(study, "Vote maps")
    k = len(explainers(study))
    # photographs of like shape side by side leave no gaps
    samples = sorted((study.sample(id) for id in ids), key=lambda s: np.divide(*s.image.shape[:2]))
    counts = [vote_map(study, sample) for sample in samples]
    with style():
        figure, axes = _blocks([sample.image.shape[:2] for sample in samples])
        shades = plt.get_cmap("viridis", k + 1)
        norm = BoundaryNorm(np.arange(k + 2) - 0.5, k + 1)
        for (photo, ax), sample, count in zip(axes, samples, counts):
            picture(photo, sample.image)
            photo.set_title(sample.label, parse_math=False)
            ax.imshow(count, cmap=shades, norm=norm, interpolation="nearest")
            outline(ax, sample.mask, "white", 1.4)
            ax.set(xticks=[], yticks=[], title="votes")
            sns.despine(ax=ax, left=True, bottom=True)
        _vote_bar(figure, plt.cm.ScalarMappable(norm, shades), k)
        headline(figure, votes_title(counts, samples, k))
        text = f"White line: ground truth. Maps thresholded by Otsu. {study.caption()}"
        below(figure, text, skip=0.55)
    return figure


def _vote_bar(figure: Figure, colours: plt.cm.ScalarMappable, k: int) -> None:
    height = figure.get_figheight()
    bar = figure.add_axes([0.25, -0.12 / height, 0.5, 0.12 / height])
    figure.colorbar(colours, cax=bar, orientation="horizontal", ticks=range(k + 1))
    bar.tick_params(which="both", length=0)
    bar.set_xlabel("explainers that mark the pixel", labelpad=1)


def _blocks(shapes: list[tuple[int, int]]) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Two photographs a row, each with a panel at its right; rows as high as their taller one."""
    rows = [shapes[i : i + 2] for i in range(0, len(shapes), 2)]
    tallest = [max(row, key=lambda shape: shape[0] / shape[1]) for row in rows]
    figure, axes = grid(tallest, 4, left=0.02, head=0.25, feet=(0.28,))
    for ax in axes.flat:
        ax.set_anchor("N")
    for ax in axes.flat[2 * len(shapes) :]:
        ax.set_visible(False)
    return figure, [tuple(axes.flat[2 * i : 2 * i + 2]) for i in range(len(shapes))]


def vote_precision(table: pd.DataFrame, samples: pd.DataFrame, caption: str) -> Figure:
    """How likely a pixel is on the object, and how much of it is left, by number of votes."""
    chance = samples["object_share"].mean()
    with style():
        figure, axes = panels(2, 3)
        _by_votes(axes[0], table, "precision")
        axes[0].axhline(chance, color="#333333", linestyle="--", linewidth=1)
        _by_votes(axes[1], table, "coverage")
        axes[0].set(xlabel="explainers that mark the pixel", ylabel="share of pixels on the object")
        axes[1].set(
            xlabel="explainers that mark the pixel, at least", ylabel="share of the object kept"
        )
        line = plt.Line2D([], [], color="#333333", linestyle="--", linewidth=1,
                          label="mean share of the object in the image: "
                                f"{percent(chance)}")  # fmt: skip
        headline(figure, precision_title(table))
        text = (
            f"Point: mean over photographs with 95 % interval; thin lines: photographs. {caption}"
        )
        below(figure, text, [line])
    return figure


def _by_votes(ax: Axes, table: pd.DataFrame, value: str) -> None:
    found = summary(table, "votes", value)
    faint = max(0.06, min(0.3, 4 / max(table["sample"].nunique(), 1)))
    for _, part in table.groupby("sample"):
        ax.plot(part["votes"], part[value], color="#0072b2", alpha=faint, linewidth=0.8)
    ax.vlines(found["votes"], found["low"], found["high"], color="#0072b2", linewidth=2)
    ax.plot(found["votes"], found["mean"], "o", color="#0072b2")
    ax.set(ylim=(-0.02, 1.02), xticks=found["votes"])
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)


# Fusions ----------------------------------------------------------------------------------------


def fusion_gallery(study: Study, ids: list[str]) -> Figure:
    """What each fusion makes of the maps, beside the best single explainer's map."""
    if not study.has_arrays:
        return not_stored(study, "What each fusion makes of the maps")
    local = study.table("localisation")
    iou = local[local["metric"] == "iou"].set_index(["sample", "cue"])["value"]
    best = best_single(local)
    cues = [best, *(cue for cue in study.cues if cue.startswith("fused-"))]
    samples = [study.sample(id) for id in ids]
    with style():
        shapes = [sample.image.shape[:2] for sample in samples]
        figure, axes = grid(shapes, 1 + len(cues), feet=(0.24,))
        for row, sample in zip(axes, samples):
            picture(row[0], sample.image)
            row_label(row[0], sample.label)
            for ax, cue in zip(row[1:], cues):
                heat(ax, sample.image, study.saliency(sample.id, cue), dot=False)
                outline(ax, seed(study, sample.id, cue, sample.void), MASK, 1.2)
                outline(ax, sample.mask)
                ax.set_xlabel(f"IoU {iou[sample.id, cue]:.2f}", labelpad=2)
        heads = ["photograph", *(title(cue).replace(", ", ",\n") for cue in cues)]
        for ax, head in zip(axes[0], heads):
            ax.set_title(head.replace("random weights", "random"), fontsize=9)
        headline(figure, fusion_title(iou, ids, best))
        below(
            figure,
            f"Left: the best single explainer ({title(best)}, by mean IoU). Yellow: Otsu's "
            f"threshold; cyan: ground truth; IoU of the two. {study.caption()}",
        )
    return figure


def weight_map(weights: pd.DataFrame, caption: str, fusion: str = "weighted") -> Figure:
    """The weights of one fusion, photograph by photograph, and their spread."""
    wide = weight_table(weights, fusion)
    if wide.empty:
        return nothing("The study has no fusion, and so no weights.")
    rows = np.arange(len(wide))
    named = len(wide) <= 30
    with style():
        height = min(max(0.24 * len(wide) + 0.9, 2.4), 6)
        figure, axes = panels(2, height, width_ratios=[1.25, 1])
        ax, spread = axes
        image = ax.imshow(wide, cmap="viridis", norm=Normalize(0, max(wide.max().max(), 1e-6)),
                          aspect="auto", interpolation="nearest")  # fmt: skip
        ax.set_xticks(range(wide.shape[1]), [title(cue) for cue in wide], rotation=60, ha="right",
                      rotation_mode="anchor")  # fmt: skip
        ax.set_yticks(rows if named else [], wide.index if named else [])
        ax.set_ylabel("" if named else f"{len(wide)} photographs")
        ax.tick_params(length=0)
        figure.colorbar(image, ax=ax, pad=0.02).ax.set_title("weight", fontsize=8)
        _weight_spread(spread, wide)
        headline(figure, weight_title(wide))
        below(figure, f"Right: mean over photographs with 95 % interval, a tick each photograph; "
              f"dashed: equal weights. {caption}")  # fmt: skip
    return figure


def _weight_spread(ax: Axes, wide: pd.DataFrame) -> None:
    table = pd.DataFrame(
        [[cue, *mean_interval(wide[cue])] for cue in wide], columns=["cue", "mean", "low", "high"]
    )
    intervals(ax, table)
    faint = max(0.15, min(0.7, 12 / max(len(wide), 1)))
    for row, cue in enumerate(wide):
        ax.plot(wide[cue], np.full(len(wide), row + 0.3), "|", markersize=5, alpha=faint,
                color=COLOURS.get(cue, "#333333"))  # fmt: skip
    ax.axvline(1 / wide.shape[1], color="#333333", linestyle="--", linewidth=1)
    ax.set(xlabel="weight", xlim=(-0.01, None))


# Fused against single ---------------------------------------------------------------------------


def fused_against_single(localisation: pd.DataFrame, caption: str) -> Figure:
    """IoU of every explainer and fusion, and the weighted fusion minus each of them."""
    part = localisation[localisation["metric"] == "iou"]
    table = summary(part, "cue").set_index("cue", drop=False)
    table = table.loc[in_order(table["cue"])].reset_index(drop=True)
    gain = differences(localisation).set_index("cue").reindex(table["cue"]).reset_index()
    with style():
        figure, axes = panels(2, 3.9)
        intervals(axes[0], table)
        intervals(axes[1], gain)
        axes[1].set_yticks(range(len(gain)), [])
        axes[1].axvline(0, color="#333333", linewidth=0.8)
        axes[1].axvline(PRINTED_GAIN, color="#b00020", linestyle="--", linewidth=1)
        axes[0].set(xlabel="IoU of the thresholded map", xlim=(0, None))
        axes[1].set(xlabel="weighted fusion minus this one, IoU")
        line = plt.Line2D([], [], color="#b00020", linestyle="--", linewidth=1,
                          label="the paper's gain over any single explainer: +0.06")  # fmt: skip
        headline(figure, gain_title(localisation))
        text = f"Mean and 95 % interval; differences on the same photographs. {caption}"
        below(figure, text, [line])
    return figure


# Trust ------------------------------------------------------------------------------------------


def trust(table: pd.DataFrame, caption: str) -> Figure:
    """Entropy (as effective area) and agreement against the IoU with the object, map by map."""
    found = trust_correlations(table).set_index(["signal", "level"])
    labels = {
        "effective_area": "effective area (low entropy: small)",
        "agreement": "mean IoU with the other maps",
    }
    with style():
        figure, axes = panels(2, 3.3, sharey=True)
        faint = max(0.2, min(0.9, 200 / max(len(table), 1)))
        for ax, (signal, label) in zip(axes, labels.items()):
            for cue in in_order(table["cue"]):
                part = table[table["cue"] == cue]
                ax.scatter(part[signal], part["iou"], s=14, alpha=faint, label=title(cue),
                           color=COLOURS.get(cue, "#333333"), linewidths=0)  # fmt: skip
            rho = [found.loc[(signal, level), "mean"] for level in found.loc[signal].index]
            ax.set(xlabel=label, title=f"ρ all maps {signed(rho[0])}, "
                   f"within an explainer {signed(rho[1])}")  # fmt: skip
            ax.set_ylim(-0.02, 1.02)
        axes[0].set_ylabel("IoU with the object")
        headline(figure, trust_title(found))
        below(figure, f"A point is one map of one photograph. {caption}", cue_legend(table["cue"]))
    return figure
