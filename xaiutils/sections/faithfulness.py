"""Faithfulness, stability, randomisation and texture in tables and sentences.

Completeness of a map here is how much of the object it covers; faithfulness is how much the
classifier depends on what it marks. The completeness *axiom* of attributions is a third thing, and
has its own table (`axiom`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xaiutils.explainers import EXPLAINERS
from xaiutils.names import in_order, title
from xaiutils.sections.words import count, estimate, number, percent
from xaiutils.statistics import FEWEST, mean_interval, summary

CONTROLS = {
    "control:random pixels": "Control: random pixels",
    "control:random blobs": "Control: random blobs",
    "control:centre": "Control: centre",
}
STAGES = ("trained", "head", "top quarter", "top half", "all")


def name(cue: str) -> str:
    """The printed name of a cue or a control."""
    return CONTROLS.get(cue, title(cue))


def gaps(faithfulness: pd.DataFrame) -> pd.DataFrame:
    """Insertion minus deletion of every map, as rows sample, cue, metric "gap", value.

    One number for faithfulness: 0 for a map that the classifier does not care about, at most 1.
    """
    part = faithfulness[faithfulness["metric"].isin(["insertion", "deletion"])]
    wide = part.pivot(index=["sample", "cue"], columns="metric", values="value")
    gap = (wide["insertion"] - wide["deletion"]).rename("value").reset_index()
    return gap.assign(metric="gap")[["sample", "cue", "metric", "value"]]


def curves(faithfulness: pd.DataFrame) -> pd.DataFrame:
    """n, undefined, mean, low, high of deletion, insertion and gap of every cue, in order."""
    areas = faithfulness[faithfulness["metric"].isin(["insertion", "deletion"])]
    return _ordered(summary(pd.concat([areas, gaps(faithfulness)]), ["cue", "metric"]), "cue")


def _ordered(table: pd.DataFrame, by: str) -> pd.DataFrame:
    place = {cue: i for i, cue in enumerate(in_order(table[by]))}
    return table.sort_values(by, key=lambda cues: cues.map(place), kind="stable", ignore_index=True)


def completeness_and_faithfulness(
    localisation: pd.DataFrame, faithfulness: pd.DataFrame
) -> pd.DataFrame:
    """Coverage of the object beside the gap, a row an explainer or fusion, on the same samples.

    Columns cue, n; coverage, coverage_low, coverage_high; gap, gap_low, gap_high.
    """
    cover = localisation[localisation["metric"] == "coverage"]
    both = cover.merge(gaps(faithfulness), on=["sample", "cue"], suffixes=("", "_gap"))
    both = both[["cue", "value", "value_gap"]].dropna()
    rows = []
    for cue in in_order(both["cue"]):
        part = both[both["cue"] == cue]
        numbers = *mean_interval(part["value"]), *mean_interval(part["value_gap"])
        rows.append([cue, len(part), *numbers])
    columns = ["coverage", "coverage_low", "coverage_high", "gap", "gap_low", "gap_high"]
    return pd.DataFrame(rows, columns=["cue", "n", *columns])


def completeness_title(table: pd.DataFrame) -> str:
    """Whether the map that covers most is the one that the classifier depends on most."""
    single = table[table["cue"].isin(EXPLAINERS)].dropna()
    if single.empty:
        return "Coverage of the object against faithfulness"
    whole = single.loc[single["coverage"].idxmax(), "cue"]
    true = single.loc[single["gap"].idxmax(), "cue"]
    if whole == true:
        return f"{title(whole)} covers most of the object and has the highest insertion − deletion"
    return (
        f"{title(whole)} covers most of the object, {title(true)} has the highest insertion − "
        "deletion"
    )


def faithfulness_title(table: pd.DataFrame) -> str:
    """The range of the gap over explainers, and the best control's; `table` is that of `curves`."""
    gap = table[table["metric"] == "gap"].dropna(subset="mean").set_index("cue")["mean"]
    single, controls = gap[gap.index.isin(EXPLAINERS)], gap[gap.index.isin(CONTROLS)]
    if single.empty:
        return "How much the classifier depends on what the maps mark"
    low, high = single.idxmin(), single.idxmax()
    text = (
        f"Insertion minus deletion: {number(single[low])} ({title(low)}) to {number(single[high])} "
        f"({title(high)})"
    )
    if len(controls):
        text += f"; the best control has {number(controls.max())}"
    return text


def faithfulness_sentence(table: pd.DataFrame) -> str:
    """Best and worst by the gap, and the controls; `table` is that of `curves`."""
    gap = table[table["metric"] == "gap"].set_index("cue")
    single = gap[gap.index.isin(EXPLAINERS)].dropna(subset="mean")
    if single.empty:
        return "No map has a defined deletion or insertion curve."
    best, worst = single["mean"].idxmax(), single["mean"].idxmin()
    said = [
        f"- Insertion minus deletion is highest for {title(best)}, {_row(single.loc[best])}, and "
        f"lowest for {title(worst)}, {_row(single.loc[worst])} (n = {int(single['n'].max())})."
    ]
    for cue in CONTROLS:
        if cue in gap.index:
            beaten = single["low"] > gap.loc[cue, "high"]
            rest = ", ".join(map(title, single.index[~beaten]))
            said.append(
                f"- {CONTROLS[cue]}: {_row(gap.loc[cue])}; its interval lies wholly below that of "
                f"{count(int(beaten.sum()), len(single), 'explainers')}"
                f"{f' (not of {rest})' if rest else ''}."
            )
    return "\n".join(said)


