"""Section 5, seeds: does the quality of a seed limit the mask that is grown from it?

A *seed* is a map thresholded by Otsu; the *final* mask is what SAM, GrabCut or the random walker
makes of the map.
"""

import pandas as pd

from xaiutils.names import SEGMENTER_TITLES, in_order, title
from xaiutils.sections.correlation import LEVELS, correlations
from xaiutils.sections.cues import only, prompted
from xaiutils.sections.words import change, estimate, of_explainers, percent, possessive, rho_text
from xaiutils.statistics import summary

REFINERS = ("embedded_sam", "sam2", "grabcut", "random_walker")
LABEL_FREE = "agreement with SAM"  # IoU of the seed and of its own SAM mask: needs no ground truth


def seeds(localisation: pd.DataFrame, segmentation: pd.DataFrame) -> pd.DataFrame:
    """Seed IoU and final IoU of each explanation: sample, cue, seed, oracle, segmenter, final.

    `oracle` is the IoU at the best threshold for that very mask. Explainers only; SAM with the
    study's main prompting, GrabCut and the random walker with the dual regions.
    """
    part = only(localisation, ["explainer"])
    wide = part[part["metric"].isin(["iou", "iou_oracle"])].pivot(
        index=["sample", "cue"], columns="metric", values="value"
    )
    wide = wide.rename(columns={"iou": "seed", "iou_oracle": "oracle"}).reset_index()
    final = refined(segmentation).rename(columns={"iou": "final"})
    final = final[["sample", "cue", "segmenter", "final"]]
    table = wide.rename_axis(columns=None).merge(final, on=["sample", "cue"])
    return table[["sample", "cue", "seed", "oracle", "segmenter", "final"]]


def refined(segmentation: pd.DataFrame) -> pd.DataFrame:
    """SAM's masks with the main prompting, and those of GrabCut and the random walker."""
    grown = segmentation["segmenter"].isin(REFINERS[2:])
    return pd.concat([prompted(segmentation), segmentation[grown]])


def refiners_of(table: pd.DataFrame) -> list[str]:
    """SAM, GrabCut, random walker: those that the table of seeds has."""
    return [name for name in REFINERS if name in set(table["segmenter"])]


