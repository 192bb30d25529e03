"""Figures of notebook 2 (section 3, disagreement) and the sentences that say what they show."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from xaiutils.figures.photos import (
    WIDTH,
    below,
    cue_legend,
    explainers,
    grid,
    headline,
    not_stored,
    row_label,
    seed,
    signed,
)
from xaiutils.figures.style import MASK, heat, intervals, outline, picture, style
from xaiutils.metrics.agreement import votes
from xaiutils.names import COLOURS, in_order, title
from xaiutils.statistics import mean_interval, paired_difference, summary
from xaiutils.study import Study
from xaiutils.tables import effective_area, quote, singles

CAMS = ("gradcam", "gradcam++", "scorecam", "fasterscorecam")
PRINTED_PAIR = 0.4  # section 3: Grad-CAM and LIME "often below 0.4" IoU on VOC
PRINTED_GAIN = 0.06  # section 3: fusion exceeds any single explainer by "+6 mIoU" or more


# Pairwise agreement -----------------------------------------------------------------------------


def pairs(agreement: pd.DataFrame) -> pd.DataFrame:
    """Mean over images, interval and n of every pair and metric (a, b, metric, n, mean, ...)."""
    return summary(agreement, ["a", "b", "metric"]).drop(columns="undefined")


def matrix(pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The symmetric matrix of the pairs' means, 1 on its diagonal, in the paper's order."""
    part = pairs[pairs["metric"] == metric]
    names = in_order([*part["a"], *part["b"]])
    square = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for row in part.itertuples():
        square.loc[row.a, row.b] = square.loc[row.b, row.a] = row.mean
    return square


def clusters(square: pd.DataFrame) -> np.ndarray | None:
    """Average linkage of the explainers, 1 - agreement as distance; None below three of them."""
    if len(square) < 3:
        return None
    distance = (1 - square.fillna(0)).to_numpy().clip(0)
    return linkage(squareform(distance, checks=False), "average")


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


def pair(pairs: pd.DataFrame, a: str, b: str, metric: str = "iou") -> pd.Series | None:
    """The row of a pair, in either order; None if it is not there or undefined."""
    found = pairs[
        (pairs["metric"] == metric)
        & (((pairs["a"] == a) & (pairs["b"] == b)) | ((pairs["a"] == b) & (pairs["b"] == a)))
    ].dropna(subset="mean")
    return found.iloc[0] if len(found) else None


def agreement_title(pairs: pd.DataFrame) -> str:
    """Grad-CAM and LIME's overlap (C09), or how many pairs stay below 0.4."""
    row = pair(pairs, "gradcam", "lime")
    if row is not None:
        return f"Grad-CAM and LIME overlap by {row['mean']:.2f} IoU (n = {int(row['n'])})"
    below, total = below_printed(pairs)
    return f"{below} of {total} pairs of explainers overlap by less than {PRINTED_PAIR} IoU"


def below_printed(pairs: pd.DataFrame) -> tuple[int, int]:
    """How many pairs have a mean IoU below the paper's 0.4, and how many are defined."""
    iou = pairs[pairs["metric"] == "iou"]["mean"].dropna()
    return int((iou < PRINTED_PAIR).sum()), len(iou)


def agreement_sentences(pairs: pd.DataFrame) -> str:
    """The claim's pair, the share of pairs below 0.4, the closest pair, CAMs against the rest."""
    iou = pairs[pairs["metric"] == "iou"].dropna(subset="mean")
    if iou.empty:
        return "There is no pair to compare."
    said = []
    row = pair(pairs, "gradcam", "lime")
    if row is not None:
        said.append(
            f"- Grad-CAM and LIME: IoU {quote(row['mean'], row['low'], row['high'], row['n'])}; "
            f"the paper says often below {PRINTED_PAIR}."
        )
    low, total = below_printed(pairs)
    said.append(f"- Mean IoU is below {PRINTED_PAIR} for {low} of {total} pairs.")
    top = iou.loc[iou["mean"].idxmax()]
    said.append(f"- The closest pair: {title(top['a'])} and {title(top['b'])}, {top['mean']:.2f}.")
    inner = iou["a"].isin(CAMS) & iou["b"].isin(CAMS)
    if inner.any() and not inner.all():
        said.append(
            f"- Within the CAM family the mean over pairs is {iou[inner]['mean'].mean():.2f}, over "
            f"all other pairs {iou[~inner]['mean'].mean():.2f}: the family's members vote almost "
            "as one where the first number is near 1."
        )
    return "\n".join(said)


