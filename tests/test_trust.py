"""Trust scores: values that can be computed by hand, tables by construction, and what is said."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from xaiutils import trust
from xaiutils.analyses import trust as analysis
from xaiutils.figures import trust as draw
from xaiutils.maps import otsu, threshold
from xaiutils.prompting import Prompts
from xaiutils.sections import trust as said
from xaiutils.segmenters import Prediction, Segmenter


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


# Measures -----------------------------------------------------------------------------------------


def test_risk_coverage_by_hand():
    coverage, risk = trust.risk_coverage([3, 1, 2], [0.9, 0.1, 0.5])
    assert coverage.tolist() == pytest.approx([1 / 3, 2 / 3, 1])
    assert risk.tolist() == pytest.approx([0.1, 0.3, 0.5])
    assert trust.aurc([3, 1, 2], [0.9, 0.1, 0.5]) == pytest.approx(0.3)


def test_a_perfect_score_has_the_least_area():
    iou = np.random.default_rng(0).uniform(size=7)
    best = trust.aurc(iou, iou)
    orders = np.random.default_rng(1).permuted(np.tile(np.arange(7.0), (200, 1)), axis=1)
    assert min(trust.aurc(order, iou) for order in orders) >= best
    assert trust.aurc(10 * iou - 3, iou) == pytest.approx(best)  # the order alone counts
    assert trust.excess(iou, iou) == 0


def test_a_constant_score_has_the_mean_risk():
    iou = [0.9, 0.1, 0.5, np.nan]
    assert trust.aurc([1, 1, 1, 1], iou) == pytest.approx(0.5)
    assert trust.excess([1, 1, 1, 1], iou) == pytest.approx(1)
    assert trust.excess([-0.9, -0.1, -0.5, 0], iou) > 1
    assert np.isnan(trust.excess([1, 2], [0.5, 0.5]))


def test_auroc_is_that_of_scikit_learn_with_ties():
    rng = np.random.default_rng(0)
    score, iou = rng.integers(0, 6, 60), rng.random(60)
    assert trust.auroc(score, iou) == pytest.approx(roc_auc_score(iou > trust.GOOD, score))


def test_auroc_by_hand():
    assert trust.auroc([1, 2, 3, 4], [0.1, 0.6, 0.4, 0.9]) == 0.75
    assert trust.auroc([1, 1], [0.1, 0.9]) == 0.5
    assert np.isnan(trust.auroc([1, 2], [0.6, 0.9]))


# Tables -------------------------------------------------------------------------------------------


def long_table(images: int = 24) -> pd.DataFrame:
    """jitter equals the mask's IoU and high entropy marks a bad map; probability is noise."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(images):
        for cue, bonus in (("lime", 0), ("gradcam", 0.1), ("fused-weighted", 0.15)):
            map_iou, mask_iou = rng.uniform(0, 0.8, 2) + bonus
            values = {
                "map_iou": map_iou,
                "mask_iou": mask_iou,
                "entropy": 1 - map_iou,
                "jitter": mask_iou,
                "probability": rng.uniform(),
                "weight": np.nan if cue.startswith("fused") else 0.5,
            }
            rows += [(f"s{i:02d}", cue, score, value) for score, value in values.items()]
    return pd.DataFrame(rows, columns=["sample", "cue", "score", "value"])


@pytest.fixture(scope="module")
def table():
    return trust.features(long_table())


def test_features_turn_what_falls_with_trust(table):
    assert table["entropy"].to_numpy() == pytest.approx(table["map_iou"].to_numpy() - 1)
    assert trust.signals_of(table) == ["entropy", "weight", "probability", "jitter"]
    assert table["cue"].tolist()[:3] == ["gradcam", "lime", "fused-weighted"]


def test_max_sensitivity_is_joined_where_it_was_measured():
    stability = pd.DataFrame(
        [("s00", "lime", "max_sensitivity", 0.4), ("s00", "lime", "other", 9.0)],
        columns=["sample", "explainer", "metric", "value"],
    )
    found = trust.features(long_table(2), stability).set_index(["sample", "cue"])["sensitivity"]
    assert found["s00", "lime"] == -0.4
    assert np.isnan(found["s01", "lime"])


def test_the_combination_never_sees_the_image_that_it_judges():
    rows = [
        {"sample": f"s{i}", "cue": "lime", "jitter": 0.0, "map_iou": 0.5, "mask_iou": float(i == 0)}
        for i in range(5)
    ]
    found = trust.cross_validated(pd.DataFrame(rows), "mask_iou", ["jitter"], folds=5)
    assert found == pytest.approx([0, 0.25, 0.25, 0.25, 0.25])  # the mean of the other four


def test_the_combination_finds_the_signal_that_counts(table):
    for target in trust.TARGETS:
        predicted = trust.cross_validated(table, target, ["entropy", "jitter", "probability"])
        assert np.corrcoef(predicted, table[target])[0, 1] > 0.95


def test_too_few_images_have_no_combination(table):
    few = table[table["sample"].isin(["s00", "s01", "s02"])]
    assert np.isnan(trust.cross_validated(few, "map_iou", ["jitter"])).all()


def offered(table):
    """The signal that equals the mask's IoU under the name of the one that is offered."""
    return table.replace({"score": {"jitter": "mask_agreement"}})


def test_trust_score_puts_the_least_trusted_first():
    given = offered(long_table(6))
    found = trust.trust_score(SimpleNamespace(table=lambda name: given))
    assert found.is_monotonic_increasing and len(found) == 6
    truth = trust.features(given)
    truth = truth[truth["cue"] == "fused-weighted"].set_index("sample")["mask_agreement"]
    assert found.index[0] == truth.idxmin()


