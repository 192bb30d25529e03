"""Figures of notebook 3 (section 4, a foundation model as a proxy for ground truth).

Each takes tables of `xaiutils.sections` and a caption, or the study where photographs are shown.
Points are means over images, bars their 95 % intervals.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xaiutils.errors import InputError
from xaiutils.figures.panels import DPI, numbers, panels
from xaiutils.figures.photos import WIDTH, below, grid, headline, not_stored, row_label
from xaiutils.figures.style import (
    MASK,
    PEAK,
    TRUTH,
    fill,
    heat,
    intervals,
    outline,
    picture,
    rows,
    style,
)
from xaiutils.names import COLOURS, in_order, title
from xaiutils.prompting import PROMPTINGS, Prompts
from xaiutils.sections.correlation import correlations
from xaiutils.sections.cues import FUSED, best_of, kind, main_prompting, proxy_segmenter
from xaiutils.sections.floors import floor_title
from xaiutils.sections.fusion_gain import hardest
from xaiutils.sections.proxy import COVERAGE, REFERENCES, SPILL, gains
from xaiutils.sections.words import change, of_explainers, possessive, rho_text, signed
from xaiutils.study import Study, stream

FOREGROUND, BACKGROUND = "#ff5a00", "#2f7fff"  # points and regions of the dual cues
MARKERS = {"truth": "o", "fused proxy": "s", "own proxy": "^"}
AGAINST = {
    "truth": "against ground truth",
    "fused proxy": "against SAM's mask from the fused map",
    "own proxy": "against SAM's mask from the same map (circular)",
}
BAND = "#f0c9a0"  # what the paper says


# Figure 3 ---------------------------------------------------------------------------------------


def dual_cues(study: Study, id: str, cue: str, prompting: str = "dual") -> Prompts:
    """The prompts that the study gave its segmenter for one cue: same map, same random stream."""
    rng = stream(study.config.seed, id, f"{cue} {prompting}")
    return PROMPTINGS[prompting](study.saliency(id, cue), rng)


def pipeline(study: Study, ids: list[str], cue: str) -> Figure:
    """Figure 3, a row an image: photograph, map, dual cues, SAM's and Otsu's mask, ground truth."""
    if not study.has_arrays or not ids:
        return not_stored(study, "Figure 3, from the map to SAM's mask")
    segmentation = study.table("segmentation")
    samples = [study.sample(id) for id in ids]
    with style():
        figure, axes = grid([s.image.shape[:2] for s in samples], 6, feet=(0.22,), head=0.3)
        for row, sample in zip(axes, samples):
            _pipeline_row(row, study, sample, cue, segmentation)
        heads = ["photograph", title(cue), "dual cues", "SAM mask", "Otsu mask", "ground truth"]
        for ax, head in zip(axes[0], heads):
            ax.set_title(head)
        found = gains(segmentation, cue).reindex(ids)
        if len(ids) > 1:
            low, high = signed(found.min()), signed(found.max())
            headline(figure, f"{title(cue)}: SAM changes the IoU of the mask by {low} to {high}")
        else:
            headline(figure, "From a map to prompts, from prompts to a mask")
        below(
            figure,
            "Red dot: the map's maximum. Cues: orange the highest 15 % and the foreground points, "
            "blue the lowest 10 % and the background points (crosses). Cyan line: ground truth. "
            f"{study.caption()}",
        )
    return figure


def _pipeline_row(row: np.ndarray, study: Study, sample, cue: str, table: pd.DataFrame) -> None:
    segmenter, prompting = proxy_segmenter(table), main_prompting(table)
    picture(row[0], sample.image)
    row_label(row[0], sample.label)
    heat(row[1], sample.image, study.saliency(sample.id, cue))
    picture(row[2], sample.image)
    draw_prompts(row[2], dual_cues(study, sample.id, cue, prompting))
    for ax, route in zip(row[3:5], [(prompting, segmenter), ("otsu", "threshold")]):
        mask_with_iou(ax, study, sample, cue, *route, table)
    picture(row[5], sample.image)
    fill(row[5], sample.mask, TRUTH)


def draw_prompts(ax: Axes, prompts: Prompts) -> None:
    """Regions as tints; foreground points as dots, the maximum red; background as crosses."""
    for region, colour in ((prompts.foreground, FOREGROUND), (prompts.background, BACKGROUND)):
        if region is not None and region.any():
            fill(ax, region, colour, 0.35)
    if prompts.box is not None:
        x0, y0, x1, y1 = prompts.box
        ax.add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=FOREGROUND, lw=1.5))
    for x, y in prompts.points[prompts.labels == 0]:
        ax.plot(x, y, "X", color=BACKGROUND, markeredgecolor="white", markersize=7)
    for i, (x, y) in enumerate(prompts.points[prompts.labels == 1]):
        ax.plot(x, y, "o", color=FOREGROUND if i else PEAK, markeredgecolor="white", markersize=6)


def mask_with_iou(ax, study, sample, cue, prompting, segmenter, table: pd.DataFrame) -> None:
    """A stored mask over its photograph, the ground truth's outline, the IoU below."""
    picture(ax, sample.image)
    try:
        fill(ax, study.mask(sample.id, cue, prompting, segmenter), MASK)
        rows = table[(table["sample"] == sample.id) & (table["cue"] == cue)]
        rows = rows[(rows["prompting"] == prompting) & (rows["segmenter"] == segmenter)]
        ax.set_xlabel(f"IoU {rows['iou'].iloc[0]:.2f}", labelpad=2)
    except InputError:  # a flat map prompts nothing
        ax.set_xlabel("no mask", labelpad=2)
    outline(ax, sample.mask)