# Votes ------------------------------------------------------------------------------------------


def vote_map(study: Study, sample) -> np.ndarray:
    """How many explainers mark each pixel (thresholded by Otsu): (H, W) int64."""
    cues = explainers(study)
    return votes(np.stack([seed(study, sample.id, cue, sample.void) for cue in cues]))


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
            photo.set_title(sample.label)
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


def votes_title(counts: list[np.ndarray], samples: list, k: int) -> str:
    """How much of the object all k explainers mark together, the mean over the photographs."""
    inside = [sample.mask & ~sample.void for sample in samples]
    shares = [np.mean(count[mask] == k) for count, mask in zip(counts, inside) if mask.any()]
    if not shares:
        return "How many explainers mark each pixel"
    return f"All {k} explainers mark the same {np.mean(shares):.0%} of the object"


def vote_table(study: Study) -> pd.DataFrame:
    """Votes against the object, a row for each image and number of votes.

    sample, votes, pixels (that have exactly so many votes), precision (the share of them on the
    object, NaN without pixels), coverage (the share of the object with at least so many votes).
    Without stored maps the last three are undefined (0 pixels, NaN).
    """
    k = len(explainers(study))
    rows = []
    for id in study.sample_ids:
        if study.has_arrays:
            sample = study.sample(id)
            valid = ~sample.void
            count, inside = vote_map(study, sample)[valid], sample.mask[valid]
        else:
            count, inside = np.zeros(0, int), np.zeros(0, bool)
        rows += [{"sample": id, **row} for row in tally(count, inside, k)]
    return pd.DataFrame(rows)


def tally(count: np.ndarray, inside: np.ndarray, k: int) -> list[dict]:
    """Rows votes, pixels, precision, coverage for 0 to k votes; count and inside are (N,)."""
    size = np.bincount(count, minlength=k + 1)
    hits = np.bincount(count[inside], minlength=k + 1)
    at_least = hits[::-1].cumsum()[::-1]
    return [
        {
            "votes": v,
            "pixels": int(size[v]),
            "precision": hits[v] / size[v] if size[v] else float("nan"),
            "coverage": at_least[v] / at_least[0] if at_least[0] else float("nan"),
        }
        for v in range(k + 1)
    ]


def vote_precision(table: pd.DataFrame, samples: pd.DataFrame, caption: str) -> Figure:
    """How likely a pixel is on the object, and how much of it is left, by number of votes."""
    chance = samples["object_share"].mean()
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3), dpi=120, layout="constrained")
        _by_votes(axes[0], table, "precision")
        axes[0].axhline(chance, color="#333333", linestyle="--", linewidth=1)
        _by_votes(axes[1], table, "coverage")
        axes[0].set(xlabel="explainers that mark the pixel", ylabel="share on the object")
        axes[1].set(xlabel="at least so many mark the pixel", ylabel="share of the object kept")
        line = plt.Line2D([], [], color="#333333", linestyle="--", linewidth=1,
                          label=f"mean share of the object in the image: {chance:.0%}")  # fmt: skip
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


def precision_title(table: pd.DataFrame) -> str:
    """Precision without a vote and with the most votes that occur."""
    found = summary(table, "votes", "precision").dropna(subset="mean").set_index("votes")["mean"]
    if len(found) < 2:
        return "Votes against the object: not computed without the stored maps"
    low, high = found.index.min(), found.index.max()
    return (
        f"On the object: {found[low]:.0%} of the pixels with {low} votes, {found[high]:.0%} of "
        f"those with {high}"
    )


