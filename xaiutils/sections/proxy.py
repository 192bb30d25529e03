"""Section 4 in tables and sentences: SAM as a proxy for the truth, and its own score.

Pure functions of a study's tidy tables; the figures draw what these return and the notebooks print
the sentences, so that no number is typed anywhere. Values are means over images with 95 %
bootstrap intervals; differences are paired by image.
"""

import textwrap

import numpy as np
import pandas as pd

from xaiutils.names import SEGMENTER_TITLES, title
from xaiutils.sections.correlation import correlations, spearman
from xaiutils.sections.cues import (
    FUSED,
    explainers_of,
    look_up,
    main_prompting,
    only,
    prompted,
    proxy_segmenter,
)
from xaiutils.sections.words import estimate, percent, possessive, rho_text
from xaiutils.statistics import mean_interval, summary

REFERENCES = ("truth", "fused proxy", "own proxy")
COVERAGE = (0.5, 0.6)  # of Grad-CAM on VOC, as the paper says
SPILL = 0.3  # of LIME and SHAP, "or more"


def segmenter_note(segmentation: pd.DataFrame) -> str:
    """Which SAM it is, loudly: Markdown for the top of a notebook."""
    name = SEGMENTER_TITLES[proxy_segmenter(segmentation)]
    if name == "SAM2":
        return "**The segmenter of this study is SAM2, as in the paper.**"
    note = (
        f"**The segmenter of this study is the {name}, not SAM2.** It is a small SAM in two ONNX "
        "files that runs on any processor. Where the paper says SAM2, read: another, larger model."
    )
    return textwrap.indent(note, "> ")


# Figure 3


def gains(segmentation: pd.DataFrame, cue: str) -> pd.Series:
    """SAM's IoU minus Otsu's of one cue, by sample; only where both are defined."""
    sam, prompting = proxy_segmenter(segmentation), main_prompting(segmentation)
    rows = segmentation[segmentation["cue"] == cue].set_index("sample")
    mask = rows[(rows["segmenter"] == sam) & (rows["prompting"] == prompting)]["iou"]
    return (mask - rows[rows["segmenter"] == "threshold"]["iou"]).dropna()


def gains_sentence(found: pd.Series, names: dict[str, str], cue: str) -> str:
    """How often SAM improves on Otsu's mask of one explainer, and what it does on some images, id
    -> the name that stands beside it."""
    if found.empty:
        return f"{title(cue)} has no pair of masks in this study."
    each = "; ".join(f"{name} {estimate(found[id], sign=True)}" for id, name in names.items())
    return (
        f"On the photographs shown, SAM changes the IoU of {possessive(title(cue))} mask by: "
        f"{each}. It is better than Otsu's mask on {int((found > 0).sum())} of all {len(found)} "
        f"images, and the mean change is **{estimate(*mean_interval(found), sign=True)}**."
    )


# Coverage and spill


def coverage_table(proxy: pd.DataFrame) -> pd.DataFrame:
    """Coverage and spill of each thresholded map against each reference.

    Columns measure, reference, cue, n, undefined, mean, low, high; explainers, then the fusion.
    """
    cues = [*explainers_of(proxy), *([FUSED] if FUSED in set(proxy["cue"]) else [])]
    long = proxy[proxy["cue"].isin(cues)].melt(
        ["sample", "cue", "reference"], ["coverage", "spill"], var_name="measure"
    )
    table = summary(long, ["measure", "reference", "cue"])
    order = table["cue"].map({cue: i for i, cue in enumerate(cues)})
    places = table["reference"].map({name: i for i, name in enumerate(REFERENCES)})
    table = table.assign(order=order, place=places).sort_values(["measure", "place", "order"])
    return table.drop(columns=["order", "place"]).reset_index(drop=True)


def coverage_sentence(table: pd.DataFrame) -> str:
    """What `coverage_table` says of the paper's three figures (C12, C13, C14)."""
    truth = table[table["reference"] == "truth"]
    said = []
    value, low, high, _ = look_up(truth, measure="coverage", cue="gradcam")
    if np.isfinite(value):
        where = "below" if value < COVERAGE[0] else "above" if value > COVERAGE[1] else "inside"
        said.append(
            f"Grad-CAM covers **{percent(value, low, high)}** of the object, which is {where} the "
            "50-60 % that the paper gives for VOC."
        )
    for cue in ("lime", "kernelshap"):
        value, low, high, _ = look_up(truth, measure="spill", cue=cue)
        if np.isfinite(value):
            near = abs(value - SPILL) < 0.005
            where = "at" if near else "above" if value > SPILL else "below"
            said.append(
                f"**{percent(value, low, high)}** of {possessive(title(cue))} region is spill: a "
                f"mean {where} the paper's 30 %."
            )
    single = truth[(truth["measure"] == "coverage") & (truth["cue"] != FUSED)].dropna(
        subset=["mean"]
    )
    if len(single):
        best = single.loc[single["mean"].idxmax()]
        said.append(
            f"The largest coverage of a single explainer is {possessive(title(best['cue']))} "
            f"{percent(best['mean'], best['low'], best['high'])}: it leaves "
            f"{percent(1 - best['mean'])} of the object out."
        )
    return " ".join(said) or "No explainer of this study has a defined coverage."


def reference_sentence(table: pd.DataFrame, segmentation: pd.DataFrame) -> str:
    """Whether the proxy may stand in for the truth: the shift of the means, and their ranking."""
    said = []
    for measure in ("coverage", "spill"):
        wide = table[(table["measure"] == measure) & (table["cue"] != FUSED)].pivot(
            index="cue", columns="reference", values="mean"
        )
        for reference in [name for name in REFERENCES[1:] if name in wide]:
            shift = (wide[reference] - wide["truth"]).abs().mean()
            rho = spearman(wide["truth"].to_numpy(), wide[reference].to_numpy())
            said.append(
                f"- {measure}, {reference} for truth: the explainers' means move by "
                f"**{100 * shift:.1f} points** on average; their order keeps a rank correlation of "
                f"{estimate(rho)}."
            )
    fused = prompted(segmentation)
    value = mean_interval(fused.loc[fused["cue"] == FUSED, "iou"])
    said.append(
        f"\nThe fused proxy mask itself has a mean IoU of **{estimate(*value)}** with the truth."
    )
    return "\n".join(said)


# SAM's own score


def score_table(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Masks from explainers: sample, cue, score (the IoU that SAM predicts) and iou (the true)."""
    masks = only(prompted(segmentation), ["explainer"])
    return masks[["sample", "cue", "score", "iou"]].reset_index(drop=True)


def score_sentence(scores: pd.DataFrame) -> str:
    """Does SAM know how good its mask is? Rank correlations and the bias."""
    found = correlations(scores, "score", "iou").set_index("level")
    pooled, within = found.loc["pooled"], found.loc["across explainers"]
    bias = (scores["score"] - scores["iou"]).mean()
    sure = scores[scores["score"] >= 0.9]
    text = (
        f"Over all masks the rank correlation of SAM's own score with the true IoU is "
        f"**{rho_text(pooled)}**; among the masks of one "
        f"image, which is what choosing the best of them needs, it is "
        f"{rho_text(within)}. On average the score is "
        f"{abs(bias):.2f} {'above' if bias > 0 else 'below'} the IoU."
    )
    if len(sure):
        poor = int((sure["iou"] < 0.5).sum())
        text += (
            f" Of the {len(sure)} masks that SAM scores at 0.9 or more, **{poor}** have an IoU "
            "below 0.5."
        )
    return text