# Coverage and spill -----------------------------------------------------------------------------


def coverage_and_spill(table: pd.DataFrame, text: str) -> Figure:
    """Coverage and spill of each cue against the three references, with the paper's bands.

    `table` is that of `sections.proxy.coverage_table`.
    """
    cues = in_order(table["cue"].unique())
    with style():
        figure, axes = panels(2, 0.9 + 0.36 * len(cues), sharey=True)
        for ax, measure in zip(axes, ("coverage", "spill")):
            _references(ax, table[table["measure"] == measure], cues)
        axes[0].set(xlabel="coverage: share of the reference marked", xlim=(-0.02, 1.02))
        axes[1].set(xlabel="spill: share of the marked area outside it", xlim=(-0.02, 1.02))
        _bands(axes, cues)
        headline(figure, _coverage_title(table))
        faces = {"truth": "#444444"}
        look = {"color": "#444444", "lw": 0}
        shapes = [
            Line2D([], [], marker=MARKERS[r], mfc=faces.get(r, "white"), label=label, **look)
            for r, label in AGAINST.items()
        ]
        band = plt.Rectangle((0, 0), 1, 1, color=BAND, label="what the paper says (VOC)")
        said = f"Maps thresholded by Otsu; mean and 95 % interval. {text}"
        below(figure, said, [*shapes, band], columns=2)
    return figure


def _references(ax: Axes, table: pd.DataFrame, cues: list[str]) -> None:
    """Three markers a cue, one below the other."""
    for offset, reference in zip((-0.24, 0, 0.24), REFERENCES):
        part = table[table["reference"] == reference].set_index("cue").reindex(cues)
        y = np.arange(len(cues)) + offset
        colours = [COLOURS.get(cue, "#333333") for cue in cues]
        faces = colours if reference == "truth" else "white"
        ax.hlines(y, part["low"], part["high"], colors=colours, linewidth=1.3)
        ax.scatter(part["mean"], y, marker=MARKERS[reference], s=24, zorder=3,
                   facecolors=faces, edgecolors=colours)  # fmt: skip
    rows(ax, cues)


def _bands(axes, cues: list[str]) -> None:
    """The paper's ranges, behind the rows of the explainers that it names."""
    claims = [(axes[0], "gradcam", *COVERAGE)]
    claims += [(axes[1], cue, SPILL, 1.0) for cue in ("kernelshap", "lime")]
    for ax, cue, low, high in claims:
        if cue in cues:
            y = cues.index(cue) - 0.46
            ax.add_patch(plt.Rectangle((low, y), high - low, 0.92, color=BAND, zorder=0.5, lw=0))


def _coverage_title(table: pd.DataFrame) -> str:
    part = table[(table["reference"] == "truth") & (table["cue"] != FUSED)]
    part = part.dropna(subset=["mean"])
    if part.empty:
        return "Coverage and spill of the thresholded maps"
    ranges = [
        f"{measure} from {100 * values.min():.0f} to {100 * values.max():.0f} %"
        for measure, values in part.groupby("measure")["mean"]
    ]
    return f"{' and '.join(ranges).capitalize()}, by explainer"


# Thresholded against prompted -------------------------------------------------------------------


