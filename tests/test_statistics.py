"""Tests, effect sizes, rankings and intervals against scipy, published tables and hand counts."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare, wilcoxon

from xaiutils.comparison import (
    cliffs_delta,
    cohens_d,
    critical_difference,
    holm,
    paired_tests,
    rank_biserial,
    ranking,
    signed_rank_p,
    wide_table,
)
from xaiutils.errors import InputError
from xaiutils.sections.metric_order import (
    by_chance,
    metric_correlations,
    order_sentence,
    order_title,
    ranking_sentence,
    ranking_title,
    verdict,
)
from xaiutils.statistics import interval_over, mean_interval


def frame(n: int = 20, noise: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """n images x 4 cues: ig < lime < gradcam = scorecam, before noise."""
    rng = np.random.default_rng(seed)
    means = {"gradcam": 0.7, "scorecam": 0.7, "ig": 0.1, "lime": 0.4}
    return pd.DataFrame(
        {cue: mean + noise * rng.normal(size=n) for cue, mean in means.items()},
        index=[f"s{i}" for i in range(n)],
    )


def test_holm_by_hand():
    # sorted 0.01 x 3, 0.02 x 2, 0.04 x 1 -> 0.03, 0.04, 0.04; NaN takes no part
    assert holm(np.array([0.04, 0.01, np.nan, 0.02])) == pytest.approx(
        [0.04, 0.03, np.nan, 0.04], nan_ok=True
    )
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_effect_sizes_by_hand():
    # |d| ranks: 1 -> 1, -2 -> 2, 3 -> 3, 4 -> 4; (1 - 2 + 3 + 4) / 10
    assert rank_biserial(np.array([1.0, -2, 3, 4])) == pytest.approx(0.6)
    assert rank_biserial(np.array([0.0, 1, 2])) == 1
    assert np.isnan(rank_biserial(np.zeros(3)))
    # pairs (1,2) < (1,1) = (3,2) > (3,1) >: (0 - 1 + 1 + 1) / 4
    assert cliffs_delta(np.array([1.0, 3]), np.array([2.0, 1])) == pytest.approx(0.25)
    assert cohens_d(np.array([1.0, 2, 3])) == pytest.approx(2.0)
    assert np.isnan(cohens_d(np.ones(3)))


def test_paired_tests_agree_with_scipy_and_are_antisymmetric():
    wide = frame()
    found = paired_tests(wide, [("gradcam", "ig"), ("ig", "gradcam"), ("gradcam", "gradcam")])
    one, back, same = (found.iloc[i] for i in range(3))
    difference = wide["gradcam"] - wide["ig"]
    assert one["p"] == pytest.approx(wilcoxon(difference).pvalue)
    assert one["mean"] == pytest.approx(difference.mean()) and one["n"] == 20
    for effect in ("mean", "rank_biserial", "cliffs_delta", "cohens_d"):
        assert one[effect] == pytest.approx(-back[effect])
    assert same["p"] == 1 and same["mean"] == 0 and same["cliffs_delta"] == 0
    assert (found["p_holm"] >= found["p"]).all()


def test_pairs_lose_only_the_images_that_they_lack():
    wide = frame()
    wide.iloc[0, 0] = np.nan
    found = paired_tests(wide).set_index(["a", "b"])
    assert found.loc[("gradcam", "ig"), "n"] == 19 and found.loc[("ig", "lime"), "n"] == 20
    assert len(found) == 6
    assert np.isnan(signed_rank_p(np.array([])))


def test_critical_difference_is_that_of_demsar_2006():
    # his table 5 a: q = 2.343 for 3, 2.569 for 4, 3.102 for 9 classifiers
    for k, q in ((3, 2.343), (4, 2.569), (9, 3.102)):
        assert critical_difference(k, 1) == pytest.approx(q * np.sqrt(k * (k + 1) / 6), rel=1e-3)
    # his example: 4 classifiers on 14 data sets
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.01)


def test_ranking_on_an_order_that_is_certain():
    wide = frame(noise=0.0) + np.arange(20)[:, None] / 100  # images differ, ranks do not
    wide["scorecam"] -= 0.1
    found = ranking(wide)
    assert found.ranks.to_dict() == {"gradcam": 1, "scorecam": 2, "lime": 3, "ig": 4}
    assert found.statistic == pytest.approx(friedmanchisquare(*wide.to_numpy().T).statistic)
    assert found.statistic == pytest.approx(20 * 3)  # n (k - 1), the largest there is
    assert found.cliques() == [["gradcam", "scorecam"], ["scorecam", "lime"], ["lime", "ig"]]
    assert found.nemenyi.loc["gradcam", "ig"] < 0.001 < found.nemenyi.loc["gradcam", "scorecam"]
    assert (
        ranking(wide, higher_is_better=False).ranks.index.tolist()
        == found.ranks.index[::-1].tolist()
    )
    assert "Grad-CAM ranks first, not told apart from 1 of 3 others" in ranking_title(found, "IoU")
    assert "better with p < 0.05 than all 3 others" in ranking_sentence(found, wide)


def test_nemenyi_and_the_critical_difference_say_the_same():
    found = ranking(frame(noise=0.3))
    for a in found.ranks.index:
        for b in found.ranks.index:
            apart = abs(found.ranks[a] - found.ranks[b]) > found.distance
            assert apart == (found.nemenyi.loc[a, b] < 0.05)


def test_ranking_does_not_depend_on_the_order_of_images_or_cues():
    wide = frame(noise=0.3)
    one, other = ranking(wide), ranking(wide.iloc[::-1, ::-1])
    assert one.ranks.to_dict() == other.ranks.to_dict() and one.p == pytest.approx(other.p)


def test_a_ranking_needs_three_cues():
    with pytest.raises(InputError, match="3 cues"):
        ranking(frame()[["ig", "lime"]])


def test_wide_table_puts_cues_in_order():
    tidy = frame(2).rename_axis("sample").reset_index().melt("sample", var_name="cue")
    assert wide_table(tidy).columns.tolist() == ["gradcam", "scorecam", "ig", "lime"]


def test_interval_of_a_mean_is_that_of_the_other_bootstrap():
    x = np.random.default_rng(0).normal(size=40)
    _, low, high = mean_interval(x)
    found = interval_over(40, lambda draws: x[draws].mean(axis=1), resamples=4000)
    assert found == pytest.approx((low, high), abs=0.03)
    assert interval_over(40, lambda draws: np.ones(len(draws))) == (1, 1)
    assert np.isnan(interval_over(2, lambda draws: np.ones(len(draws)))).all()
    assert np.isnan(interval_over(9, lambda draws: np.full(len(draws), np.nan))).all()


def test_few_explainers_agree_by_chance():
    for k in range(3, 9):  # every order
        orders = np.array(list(permutations(range(k)))) - (k - 1) / 2
        rho = np.abs(orders @ orders[0]) / (orders[0] @ orders[0])
        reached = [r for r in np.unique(rho.round(9)) if (rho > r - 1e-6).mean() <= 0.05]
        assert by_chance(k) == pytest.approx(min(reached, default=np.inf), abs=5e-4)
    assert by_chance(30) == pytest.approx(0.361, abs=1e-3)  # Pearson's, near enough
    row = pd.Series({"rho": 0.47, "low": 0.2, "high": 0.6, "k": 9})
    assert verdict(row) == "the interval excludes zero, but 9 explainers reach ±0.70 by chance"
    row[["rho", "low", "high"]] = 0.9, 0.8, 1.0
    assert verdict(row) == "they agree on the order"


def test_measures_that_order_alike_and_in_reverse():
    wide = frame(noise=0.02)
    found = metric_correlations({"IoU": wide, "insertion": wide**2, "deletion": -wide})
    rho = found.set_index(["a", "b"])["rho"]
    assert rho[("IoU", "insertion")] == pytest.approx(1)
    assert rho[("IoU", "deletion")] == pytest.approx(-1)
    assert ((found["low"] <= found["rho"]) & (found["rho"] <= found["high"])).all()
    assert found[["n", "k"]].to_numpy().tolist() == [[20, 4]] * 3
    assert "ρ = 1.00" in order_title(found)
    assert "IoU and deletion: ρ = −1.00" in order_sentence(found)
    assert "but 4 explainers are too few" in order_sentence(found)
    row = pd.Series({"rho": -0.9, "low": -1.0, "high": -0.8, "k": 9})
    assert verdict(row) == "they reverse the order"
