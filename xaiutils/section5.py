"""Section 5 in tables and sentences: what a flawed seed does to the mask that is grown from it.

A *seed* is a map thresholded by Otsu; the *final* mask is what SAM, GrabCut or the random walker
makes of the map. Pure functions of a study's tidy tables, except `mask_agreement` and
`fixed_threshold`, which read stored masks and maps.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from xaiutils.correlation import LEVELS, correlations
from xaiutils.errors import InputError
from xaiutils.maps import threshold
from xaiutils.metrics.localisation import iou
from xaiutils.names import SEGMENTER_TITLES, in_order, title
from xaiutils.section4 import (
    explainers_of,
    kind,
    main_prompting,
    only,
    prompted,
    prompting_means,
    proxy_segmenter,
)
from xaiutils.statistics import mean_interval, summary
from xaiutils.study import Study
from xaiutils.verdicts import (
    count,
    estimate,
    not_tested,
    percent,
    possessive,
    verdict,
    verdict_table,
)

REFINERS = ("embedded_sam", "sam2", "grabcut", "random_walker")
FIGURE4 = ("gradcam", "scorecam", "ig", "lime")  # one of each family; the paper names none
LABEL_FREE = "agreement with SAM"  # IoU of the seed and of its own SAM mask: needs no ground truth


def four(cues) -> list[str]:
    """At most four explainers, one of each family first, in the paper's order."""
    single = [cue for cue in in_order(cues) if kind(cue) == "explainer"]
    chosen = [cue for cue in FIGURE4 if cue in single]
    return in_order([*chosen, *(cue for cue in single if cue not in chosen)][:4])


# Figure 4: do the refined masks agree?


def mask_agreement(study: Study) -> pd.DataFrame:
    """Pairwise IoU of the SAM masks of explainers, for each image.

    Columns sample, a, b, value; pairs in the paper's order; NaN where one of the two is undefined.
    No rows where the study is stored without its masks.
    """
    segmentation = study.table("segmentation")
    segmenter, prompting = proxy_segmenter(segmentation), main_prompting(segmentation)
    cues, rows = explainers_of(segmentation), []
    for id in study.sample_ids if study.has_arrays else []:
        masks = {cue: _mask(study, id, cue, prompting, segmenter) for cue in cues}
        for a, b in combinations(cues, 2):
            defined = masks[a] is not None and masks[b] is not None
            rows.append([id, a, b, iou(masks[a], masks[b]) if defined else np.nan])
    return pd.DataFrame(rows, columns=["sample", "a", "b", "value"])


def _mask(study: Study, id: str, cue: str, prompting: str, segmenter: str) -> np.ndarray | None:
    try:
        return study.mask(id, cue, prompting, segmenter)
    except InputError:  # a flat map prompts nothing
        return None


def agreement_change(maps: pd.DataFrame, masks: pd.DataFrame) -> pd.DataFrame:
    """Pairwise IoU of maps and of masks: a row a pair with a, b, maps, masks (means over images).

    `maps` is the study's agreement table, `masks` what `mask_agreement` gives.
    """
    maps = maps[maps["metric"] == "iou"]
    found = [t.groupby(["a", "b"], sort=False)["value"].mean() for t in (maps, masks)]
    return pd.concat(found, axis=1, keys=["maps", "masks"]).reset_index()


def agreement_sentence(maps: pd.DataFrame, masks: pd.DataFrame) -> str:
    """Mean pairwise IoU before and after SAM, with intervals over images (C25)."""
    both = maps[maps["metric"] == "iou"], masks
    each = [table.groupby("sample", sort=False)["value"].mean() for table in both]
    before, after, change = map(mean_interval, (*each, each[1] - each[0]))
    pairs = agreement_change(maps, masks).dropna(subset=["masks"])
    if pairs.empty:
        return "The masks of this study are not stored, so their agreement cannot be told."
    low, high = pairs.loc[pairs["masks"].idxmin()], pairs.loc[pairs["masks"].idxmax()]
    return (
        f"Two explainers' thresholded maps overlap with an IoU of {estimate(*before)} on average; "
        f"their SAM masks with **{estimate(*after)}** (change {estimate(*change, sign=True)}). The "
        f"masks of {title(low['a'])} and {title(low['b'])} agree least ({low['masks']:.2f}), those "
        f"of {title(high['a'])} and {title(high['b'])} most ({high['masks']:.2f})."
    )


def disagreement(masks: pd.DataFrame, cues: list[str]) -> pd.Series:
    """Mean pairwise IoU of the masks of some explainers, by sample, lowest first."""
    part = masks[masks["a"].isin(cues) & masks["b"].isin(cues)]
    return part.groupby("sample", sort=False)["value"].mean().dropna().sort_values(kind="stable")


