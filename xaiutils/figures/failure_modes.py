"""Figures of notebook 1 (section 2, failure modes) and the sentences that say what they show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from xaiutils.errors import InputError
from xaiutils.figures.photos import (
    WIDTH,
    below,
    cue_legend,
    explainers,
    grid,
    headline,
    not_stored,
    row_label,
    signed,
)
from xaiutils.figures.style import MAP, TRUTH, fill, heat, intervals, outline, picture, style
from xaiutils.metrics.localisation import iou
from xaiutils.names import COLOURS, in_order, title
from xaiutils.prompting import box_from_mask
from xaiutils.statistics import mean_interval, paired_difference, summary
from xaiutils.study import Study
from xaiutils.tables import COSTS, MEASURES, misses, quote, singles

# One of each kind for figures with room for five; the others fill up where a study lacks one.
FIVE = ("gradcam", "scorecam", "ig", "occlusion", "lime")
PRINTED_SCORECAM = (0.4, 0.6)  # section 2: Score-CAM's IoU "on average across datasets"
WRAPPED = {
    "gradcam++": "Grad-\nCAM++",
    "fasterscorecam": "Faster-\nScore-CAM",
    "scorecam": "Score-\nCAM",
    "gradcam": "Grad-\nCAM",
    "ig": "Integrated\nGradients",
    "kernelshap": "Kernel-\nSHAP",
}


def five(study: Study) -> list[str]:
    """At most five explainers of the study, one of each kind first, in the paper's order."""
    present = explainers(study)
    chosen = [cue for cue in FIVE if cue in present]
    return in_order([*chosen, *(cue for cue in present if cue not in chosen)][:5])


def sam_of(study: Study) -> tuple[str, str] | None:
    """(prompting, segmenter) of the study's SAM, dual cues if it has them; None without a SAM."""
    segmenter = next((s for s in study.config.segmenters if "sam" in s), None)
    promptings = study.config.promptings
    if segmenter is None:
        return None
    return ("dual" if "dual" in promptings else promptings[0]), segmenter


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


def prompted(study: Study, id: str, cues: list[str]) -> pd.Series:
    """IoU of the mask that each cue prompts on one photograph (Figure 1), where defined."""
    prompting, segmenter = sam_of(study) or ("otsu", "threshold")
    part = study.table("segmentation")
    part = part[(part["prompting"] == prompting) & (part["segmenter"] == segmenter)]
    part = part[(part["sample"] == id) & part["cue"].isin(cues)]
    return part.set_index("cue")["iou"].dropna()


def misalignment_title(study: Study, ids: list[str], cues: list[str]) -> str:
    """The widest range of the masks' IoU on one of the photographs."""
    ranges = [(v.max() - v.min(), v) for v in (prompted(study, id, cues) for id in ids) if len(v)]
    if not ranges:
        return "Maps above, the masks that they prompt below"
    _, values = max(ranges, key=lambda pair: pair[0])
    return (
        f"One photograph, one class, {len(values)} explainers: masks from IoU "
        f"{values.min():.2f} to {values.max():.2f}"
    )


def misalignment_sentence(study: Study, ids: list[str], cues: list[str]) -> str:
    """For each photograph the best and the worst mask of these explainers."""
    said = []
    for id in ids:
        values = prompted(study, id, cues)
        if len(values):
            best, worst = values.idxmax(), values.idxmin()
            said.append(
                f"- {id}: the best mask has IoU {values[best]:.2f} ({title(best)}), "
                f"the worst {values[worst]:.2f} ({title(worst)})."
            )
    return "\n".join(said) or "No mask is defined on these photographs."


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
        off = _off(study.table("localisation"), ids, cues)
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


def _off(localisation: pd.DataFrame, ids, cues) -> tuple[int, int]:
    """How many maxima lie off the object (at 0 px), and how many are defined."""
    part = localisation[
        localisation["sample"].isin(ids)
        & localisation["cue"].isin(cues)
        & (localisation["metric"] == "pointing_0")
    ]["value"].dropna()
    return int((part == 0).sum()), len(part)


# Incomplete coverage ----------------------------------------------------------------------------