def seed_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of seed IoU and final IoU: segmenter, level, n, pairs, rho, low, high."""
    found = [
        correlations(table[table["segmenter"] == name], "seed", "final").assign(segmenter=name)
        for name in refiners_of(table)
    ]
    joined = pd.concat(found, ignore_index=True)
    return joined[["segmenter", "level", "n", "pairs", "rho", "low", "high"]]


def ceiling_table(table: pd.DataFrame) -> pd.DataFrame:
    """Is the seed a ceiling? A row a segmenter.

    Columns segmenter, pairs, above_seed and above_oracle (the share of pairs whose final mask is
    better than the seed, and than the best threshold could have made it), missed (seeds of IoU
    below 0.2: how many) and rescued (how many of these end above 0.5).
    """
    rows = []
    for name in refiners_of(table):
        part = table[table["segmenter"] == name].dropna(subset=["seed", "final"])
        poor = part[part["seed"] < 0.2]
        above = [(part["final"] > part[x]).mean() for x in ("seed", "oracle")]
        rows.append([name, len(part), *above, len(poor), int((poor["final"] > 0.5).sum())])
    columns = ["segmenter", "pairs", "above_seed", "above_oracle", "missed", "rescued"]
    return pd.DataFrame(rows, columns=columns)


def seed_sentence(table: pd.DataFrame, found: pd.DataFrame) -> str:
    """Correlations (of `seed_correlations`) and the broken ceiling, a line a segmenter (C20)."""
    found, said = found.set_index(["segmenter", "level"]), []
    for row in ceiling_table(table).itertuples():
        rho = {level: rho_text(found.loc[(row.segmenter, level)]) for level in LEVELS}
        text = (
            f"- **{SEGMENTER_TITLES[row.segmenter]}**: rank correlation **{rho['pooled']}** over "
            f"all pairs; {rho['across images']} across images for a given explainer; "
            f"{rho['across explainers']} across explainers for a given image. The final mask is "
            f"better than its seed in {percent(row.above_seed)} of {row.pairs} pairs, and better "
            f"than any threshold of the map in {percent(row.above_oracle)}."
        )
        if row.missed:
            text += (
                f" Of the {row.missed} seeds with an IoU below 0.2, {row.rescued} end above 0.5."
            )
        said.append(text)
    return "\n".join(said)


# Refinement as a test of the seeds


def refinement(table: pd.DataFrame) -> pd.DataFrame:
    """Final minus seed IoU, paired: cue, segmenter, n, undefined, mean, low, high."""
    gain = table.assign(gain=table["final"] - table["seed"])
    found = summary(gain, ["segmenter", "cue"], "gain")
    place = {name: i for i, name in enumerate(refiners_of(table))}
    order = {cue: i for i, cue in enumerate(in_order(table["cue"].unique()))}
    return found.sort_values(
        ["segmenter", "cue"], key=lambda x: x.map(place if x.name == "segmenter" else order)
    ).reset_index(drop=True)


def refinement_sentence(found: pd.DataFrame) -> str:
    """For how many explainers each refinement gains or loses, a line a segmenter."""
    said = []
    for name, part in found.groupby("segmenter", sort=False):
        best = part.loc[part["mean"].idxmax()]
        better, worse = of_explainers(part["low"] > 0), of_explainers(part["high"] < 0)
        said.append(
            f"- **{SEGMENTER_TITLES[name]}**: **{estimate(part['mean'].mean(), sign=True)}** on "
            f"average over the explainers; clearly better for {better}, "
            f"clearly worse for {worse}; the largest gain is "
            f"{possessive(title(best['cue']))} ({change(best)})."
        )
    return "\n".join(said)


def label_free(proxy: pd.DataFrame) -> pd.DataFrame:
    """IoU of each seed with its own SAM mask, which needs no ground truth: sample, cue, value.

    From coverage c and spill s against that mask: 1 / IoU = 1 / c + 1 / (1 - s) - 1.
    """
    own = only(proxy, ["explainer"])
    own = own[own["reference"] == "own proxy"].reset_index(drop=True)
    c, kept = own["coverage"], 1 - own["spill"]
    value = (c * kept / (c + kept - c * kept)).where((c > 0) & (kept > 0), 0.0)
    value = value.where(c.notna() & kept.notna())
    return own[["sample", "cue"]].assign(value=value)


def ranking(table: pd.DataFrame, proxy: pd.DataFrame) -> pd.DataFrame:
    """Mean IoU of each explainer as a seed, after each refinement, and label-free: rows cues.

    Columns seed, the refiners' names, and the label-free agreement. Best seed first.
    """
    means = table.groupby("cue", observed=True)["seed"].mean().to_frame()
    for name in refiners_of(table):
        means[name] = table[table["segmenter"] == name].groupby("cue")["final"].mean()
    means[LABEL_FREE] = label_free(proxy).groupby("cue")["value"].mean()
    return means.sort_values("seed", ascending=False, kind="stable")


def ranking_correlations(
    table: pd.DataFrame, found: pd.DataFrame, proxy: pd.DataFrame, level: str = "of the means"
) -> pd.DataFrame:
    """Does the refined mask order the explainers as the seeds' true IoU does? By segmenter.

    Columns segmenter, rho, low, high: the rows of `seed_correlations` at one level, and one for the
    label-free agreement, which is correlated with the true IoU of the seeds.
    """
    true = table[["sample", "cue", "seed"]].drop_duplicates(["sample", "cue"])
    pairs = label_free(proxy).merge(true, on=["sample", "cue"])
    free = correlations(pairs, "value", "seed").assign(segmenter=LABEL_FREE)
    rows = pd.concat([found, free])
    rows = rows[rows["level"] == level][["segmenter", "rho", "low", "high"]]
    return rows.reset_index(drop=True)


def ranking_sentence(found: pd.DataFrame, order: pd.DataFrame) -> str:
    """The rank correlations in words, and who is first and last (C23)."""
    said = [f"As seeds, {title(order.index[0])} is first and {title(order.index[-1])} last."]
    for row in found.itertuples():
        ranks = order[row.segmenter].dropna()
        name = SEGMENTER_TITLES.get(row.segmenter, row.segmenter)
        said.append(
            f"- {name}: rank correlation with the seeds' order "
            f"**{estimate(row.rho, row.low, row.high)}**; first {title(ranks.idxmax())}, last "
            f"{title(ranks.idxmin())}."
        )
    return "\n".join([said[0] + "\n", *said[1:]])
