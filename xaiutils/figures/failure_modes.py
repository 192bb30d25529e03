"""Figures of notebook 1 (section 2, failure modes), but for those of Table 2."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from xaiutils.errors import InputError
from xaiutils.figures.panels import panels
from xaiutils.figures.photos import below, grid, headline, not_stored, row_label
from xaiutils.figures.style import MAP, TRUTH, fill, heat, intervals, outline, picture, style
from xaiutils.metrics.localisation import iou
from xaiutils.names import COLOURS, title
from xaiutils.prompting import box_from_mask
from xaiutils.sections.cost import cost_title
from xaiutils.sections.cues import explainers, singles
from xaiutils.sections.failure_modes import (
    PRINTED_SCORECAM,
    maxima_off,
    measured,
    misalignment_title,
    misses,
    range_title,
    sam_of,
    texture_title,
)
from xaiutils.sections.words import percent
from xaiutils.study import Study

WRAPPED = {
    "gradcam++": "Grad-\nCAM++",
    "fasterscorecam": "Faster-\nScore-CAM",
    "scorecam": "Score-\nCAM",
    "gradcam": "Grad-\nCAM",
    "ig": "Integrated\nGradients",
    "kernelshap": "Kernel-\nSHAP",
}


# Figure 1 ---------------------------------------------------------------------------------------


def misalignment(study: Study, ids: list[str], cues: list[str]) -> Figure:
    """Figure 1: for each photograph the maps above, the masks that they prompt below."""
    if not study.has_arrays:
        return not_stored(study, "Figure 1, maps and the masks that they prompt")
    samples = [study.sample(id) for id in ids]
    shapes = [s.image.shape[:2] for s in samples for _ in range(2)]
    with style():
        figure, axes = grid(shapes, 1 + len(cues), feet=(0.04, 0.24))
        for i, sample in enumerate(samples):
            _maps_and_masks(axes[2 * i : 2 * i + 2], study, sample, cues)
        for ax, cue in zip(axes[0, 1:], cues):
            ax.set_title(WRAPPED.get(cue, title(cue)))
        axes[0, 0].set_title("photograph")
        headline(figure, misalignment_title(study, ids, cues))
        below(
            figure,
            "Above: map, red dot its maximum. Below: mask (yellow) that its points prompt, with "
            f"its IoU. Ground truth: cyan line. {study.caption()}",
        )
    return figure


def _maps_and_masks(axes: np.ndarray, study: Study, sample, cues: list[str]) -> None:
    above, under = axes
    picture(above[0], sample.image)
    picture(under[0], sample.image)
    outline(under[0], sample.mask)
    row_label(above[0], f"{sample.label}: maps")
    row_label(under[0], "masks")
    route = sam_of(study)
    for top, low, cue in zip(above[1:], under[1:], cues):
        heat(top, sample.image, study.saliency(sample.id, cue))
        picture(low, sample.image)
        try:
            mask = study.mask(sample.id, cue, *(route or ("otsu", "threshold")))
            fill(low, mask)
            low.set_xlabel(f"IoU {iou(mask, sample.mask, sample.void):.2f}", labelpad=2)
        except InputError:  # a flat map prompts nothing
            low.set_xlabel("no mask", labelpad=2)
        outline(low, sample.mask)


# Figure 2 ---------------------------------------------------------------------------------------


def gallery(study: Study, ids: list[str]) -> Figure:
    """Figure 2: every explainer on several photographs; the red dot is the map's maximum."""
    if not study.has_arrays:
        return not_stored(study, "Figure 2, every explainer on several photographs")
    samples = [study.sample(id) for id in ids]
    cues = explainers(study)
    with style():
        shapes = [sample.image.shape[:2] for sample in samples]
        figure, axes = grid(shapes, 2 + len(cues), 10.2, left=0.5, head=0.48)
        for row, sample in zip(axes, samples):
            picture(row[0], sample.image)
            row_label(row[0], sample.label, 11)
            picture(row[1], sample.image)
            fill(row[1], sample.mask, TRUTH, 0.35)
            for ax, cue in zip(row[2:], cues):
                heat(ax, sample.image, study.saliency(sample.id, cue))
        heads = ["photo-\ngraph", "ground\ntruth", *(WRAPPED.get(cue, title(cue)) for cue in cues)]
        for ax, head in zip(axes[0], heads):
            ax.set_title(head, fontsize=11.5)
        off = maxima_off(study.table("localisation"), ids, cues)
        headline(
            figure,
            f"{off[0]} of {off[1]} red dots lie off the object"
            if off[1]
            else "Every explainer on the same photographs",
        )
        below(
            figure,
            "Red dot: the map's maximum. Maps from dark (low) to light (high) over the photograph "
            f"in grey. {study.caption()}",
        )
    return figure