def _row(row: pd.Series) -> str:
    return estimate(row["mean"], row["low"], row["high"])


# The completeness axiom


def axiom(faithfulness: pd.DataFrame) -> pd.DataFrame:
    """How far each explainer's attributions are from summing to the score difference.

    Columns cue, n, mean, low, high, median, worst of |sum - difference| / |difference|. It is 0
    for a complete attribution; where a method's values are no scores, only its size says so.
    """
    part = faithfulness[faithfulness["metric"].isin(["attribution_sum", "score_difference"])]
    wide = part.pivot(index=["sample", "cue"], columns="metric", values="value")
    if wide.empty:
        return pd.DataFrame(columns=["cue", "n", "mean", "low", "high", "median", "worst"])
    difference = wide["score_difference"]
    error = ((wide["attribution_sum"] - difference) / difference).abs()
    rows = []
    for cue in in_order(error.index.get_level_values("cue")):
        values = error.xs(cue, level="cue").replace(np.inf, np.nan).dropna()
        rows.append([cue, len(values), *mean_interval(values), values.median(), values.max()])
    return pd.DataFrame(rows, columns=["cue", "n", "mean", "low", "high", "median", "worst"])


def completeness_error(completeness: pd.DataFrame) -> dict[int, pd.Series]:
    """Relative error of the axiom for Integrated Gradients, by its number of steps, by image.

    completeness: the table of the analysis of that name.
    """
    error = completeness["attribution_sum"] - completeness["score_difference"]
    error = (error / completeness["score_difference"]).abs().replace(np.inf, np.nan)
    table = completeness.assign(error=error)
    return {int(steps): part.set_index("sample")["error"] for steps, part in table.groupby("steps")}


def steps_sentence(completeness: pd.DataFrame) -> str:
    """How the error of Integrated Gradients falls with the number of steps."""
    each = {
        steps: mean_interval(error) for steps, error in completeness_error(completeness).items()
    }
    said = ", ".join(f"{percent(*found)} with {steps} steps" for steps, found in each.items())
    n = completeness["sample"].nunique()
    return (
        f"The axiom is the integral's; a sum over few steps misses it by itself. Integrated "
        f"Gradients is off by {said} (n = {n})."
    )


def axiom_sentence(table: pd.DataFrame) -> str:
    """Integrated Gradients and KernelSHAP, which promise completeness, and the next best."""
    table = table.set_index("cue")
    said = []
    for cue in ("ig", "kernelshap"):
        if cue in table.index:
            r = table.loc[cue]
            said.append(
                f"- {title(cue)}: the sum misses the score difference by "
                f"{percent(r['mean'], r['low'], r['high'])} on average, {percent(r['median'])} in "
                f"the median, {percent(r['worst'])} at worst (n = {int(r['n'])})."
            )
    rest = table.drop(index=["ig", "kernelshap"], errors="ignore").dropna(subset="median")
    if len(rest):
        near = rest["median"].idxmin()
        said.append(
            f"- None of the others promises it; the nearest, {title(near)}, misses by "
            f"{percent(rest.loc[near, 'median'])} in the median."
        )
    return "\n".join(said) or "No explainer's attributions were summed."


# Stability


def measured(table: pd.DataFrame, metric: str, by: str = "explainer") -> pd.DataFrame:
    """n, undefined, mean, low, high of one metric for every explainer, in order."""
    return _ordered(summary(table[table["metric"] == metric], by), by)


def stability_title(stability: pd.DataFrame) -> str:
    """The most and the least sensitive explainer, of those on `FEWEST` images where there are."""
    found = measured(stability, "max_sensitivity").dropna(subset="mean").set_index("explainer")
    if found.empty:
        return "Stability of the maps"
    found = found if found["n"].max() < FEWEST else found[found["n"] >= FEWEST]
    least, most = found["mean"].idxmin(), found["mean"].idxmax()
    return (
        f"Noise of 2 % of the input's range moves {title(least)} by "
        f"{percent(found['mean'][least])} and "
        f"{title(most)} by {percent(found['mean'][most])} of the map{_few(found['n'].max())}"
    )


def _few(n: int) -> str:
    """What a title adds where n images decide nothing."""
    return "" if n >= FEWEST else f" (n = {n:.0f}: a direction at most)"


