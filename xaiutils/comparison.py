"""Are the cues different, and by how much? Paired tests and effect sizes over images.

`wide` is a frame with a row an image and a column a cue (`wide_table`). Every test is on the images
that have all the cues it compares.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import scikit_posthocs
from scipy.stats import friedmanchisquare, rankdata, studentized_range, wilcoxon
from statsmodels.stats.multitest import multipletests

from xaiutils.errors import InputError
from xaiutils.names import in_order
from xaiutils.statistics import mean_interval

ALPHA = 0.05


def wide_table(table: pd.DataFrame, value: str = "value", cue: str = "cue") -> pd.DataFrame:
    """A tidy table (sample, cue, value), one value a pair, as samples x cues, cues in order."""
    wide = table.pivot(index="sample", columns=cue, values=value)
    return wide[in_order(wide.columns)]


def paired_tests(
    wide: pd.DataFrame, pairs: Iterable[tuple[str, str]] | None = None
) -> pd.DataFrame:
    """Every pair of cues (or the given ones) compared image by image.

    Columns a, b, n; mean, low, high of a - b; p of Wilcoxon's signed-rank test (scipy) and p_holm
    after Holm's correction over all rows (statsmodels); the effect sizes rank_biserial,
    cliffs_delta and cohens_d. Below six images no p can fall under 0.05: it is given all the same.
    """
    pairs = list(combinations(wide.columns, 2) if pairs is None else pairs)
    rows = []
    for a, b in pairs:
        both = wide[[a, b]].dropna().to_numpy(dtype=np.float64)
        x, y = both.T
        mean, low, high = mean_interval(x - y)
        effects = rank_biserial(x - y), cliffs_delta(x, y), cohens_d(x - y)
        rows.append([a, b, len(both), mean, low, high, signed_rank_p(x - y), *effects])
    columns = ["a", "b", "n", "mean", "low", "high", "p", "rank_biserial", "cliffs_delta"]
    found = pd.DataFrame(rows, columns=[*columns, "cohens_d"])
    found.insert(7, "p_holm", holm(found["p"].to_numpy(dtype=np.float64)))
    return found


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; 1 where all differences are 0, NaN for none."""
    if not len(differences):
        return float("nan")
    return float(wilcoxon(differences).pvalue) if np.any(differences) else 1.0


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's correction over the p values that are defined; NaN stays NaN."""
    corrected = np.full(len(p), np.nan)
    defined = np.isfinite(p)
    if defined.any():
        corrected[defined] = multipletests(p[defined], ALPHA, "holm")[1]
    return corrected


def rank_biserial(differences: np.ndarray) -> float:
    """(W+ - W-) / (W+ + W-) of the signed ranks (Kerby 2014): 1 if every difference is positive.

    Zero differences have no sign and are left out; NaN if there is no other.
    """
    d = differences[differences != 0]
    ranks = rankdata(np.abs(d))
    return float((np.sign(d) * ranks).sum() / ranks.sum()) if d.size else float("nan")


def cliffs_delta(x: np.ndarray, y: np.ndarray) -> float:
    """P(x > y) - P(x < y) over all pairs of values, not paired (Cliff 1993); NaN without values."""
    return float(np.sign(x[:, None] - y).mean()) if len(x) and len(y) else float("nan")


def cohens_d(differences: np.ndarray) -> float:
    """Mean of the paired differences over their standard deviation (n - 1); NaN without spread."""
    if len(differences) < 2 or not np.ptp(differences) > 0:
        return float("nan")
    return float(differences.mean() / differences.std(ddof=1))


@dataclass(frozen=True)
class Ranking:
    """Friedman's test and Nemenyi's comparison of k cues on n images.

    `ranks`: mean rank of each cue, 1 is best, best first; `statistic`, `p` of Friedman's test;
    `distance`: the critical difference of two mean ranks; `nemenyi`: (k, k) p values.
    """

    n: int
    ranks: pd.Series
    statistic: float
    p: float
    distance: float
    nemenyi: pd.DataFrame

    def cliques(self) -> list[list[str]]:
        """Largest groups of cues, best first, whose mean ranks differ by less than `distance`."""
        names, found, last = list(self.ranks.index), [], -1
        for i in range(len(names)):
            near = np.flatnonzero(self.ranks.to_numpy() - self.ranks.iloc[i] < self.distance)
            if near[-1] > max(last, i):
                found.append(names[i : near[-1] + 1])
                last = near[-1]
        return found


def ranking(wide: pd.DataFrame, higher_is_better: bool = True) -> Ranking:
    """Friedman's test (scipy) with Nemenyi's post hoc test (scikit-posthocs), Demsar 2006.

    Images that lack a cue are left out. InputError below three cues or two images.
    """
    values = wide.dropna()
    n, k = values.shape
    if n < 2 or k < 3:
        raise InputError(f"{k} cues on {n} whole images: a ranking needs 3 cues and 2 images")
    ranks = (-values if higher_is_better else values).rank(axis=1)
    statistic, p = friedmanchisquare(*values.to_numpy().T)
    nemenyi = scikit_posthocs.posthoc_nemenyi_friedman(values.to_numpy())
    nemenyi.index = nemenyi.columns = values.columns
    order = ranks.mean().sort_values(kind="stable")
    return Ranking(n, order, float(statistic), float(p), critical_difference(k, n), nemenyi)


def critical_difference(k: int, n: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of the mean ranks of k cues on n images: q sqrt(k(k+1)/(6n)).

    q is the studentised range for infinite degrees of freedom over sqrt(2) (Demsar 2006, table 5).
    """
    q = studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6 * n)))