# Incomplete coverage ----------------------------------------------------------------------------


def overlap(localisation: pd.DataFrame, caption: str) -> Figure:
    """IoU and coverage of the thresholded maps, with Score-CAM's printed range."""
    found = measured(localisation, "coverage")
    with style():
        figure, axes = panels(2, 3.1)
        _panel(axes[0], localisation, "iou", "IoU with the object")
        _panel(axes[1], localisation, "coverage", "coverage: share of the object marked")
        axes[1].tick_params(labelleft=False)
        handles = _printed_range(axes[0], found["cue"].tolist())
        headline(figure, range_title(found, "of the object is marked"))
        text = f"Maps thresholded by Otsu; mean, 95 % interval, a tick each photograph. {caption}"
        below(figure, text, handles)
    return figure


def _panel(ax: Axes, values: pd.DataFrame, metric: str, label: str, limits=(-0.02, 1.02)) -> None:
    """Means with intervals of one metric, and each photograph as a tick below its mean."""
    table = measured(values, metric)
    intervals(ax, table)
    part = values[values["metric"] == metric]
    for row, cue in enumerate(table["cue"]):
        x = part[part["cue"] == cue]["value"].to_numpy(float)
        ax.plot(x, np.full(len(x), row + 0.28), "|", color=COLOURS.get(cue, "#333333"),
                markersize=5, alpha=max(0.15, min(0.7, 12 / max(len(x), 1))))  # fmt: skip
    ax.set(xlabel=label, xlim=limits)


def _printed_range(ax: Axes, cues: list[str]) -> list[Patch]:
    """Section 2's range in Score-CAM's row, and its entry in the legend."""
    if "scorecam" not in cues:
        return []
    low, high = PRINTED_SCORECAM
    row = cues.index("scorecam")
    ax.add_patch(Rectangle((low, row - 0.45), high - low, 0.9, color="#d5d5d5", zorder=0))
    return [Patch(color="#d5d5d5", label=f"Score-CAM in the paper: {low}–{high} (its own data)")]


# Spurious regions -------------------------------------------------------------------------------


def spurious(localisation: pd.DataFrame, samples: pd.DataFrame, caption: str) -> Figure:
    """Spill of the thresholded maps, and how often the maximum is off the object."""
    blind = 1 - samples["object_share"].mean()
    miss = misses(localisation)
    with style():
        figure, axes = panels(2, 3.1)
        _panel(axes[0], localisation, "spill", "spill: share of marked area off the object")
        _misses(axes[1], miss)
        for ax in axes:
            ax.axvline(blind, color="#333333", linestyle="--", linewidth=1)
        axes[1].tick_params(labelleft=False)
        handles = [plt.Line2D([], [], linestyle="--", color="#333333", linewidth=1,
                              label=f"blind choice of pixels: {percent(blind)}"),
                   *axes[1].get_legend_handles_labels()[0]]  # fmt: skip
        found = measured(localisation, "spill")
        headline(figure, range_title(found, "of the marked area is off the object"))
        text = f"Mean or share with 95 % interval (of shares: Wilson's). {caption}"
        below(figure, text, handles, 3)
    return figure


def _misses(ax: Axes, miss: pd.DataFrame) -> None:
    """Share of maxima off the object: filled at 0 px, hollow at 15 px."""
    strict = miss[miss["metric"] == "pointing_0"].set_index("cue")
    cues = singles(strict.index)
    intervals(ax, strict.loc[cues].reset_index())
    loose = miss[miss["metric"] == "pointing_15"].set_index("cue").reindex(cues)
    ax.scatter(loose["mean"], np.arange(len(cues)) + 0.25, s=22, facecolors="white",
               edgecolors=[COLOURS.get(cue, "#333333") for cue in cues], zorder=4)  # fmt: skip
    ax.scatter([], [], s=34, c="#777777", label="maximum off the object")
    ax.scatter(
        [], [], s=22, facecolors="white", edgecolors="#777777", label="maximum 15 px or more off"
    )
    ax.set(xlabel="share of maxima off the object", xlim=(-0.02, 1.02))


# Noise ------------------------------------------------------------------------------------------


def noise(table: pd.DataFrame, caption: str) -> Figure:
    """How concentrated the maps are: effective area and Gini index.

    table: rows sample, cue, metric (effective_area, gini), value.
    """
    area = measured(table, "effective_area").dropna(subset="mean")
    with style():
        figure, axes = panels(2, 3.1)
        _panel(axes[0], table, "effective_area", "effective area: share of the image")
        _panel(axes[1], table, "gini", "Gini index: 0 even, 1 one pixel")
        axes[1].tick_params(labelleft=False)
        headline(figure, range_title(area, "of the image: a map's effective area"))
        below(figure, f"Mean, 95 % interval, a tick each photograph. {caption}")
    return figure