def stability_sentence(stability: pd.DataFrame) -> str:
    """Noise, seeds and augmentation in turn."""
    said = []
    noise = measured(stability, "max_sensitivity").dropna(subset="mean").set_index("explainer")
    if len(noise):
        most = noise["mean"].idxmax()
        over = int((noise["mean"] > 1).sum())
        said.append(
            f"- Under invisible noise {title(most)} changes most: max-sensitivity "
            f"{_row(noise.loc[most])}, n = {int(noise.loc[most, 'n'])}; "
            f"by more than the map's own size: {count(over, len(noise), 'explainers')}."
        )
    seeds = measured(stability, "seed_correlation").dropna(subset="mean").set_index("explainer")
    drawing = seeds[seeds["mean"] < 1 - 1e-6]
    for cue, row in drawing.iterrows():
        said.append(
            f"- {title(cue)} with another seed: rank correlation {_row(row)} with itself, "
            f"n = {int(row['n'])}."
        )
    if len(seeds) > len(drawing):
        said.append(
            f"- Explainers that draw nothing at random, so that the seed does not matter: "
            f"{len(seeds) - len(drawing)}."
        )
    return "\n".join(said) or "Stability was not measured."


# Randomisation


def randomised(randomisation: pd.DataFrame, metric: str = "spearman") -> pd.DataFrame:
    """n, undefined, mean, low, high for each explainer and stage, stages in order."""
    part = randomisation[randomisation["metric"] == metric]
    table = summary(part, ["explainer", "stage"])
    place = {stage: i for i, stage in enumerate(STAGES)}
    table = table.sort_values("stage", key=lambda s: s.map(place), kind="stable")
    return _ordered(table, "explainer")


def unmoved(table: pd.DataFrame, stage: str = "all") -> list[str]:
    """Explainers whose correlation with the trained network's map is surely above zero at a stage;
    `table` is that of `randomised`."""
    part = table[(table["stage"] == stage) & (table["low"] > 0)]
    return in_order(part["explainer"])


def randomisation_title(table: pd.DataFrame) -> str:
    """How many maps still look like the trained network's when nothing is left of it; on few
    images, how few."""
    total = table["explainer"].nunique()
    kept = count(len(unmoved(table)), total, "explainers")
    few = _few(table["n"].max())
    return (
        f"With all weights randomised, {kept} still correlate with the trained network's map{few}"
    )


def randomisation_sentence(table: pd.DataFrame) -> str:
    """Each explainer from trained to random, in words."""
    said = []
    for cue in in_order(table["explainer"]):
        part = table[table["explainer"] == cue].set_index("stage")
        if {"trained", "all"} <= set(part.index):
            said.append(
                f"- {title(cue)}: {_row(part.loc['trained'])} with the trained network again, "
                f"{_row(part.loc['all'])} with all weights randomised, "
                f"n = {int(part.loc['all', 'n'])}."
            )
    return "\n".join(said) or "Randomisation was not measured."


# Texture

CLAIMED = (  # metric, explainer that the paper names, explainers it is held against, words
    ("grid_edges", "occlusion", None, "edges on Occlusion's grid"),
    ("border_share", "scorecam", None, "mass in the outer 5 % of the image"),
    ("high_frequency", "vargrad", ("ig",), "spectral power in periods below 8 pixels"),
    ("total_variation", "occlusion", None, "total variation"),
)


def texture_sentence(texture: pd.DataFrame) -> str:
    """The paper's words on texture, each with the number of the method it names and the others'."""
    said = []
    for metric, cue, others, words in CLAIMED:
        found = measured(texture, metric).dropna(subset="mean").set_index("explainer")
        found = found[found.index.isin(EXPLAINERS)]
        if cue in found.index and len(found) > 1:
            rest = found.drop(index=cue)
            rest = rest.loc[rest.index.isin(others or rest.index)]
            said.append(
                f"- {title(cue)}, {words}: {estimate(*_three(found.loc[cue]))}, "
                f"n = {int(found.loc[cue, 'n'])}; {_against(rest)}."
            )
    return "\n".join([*said, *_superpixels(texture)]) or "Texture was not measured."


def _three(row: pd.Series) -> Sequence[float]:
    return row["mean"], row["low"], row["high"]


def _against(rest: pd.DataFrame) -> str:
    if len(rest) == 1:
        return f"{title(rest.index[0])} {_row(rest.iloc[0])}"
    low, high = rest["mean"].idxmin(), rest["mean"].idxmax()
    if number(rest["mean"][low]) == number(rest["mean"][high]):
        return f"all others {number(rest['mean'][low])}"
    return (
        f"the others from {rest['mean'][low]:.2f} ({title(low)}) to {rest['mean'][high]:.2f} "
        f"({title(high)})"
    )


def _superpixels(texture: pd.DataFrame) -> list[str]:
    part = texture[texture["explainer"] == "superpixels"]
    if part.empty:
        return []
    rows = summary(part, "metric").set_index("metric")
    return [
        f"- Superpixels of LIME and KernelSHAP: {_row(rows.loc['boundary_recall'])} of the "
        f"object's border lies within 2 px of one of theirs (a blind line would find "
        f"{rows.loc['boundary_chance', 'mean']:.2f}); the best union of whole superpixels has IoU "
        f"{_row(rows.loc['best_iou'])}, n = {int(rows.loc['best_iou', 'n'])}."
    ]
