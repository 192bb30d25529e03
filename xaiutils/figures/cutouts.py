"""Figures of notebook 5 (composites). Each takes tables of `sections.cutouts` and a caption.

Bars are 95 % intervals over objects, or over pairs.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from xaiutils.cutouts.compose import place
from xaiutils.cutouts.plans import KINDS
from xaiutils.cutouts.sources import Library
from xaiutils.figures.panels import DPI, panels
from xaiutils.figures.photos import WIDTH, below, headline
from xaiutils.figures.style import outline, picture, style
from xaiutils.names import COLOURS, in_order
from xaiutils.sections.cutouts import FLOORS, cue_title, objects_of
from xaiutils.sections.words import estimate, of_explainers, percent

METRIC_TITLES = {
    "iou": "IoU",
    "coverage": "coverage",
    "spill": "spill",
    "pointing_15": "pointing game",
}
# no colour of an explainer: dark and light, filled and hollow
KIND_LOOKS = dict(
    zip(
        KINDS,
        (("#222222", "o", True), ("#222222", "o", False), ("#8c6d46", "s", True),
         ("#8c6d46", "s", False)),
        strict=True,
    )
)  # fmt: skip
SEED = COLOURS["gradcam"]  # hollow the seed, filled what is trained on it, as in notebook 4
WHAT = {
    "seed": ("Grad-CAM's seed", SEED, "white"),
    "SAM": ("SAM's mask from it", "#777777", "#777777"),
    "trained": ("trained on such seeds", SEED, SEED),
}
GROUND_NAMES = {"pink": "1/f noise", "photo-sheep": "photograph"}
FACTOR_TITLES = {"eccentricity": "distance from centre", "scale": "size"}
EXAMPLES = (
    ("photo-koala", "grey", 0.3, 0.5, 0.4),
    ("photo-macaw", "gradient", 0.5, 0.5, 0.7),
    ("photo-panda", "pink", 0.65, 0.6, 0.5),
    ("photo-polar_bear", "photo-sheep", 0.4, 0.65, 0.55),
)


def colour(cue: str) -> str:
    return {"floor:random box": "#ccbb44"}.get(cue, COLOURS.get(cue, "#333333"))


def lines_of(cues: list[str], n: dict[str, int]) -> list[Line2D]:
    """Handles of a legend, with the objects that each cue was asked about."""
    return [
        Line2D([], [], color=colour(c), ls="--" if c in FLOORS else "-", marker="o", ms=4,
               label=f"{cue_title(c)} ({n[c]})")
        for c in cues
    ]  # fmt: skip


def curve(ax: Axes, part: pd.DataFrame, x: str, shift: float, cue: str) -> None:
    """Means with intervals along a factor."""
    part = part.sort_values(x)
    at = part[x].astype(float) + shift
    ax.plot(at, part["mean"], "--" if cue in FLOORS else "-", color=colour(cue), lw=1.3)
    ax.vlines(at, part["low"], part["high"], color=colour(cue), lw=1.0, alpha=0.7)
    ax.plot(at, part["mean"], "o", color=colour(cue), ms=3)


def examples(library: Library) -> Figure:
    """Four composites of bundled photographs with their exact masks outlined."""
    with style():
        figure, axes = panels(len(EXAMPLES), 1.95)
        for ax, (name, ground, x, y, scale) in zip(axes, EXAMPLES, strict=True):
            image, mask = place(library.ground(ground, 1), library.cutout(name), x, y, scale)
            picture(ax, image)
            outline(ax, mask)
            said = name.removeprefix("photo-").replace("_", " ")
            ax.set_title(f"{said}, {GROUND_NAMES.get(ground, ground)}")
        headline(figure, "Place, size and ground are chosen; the mask is exact")
        below(figure, "Cyan: the mask, where alpha is one half. Above each its object and its "
              "ground; objects and the last ground are cut from bundled photographs.")  # fmt: skip
    return figure


def place_and_size(by_place: pd.DataFrame, by_size: pd.DataFrame, text: str) -> Figure:
    """Four measures against eccentricity (above) and scale (below), a line a cue."""
    cues = in_order([*by_place["cue"], *by_size["cue"]])
    with style():
        figure, axes = plt.subplots(
            2, 4, figsize=(WIDTH, 5.2), dpi=DPI, layout="constrained", sharey=True
        )
        for row, (table, x) in zip(axes, ((by_place, "eccentricity"), (by_size, "scale"))):
            for ax, (metric, name) in zip(row, METRIC_TITLES.items()):
                for k, cue in enumerate(cues):
                    part = table[(table["cue"] == cue) & (table["metric"] == metric)]
                    curve(ax, part, x, 0.002 * (k - len(cues) / 2), cue)
                ax.set(xlabel=FACTOR_TITLES[x], ylim=(-0.03, 1.03))
                ax.set_title(name if table is by_place else "")
            row[0].set_ylabel("mean over objects")
        fell = _fall(by_place, "floor:centre box")
        rest = [_fall(by_place, cue) for cue in cues if cue not in FLOORS]
        headline(
            figure,
            f"IoU from the centre to the edge: centre box {fell:+.2f}, explainers "
            f"{min(rest):+.2f} to {max(rest):+.2f}".replace("-", "−"),
        )
        below(
            figure,
            "The same objects at every place and size; both in sides of the canvas, size by the "
            "longest side. Pointing game: share of maps whose maximum is on the object or within "
            "15 px of it. In brackets: objects that the cue was asked about. Bars: 95 % intervals. "
            f"{text}",
            lines_of(cues, objects_of(by_place)),
        )
    return figure


def _fall(table: pd.DataFrame, cue: str) -> float:
    part = table[(table["cue"] == cue) & (table["metric"] == "iou")].sort_values("eccentricity")
    return float(part["mean"].iloc[-1] - part["mean"].iloc[0])


def grounds(mass: pd.DataFrame, scores: pd.DataFrame, follows: pd.DataFrame, text: str) -> Figure:
    """Mass outside the object by cue and ground; the class's probability with and without it."""
    cues = in_order(mass["cue"].unique())
    with style():
        figure, axes = panels(3, 0.8 + 0.34 * len(cues), width_ratios=(2, 1.2, 1.2))
        for j, kind in enumerate(KINDS):
            part = mass[mass["kind"] == kind].set_index("cue").reindex(cues)
            y = np.arange(len(cues)) + 0.17 * (j - 1.5)
            shade, marker, full = KIND_LOOKS[kind]
            look = {"color": shade, "mfc": shade if full else "white", "ms": 4}
            axes[0].hlines(y, part["low"], part["high"], color=shade, lw=1.3)
            axes[0].plot(part["mean"], y, marker, label=f"{kind} ground", **look)
        n = objects_of(mass)
        axes[0].set_yticks(range(len(cues)), [f"{cue_title(c)} ({n[c]})" for c in cues])
        axes[0].set(ylim=(len(cues) - 0.5, -0.5), xlim=(0, 1), xlabel="share of mass outside")
        axes[0].grid(axis="x", color="#dddddd", lw=0.6)
        _probabilities(axes[1], scores)
        _changes(axes[2], follows)
        by = follows.set_index("change")["mean"]
        headline(
            figure,
            f"The class's logit: {by['object removed']:+.1f} without the object, "
            f"{by['ground swapped']:+.1f} on an unusual ground".replace("-", "−"),
        )
        handles, _ = axes[0].get_legend_handles_labels()
        below(figure, "The same object at the same place on four grounds. Left: share of the map's "
              "mass outside the object; in brackets the objects that the cue was asked about. "
              f"Middle and right: {int(follows['n'].max())} objects; logit of the object's class. "
              f"Bars: 95 % intervals. {text}", handles)  # fmt: skip
    return figure