def measured(localisation: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean, interval and n of one metric for every explainer, in the paper's order."""
    part = localisation[localisation["metric"] == metric]
    table = summary(part, "cue").set_index("cue", drop=False)
    return table.loc[singles(table["cue"])].reset_index(drop=True)


def overlap(localisation: pd.DataFrame, caption: str) -> Figure:
    """IoU and coverage of the thresholded maps, with Score-CAM's printed range."""
    found = measured(localisation, "coverage")
    with style():
        figure, axes = _pair()
        _panel(axes[0], localisation, "iou", "IoU with the object")
        _panel(axes[1], localisation, "coverage", "coverage: share of the object marked")
        axes[1].tick_params(labelleft=False)
        handles = _printed_range(axes[0], found["cue"].tolist())
        headline(figure, _range_title(found, "of the object is marked"))
        text = f"Maps thresholded by Otsu; mean, 95 % interval, a tick each photograph. {caption}"
        below(figure, text, handles)
    return figure


def _pair(height: float = 3.1) -> tuple[Figure, np.ndarray]:
    return plt.subplots(1, 2, figsize=(WIDTH, height), dpi=120, layout="constrained")


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


def _range_title(table: pd.DataFrame, what: str) -> str:
    """'From 26 % (Integrated Gradients) to 82 % (Grad-CAM++) of the object is marked'."""
    table = table.dropna(subset="mean")
    if table.empty:
        return "No map has a threshold"
    low, high = table.loc[table["mean"].idxmin()], table.loc[table["mean"].idxmax()]
    return (
        f"From {low['mean']:.0%} ({title(low['cue'])}) to {high['mean']:.0%} "
        f"({title(high['cue'])}) {what}"
    )


def overlap_sentences(localisation: pd.DataFrame) -> str:
    """Score-CAM's IoU against the printed range; what Faster-Score-CAM and VarGrad add to it."""
    table = measured(localisation, "iou").set_index("cue")
    part = localisation[localisation["metric"] == "iou"]
    said = []
    if "scorecam" in table.index:
        r = table.loc["scorecam"]
        low, high = PRINTED_SCORECAM
        place = "below" if r["mean"] < low else "above" if r["mean"] > high else "inside"
        said.append(
            f"- Score-CAM's thresholded map has IoU {quote(r['mean'], r['low'], r['high'], r['n'])}"
            f", {place} the paper's {low}–{high}."
        )
    for cue in ("fasterscorecam", "vargrad"):
        mean, low, high, n = paired_difference(part, cue, "scorecam")
        if n:
            said.append(
                f"- {title(cue)} minus Score-CAM on the same photographs: "
                f"{_signed(mean, low, high)} IoU, n = {n}."
            )
    coverage = measured(localisation, "coverage").dropna(subset="mean")
    if len(coverage):
        least = coverage.loc[coverage["mean"].idxmin()]
        said.append(f"- {title(least['cue'])} marks least of the object: coverage {_of(least)}.")
    return "\n".join(said)


def _signed(mean: float, low: float, high: float) -> str:
    if not np.isfinite(low):
        return signed(mean)
    return f"{signed(mean)} [{signed(low)}, {signed(high)}]"


# Spurious regions -------------------------------------------------------------------------------


def spurious(localisation: pd.DataFrame, samples: pd.DataFrame, caption: str) -> Figure:
    """Spill of the thresholded maps, and how often the maximum is off the object."""
    blind = 1 - samples["object_share"].mean()
    miss = misses(localisation)
    with style():
        figure, axes = _pair()
        _panel(axes[0], localisation, "spill", "spill: share of marked area off the object")
        _misses(axes[1], miss)
        for ax in axes:
            ax.axvline(blind, color="#333333", linestyle="--", linewidth=1)
        axes[1].tick_params(labelleft=False)
        handles = [plt.Line2D([], [], linestyle="--", color="#333333", linewidth=1,
                              label=f"blind choice of pixels: {blind:.0%}"),
                   *axes[1].get_legend_handles_labels()[0]]  # fmt: skip
        found = measured(localisation, "spill")
        headline(figure, _range_title(found, "of the marked area is off the object"))
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


def spurious_sentences(localisation: pd.DataFrame, samples: pd.DataFrame) -> str:
    """Spill of LIME and KernelSHAP beside a blind choice's, and the maxima that miss."""
    blind = 1 - samples["object_share"].mean()
    table = measured(localisation, "spill").set_index("cue")
    said = []
    for cue in ("lime", "kernelshap", "gradcam"):
        if cue in table.index:
            r = table.loc[cue]
            said.append(f"- {title(cue)}: spill {_of(r)}.")
    said.append(f"- A blind choice of pixels would spill {blind:.0%}.")
    miss = misses(localisation)
    miss = miss[(miss["metric"] == "pointing_0") & miss["cue"].isin(singles(miss["cue"]))]
    if len(miss):
        worst = miss["mean"].max()
        names = ", ".join(title(c) for c in in_order(miss[miss["mean"] == worst]["cue"]))
        n = int(miss["n"].max())
        said.append(
            f"- The maximum misses the object most often for {names}: {worst:.0%} of n = {n}."
            if worst > 0
            else f"- No maximum misses the object (n = {n} photographs)."
        )
    return "\n".join(said)


# Noise ------------------------------------------------------------------------------------------


def noise(table: pd.DataFrame, caption: str) -> Figure:
    """How concentrated the maps are: effective area and Gini index.

    table: rows sample, cue, metric (effective_area, gini), value.
    """
    area = measured(table, "effective_area").dropna(subset="mean")
    with style():
        figure, axes = _pair()
        _panel(axes[0], table, "effective_area", "effective area: share of the image")
        _panel(axes[1], table, "gini", "Gini index: 0 even, 1 one pixel")
        axes[1].tick_params(labelleft=False)
        headline(figure, _range_title(area, "of the image: a map's effective area"))
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
        headline(figure, f"Texture of the maps on a crop of {side} by {side} pixels")
        below(figure, f"Each crop from zero to its own maximum; ground truth: cyan line. "
              f"{study.caption()}")  # fmt: skip
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


def noise_sentences(table: pd.DataFrame) -> str:
    """The most and the least concentrated map, and Integrated Gradients among them."""
    area = measured(table, "effective_area").dropna(subset="mean").set_index("cue")
    if area.empty:
        return "No map has mass."
    least, most = area["mean"].idxmin(), area["mean"].idxmax()
    said = [
        f"- The most concentrated map is that of {title(least)}: effective area "
        f"{_of(area.loc[least])}; the most spread that of {title(most)}: {_of(area.loc[most])}."
    ]
    if "ig" in area.index:
        place = int(area["mean"].rank()["ig"])
        said.append(
            f"- Integrated Gradients: effective area {_of(area.loc['ig'])}, place {place} of "
            f"{len(area)} counted from the most concentrated."
        )
    return "\n".join(said)


def _of(row: pd.Series) -> str:
    return quote(row["mean"], row["low"], row["high"], row["n"], percent=True)


# Cost -------------------------------------------------------------------------------------------


def costs(table: pd.DataFrame, explanations: pd.DataFrame, caption: str) -> Figure:
    """Passes through the classifier and seconds for one explanation, logarithmic.

    table: from `tables.cost`.
    """
    rows = np.arange(len(table))
    colours = [COLOURS.get(cue, "#333333") for cue in table["explainer"]]
    with style():
        figure, axes = _pair(3.4)
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
                    xlabel="passes of an image (log)")  # fmt: skip
        axes[1].set(xscale="log", xlabel="seconds on this machine (log)")
        for ax in axes:
            ax.set_ylim(len(table) - 0.5, -0.5)
            ax.grid(axis="x", color="#dddddd", linewidth=0.6)
            ax.set_axisbelow(True)
        headline(figure, cost_title(explanations))
        below(figure, "In brackets the paper's word for the cost. Hatched: backward passes. Mean "
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


def speed_ratio(explanations: pd.DataFrame) -> tuple[float, float, float, int]:
    """Seconds of Score-CAM over Faster-Score-CAM: mean of the photographs' ratios, low, high, n."""
    cues = ["scorecam", "fasterscorecam"]
    part = explanations[explanations["explainer"].isin(cues)]
    wide = part.pivot(index="sample", columns="explainer", values="seconds")
    if set(cues) - set(wide):
        return (float("nan"),) * 3 + (0,)
    ratio = (wide["scorecam"] / wide["fasterscorecam"]).dropna()
    return *mean_interval(ratio), len(ratio)


def cost_title(explanations: pd.DataFrame) -> str:
    """The measured ratio of claim C08, or a neutral title."""
    mean, *_, n = speed_ratio(explanations)
    if not n:
        return "What one explanation costs"
    return f"Score-CAM takes {mean:.1f} times as long as Faster-Score-CAM"


def cost_sentences(table: pd.DataFrame, explanations: pd.DataFrame) -> str:
    """The speed ratio with the passes that explain it, and the Cost column's order."""
    said = []
    mean, low, high, n = speed_ratio(explanations)
    passes = table.set_index("explainer")["passes"]
    if n:
        said.append(
            f"- Time of Score-CAM over time of Faster-Score-CAM: {quote(mean, low, high, n)}; it "
            f"makes {passes['scorecam'] / passes['fasterscorecam']:.1f} times as many passes "
            f"({passes['scorecam']:,.0f} against {passes['fasterscorecam']:,.0f})."
        )
    ranked = table[table["printed"].isin(COSTS)]
    if len(ranked) > 2:
        words = ranked["printed"].map(COSTS.index)
        for column, name in (("seconds", "seconds"), ("passes", "passes")):
            rho = words.corr(ranked[column], method="spearman")
            said.append(
                f"- The order of the paper's Cost column against our {name}: rank correlation "
                f"{signed(rho)}, n = {len(ranked)} explainers."
            )
    return "\n".join(said)


# Table 2 ----------------------------------------------------------------------------------------


def printed_against_ours(cells: pd.DataFrame, order: pd.DataFrame, caption: str) -> Figure:
    """Each method's printed number against ours: rows measures, columns printed data sets.

    cells, order: from `tables.table2_cells` and `tables.order`; the first reading of each measure.
    """
    cells = cells.drop_duplicates(["cue", "measure", "dataset"])
    datasets, measures = cells["dataset"].unique(), [m for m in MEASURES if m in set(cells.measure)]
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
            ax.set_xlabel(f"printed for {dataset}")
        headline(figure, order_title(order))
        text = (
            "Vertical: our mean and 95 % interval over photographs. Dashed: equal numbers. "
            f"Printed and ours: {cells['remark'].iloc[0]}. {caption}"
        )
        below(figure, text, cue_legend(cells["cue"]))
    return figure


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


def order_title(order: pd.DataFrame) -> str:
    """How the rank correlations of the default readings lie, as a title."""
    rho = order.drop_duplicates(["dataset", "measure"])["rho"].dropna()
    if rho.empty:
        return "Too few methods to compare their order with the printed one"
    return (
        "Our order of the methods against the printed one: "
        f"ρ from {signed(rho.min())} to {signed(rho.max())}"
    )


def readings(order: pd.DataFrame, caption: str) -> Figure:
    """Rank correlation with the printed column for each reading of each measure."""
    names = order.drop_duplicates("metric")
    with style():
        figure, ax = plt.subplots(figsize=(WIDTH, 3.4), dpi=120, layout="constrained")
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
        headline(figure, effectiveness_title(order))
        text = (
            f"n = {order['methods'].max()} methods each; 95 % interval: photographs drawn again. "
            f"{caption}"
        )
        below(figure, text, ax.get_legend_handles_labels()[0])
    return figure


def best_reading(order: pd.DataFrame) -> pd.Series:
    """Mean rank correlation over the printed data sets of each reading of Effectiveness."""
    part = order[order["measure"] == "effectiveness"]
    return part.groupby("reading", sort=False)["rho"].mean().dropna().sort_values(ascending=False)


def effectiveness_title(order: pd.DataFrame) -> str:
    """Which reading of "Effectiveness" orders the methods most like the printed columns."""
    found = best_reading(order)
    if found.empty:
        return "Too few methods to compare readings"
    return f"Effectiveness is read best as {found.index[0]} (mean ρ {signed(found.iloc[0])})"


def order_sentences(order: pd.DataFrame) -> str:
    """The best reading of Effectiveness, and each measure's rank correlations with their n."""
    said = []
    for measure, part in order.groupby("measure", sort=False):
        metric = part["metric"].iloc[0]
        part = part[part["metric"] == metric]
        each = "; ".join(
            f"{r.dataset} {quote(r.rho, r.low, r.high)}" for r in part.itertuples(index=False)
        )
        said.append(f"- Printed {MEASURES[measure]} against our {part['reading'].iloc[0]}: {each}.")
    found = best_reading(order)
    if len(found):
        said.append(
            "- Readings of Effectiveness by their mean rank correlation over the printed columns: "
            + "; ".join(f"{name} {signed(rho)}" for name, rho in found.items())
            + "."
        )
    said.append(f"- Each correlation ranks n = {order['methods'].max()} methods.")
    return "\n".join(said)
