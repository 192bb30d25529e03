"""Trust without ground truth: how well a score that never saw the mask predicts the IoU.

Scores are higher where more trust is due: turn those round that fall (`SIGNALS` holds the signs).
Pairs with an undefined (NaN) score or IoU are left out of every measure.
"""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from xaiutils.errors import InputError
from xaiutils.metrics.agreement import ranks
from xaiutils.names import in_order

GOOD = 0.5  # an IoU above this counts as a good map or mask
TARGETS: dict[str, str] = {"map_iou": "thresholded map", "mask_iou": "prompted mask"}

# score -> (what it is called, +1 where trust rises with it and -1 where it falls)
SIGNALS: dict[str, tuple[str, int]] = {
    "entropy": ("low entropy", -1),
    "gini": ("Gini index", 1),
    "agreement": ("agreement of the map with the others", 1),
    "weight": ("fusion weight", 1),
    "sensitivity": ("low max-sensitivity", -1),
    "probability": ("class probability", 1),
    "sam_score": ("SAM's predicted IoU", 1),
    "jitter": ("stability under prompt jitter", 1),
    "mask_agreement": ("agreement of the mask with the others", 1),
    "map_mask": ("IoU of map and mask", 1),
    "map_area": ("size of the thresholded map", 1),
    "mask_area": ("size of the mask", 1),
}
SIZES = ("map_area", "mask_area")  # controls: a large object makes any IoU larger