def test_table_of_scores_by_hand(table):
    found = said.score_table(table, draws=20).set_index(["target", "score", "level"])
    row = found.loc[("mask_iou", "jitter", "across images")]
    assert row["rho"] == pytest.approx(1) and row["low"] == pytest.approx(1)
    row = found.loc[("map_iou", "entropy", "all pairs")]
    assert row["rho"] == pytest.approx(1) and row["auroc"] == 1 and row["excess"] == 0
    assert row["n"] == 24
    assert abs(found.loc[("mask_iou", "probability", "across images"), "rho"]) < 0.5
    assert found.loc[("mask_iou", "combination", "across images"), "rho"] > 0.9


def test_sentences_name_the_best_signal(table):
    scores = said.score_table(table, draws=20)
    assert said.best_signal(scores, "mask_iou") == "jitter"
    assert said.best_signal(scores, "map_iou") == "entropy"
    text = said.score_sentences(scores)
    assert "- Stability under prompt jitter: ρ = 1.00 [1.00, 1.00], n = 24" in text
    assert "- Low entropy: ρ = 1.00" in text


def test_figures_are_drawn_with_their_findings(table):
    scores = said.score_table(table, draws=20)
    bars = draw.score_bars(scores, "n = 24")
    assert "ρ = +1.00" in bars.texts[0].get_text().replace("\n", " ")
    assert len(bars.axes) == 2
    curves = draw.risk_curves(table, scores, "n = 24")
    best = [line for line in curves.axes[1].lines if line.get_label() == "ordered by IoU"]
    fused = table.loc[table["cue"] == "fused-weighted", "mask_iou"]
    _, risk = trust.risk_coverage(fused, fused)
    np.testing.assert_allclose(best[0].get_ydata(), risk)


def test_attention_says_what_the_first_checked_images_hold():
    found = said.attention(trust.features(offered(long_table(10))))
    assert found["trust"].is_monotonic_increasing
    text = said.attention_sentences(found)
    assert "of the 10" in text


# The analysis -------------------------------------------------------------------------------------


class Disc(Segmenter):
    """A disc of radius 8 around the first point; it believes in every mask alike."""

    needs = (("points",),)

    def _prepare(self, image):
        pass

    def predict(self, prompts, logits=None):
        self._check(prompts)
        ys, xs = np.indices(self.size)
        x, y = prompts.points[0]
        return Prediction(np.hypot(xs - x, ys - y) <= 8, 0.75)


def bump(x, y, shape=(60, 80)):
    ys, xs = np.indices(shape)
    return np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 100).astype(np.float32)


class Study:
    """One photograph; two explainers that agree, one flat, and a fusion."""

    config = SimpleNamespace(seed=0)
    maps = {  # noqa: RUF012
        "gradcam": bump(40, 30),
        "lime": bump(40, 30),
        "ig": np.full((60, 80), np.nan, np.float32),
        "fused-weighted": bump(20, 30),
    }
    cues = tuple(maps)
    sample_ids = ("s",)

    def saliency(self, id, cue):
        return self.maps[cue]

    def sample(self, id):
        mask = np.zeros((60, 80), bool)
        mask[22:39, 32:49] = True
        image, void = np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80), bool)
        return SimpleNamespace(id=id, image=image, mask=mask, void=void)

    def segmenter(self, name):
        return Disc()

    def table(self, name):
        if name == "weights":
            rows = [("s", "weighted", "gradcam", 0.7), ("s", "weighted", "lime", 0.3)]
            return pd.DataFrame(rows, columns=["sample", "fusion", "explainer", "weight"])
        if name == "samples":
            return pd.DataFrame({"sample": ["s"], "probability": [0.4]})
        return pd.DataFrame({"segmenter": ["embedded_sam"]})


def test_the_analysis_of_one_image_by_hand():
    rows = pd.DataFrame(analysis.measure(Study(), "s"), columns=analysis.COLUMNS)
    found = rows.set_index(["cue", "score"])["value"]
    assert found["gradcam", "agreement"] == 1 and found["lime", "mask_agreement"] == 1
    assert found["fused-weighted", "mask_agreement"] == 0
    assert found["gradcam", "weight"] == 0.7 and np.isnan(found["fused-weighted", "weight"])
    assert found["gradcam", "probability"] == 0.4 and found["gradcam", "sam_score"] == 0.75
    seed = threshold(bump(40, 30), otsu(bump(40, 30)))
    assert found["gradcam", "map_area"] == pytest.approx(seed.mean())
    ys, xs = np.indices((60, 80))
    disc = np.hypot(xs - 40, ys - 30) <= 8
    assert found["gradcam", "mask_area"] == pytest.approx(disc.mean())
    assert found["gradcam", "map_mask"] == pytest.approx((seed & disc).sum() / (seed | disc).sum())
    assert found["gradcam", "mask_iou"] == pytest.approx(disc.sum() / 17**2)
    assert 0.7 < found["gradcam", "jitter"] < 1
    flat = found["ig"].drop(["probability", "weight"])
    assert flat.isna().all()


def test_jitter_moves_points_a_little_and_keeps_them_inside():
    points = np.array([[0, 0], [79, 59]], np.float32)
    rng = np.random.default_rng(0)
    moved = analysis.jittered(Prompts(points, np.array([1, 0], np.int32)), (60, 80), rng)
    assert (moved.points >= 0).all() and (moved.points <= [79, 59]).all()
    assert np.abs(moved.points - points).max() <= 5
    assert moved.labels.tolist() == [1, 0]


def test_explainers_alone_count_as_others():
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[:1] = True, True
    found = analysis.mean_overlap({"gradcam": a, "lime": b, "fused-mean": a}, ["gradcam", "lime"])
    assert found == {"gradcam": 0.5, "lime": 0.5, "fused-mean": 0.75}