def _probabilities(ax: Axes, scores: pd.DataFrame) -> None:
    for what, marker in (("with", "o"), ("without", "x")):
        part = scores[scores["what"] == what].set_index("kind").reindex(KINDS)
        ax.vlines(range(len(KINDS)), part["low"], part["high"], color="#333333", lw=1.5)
        ax.plot(range(len(KINDS)), part["mean"], marker, color="#333333", label=f"{what} object")
    ax.set_xticks(range(len(KINDS)), KINDS, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.5, len(KINDS) - 0.5)
    ax.set(ylim=(-0.02, 1), ylabel="probability of the object's class")
    ax.legend(fontsize=7.5, loc="upper right", handletextpad=0.2, borderaxespad=0)


def _changes(ax: Axes, follows: pd.DataFrame) -> None:
    ax.axvline(0, color="#999999", lw=0.8)
    ax.hlines(range(len(follows)), follows["low"], follows["high"], color="#333333", lw=2)
    ax.plot(follows["mean"], range(len(follows)), "o", color="#333333")
    ax.set_yticks(range(len(follows)), follows["change"])
    ax.set(ylim=(len(follows) - 0.5, -0.5), xlabel="change of the logit")


def company(by_iou: pd.DataFrame, by_mass: pd.DataFrame, text: str) -> Figure:
    """Class sensitivity of every cue, by IoU and by mass."""
    with style():
        figure, axes = panels(2, 0.8 + 0.28 * len(by_iou), sharey=True)
        names = ("IoU of the thresholded map", "share of the map's mass")
        for ax, table, name in zip(axes, (by_iou, by_mass), names):
            ax.axvline(0, color="#999999", lw=0.8)
            colours = [colour(c) for c in table["cue"]]
            ax.hlines(range(len(table)), table["low"], table["high"], colors=colours, lw=2)
            ax.scatter(table["mean"], range(len(table)), c=colours, s=30, zorder=3)
            ax.set(title=name, xlabel="object asked about minus the other")
            ax.grid(axis="x", color="#dddddd", lw=0.6)
        n = objects_of(by_iou)
        axes[0].set_yticks(range(len(by_iou)), [f"{cue_title(c)} ({n[c]})" for c in by_iou["cue"]])
        axes[0].set_ylim(len(by_iou) - 0.5, -0.5)
        rest = by_iou[~by_iou["cue"].isin(FLOORS)]
        best = rest.loc[rest["mean"].idxmax()]
        headline(
            figure,
            f"Asked about A, {of_explainers(rest['low'] > 0)} prefer it: {cue_title(best['cue'])} "
            f"{estimate(best['mean'], best['low'], best['high'], sign=True)} IoU",
        )
        below(figure, "Two objects of different classes; mean of both logits. In brackets: pairs "
              f"that the cue was asked about. Bars: 95 % intervals. {text}")  # fmt: skip
    return figure


