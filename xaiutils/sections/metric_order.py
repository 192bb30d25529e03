"""Do the measures order the explainers alike? Rank correlation between metrics."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import t

from xaiutils.comparison import Ranking, paired_tests, wide_table
from xaiutils.explainers import EXPLAINERS
from xaiutils.names import in_order, title
from xaiutils.sections.correlation import spearman_rows
from xaiutils.sections.words import count, estimate, number
from xaiutils.statistics import draws, mean_defined, percentiles

# k -> critical value of Spearman's rho, two-sided, 5 %
CRITICAL = {5: 1.0, 6: 0.886, 7: 0.786, 8: 0.738, 9: 0.700, 10: 0.648, 11: 0.618, 12: 0.587}
# measure -> (table, metric, sign that makes high good)
MEASURES = {
    "IoU": ("localisation", "iou", 1),
    "coverage": ("localisation", "coverage", 1),
    "precision": ("localisation", "spill", -1),
    "pointing, 15 px": ("localisation", "pointing_15", 1),
    "mass on object": ("localisation", "relevance_mass", 1),
    "insertion": ("faithfulness", "insertion", 1),
    "deletion": ("faithfulness", "deletion", -1),
}


def measures(localisation: pd.DataFrame, faithfulness: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """measure -> values (samples x explainers), high is good, on the samples of both tables."""
    tables = {"localisation": localisation, "faithfulness": faithfulness}
    both = set(localisation["sample"]) & set(faithfulness["sample"])
    found = {}
    for name, (table, metric, sign) in MEASURES.items():
        part = tables[table]
        part = part[(part["metric"] == metric) & part["cue"].isin(EXPLAINERS)]
        found[name] = sign * wide_table(part[part["sample"].isin(both)])
    return found


def metric_correlations(values: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every pair of measures: does the order of the explainers by their means agree?

    Rows a, b, n (images), k (explainers), rho, low, high: Spearman correlation over the explainers'
    means, and its bootstrap interval over images.
    """
    names, rows = list(values), []
    samples = sorted(set.intersection(*(set(wide.index) for wide in values.values())))
    cues = in_order(set.intersection(*(set(wide.columns) for wide in values.values())))
    arrays = {name: wide.loc[samples, cues].to_numpy(float) for name, wide in values.items()}
    n = len(samples)
    drawn = [np.arange(n)[None], *draws(n)]
    means = {
        name: np.concatenate([mean_defined(values[block], axis=1) for block in drawn])
        for name, values in arrays.items()
    }
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            rho = spearman_rows(means[a], means[b])
            rows.append([a, b, n, len(cues), rho[0], *percentiles(rho[1:])])
    return pd.DataFrame(rows, columns=["a", "b", "n", "k", "rho", "low", "high"])


def pair(table: pd.DataFrame, a: str, b: str) -> pd.Series | None:
    """The row of two measures, in whatever order; None if it is not there."""
    row = table[table["a"].isin([a, b]) & table["b"].isin([a, b])]
    return row.iloc[0] if len(row) else None


def order_title(table: pd.DataFrame) -> str:
    """Whether IoU and insertion order the explainers alike."""
    row = pair(table, "IoU", "insertion")
    if row is None or not np.isfinite(row["rho"]):
        return "Rank correlation of the explainers between measures"
    return (
        "The explainers' order by IoU and by insertion: ρ = "
        f"{estimate(row['rho'], row['low'], row['high'])}"
    )


def order_sentence(table: pd.DataFrame) -> str:
    """What localisation and faithfulness have in common, pair by pair."""
    said = []
    for a, b in (("IoU", "coverage"), ("IoU", "insertion"), ("IoU", "deletion"),
                 ("coverage", "insertion"), ("coverage", "precision"),
                 ("insertion", "deletion")):  # fmt: skip
        row = pair(table, a, b)
        if row is not None:
            word = verdict(row)
            text = estimate(row["rho"], row["low"], row["high"])
            said.append(f"- {a} and {b}: ρ = {text}, {word}.")
    if table.empty:
        return "No two measures can be compared."
    k, n = int(table["k"].iloc[0]), int(table["n"].iloc[0])
    return "\n".join([*said, f"- Each is over the means of {k} explainers, n = {n} images."])


