"""Section 3 in tables and sentences: pairs of explainers, fusions, and signs of trust."""

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from xaiutils.names import in_order, title
from xaiutils.sections.correlation import reading
from xaiutils.sections.cues import singles
from xaiutils.sections.failure_modes import effective_area
from xaiutils.sections.words import percent, quote, signed, signed_interval
from xaiutils.statistics import mean_interval, paired_difference, summary

CAMS = ("gradcam", "gradcam++", "scorecam", "fasterscorecam")
PRINTED_PAIR = 0.4  # section 3: Grad-CAM and LIME "often below 0.4" IoU on VOC
PRINTED_GAIN = 0.06  # section 3: fusion exceeds any single explainer by "+6 mIoU" or more


# Pairwise agreement


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
            f"all other pairs {iou[~inner]['mean'].mean():.2f}; at 1 the family would be one vote."
        )
    return "\n".join(said)


# Fusions


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


def weight_table(weights: pd.DataFrame, fusion: str = "weighted") -> pd.DataFrame:
    """Weights of one fusion: a row an image, a column an explainer in the paper's order.

    The study's first fusion where it has not the one asked for.
    """
    present = weights["fusion"].unique().tolist()
    part = weights[weights["fusion"] == (fusion if fusion in present else (present or [""])[0])]
    wide = part.pivot(index="sample", columns="explainer", values="weight")
    return wide[in_order(wide.columns)].rename_axis(index=None, columns=None)


def weight_title(wide: pd.DataFrame) -> str:
    """How many explainers get more than an equal share, and what they hold together."""
    mean = wide.mean()
    above = mean[mean > 1 / len(mean)]
    return f"{len(above)} of {len(mean)} explainers hold {percent(above.sum())} of the weight"


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
        f"{percent(above.sum())} of the weight, the mean over n = {len(wide)} photographs.",
        f"- The weights are worth {quote(*mean_interval(number))} maps of equal weight "
        "(1 over the sum of their squares).",
    ]
    widest = (wide.max() - wide.min()).idxmax()
    said.append(
        f"- The weight that moves most between photographs is that of {title(widest)}: "
        f"{wide[widest].min():.2f} to {wide[widest].max():.2f}."
    )
    return "\n".join(said)


# Fused against single


def differences(localisation: pd.DataFrame, cue: str = "fused-weighted") -> pd.DataFrame:
    """IoU of one cue minus that of every other cue, on the images that have both.

    Rows cue (the other one), mean, low, high (95 % interval), n.
    """
    part = localisation[localisation["metric"] == "iou"]
    others = [other for other in in_order(part["cue"]) if other != cue]
    rows = [[other, *paired_difference(part, cue, other)] for other in others]
    return pd.DataFrame(rows, columns=["cue", "mean", "low", "high", "n"])


def gain_title(localisation: pd.DataFrame) -> str:
    """The weighted fusion minus the best single explainer."""
    gain = differences(localisation).set_index("cue")
    best = best_single(localisation)
    if best not in gain.index or not np.isfinite(gain.loc[best, "mean"]):
        return "IoU of explainers and fusions"
    difference = signed_interval(*gain.loc[best, ["mean", "low", "high"]])
    return f"Weighted fusion minus {title(best)}, the best single: {difference} IoU"


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
    said = []
    for cue, name in wanted.items():
        if cue in gain.index and gain.loc[cue, "n"]:
            row = gain.loc[cue]
            difference = signed_interval(row["mean"], row["low"], row["high"])
            said.append(
                f"- Weighted fusion minus {name}: {difference} IoU, n = {gain.loc[cue, 'n']}; "
                f"{_reading(row)}."
            )
    return "\n".join(said) or "The study has no weighted fusion to compare."


def _reading(row: pd.Series) -> str:
    """What an interval of a difference says, in words."""
    if not np.isfinite(row["low"]):
        return "too few images for an interval"
    if row["low"] > 0:
        return "the fusion is better"
    return "the fusion is worse" if row["high"] < 0 else "the interval holds zero"


# Trust


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
    levels = {"all maps": "pooled", "within an explainer": "across images"}
    rows = []
    for signal in ("effective_area", "agreement"):
        wide = table.pivot(index="sample", columns="cue", values=[signal, "iou"])
        x, y = wide[signal].to_numpy(float), wide["iou"].to_numpy(float)
        for level in levels:
            rows.append([signal, level, *reading(levels[level], x, y), len(x)])
    return pd.DataFrame(rows, columns=["signal", "level", "mean", "low", "high", "n"])


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