def vote_sentences(table: pd.DataFrame) -> str:
    """Precision and coverage by votes, and the trend of precision within a photograph."""
    found = summary(table, "votes", "precision").dropna(subset="mean")
    if len(found) < 2:
        return "Votes need the stored maps, which this study has not."
    said = []
    for row in (found.iloc[0], found.iloc[-1]):
        said.append(
            f"- Of the pixels with {int(row['votes'])} votes, on the object: "
            f"{quote(row['mean'], row['low'], row['high'], row['n'], percent=True)} photographs "
            "that have such pixels."
        )
    rho = vote_trend(table)
    said.append(
        f"- Rank correlation of precision with the number of votes, within a photograph: "
        f"{quote(*mean_interval(rho), len(rho))}."
    )
    kept = summary(table, "votes", "coverage").set_index("votes")["mean"]
    half = int(np.ceil(kept.index.max() / 2))
    said.append(
        f"- Pixels with at least {half} votes hold {kept[half]:.0%} of the object, those with all "
        f"{kept.index.max()} hold {kept.iloc[-1]:.0%}."
    )
    return "\n".join(said)


def vote_trend(table: pd.DataFrame) -> np.ndarray:
    """Spearman's rho of precision with votes, one for each image with at least three defined."""
    values = []
    for _, part in table.dropna(subset="precision").groupby("sample"):
        if len(part) > 2 and part["precision"].nunique() > 1:
            values.append(part["votes"].corr(part["precision"], method="spearman"))
    return np.array(values)


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


def fusion_title(iou: pd.Series, ids: list[str], best: str) -> str:
    """On how many of the photographs `ids` the weighted fusion beats the best single explainer."""
    if ("fused-weighted" not in iou.index.get_level_values("cue")) or not len(ids):
        return "What each fusion makes of the same maps"
    wins = sum(iou[id, "fused-weighted"] > iou[id, best] for id in ids)
    return f"Weighted fusion: a higher IoU than {title(best)} on {wins} of the {len(ids)} shown"


def best_single(localisation: pd.DataFrame) -> str:
    """The explainer with the highest mean IoU over the images: chosen with the truth in hand."""
    part = localisation[localisation["metric"] == "iou"]
    part = part[part["cue"].isin(singles(part["cue"]))]
    return part.groupby("cue")["value"].mean().idxmax()


def weight_map(weights: pd.DataFrame, caption: str, fusion: str = "weighted") -> Figure:
    """The weights of one fusion, photograph by photograph, and their spread."""
    wide = weight_table(weights, fusion)
    if wide.empty:
        return _note("The study has no fusion, and so no weights.")
    rows = np.arange(len(wide))
    named = len(wide) <= 30
    with style():
        height = min(max(0.24 * len(wide) + 0.9, 2.4), 6)
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, height), dpi=120, layout="constrained",
                                    width_ratios=[1.25, 1])  # fmt: skip
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


def _note(text: str) -> Figure:
    with style():
        figure = plt.figure(figsize=(WIDTH, 0.5), dpi=120)
        figure.text(0.01, 0.5, text, va="center")
    return figure


def weight_table(weights: pd.DataFrame, fusion: str = "weighted") -> pd.DataFrame:
    """Weights of one fusion: a row an image, a column an explainer in the paper's order.

    The study's first fusion where it has not the one asked for.
    """
    present = weights["fusion"].unique().tolist()
    part = weights[weights["fusion"] == (fusion if fusion in present else (present or [""])[0])]
    wide = part.pivot(index="sample", columns="explainer", values="weight")
    return wide[in_order(wide.columns)].rename_axis(index=None, columns=None)


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


def weight_title(wide: pd.DataFrame) -> str:
    """How many explainers get more than an equal share, and what they hold together."""
    mean = wide.mean()
    above = mean[mean > 1 / len(mean)]
    return f"{len(above)} of {len(mean)} explainers hold {above.sum():.0%} of the weight"


