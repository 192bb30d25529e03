"""What decides the claims about what is grown from, or trained on, a seed (sections 5 and 6)."""

import pandas as pd

from xaiutils.claims.finding import Finding, mean_finding, rho_finding, share_finding
from xaiutils.explainers import EXPLAINERS
from xaiutils.names import SEGMENTER_TITLES
from xaiutils.sections.bias import inheritance
from xaiutils.sections.curves import LAST, TRUTH_RULE, rule_difference, stopped
from xaiutils.sections.seed_quality import (
    REFINERS,
    ranking_correlations,
    refiners_of,
    seed_correlations,
    seeds,
)
from xaiutils.sections.trained import trained_correlations
from xaiutils.study import Study

CONTEXT = {
    "ring": "background beside the object",
    "far": "background far from it",
    "other classes": "other classes of the image",
}


def seeds_of(study: Study) -> pd.DataFrame:
    return seeds(study.table("localisation"), study.table("segmentation"))


def seed_predicts(study: Study) -> list[Finding]:
    """C20: the correlation across images and explainers, of SAM's masks and of the heads trained
    on the seeds where the study has them, then the share of masks above their seed.

    A ceiling is read as one that at most 5 % of the masks break.
    """
    table = seeds_of(study)
    if not refiners_of(table):
        return []
    sam = refiners_of(table)[0]
    rows = seed_correlations(table)
    finals = {SEGMENTER_TITLES[sam]: rows[rows["segmenter"] == sam]}
    if "trained" in study.tables:
        rows = trained_correlations(study.table("trained"))
        finals["trained head"] = rows[rows["of"] == "seed"]
    found = [
        rho_finding(
            f"rank correlation of seed and final IoU ({name}), {row.level}",
            row,
            row.n,
            at_least=0,
        )
        for name, rows in finals.items()
        for row in rows.itertuples()
        if row.level in ("across images", "across explainers")
    ]
    part = table[table["segmenter"] == sam].dropna(subset=["seed", "final"])
    above = (part["final"] > part["seed"]).groupby(part["sample"]).mean()
    return [*found, share_finding("share of masks better than their seed", above, at_most=0.05)]


def bias_amplified(study: Study) -> list[Finding]:
    """C21: does the trained head mark the context that its seed marked (inherits), and more of it
    (amplifies)? Section 5."""
    table = of_explainers(study.table("bias"))
    inherited = inheritance(study.table("bias"))
    inherited = inherited[inherited["level"] == "across images"]
    found = [
        rho_finding(
            f"rank correlation of seed and head, share of the {CONTEXT[row.region]}, across images",
            row,
            row.n,
            at_least=0,
        )
        for row in inherited.itertuples()
    ]
    for region in ("ring", "far", "other classes"):
        part = table[table["region"] == region]
        each = (part["head"] - part["seed"]).groupby(part["sample"]).mean()
        quantity = f"share of the {CONTEXT[region]} that the trained head marks minus its seed's"
        if each.count():
            found.append(mean_finding(quantity, each, at_least=0))
    return found


def overfitted(study: Study) -> list[Finding]:
    """C22: IoU after the last epoch minus that of the epoch that the true masks of the other half
    of the images choose (`curves.stopped`: no image is judged by its own choice).

    Overfitting is read as a loss of a hundredth or more.
    """
    curves = study.table("curves")
    *difference, n = rule_difference(stopped(curves), LAST, TRUTH_RULE)
    quantity = "IoU after the last epoch minus that after the best one of the other images"
    loss = curves.groupby(["source", "variant", "epoch"])["pseudo_loss"].first().unstack("epoch")
    after = (loss.iloc[:, -1] / loss.iloc[:, 0]).mean()
    fell = f"{quantity} (meanwhile the loss on the pseudo-labels went to {after:.0%} of its first)"
    return [Finding(fell, *difference, n, at_most=-0.01)]


def of_explainers(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose pseudo-labels come from one of the nine explainers."""
    return table[table["source"].isin(EXPLAINERS)]


def refinement_ranks(study: Study) -> list[Finding]:
    """C23: does IoU after GrabCut or random walk order the explainers as their seeds' IoU does?"""
    table = seeds_of(study)
    rows = ranking_correlations(
        table, seed_correlations(table), study.table("proxy"), "across explainers"
    )
    n = table["sample"].nunique()
    return [
        rho_finding(
            f"rank correlation across explainers, {SEGMENTER_TITLES.get(row.segmenter)}",
            row,
            n,
            at_least=0.5,
        )
        for row in rows.itertuples()
        if row.segmenter in REFINERS[2:]
    ]


EVIDENCE = {
    "C20": (seed_predicts, ()),
    "C21": (bias_amplified, ("bias",)),
    "C22": (overfitted, ("curves",)),
    "C23": (refinement_ranks, ()),
}