def threshold_against_prompted(table: pd.DataFrame, text: str) -> Figure:
    """Mean IoU of Otsu's and of SAM's mask of the same map, and the paired difference.

    `table` is that of `promptings.prompting_gain`.
    """
    cues = table["cue"].tolist()
    y = np.arange(len(cues))
    colours = [COLOURS.get(cue, "#333333") for cue in cues]
    with style():
        figure, axes = panels(2, 1.0 + 0.26 * len(cues), sharey=True)
        for name, place in {"threshold": y + 0.16, "prompted": y - 0.16}.items():
            ends = table[f"{name}_low"], table[f"{name}_high"]
            axes[0].hlines(place, *ends, colors=colours, linewidth=1.4)
            inside = "white" if name == "threshold" else colours
            axes[0].scatter(table[name], place, s=26, c=inside, edgecolors=colours, zorder=3)
        axes[0].set(xlabel="mean IoU with the object", xlim=(0, 1))
        intervals(axes[1], table)
        axes[1].axvline(0, color="#555555", linewidth=0.8)
        axes[1].set(xlabel="difference of the IoU, paired by image")
        rows(axes[0], cues)
        axes[1].tick_params(labelleft=False)
        single = table[table["cue"].map(kind) == "explainer"]
        better = of_explainers(single["low"] > 0)
        headline(figure, f"SAM's mask is clearly better than the thresholded map: {better}")
        ends = [
            Line2D([], [], marker="o", color="#444444", lw=0, mfc="white", label="Otsu's mask"),
            Line2D([], [], marker="o", color="#444444", lw=0, label="SAM's mask, same map"),
        ]
        below(
            figure,
            f"Means and 95 % intervals; clearly: that on the right excludes zero. {text}",
            ends,
        )
    return figure


# Promptings -------------------------------------------------------------------------------------

PROMPTING_TITLES = {
    "otsu": "no SAM\n(Otsu)",
    "peak": "maximum\nalone",
    "points": "3 points",
    "dual": "dual cues\n(3 + 2)",
    "box": "box",
    "dual+box": "dual cues\n+ box",
    "literal": "literal\ntop 85 %",
}


def prompting_grid(wide: pd.DataFrame, means: pd.DataFrame, text: str) -> Figure:
    """Mean IoU of each cue (row) under each prompting (column); above, the explainers' average.

    `wide` is `promptings.promptings`, `means` `promptings.prompting_means`.
    """
    wide = wide.drop(index="mean")
    heights = [1.0, 0.24 * len(wide)]
    with style():
        figure, (top, low) = plt.subplots(
            2, 1, figsize=(WIDTH, sum(heights) + 0.9), dpi=DPI, layout="constrained",
            gridspec_kw={"height_ratios": heights}, sharex=True,
        )  # fmt: skip
        means = means.set_index("prompting").reindex(wide.columns)
        x = np.arange(len(wide.columns))
        top.vlines(x, means["low"], means["high"], color="#444444", linewidth=2)
        top.scatter(x, means["mean"], color="#444444", s=22, zorder=3)
        top.set(ylabel="mean IoU of\nthe explainers")
        top.margins(y=0.2)
        top.grid(axis="y", color="#dddddd", linewidth=0.6)
        numbers(low, wide.to_numpy(), "viridis", 0, 1)
        low.set_yticks(range(len(wide)), [title(cue) for cue in wide.index])
        low.set_xticks(x, [PROMPTING_TITLES.get(name, name) for name in wide.columns])
        low.tick_params(length=0)
        top.tick_params(length=0, labelbottom=False)
        sam = means["mean"].drop("otsu", errors="ignore").dropna()
        spread = f"{sam.max() - sam.min():.2f}" if len(sam) else "undefined"
        headline(figure, f"Same maps, same SAM: the prompting alone moves the mean IoU by {spread}")
        below(figure, f"Above: mean and 95 % interval. Below: mean IoU. {text}")
    return figure


# Floors and ceilings ----------------------------------------------------------------------------


