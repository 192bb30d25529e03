"""Trust without ground truth in tables and sentences: which score predicts the IoU.

Two levels must be kept apart. "all pairs" mixes explainers: a score that only tells explainers
apart does well there. "across images" asks what the user of one explainer wants to know, on which
images to trust it: the mean over the cues of each one's own value.
"""

import numpy as np
import pandas as pd

from xaiutils.sections.correlation import reading
from xaiutils.sections.words import number, quote, signed
from xaiutils.trust import (
    GOOD,
    SIGNALS,
    SIZES,
    TARGETS,
    auroc,
    cross_validated,
    excess,
    risk_coverage,
    signals_of,
    trust_of,
)

LEVELS = {"all pairs": "pooled", "across images": "across images"}  # -> reading of correlation
COMBINED = {"combination": "combination, cross-validated"}
CHECKED = 0.25  # the share of the images that a human has time for


def score_title(score: str) -> str:
    """The printed name of a signal or of a combination."""
    return COMBINED[score] if score in COMBINED else SIGNALS[score][0]


def with_combinations(table: pd.DataFrame, target: str) -> pd.DataFrame:
    """The features with the column `combination` (for this target), which leaves out the sizes:
    they are controls."""
    signals = [name for name in signals_of(table) if name not in SIZES]
    return table.assign(combination=cross_validated(table, target, signals))


def score_table(table: pd.DataFrame, draws: int = 300) -> pd.DataFrame:
    """How well every score predicts both IoUs, at both levels.

    target, score, level, n (images), rho (Spearman) with its interval low, high (images drawn
    again, the combination not fitted again), auroc (of IoU above 0.5) and excess (area under the
    risk-coverage curve: 0 is the best order, 1 a blind one).
    """
    rows = []
    for target in TARGETS:
        full = with_combinations(table, target)
        for score in [*signals_of(table), *COMBINED]:
            rows += _rows(full, target, score, draws)
    names = ["target", "score", "level", "n", "rho", "low", "high", "auroc", "excess"]
    return pd.DataFrame(rows, columns=names)


def _rows(table: pd.DataFrame, target: str, score: str, draws: int) -> list[list]:
    """A row for each level; the images drawn are the same for every score."""
    wide = table.pivot(index="sample", columns="cue", values=[score, target])
    x, y = wide[score].to_numpy(float), wide[target].to_numpy(float)
    use = np.isfinite(x).any(axis=0)  # a fusion has no weight of its own
    x, y = x[:, use], y[:, use]
    rows = []
    for level in LEVELS:
        rho = reading(LEVELS[level], x, y, draws)
        values = [_at(level, measure, x, y) for measure in (auroc, excess)]
        n = int((np.isfinite(x) & np.isfinite(y)).any(axis=1).sum())
        rows.append([target, score, level, n, *rho, *values])
    return rows


def _at(level: str, measure, x: np.ndarray, y: np.ndarray) -> float:
    """A measure of all pairs, or its mean over the columns where it is defined."""
    if level == "all pairs":
        return measure(x, y)
    values = [measure(a, b) for a, b in zip(x.T, y.T)]
    values = [value for value in values if np.isfinite(value)]
    return float(np.mean(values)) if values else np.nan


def at_level(scores: pd.DataFrame, target: str, level: str = "across images") -> pd.DataFrame:
    """The rows of one target and level by score, best first, undefined last."""
    part = scores[(scores["target"] == target) & (scores["level"] == level)]
    return part.sort_values("rho", ascending=False, kind="stable").set_index("score")


def best_signal(scores: pd.DataFrame, target: str) -> str | None:
    """The single signal with the highest correlation across images; sizes and combinations aside.

    Chosen on these images: its correlation is a little flattered.
    """
    part = at_level(scores, target)
    part = part[~part.index.isin([*SIZES, *COMBINED])].dropna(subset="rho")
    return part.index[0] if len(part) else None


def score_headline(scores: pd.DataFrame) -> str:
    """The best signal for maps and for masks."""
    said = []
    for target, name in TARGETS.items():
        best = best_signal(scores, target)
        if best is not None:
            rho = signed(at_level(scores, target).loc[best, "rho"])
            said.append(f"{name}: {score_title(best)} (ρ = {rho})")
    return "Best sign of trust for a " + ", for a ".join(said) if said else "No sign of trust"


def score_sentences(scores: pd.DataFrame) -> str:
    """For both targets the best signal, the paper's two, the combinations and the sizes."""
    said = []
    for target, name in TARGETS.items():
        part = at_level(scores, target)
        best = best_signal(scores, target)
        wanted = dict.fromkeys([best, "entropy", "agreement", *COMBINED, *SIZES])
        lines = [_line(score, part.loc[score]) for score in wanted if score in part.index]
        said.append(f"IoU of the {name}, ranking images for one explainer:\n\n" + "\n".join(lines))
    return "\n\n".join(said)


def _line(score: str, row: pd.Series) -> str:
    name = score_title(score)
    rho = quote(row["rho"], row["low"], row["high"], row["n"])
    reading = ""
    if np.isfinite(row["low"]):
        reading = "; the interval holds zero" if row["low"] <= 0 <= row["high"] else ""
    control = " (a control)"
    return (
        f"- {name[0].upper()}{name[1:]}{control if score in SIZES else ''}: ρ = {rho}, AUROC "
        f"{number(row['auroc'])} for IoU above {GOOD}{reading}."
    )


# What a human would look at first -----------------------------------------------------------------


def attention(table: pd.DataFrame, cue: str = "fused-weighted") -> pd.DataFrame:
    """The images by trust in one cue's mask, the least trusted first: sample, trust, mask_iou.

    The IoU is there to judge the ranking, which has not seen it. table: from `trust.features`.
    """
    part = table[table["cue"] == cue]
    found = part[["sample", "mask_iou"]].assign(trust=trust_of(part))
    found = found.sort_values("trust", kind="stable", na_position="first", ignore_index=True)
    return found[["sample", "trust", "mask_iou"]]


def attention_sentences(ranking: pd.DataFrame, share: float = CHECKED) -> str:
    """How many of the poor masks stand first in the ranking, and the mean IoU of the rest."""
    known = ranking.dropna(subset="mask_iou")
    k = max(round(share * len(known)), 1)
    poor = known["mask_iou"] <= GOOD
    kept = risk_coverage(known["trust"], known["mask_iou"])[1]
    rest = 1 - kept[len(known) - k - 1] if len(kept) > k else np.nan
    mean = known["mask_iou"].mean()
    found, total = int(poor.iloc[:k].sum()), int(poor.sum())
    return (
        f"A human who checks the {k} least trusted of the {len(known)} masks sees {found} of the "
        f"{total} with an IoU of {GOOD} or less (a blind choice: {number(poor.mean() * k, 1)}). "
        f"The masks that are left have a mean IoU of {number(rest)}, against {number(mean)} of "
        "all masks."
    )