def planted_bias(
    accuracy: pd.DataFrame, mass: pd.DataFrame, regions: pd.DataFrame | None, text: str
) -> Figure:
    """Accuracy, mass moved to the ground, and spill of what is grown from the seeds, by share."""
    cues = [c for c in in_order(mass["cue"].unique()) if c not in FLOORS]
    with style():
        figure, axes = panels(3, 3.2)
        for own, look in ((True, "-"), (False, "--")):
            part = accuracy[accuracy["own"] == own].sort_values("share")
            name = "own ground" if own else "other class's ground"
            axes[0].errorbar(
                part["share"], part["mean"],
                [part["mean"] - part["low"], part["high"] - part["mean"]],
                fmt="o" + look, color="#333333", ms=4, label=name,
                mfc="#333333" if own else "white",
            )  # fmt: skip
        axes[0].set(ylim=(-0.03, 1.03), ylabel="accuracy", title="the head")
        axes[0].legend(fontsize=7.5)
        for k, cue in enumerate(cues):
            curve(axes[1], mass[mass["cue"] == cue], "share", 0.4 * (k - len(cues) / 2), cue)
        axes[1].axhline(0, color="#999999", lw=0.8)
        axes[1].set(title="explainers", ylabel="change of mass on the ground")
        _spill(axes[2], regions)
        for ax in axes:
            ax.set_xlabel("own ground in training, %")
        right = accuracy.set_index(["share", "own"])["mean"]
        headline(
            figure,
            f"Planted bias: accuracy on the other ground falls from {percent(right[50, False])} to "
            f"{percent(right[100, False])}",
        )
        below(
            figure,
            "Held-out objects. Left: on their class's own ground and on the other's; middle "
            "(against the head at 50 %; in brackets: objects with a map that is not flat) and "
            "right: on their own. Bars and band: 95 % intervals; dotted: trained on exact masks. "
            f"{text}",
            lines_of(cues, objects_of(mass)),
        )
    return figure


def _spill(ax: Axes, regions: pd.DataFrame | None) -> None:
    ax.set(title="Grad-CAM's regions", ylabel="spill: share of the region that is ground")
    if regions is None or regions.empty:
        ax.text(0.5, 0.5, "not measured", ha="center", transform=ax.transAxes)
        return
    part = regions[regions["metric"] == "spill"]
    for what, (name, shade, face) in WHAT.items():
        rows = part[(part["what"] == what) & (part["share"] != "truth")]
        rows = rows.assign(share=rows["share"].astype(int)).sort_values("share")
        ax.errorbar(
            rows["share"], rows["mean"],
            [rows["mean"] - rows["low"], rows["high"] - rows["mean"]],
            fmt="o-", color=shade, mfc=face, ms=4, label=name,
        )  # fmt: skip
    truth = part[(part["what"] == "trained") & (part["share"] == "truth")]
    if len(truth):
        shade = COLOURS["ceiling:true box"]
        ax.axhspan(truth["low"].iloc[0], truth["high"].iloc[0], color=shade, alpha=0.2, lw=0)
        ax.axhline(truth["mean"].iloc[0], color=shade, ls=":")
    ax.set_ylim(-0.03, 1.03)
    ax.legend(fontsize=7.5, loc="center right")