def floors_and_ceilings(table: pd.DataFrame, masks: pd.DataFrame, text: str) -> Figure:
    """The IoU of the SAM mask from every cue, floor and ceiling; right, minus the best floor.

    `table` is `floors.floor_table`; `masks` (`cues.prompted`) gives the single images, drawn
    as faint ticks.
    """
    cues = table["cue"].tolist()
    with style():
        figure, axes = panels(2, 1.0 + 0.235 * len(cues), sharey=True, width_ratios=[1.5, 1])
        for i, (cue, of) in enumerate(zip(cues, table["kind"])):
            values = masks.loc[masks["cue"] == cue, "iou"].to_numpy(float)
            faint = max(0.08, min(0.55, 8 / max(len(values), 1)))
            colour = COLOURS.get(cue, "#333333")
            axes[0].plot(values, np.full(len(values), i + 0.05), "|", color=colour, alpha=faint,
                         markersize=7)  # fmt: skip
            if of in ("floor", "ceiling"):
                for ax in axes:
                    ax.axhspan(i - 0.5, i + 0.5, color=colour, alpha=0.12, lw=0)
                line = {"floor": (0, (4, 2)), "ceiling": (0, (1, 1.5))}[of]
                axes[0].axvline(table["mean"][i], color=colour, lw=1, ls=line, zorder=0.8)
        intervals(axes[0], table)
        axes[0].set(xlabel="IoU of the SAM mask with the object", xlim=(-0.02, 1.02))
        gain = table[["cue"]].assign(
            mean=table["gain"], low=table["gain_low"], high=table["gain_high"]
        )
        intervals(axes[1], gain)
        axes[1].axvline(0, color=COLOURS.get(best_of(table, "floor"), "#555555"), lw=1)
        axes[1].set(xlabel="difference from the best floor")
        rows(axes[0], cues)
        for label, of in zip(axes[0].get_yticklabels(), table["kind"]):
            label.set_fontstyle("italic" if of in ("floor", "ceiling") else "normal")
        axes[1].tick_params(labelleft=False)
        headline(figure, floor_title(table))
        below(
            figure,
            "Dot and bar: mean and 95 % interval; ticks: single images. Dashed lines: floors (no "
            "explanation); dotted: ceilings (prompted from ground truth). Right: paired by image; "
            "clearly: the interval excludes zero. " + text,
        )
    return figure


# Fusion -----------------------------------------------------------------------------------------


def fused_minus(table: pd.DataFrame, text: str) -> Figure:
    """The weighted fusion minus each other cue, as thresholded maps and as SAM masks.

    `table` is that of `fusion_gain.fused_against`.
    """
    cues = in_order(table["cue"].unique())
    with style():
        figure, axes = panels(2, 0.9 + 0.24 * len(cues), sharey=True)
        for ax, of in zip(axes, ("thresholded map", "SAM mask")):
            part = table[table["of"] == of].set_index("cue").reindex(cues).reset_index()
            ax.axvspan(0.05, 2, color=BAND, alpha=0.45, lw=0, zorder=0)
            intervals(ax, part)
            ax.axvline(0, color="#555555", linewidth=0.8)
            ax.set(title=f"{of}s", xlabel="fused minus this cue, IoU")
        low = np.nanmin([*table["low"], *table["mean"], -0.05])
        high = np.nanmax([*table["high"], *table["mean"], 0.1])
        for ax in axes:
            ax.set_xlim(low - 0.03, high + 0.03)
        axes[1].tick_params(labelleft=False)
        rival = hardest(table, "SAM mask")
        if rival is not None:
            other = possessive(title(rival["cue"]))
            headline(
                figure, f"Prompting with the fused map instead of {other}: {change(rival)} IoU"
            )
        else:
            headline(figure, "The weighted fusion against every other cue")
        below(
            figure,
            "Mean and 95 % interval of the paired difference; right of zero the fusion is better. "
            f"Shaded: +0.05 or more, what the paper says of the best single explainer. {text}",
        )
    return figure


# SAM's own score --------------------------------------------------------------------------------


def score_against_iou(scores: pd.DataFrame, text: str) -> Figure:
    """SAM's predicted IoU against the true IoU, a point a mask, coloured by explainer."""
    found = correlations(scores, "score", "iou").set_index("level").loc["pooled"]
    with style():
        figure, ax = panels(1, 3.9)
        for cue in in_order(scores["cue"].unique()):
            part = scores[scores["cue"] == cue]
            look = {"color": COLOURS.get(cue, "#333333"), "edgecolors": "white", "linewidths": 0.4}
            alpha = max(0.35, min(0.9, 60 / max(len(part), 1)))
            ax.scatter(part["score"], part["iou"], s=26, alpha=alpha, label=title(cue), **look)
        low = np.floor(10 * np.nanmin([scores["score"].min(), 0.9])) / 10
        ax.plot([low, 1], [low, 1], color="#888888", lw=1, ls="--")
        ax.annotate("score = IoU", (low, low), (4, -3), textcoords="offset points",
                    va="top", fontsize=8, color="#666666")  # fmt: skip
        ax.set(xlabel="IoU that SAM predicts for its own mask", ylabel="true IoU of that mask",
               xlim=(low - 0.01, max(1.02, scores["score"].max() + 0.01)),
               ylim=(-0.02, 1.02))  # fmt: skip
        figure.legend(loc="outside right center", fontsize=8.5, handletextpad=0.2)
        headline(figure, f"SAM's own score and the true IoU: rank correlation {rho_text(found)}")
        below(figure, f"Interval: bootstrap over images. {text}")
    return figure