def by_chance(k: int) -> float:
    """The least |rho| that k explainers in random order reach in at most one of twenty cases.

    Exact for small k (Zar 1972), infinite where no order is so rare; beyond by Student's t.
    """
    if k <= max(CRITICAL):
        return CRITICAL.get(k, float("inf"))
    quantile = t.ppf(0.975, k - 2)
    return float(quantile / np.sqrt(k - 2 + quantile**2))


def verdict(row: pd.Series) -> str:
    """What a correlation of k explainers' means and its interval over images allow to say."""
    if not np.isfinite(row["low"]):
        return "without an interval"
    if row["low"] <= 0 <= row["high"]:
        return "no agreement can be told from chance"
    if abs(row["rho"]) < by_chance(row["k"]) - 1e-9:
        k, chance = int(row["k"]), by_chance(row["k"])
        few = f"reach ±{number(chance)} by chance" if np.isfinite(chance) else "are too few"
        return f"the interval excludes zero, but {k} explainers {few}"
    return "they agree on the order" if row["low"] > 0 else "they reverse the order"


def ranking_title(found: Ranking, of: str) -> str:
    """Who leads and with whom it shares the lead."""
    best = found.ranks.index[0]
    tied = int((found.ranks - found.ranks.iloc[0] < found.distance).sum()) - 1
    others = f"not told apart from {count(tied, len(found.ranks) - 1, 'others')}" if tied else ""
    alone = "clearly ahead of all others"
    return f"By {of}, {title(best)} ranks first, {others or alone}"


def ranking_sentence(found: Ranking, wide: pd.DataFrame, higher_is_better: bool = True) -> str:
    """Friedman's test, the critical difference, and the leader against each other explainer.

    `wide` holds the values that `found` was made of, `higher_is_better` as it was asked there.
    """
    best = found.ranks.index[0]
    tests = paired_tests(wide)  # corrected for all pairs: the leader was not known beforehand
    tests = tests[(tests["a"] == best) | (tests["b"] == best)]
    sign = np.where(tests["a"] == best, 1, -1) * (1 if higher_is_better else -1)
    effect = sign * tests["rank_biserial"]
    surely = int(((tests["p_holm"] < 0.05) & (effect > 0)).sum())
    return (
        f"- Friedman's test over {len(found.ranks)} explainers and n = {found.n} images: "
        f"χ² = {found.statistic:.1f}, {p_equals(found.p)}.\n"
        f"- Mean ranks that differ by less than {found.distance:.2f} (Nemenyi, 5 %) are not told "
        f"apart.\n"
        f"- {title(best)} against each other explainer (Wilcoxon, Holm's correction over all "
        f"pairs): better with p < 0.05 than {count(surely, len(tests), 'others')}; rank-biserial "
        f"effect over all {len(tests)} from {number(effect.min())} to {number(effect.max())}."
    )


def p_equals(p: float) -> str:
    """ "p = 0.031", or "p below 0.001"."""
    text = p_text(p)
    return f"p {text}" if text.startswith("below") else f"p = {text}"


def pairs_to_read(tests: pd.DataFrame, measure: str, rows: int = 12) -> pd.DataFrame:
    """The `rows` pairs of `comparison.paired_tests` with the smallest p, under words."""
    part = tests.sort_values("p_holm", kind="stable").head(rows)
    gain = [estimate(r.mean, r.low, r.high, sign=True) for r in part.itertuples(index=False)]
    return pd.DataFrame(
        {
            "explainer": part["a"].map(title),
            "against": part["b"].map(title),
            f"difference of {measure}": gain,
            "p, Holm's correction": part["p_holm"].map(p_text),
            "effect: rank-biserial": part["rank_biserial"],
            "effect: Cliff's δ": part["cliffs_delta"],
            "effect: Cohen's d": part["cohens_d"],
            "images": part["n"],
        }
    )


def p_text(p: float) -> str:
    """ "0.031", or "below 0.001"."""
    return "below 0.001" if p < 0.001 else f"{p:.3f}"