def crops(study: Study, id: str, cues: list[str]) -> Figure:
    """Raw maps enlarged around the object, so that grid and speckle show."""
    if not study.has_arrays:
        return not_stored(study, "Enlarged crops of the maps")
    sample = study.sample(id)
    x0, y0, side = window(sample.mask)
    part = (slice(y0, y0 + side), slice(x0, x0 + side))
    with style():
        shapes = [(1, 1)] * (1 + len(cues) // 3)
        figure, axes = grid(shapes, 3, left=0.02, head=0.25, feet=(0.28, 0))
        for ax in axes.flat:
            ax.set_visible(False)
        whole, *rest = axes.flat
        whole.set_visible(True)
        picture(whole, sample.image)
        whole.add_patch(Rectangle((x0, y0), side, side, fill=False, edgecolor="white", linewidth=2))
        whole.set_title("the photograph and the crop")
        whole.set_anchor("S")
        for ax, cue in zip(rest, cues):
            ax.set_visible(True)
            map = study.saliency(id, cue)[part]
            if np.isfinite(map).all():
                ax.imshow(map, cmap=MAP, vmin=0, vmax=max(float(map.max()), 1e-6),
                          interpolation="nearest")  # fmt: skip
            outline(ax, sample.mask[part])
            ax.set(xticks=[], yticks=[], title=title(cue))
            sns.despine(ax=ax, left=True, bottom=True)
        headline(figure, texture_title({cue: study.saliency(id, cue)[part] for cue in cues}))
        below(figure, f"A crop of {side} by {side} pixels, each from zero to its own maximum; "
              f"ground truth: cyan line. {study.caption()}")  # fmt: skip
    return figure


def window(mask: np.ndarray, share: float = 0.6) -> tuple[int, int, int]:
    """(x0, y0, side) of a square around the object's centre, inside the image (H, W).

    Its side is `share` of the image's shorter one. An empty mask: around the image's centre.
    """
    h, w = mask.shape
    side = max(round(share * min(h, w)), 1)
    box = box_from_mask(mask) if mask.any() else np.array([0, 0, w - 1, h - 1])
    x0 = int(np.clip((box[0] + box[2] + 1 - side) / 2, 0, w - side))
    y0 = int(np.clip((box[1] + box[3] + 1 - side) / 2, 0, h - side))
    return x0, y0, side


# Cost -------------------------------------------------------------------------------------------


def costs(table: pd.DataFrame, explanations: pd.DataFrame, caption: str) -> Figure:
    """Passes through the classifier and seconds for one explanation, logarithmic.

    table: from `sections.cost.cost`.
    """
    rows = np.arange(len(table))
    colours = [COLOURS.get(cue, "#333333") for cue in table["explainer"]]
    with style():
        figure, axes = panels(2, 3.4)
        own = table["passes"] > 0
        axes[0].barh(rows[own], table["forward"][own], color=np.array(colours)[own], height=0.6)
        axes[0].barh(rows[own], table["backward"][own], left=table["forward"][own], height=0.6,
                     color=np.array(colours)[own], alpha=0.45, hatch="///")  # fmt: skip
        _pass_labels(axes[0], table)
        axes[1].hlines(rows, table["low"], table["high"], colors=colours, linewidth=2)
        axes[1].scatter(table["seconds"], rows, c=colours, s=34, zorder=3)
        printed = [f"{m}\n({p})" if p else m for m, p in zip(table["method"], table["printed"])]
        axes[0].set_yticks(rows, printed, fontsize=8)
        axes[1].set_yticks(rows, [])
        axes[0].set(xscale="log", xlim=(0.8, 20 * max(table["passes"].max(), 1)),
                    xlabel="passes through the classifier (log)")  # fmt: skip
        axes[1].set(xscale="log", xlabel="seconds for one explanation (log)")
        for ax in axes:
            ax.set_ylim(len(table) - 0.5, -0.5)
            ax.grid(axis="x", color="#dddddd", linewidth=0.6)
            ax.set_axisbelow(True)
        headline(figure, cost_title(explanations))
        below(figure, "In brackets the paper's word for the cost. Hatched: backward passes; each "
              "CAM is charged the pass forward and backward that all four share. Mean "
              f"and 95 % interval over photographs. {caption}")  # fmt: skip
    return figure


def _pass_labels(ax: Axes, table: pd.DataFrame) -> None:
    for row, (forward, backward) in enumerate(zip(table["forward"], table["backward"])):
        if forward + backward == 0:
            text = "none of its own: shared"
        elif backward:
            text = f"{forward:.0f} + {backward:.0f} backward"
        else:
            text = f"{forward:,.0f}"
        ax.text(max(forward + backward, 0.8) * 1.15, row, text, va="center", fontsize=8)