# Seed quality limits segmentation


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
    refined = pd.concat(
        [prompted(segmentation), segmentation[segmentation["segmenter"].isin(REFINERS[2:])]]
    )
    final = refined[["sample", "cue", "segmenter", "iou"]].rename(columns={"iou": "final"})
    table = wide.rename_axis(columns=None).merge(final, on=["sample", "cue"])
    return table[["sample", "cue", "seed", "oracle", "segmenter", "final"]]


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
        rho = {level: _rho(found.loc[(row.segmenter, level)]) for level in LEVELS}
        text = (
            f"- **{SEGMENTER_TITLES[row.segmenter]}**: rank correlation **{rho['pooled']}** over "
            f"all pairs; {rho['across images']} across images for a given explainer; "
            f"{rho['across explainers']} across explainers for a given image. The final mask is "
            f"better than its seed in {percent(row.above_seed)} of {row.pairs} pairs, and better "
            f"than any threshold of the map in {percent(row.above_oracle)}."
        )
        if row.missed:
            text += f" Seeds with an IoU below 0.2: {row.missed}; of these end above 0.5: "
            text += f"{row.rescued}."
        said.append(text)
    return "\n".join(said)


def _rho(row: pd.Series) -> str:
    return estimate(row["rho"], row["low"], row["high"])


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
        best, n = part.loc[part["mean"].idxmax()], len(part)
        better, worse = int((part["low"] > 0).sum()), int((part["high"] < 0).sum())
        gain = estimate(best["mean"], best["low"], best["high"], sign=True)
        said.append(
            f"- **{SEGMENTER_TITLES[name]}**: **{estimate(part['mean'].mean(), sign=True)}** on "
            f"average over the explainers; clearly better for {count(better, n, 'explainers')}, "
            f"clearly worse for {count(worse, n, 'explainers')}; the largest gain is "
            f"{possessive(title(best['cue']))} ({gain})."
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


# Over-reliance on heuristics


def fixed_threshold(study: Study, level: float = 0.5) -> pd.DataFrame:
    """IoU of every explainer's map thresholded at a fixed level of [0, 1]: sample, cue, value.

    NaN for a flat map; no rows where the study is stored without its maps.
    """
    cues, rows = explainers_of(study.table("localisation")), []
    for id in study.sample_ids if study.has_arrays else []:
        sample = study.sample(id)
        for cue in cues:
            map = study.saliency(id, cue)
            defined = np.isfinite(map).all()
            found = iou(threshold(map, level), sample.mask, sample.void) if defined else np.nan
            rows.append([id, cue, found])
    return pd.DataFrame(rows, columns=["sample", "cue", "value"])


def threshold_rules(localisation: pd.DataFrame, fixed: pd.DataFrame) -> pd.DataFrame:
    """IoU of the maps under each threshold rule: rule, cue, n, undefined, mean, low, high.

    Rules: "fixed 0.5" (where `fixed_threshold` found maps), "Otsu", and "oracle", the best
    threshold for each image, which has seen the answer.
    """
    part = only(localisation, ["explainer"])
    tables = {"fixed 0.5": fixed} if len(fixed) else {}
    tables["Otsu"] = part[part["metric"] == "iou"]
    tables["oracle"] = part[part["metric"] == "iou_oracle"]
    rows = [summary(table, "cue").assign(rule=rule) for rule, table in tables.items()]
    order = {cue: i for i, cue in enumerate(in_order(part["cue"].unique()))}
    joined = pd.concat(rows, ignore_index=True)
    joined = joined.sort_values("cue", key=lambda x: x.map(order), kind="stable")
    return joined[["rule", "cue", "n", "undefined", "mean", "low", "high"]].reset_index(drop=True)


def choices(rules: pd.DataFrame, segmentation: pd.DataFrame) -> pd.DataFrame:
    """How far each choice moves the mean IoU: choice, options, best, worst, range (best - worst).

    Explainer, threshold rule (without the oracle), prompting and refinement, each with the others
    at their defaults (Otsu, main prompting, SAM) and averaged over what is not chosen.
    """
    masks = only(prompted(segmentation), ["explainer"])
    prompts = prompting_means(segmentation).set_index("prompting")["mean"]
    rule = rules[rules["rule"] != "oracle"].groupby("rule", sort=False)["mean"].mean()
    growers = segmentation[segmentation["segmenter"].isin(REFINERS[2:])]
    growers = pd.concat([masks, only(growers, ["explainer"])])
    options = {
        "explainer (SAM mask)": masks.groupby("cue")["iou"].mean().rename(index=title),
        "explainer (thresholded map)": rules[rules["rule"] == "Otsu"]
        .set_index("cue")["mean"]
        .rename(index=title),
        "prompting (SAM mask)": prompts.drop("otsu", errors="ignore"),
        "refinement of the same cues": growers.groupby("segmenter")["iou"]
        .mean()
        .rename(index=SEGMENTER_TITLES),
        "threshold rule (thresholded map)": rule,
    }
    rows = []
    for choice, means in options.items():
        means = means.dropna()
        if len(means) > 1:
            ends = [means.idxmax(), means.idxmin(), means.max() - means.min()]
            rows.append([choice, len(means), *ends])
    return pd.DataFrame(rows, columns=["choice", "options", "best", "worst", "range"])


def choices_sentence(found: pd.DataFrame, rules: pd.DataFrame) -> str:
    """The choices in words, and what the oracle threshold adds to Otsu's."""
    said = [
        f"- {row.choice}: **{row.range:.2f}** between the best ({row.best}) and the worst "
        f"({row.worst}) of {row.options}"
        for row in found.sort_values("range", ascending=False).itertuples()
    ]
    means = rules.groupby("rule")["mean"].mean()
    lost = means["oracle"] - means["Otsu"]
    said.append(
        f"\nThe best threshold for each image, which nobody knows in advance, would add "
        f"**{lost:.2f}** to Otsu's mean IoU of {means['Otsu']:.2f}."
    )
    return "\n".join(said)


# Object size


def sizes(
    samples: pd.DataFrame, localisation: pd.DataFrame, segmentation: pd.DataFrame
) -> pd.DataFrame:
    """Each image's share of object pixels and its IoU averaged over explainers.

    Columns sample, object_share, seed (Otsu), final (SAM).
    """
    part = only(localisation[localisation["metric"] == "iou"], ["explainer"])
    seed = part.groupby("sample")["value"].mean().rename("seed")
    final = only(prompted(segmentation), ["explainer"]).groupby("sample")["iou"].mean()
    table = samples.set_index("sample")[["object_share"]]
    return table.join(seed).join(final.rename("final")).reset_index()


def size_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of object size with seed and final IoU: of, n, rho, low, high."""
    rows = []
    for of in ("seed", "final"):
        pairs = table[["sample", "object_share", of]].assign(cue="all")
        found = correlations(pairs, "object_share", of).iloc[0]
        rows.append([of, found["n"], found["rho"], found["low"], found["high"]])
    return pd.DataFrame(rows, columns=["of", "n", "rho", "low", "high"])


def size_sentence(table: pd.DataFrame) -> str:
    """Do small objects fare worse? Rank correlations and the halves of the images."""
    seed, final = (row for _, row in size_correlations(table).iterrows())
    small = table["object_share"] <= table["object_share"].median()
    halves = [table.loc[half, "final"].mean() for half in (small, ~small)]
    return (
        f"The rank correlation of object size and IoU is **{_rho(seed)}** for the thresholded maps "
        f"and **{_rho(final)}** for the SAM masks. SAM masks of the smaller half of the objects "
        f"have a mean IoU of {halves[0]:.2f}, those of the larger half {halves[1]:.2f}."
    )


# Verdicts


def verdicts(
    table: pd.DataFrame,
    found: pd.DataFrame,
    proxy: pd.DataFrame,
    masks: pd.DataFrame,
) -> pd.DataFrame:
    """Claims C20 to C25 as far as this study goes: a direction at most.

    `table` is that of `seeds`, `found` of `seed_correlations`, `masks` of `mask_agreement`
    (no rows where masks are not stored). Clear disagreement is read as a pairwise IoU below 0.7:
    our choice.
    """
    sam, rows = refiners_of(table)[0], []
    for level in ("across images", "across explainers"):
        row = found.set_index(["segmenter", "level"]).loc[(sam, level)]
        rho = row["rho"], row["low"], row["high"], int(row["n"])
        measured = f"rank correlation {LEVELS[level]}, {SEGMENTER_TITLES[sam]}"
        rows.append(verdict("C20", "seed IoU predicts final IoU", measured, rho, 0))
    gain = table[table["segmenter"] == sam].assign(gain=lambda t: t["final"] - t["seed"])
    mean = gain.groupby("sample")["gain"].mean().dropna()
    says, measured = "the seed is a ceiling", f"final minus seed, {SEGMENTER_TITLES[sam]}"
    rows.append(verdict("C20", says, measured, (*mean_interval(mean), len(mean)), at_most=0))
    training = "needs a segmenter trained on the seeds"
    rows.append(not_tested("C21", "bias in the seeds is inherited and amplified", training))
    rows.append(not_tested("C22", "without feedback flawed labels are overfitted", training))
    says = "refining seeds tells useful explanations from useless ones"
    for row in ranking_correlations(table, found, proxy, "across explainers").itertuples():
        if row.segmenter not in REFINERS[:2]:
            name = SEGMENTER_TITLES.get(row.segmenter, row.segmenter)
            rho = row.rho, row.low, row.high, table["sample"].nunique()
            measured = f"rank correlation across explainers, {name}"
            rows.append(verdict("C23", says, measured, rho, 0))
    says, measured = (
        "masks from different explainers disagree clearly",
        "mean pairwise IoU (clearly: below 0.7)",
    )
    if masks["value"].isna().all():
        rows.append(not_tested("C25", says, "the masks are not stored"))
    else:
        each = masks.groupby("sample")["value"].mean().dropna()
        rows.append(verdict("C25", says, measured, (*mean_interval(each), len(each)), at_most=0.7))
    return verdict_table(rows)
