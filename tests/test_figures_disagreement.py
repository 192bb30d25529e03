"""Figures and sentences of notebook 2, from synthetic tables: what is drawn and what is said."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from xaiutils.evaluation import tally_votes
from xaiutils.figures import disagreement as draw
from xaiutils.sections import disagreement, votes

LOCAL = ["sample", "cue", "metric", "value"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def agreement():
    rows = []
    values = {("gradcam", "gradcam++"): 0.9, ("gradcam", "lime"): 0.2, ("gradcam++", "lime"): 0.4}
    for (a, b), value in values.items():
        for i, shift in enumerate((-0.1, 0.1)):
            rows.append((f"s{i}", a, b, "iou", value + shift))
            rows.append((f"s{i}", a, b, "spearman", value))
    return pd.DataFrame(rows, columns=["sample", "a", "b", "metric", "value"])


@pytest.fixture
def localisation():
    values = {
        "gradcam": [0.5, 0.6],
        "lime": [0.1, 0.2],
        "fused-weighted": [0.6, 0.6],
        "fused-mean": [0.5, 0.5],
        "fused-random": [0.7, 0.8],
    }
    rows = [(f"s{i}", c, "iou", v) for c, col in values.items() for i, v in enumerate(col)]
    rows += [(f"s{i}", c, "entropy", np.log(50)) for c in values for i in range(2)]
    return pd.DataFrame(rows, columns=LOCAL)


@pytest.fixture
def samples():
    return pd.DataFrame(
        {"sample": ["s0", "s1"], "height": 10, "width": 10, "object_share": [0.2, 0.4]}
    )


class FakeStudy:
    """One photograph, 20 x 30, an object of 10 x 10, three explainers with nested squares."""

    name, sample_ids, has_arrays = "fake", ["s0"], True
    cues = ("gradcam", "vargrad", "lime", "fused-weighted")

    def caption(self):
        return "n = 1"

    def _square(self, side):
        mask = np.zeros((20, 30), bool)
        mask[5 : 5 + side, 5 : 5 + side] = True
        return mask

    def sample(self, id):
        image = np.zeros((20, 30, 3), np.uint8)
        void = np.zeros((20, 30), bool)
        return SimpleNamespace(id=id, image=image, mask=self._square(10), void=void, label="cat")

    def saliency(self, id, cue):
        return self._square({"vargrad": 8, "lime": 5}.get(cue, 10)).astype(np.float32)

    def table(self, name):
        rows = [("s0", cue, "iou", 0.5) for cue in self.cues]
        return pd.DataFrame(rows, columns=LOCAL)


def title_of(figure):
    return figure.texts[0].get_text()


def test_matrix_is_symmetric_with_ones(agreement):
    square = disagreement.matrix(disagreement.pairs(agreement), "iou")
    assert list(square.index) == ["gradcam", "gradcam++", "lime"]
    np.testing.assert_allclose(square, [[1, 0.9, 0.2], [0.9, 1, 0.4], [0.2, 0.4, 1]])


def test_clusters_join_the_closest_first(agreement):
    tree = disagreement.clusters(disagreement.matrix(disagreement.pairs(agreement), "iou"))
    assert sorted(tree[0, :2]) == [0, 1]
    assert tree[0, 2] == pytest.approx(0.1)
    assert tree[1, 2] == pytest.approx((0.8 + 0.6) / 2)
    assert disagreement.clusters(pd.DataFrame(np.eye(2))) is None


def test_agreement_matrix_writes_and_frames_the_named_pair(agreement):
    figure = draw.agreement_matrix(disagreement.pairs(agreement), "n = 2")
    assert title_of(figure) == "Grad-CAM and LIME overlap by 0.20 IoU (n = 2)"
    left = next(ax for ax in figure.axes if ax.get_xlabel().startswith("IoU"))
    assert sorted(text.get_text() for text in left.texts) == [".20"] * 2 + [".40"] * 2 + [".90"] * 2
    names = [tick.get_text() for tick in left.get_yticklabels()]
    frame = left.patches[0]
    x, y = round(frame.get_x() + 0.5), round(frame.get_y() + 0.5)
    assert {names[x], names[y]} == {"Grad-CAM", "LIME"}


def test_agreement_of_two_explainers_is_drawn_without_a_tree(agreement):
    part = agreement[(agreement["a"] == "gradcam") & (agreement["b"] == "lime")]
    assert len(draw.agreement_matrix(disagreement.pairs(part), "").axes) == 2


def test_agreement_sentences(agreement):
    said = disagreement.agreement_sentences(disagreement.pairs(agreement))
    assert "Grad-CAM and LIME: IoU 0.20 [0.10, 0.30], n = 2" in said
    assert "below 0.4 for 1 of 3 pairs" in said
    assert "The closest pair: Grad-CAM and Grad-CAM++, 0.90" in said
    assert "Within the CAM family the mean over pairs is 0.90, over all other pairs 0.30" in said


def test_pair_is_found_in_either_order(agreement):
    pairs = disagreement.pairs(agreement)
    assert disagreement.pair(pairs, "lime", "gradcam")["mean"] == pytest.approx(0.2)
    assert disagreement.pair(pairs, "lime", "ig") is None


def test_tally_by_hand():
    count = np.array([0, 0, 1, 1, 2, 2])
    inside = np.array([False, True, False, True, True, True])
    masks = [(count >= k)[None] for k in (1, 2, 3)]
    rows = tally_votes(masks, inside[None], np.zeros((1, 6), bool))
    assert [row["pixels"] for row in rows] == [2, 2, 2, 0]
    assert [row["precision"] for row in rows[:3]] == [0.5, 0.5, 1.0]
    assert np.isnan(rows[3]["precision"])
    assert [row["coverage"] for row in rows] == [1.0, 0.75, 0.5, 0.0]


def test_vote_map_counts_the_explainers_alone():
    count = votes.vote_map(FakeStudy(), FakeStudy().sample("s0"))
    assert np.bincount(count.ravel()).tolist() == [600 - 100, 100 - 64, 64 - 25, 25]


def vote_table() -> pd.DataFrame:
    """The votes of FakeStudy, as a study stores them."""
    study = FakeStudy()
    sample = study.sample("s0")
    masks = [votes.seed(study, "s0", cue, sample.void) for cue in votes.explainers(study)]
    return pd.DataFrame(tally_votes(masks, sample.mask, sample.void)).assign(sample="s0")


def test_vote_table_and_its_figure(samples):
    table = vote_table()
    assert table["precision"].tolist() == [0, 1, 1, 1]
    assert table["coverage"].tolist() == [1.0, 1.0, 0.64, 0.25]
    figure = draw.vote_precision(table, samples, "n = 1")
    assert (
        title_of(figure) == "On the object: 0 % of the pixels with 0 votes, 100 % of those with 3"
    )
    assert any(np.allclose(line.get_ydata(), 0.3) for line in figure.axes[0].lines)


def test_pictures_without_stored_maps():
    study = FakeStudy()
    study.has_arrays = False
    for figure in (draw.vote_maps(study, ["s0"]), draw.fusion_gallery(study, ["s0"])):
        assert not figure.axes and "stored without" in title_of(figure)


def test_vote_sentences_and_trend():
    table = pd.DataFrame(
        [("s", v, 10, p, c) for v, p, c in [(0, 0.1, 1.0), (1, 0.5, 0.6), (2, 0.9, 0.2)]],
        columns=["sample", "votes", "pixels", "precision", "coverage"],
    )
    assert votes.vote_trend(table).tolist() == [1.0]
    said = votes.vote_sentences(table)
    assert "with 0 votes, on the object: 10 %, n = 1" in said
    assert "at least 1 votes hold 60 % of the object, those with all 2 hold 20 %" in said


def test_vote_maps_show_how_much_all_mark():
    figure = draw.vote_maps(FakeStudy(), ["s0"])
    said = "All 3 explainers mark the same 25 % of the object, the mean of the 1 shown"
    assert " ".join(title_of(figure).split()) == said


def test_fusion_gallery_shows_the_best_single_first():
    figure = draw.fusion_gallery(FakeStudy(), ["s0"])
    assert [ax.get_title() for ax in figure.axes] == ["photograph", "Grad-CAM", "Fused,\nweighted"]
    assert title_of(figure) == "Weighted fusion: a higher IoU than Grad-CAM on 0 of the 1 shown"


@pytest.fixture
def weights():
    rows = [("s0", "weighted", "gradcam", 0.8), ("s0", "weighted", "lime", 0.2)]
    rows += [("s1", "weighted", "gradcam", 0.6), ("s1", "weighted", "lime", 0.4)]
    rows += [("s0", "mean", "gradcam", 0.5), ("s0", "mean", "lime", 0.5)]
    return pd.DataFrame(rows, columns=["sample", "fusion", "explainer", "weight"])


def test_weights_by_photograph(weights):
    wide = disagreement.weight_table(weights)
    assert wide.to_numpy().tolist() == [[0.8, 0.2], [0.6, 0.4]]
    figure = draw.weight_map(weights, "n = 2")
    assert title_of(figure) == "1 of 2 explainers hold 70 % of the weight"
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), wide)
    said = disagreement.weight_sentences(weights)
    number = (1 / 0.68 + 1 / 0.52) / 2
    assert f"worth {number:.2f}" in said
    assert "goes to Grad-CAM: together 70 %" in said
    assert "Grad-CAM: 0.60 to 0.80" in said


def test_weights_of_a_study_without_the_weighted_fusion(weights):
    mean = weights[weights["fusion"] == "mean"]
    assert disagreement.weight_table(mean).to_numpy().tolist() == [[0.5, 0.5]]
    assert "no fusion" in title_of(draw.weight_map(weights[:0], ""))
    assert "no fusion" in disagreement.weight_sentences(weights[:0])


def test_best_single_leaves_fusions_out(localisation):
    assert disagreement.best_single(localisation) == "gradcam"


def test_differences_are_paired(localisation):
    table = disagreement.differences(localisation).set_index("cue")
    assert list(table.index) == ["gradcam", "lime", "fused-mean", "fused-random"]
    assert table.loc["gradcam", ["mean", "low", "high", "n"]].tolist() == pytest.approx(
        [0.05, 0.0, 0.1, 2]
    )
    assert table.loc["fused-random", "mean"] == pytest.approx(-0.15)


def test_fused_against_single(localisation):
    figure = draw.fused_against_single(localisation, "n = 2")
    assert (
        title_of(figure)
        == "Weighted fusion minus Grad-CAM, the best single: +0.05 [0.00, +0.10] IoU"
    )
    means = figure.axes[0].collections[1].get_offsets()[:, 0]
    np.testing.assert_allclose(means, [0.55, 0.15, 0.6, 0.5, 0.75])
    said = disagreement.gain_sentences(localisation)
    assert "plain average (claim: it is worse than the weighted fusion): +0.10" in said
    assert "floor for any weighting: −0.15 [−0.20, −0.10] IoU, n = 2; the fusion is worse" in said


def test_trust_table_averages_a_maps_agreement(localisation, agreement, samples):
    table = disagreement.trust_table(localisation, agreement, samples).set_index(["sample", "cue"])
    row = table.loc[("s0", "gradcam")]
    assert row["agreement"] == pytest.approx((0.8 + 0.1) / 2)
    assert row["effective_area"] == pytest.approx(0.5)
    assert row["iou"] == 0.5
    assert set(table.index.get_level_values("cue")) == {"gradcam", "lime"}


def test_trust_correlations_tell_the_levels_apart():
    rows = []
    for i in range(6):  # agreement ranks the photographs against IoU, but the explainers with it
        rows.append((f"s{i}", "gradcam", 0.5, 0.9 - 0.01 * i, 0.8 + 0.01 * i))
        rows.append((f"s{i}", "lime", 0.5, 0.2 - 0.01 * i, 0.1 + 0.01 * i))
    table = pd.DataFrame(rows, columns=["sample", "cue", "effective_area", "agreement", "iou"])
    found = disagreement.trust_correlations(table).set_index(["signal", "level"])["mean"]
    assert found["agreement", "within an explainer"] == pytest.approx(-1)
    assert found["agreement", "all maps"] > 0.4
    assert np.isnan(found["effective_area", "all maps"])
    figure = draw.trust(table, "n = 6")
    assert len(figure.axes[0].collections) == 2
    assert "n = 6 photographs" in disagreement.trust_sentences(table)