def weight_sentences(weights: pd.DataFrame, fusion: str = "weighted") -> str:
    """Who holds the weight, how much it moves from image to image, and the effective number."""
    wide = weight_table(weights, fusion)
    if wide.empty:
        return "The study has no fusion, and so no weights."
    mean = wide.mean()
    above = mean[mean > 1 / len(mean)]
    names = ", ".join(title(cue) for cue in above.index)
    number = 1 / (wide**2).sum(axis=1)
    said = [
        f"- More than an equal share (1/{len(mean)}) goes to {names or 'none'}: together "
        f"{above.sum():.0%} of the weight, on the mean of n = {len(wide)} photographs.",
        f"- The weights are worth {quote(*mean_interval(number))} maps of equal weight "
        "(1 over the sum of their squares).",
    ]
    widest = (wide.max() - wide.min()).idxmax()
    said.append(
        f"- The weight that moves most between photographs is that of {title(widest)}: "
        f"{wide[widest].min():.2f} to {wide[widest].max():.2f}."
    )
    return "\n".join(said)


# Fused against single ---------------------------------------------------------------------------


def differences(localisation: pd.DataFrame, cue: str = "fused-weighted") -> pd.DataFrame:
    """IoU of one cue minus that of every other cue, on the images that have both.

    Rows cue (the other one), mean, low, high (95 % interval), n.
    """
    part = localisation[localisation["metric"] == "iou"]
    others = [other for other in in_order(part["cue"]) if other != cue]
    rows = [[other, *paired_difference(part, cue, other)] for other in others]
    return pd.DataFrame(rows, columns=["cue", "mean", "low", "high", "n"])


def fused_against_single(localisation: pd.DataFrame, caption: str) -> Figure:
    """IoU of every explainer and fusion, and the weighted fusion minus each of them."""
    part = localisation[localisation["metric"] == "iou"]
    table = summary(part, "cue").set_index("cue", drop=False)
    table = table.loc[in_order(table["cue"])].reset_index(drop=True)
    gain = differences(localisation).set_index("cue").reindex(table["cue"]).reset_index()
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.9), dpi=120, layout="constrained")
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


def gain_title(localisation: pd.DataFrame) -> str:
    """The weighted fusion minus the best single explainer."""
    gain = differences(localisation).set_index("cue")
    best = best_single(localisation)
    if best not in gain.index or not np.isfinite(gain.loc[best, "mean"]):
        return "IoU of explainers and fusions"
    return f"Weighted fusion minus {title(best)}, the best single: {_interval(gain.loc[best])} IoU"


def _interval(row: pd.Series) -> str:
    if not np.isfinite(row["low"]):
        return signed(row["mean"])
    return f"{signed(row['mean'])} [{signed(row['low'])}, {signed(row['high'])}]"


def gain_sentences(localisation: pd.DataFrame) -> str:
    """The weighted fusion against the best single explainer, the mean and random weights."""
    gain = differences(localisation).set_index("cue")
    best = best_single(localisation)
    wanted = {
        best: f"the best single explainer, {title(best)} (chosen by its mean IoU on these images)",
        "fused-mean": "the plain average (claim: it is worse than the weighted fusion)",
        "fused-max": "the maximum",
        "fused-random": "random weights, the floor for any weighting",
    }
    said = [
        f"- Weighted fusion minus {name}: {_interval(gain.loc[cue])} IoU, n = {gain.loc[cue, 'n']}"
        f"; {_reading(gain.loc[cue])}."
        for cue, name in wanted.items()
        if cue in gain.index and gain.loc[cue, "n"]
    ]
    return "\n".join(said) or "The study has no weighted fusion to compare."


def _reading(row: pd.Series) -> str:
    """What an interval of a difference says, in words."""
    if not np.isfinite(row["low"]):
        return "too few images for an interval"
    if row["low"] > 0:
        return "the fusion is better"
    return "the fusion is worse" if row["high"] < 0 else "the interval holds zero"


# Trust ------------------------------------------------------------------------------------------