def features(table: pd.DataFrame, stability: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a (sample, cue): every signal that is there, turned so that more is better, and IoUs.

    `table` is the analysis "trust" (sample, cue, score, value). `stability`, if given, is that
    analysis with a metric "max_sensitivity" (sample, explainer or cue, metric, value).
    """
    wide = table.pivot(index=["sample", "cue"], columns="score", values="value")
    wide = wide.reset_index().rename_axis(columns=None)
    if stability is not None:
        wide = wide.merge(_sensitivity(stability), on=["sample", "cue"], how="left")
    present = [name for name in SIGNALS if name in wide]
    signs = {name: SIGNALS[name][1] * wide[name] for name in present}
    order = {cue: place for place, cue in enumerate(in_order(wide["cue"]))}
    wide = wide[["sample", "cue", *TARGETS]].assign(**signs)
    return wide.sort_values(["sample", "cue"], key=lambda c: c.map(order) if c.name == "cue" else c,
                            ignore_index=True)  # fmt: skip


def _sensitivity(stability: pd.DataFrame) -> pd.DataFrame:
    """Max-sensitivity by sample and cue; no rows if the table has no such metric."""
    part = stability.rename(columns={"explainer": "cue"})
    part = part[part["metric"] == "max_sensitivity"]
    return part.groupby(["sample", "cue"], as_index=False)["value"].mean().rename(
        columns={"value": "sensitivity"}
    )  # fmt: skip


def signals_of(table: pd.DataFrame) -> list[str]:
    """The signals of a table of `features` that have a value, in their order."""
    return [name for name in SIGNALS if name in table and table[name].notna().any()]


def _finite(score, iou) -> tuple[np.ndarray, np.ndarray]:
    score, iou = np.asarray(score, float).ravel(), np.asarray(iou, float).ravel()
    if score.shape != iou.shape:
        raise InputError(f"score has {score.size} values, iou {iou.size}: one for each")
    keep = np.isfinite(score) & np.isfinite(iou)
    return score[keep], iou[keep]


def auroc(score, iou, above: float = GOOD) -> float:
    """Probability that a pair with an IoU above `above` has the higher score; ties count half.

    0.5 is chance. NaN where all IoUs lie on one side.
    """
    score, iou = _finite(score, iou)
    good = iou > above
    pairs = good.sum() * (~good).sum()
    if pairs == 0:
        return float("nan")
    # Mann-Whitney: the ranks of the good count the pairs that they win
    least = good.sum() * (good.sum() + 1) / 2
    return float((ranks(score)[good].sum() - least) / pairs)


def risk_coverage(score, iou) -> tuple[np.ndarray, np.ndarray]:
    """Keep the n most trusted: (share kept, mean of 1 - IoU among them), two (N,) float64.

    Geifman & El-Yaniv 2017 with 1 - IoU as the risk. Pairs with equal scores are kept in random
    order: each stands for their mean.
    """
    score, iou = _finite(score, iou)
    _, tied, size = np.unique(score, return_inverse=True, return_counts=True)
    risk = (np.bincount(tied, 1 - iou) / size)[tied] if iou.size else 1 - iou
    kept = risk[np.argsort(-score, kind="stable")]
    n = np.arange(1, kept.size + 1)
    return n / max(kept.size, 1), kept.cumsum() / n


def aurc(score, iou) -> float:
    """Mean risk over the coverages 1/N .. 1: small is good, a constant score gives the mean."""
    _, risk = risk_coverage(score, iou)
    return float(risk.mean()) if risk.size else float("nan")


def excess(score, iou) -> float:
    """The area above the best possible, as a share of what a blind order has above it.

    0 for a score that orders by IoU, 1 for one that knows nothing, above 1 for a misleading one;
    NaN where all IoUs are equal. (AURC - best) / (mean risk - best).
    """
    score, iou = _finite(score, iou)
    if iou.size == 0 or np.ptp(iou) == 0:
        return float("nan")
    best = aurc(iou, iou)
    return (aurc(score, iou) - best) / (float(1 - iou.mean()) - best)


def model() -> Pipeline:
    """Ridge regression of the IoU on standardised signals; a missing signal takes its median."""
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        RidgeCV(alphas=np.logspace(-1, 4, 11)),
    )


def combine(train: pd.DataFrame, test: pd.DataFrame, target: str, signals: list[str]) -> np.ndarray:
    """IoU of the rows of `test` (N,) as predicted by a ridge regression fitted on `train`.

    Every cue has an intercept of its own, so that the signals need not tell explainers apart.
    """
    known = train[train[target].notna()]
    cues = in_order(known["cue"])
    fitted = model().fit(_design(known, signals, cues), known[target].to_numpy(float))
    return fitted.predict(_design(test, signals, cues))


def _design(table: pd.DataFrame, signals: list[str], cues: list[str]) -> np.ndarray:
    """(N, signals + cues): the signals, and which cue it is."""
    which = table["cue"].to_numpy()[:, None] == np.array(cues)
    return np.hstack([table[signals].to_numpy(float), which.astype(float)])


def cross_validated(
    table: pd.DataFrame, target: str, signals: list[str], folds: int = 10
) -> np.ndarray:
    """The combination of `signals` for every row (N,), fitted on other images only.

    Folds are by image: all cues of one image are predicted by the same fit, which has seen none of
    them. NaN below four images.
    """
    images = table["sample"].nunique()
    predicted = np.full(len(table), np.nan)
    if images < 4:
        return predicted
    for fit, held in GroupKFold(min(folds, images)).split(table, groups=table["sample"]):
        if table[target].iloc[fit].notna().any():
            predicted[held] = combine(table.iloc[fit], table.iloc[held], target, signals)
    return predicted


# What is offered: of the signals that need no fitting, the one that foretells the IoU of SAM's mask
# best on the stored study voc2012-subset (AUROC 0.90, as much as the cross-validated combination;
# four signals averaged reach 0.87). It was chosen on these very images.
OFFERED = ("mask_agreement",)


def trust_of(table: pd.DataFrame, signals: tuple[str, ...] = OFFERED) -> np.ndarray:
    """A score (N,) for rows of `features`, without a truth: the mean of standardised signals.

    A signal that is missing, or the same everywhere, says nothing; NaN where none says anything.
    """
    present = [name for name in signals if name in table and table[name].notna().any()]
    values = table[present].to_numpy(float)
    spread = np.nanstd(values, axis=0)
    standard = (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, np.inf)
    known = np.isfinite(standard).any(axis=1)
    score = np.full(len(table), np.nan)
    score[known] = np.nanmean(standard[known], axis=1)
    return score


def trust_score(study, cue: str = "fused-weighted") -> pd.Series:
    """The study's images by their trust in the mask from one cue, the least trusted first.

    Needs the analysis "trust" and no ground truth: the images at the top are those on which a
    human's attention is best spent. Series of float64 named "trust" by sample, NaN first.
    """
    table = features(study.table("trust"))
    part = table[table["cue"] == cue]
    if part.empty:
        raise InputError(f"cue {cue!r} has no trust scores; there are {table['cue'].unique()}")
    score = pd.Series(trust_of(part), pd.Index(part["sample"]), name="trust")
    return score.sort_values(kind="stable", na_position="first")