def trust_table(
    localisation: pd.DataFrame, agreement: pd.DataFrame, samples: pd.DataFrame
) -> pd.DataFrame:
    """For each image and explainer what could be known without ground truth, and the IoU.

    sample, cue, effective_area (low entropy: small), agreement (mean IoU of its thresholded map
    with those of the other explainers), iou (with the object).
    """
    iou = localisation[localisation["metric"] == "iou"]
    table = iou[iou["cue"].isin(singles(iou["cue"]))][["sample", "cue", "value"]]
    table = table.rename(columns={"value": "iou"})
    area = effective_area(localisation, samples).set_index(["sample", "cue"])["value"]
    both = agreement[agreement["metric"] == "iou"]
    ends = [both.rename(columns={end: "cue"})[["sample", "cue", "value"]] for end in ("a", "b")]
    mean = pd.concat(ends).groupby(["sample", "cue"])["value"].mean()
    for name, values in (("effective_area", area), ("agreement", mean)):
        table = table.join(values.rename(name), on=["sample", "cue"])
    return table[["sample", "cue", "effective_area", "agreement", "iou"]].reset_index(drop=True)


def trust_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation with IoU of each signal: over all maps, and within explainers.

    signal, level, mean, low, high, n. "all maps" mixes explainers: a signal that only tells
    explainers apart does well there. "within an explainer" ranks photographs: the mean over the
    explainers of each one's own correlation. Intervals: images drawn again.
    """
    rows = []
    for signal in ("effective_area", "agreement"):
        for level in ("all maps", "within an explainer"):
            wide = table.pivot(index="sample", columns="cue", values=[signal, "iou"])
            x, y = wide[signal].to_numpy(float), wide["iou"].to_numpy(float)
            rng = np.random.default_rng(0)
            draws = [rng.integers(len(x), size=len(x)) for _ in range(500)]
            rho = [_rho(x[i], y[i], level) for i in [np.arange(len(x)), *draws]]
            known = np.isfinite(rho[1:]).any() and len(x) > 2
            low, high = np.nanpercentile(rho[1:], [2.5, 97.5]) if known else (np.nan, np.nan)
            rows.append([signal, level, rho[0], low, high, len(x)])
    return pd.DataFrame(rows, columns=["signal", "level", "mean", "low", "high", "n"])


def _rho(x: np.ndarray, y: np.ndarray, level: str) -> float:
    """Spearman's rho of (images, explainers) arrays: pooled, or the mean over columns."""
    if level == "all maps":
        return _spearman(x.ravel(), y.ravel())
    each = np.array([_spearman(a, b) for a, b in zip(x.T, y.T)])
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def _spearman(x: np.ndarray, y: np.ndarray) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3:
        return float("nan")
    a, b = (pd.Series(v[known]).rank().to_numpy() for v in (x, y))
    a, b = a - a.mean(), b - b.mean()
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm else float("nan")


def trust(table: pd.DataFrame, caption: str) -> Figure:
    """Entropy (as effective area) and agreement against the IoU with the object, map by map."""
    found = trust_correlations(table).set_index(["signal", "level"])
    labels = {
        "effective_area": "effective area (low entropy: small)",
        "agreement": "mean IoU with the other maps",
    }
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.3), dpi=120, sharey=True,
                                    layout="constrained")  # fmt: skip
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


def trust_title(found: pd.DataFrame) -> str:
    """Both signals' correlation with IoU among the photographs of one explainer.

    found: `trust_correlations` indexed by signal and level.
    """
    within = found.xs("within an explainer", level="level")["mean"]
    return (
        f"Ranking photographs by IoU: agreement ρ = {signed(within['agreement'])}, "
        f"effective area ρ = {signed(within['effective_area'])}"
    )


def trust_sentences(table: pd.DataFrame) -> str:
    """Each signal's correlation with IoU in words; a trustworthy low entropy would be negative."""
    names = {"effective_area": "Effective area (entropy)", "agreement": "Agreement with the others"}
    said = [
        f"- {names[r.signal]}, {r.level}: ρ = {quote(r.mean, r.low, r.high, r.n)} photographs."
        for r in trust_correlations(table).itertuples()
    ]
    return "\n".join(said)
