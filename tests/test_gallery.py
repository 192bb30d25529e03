"""The mask gallery with a fake SAM whose masks are known, and the choosers on known tables."""

import json

import numpy as np
import pandas as pd
import pytest

from xaiutils import gallery, learned
from xaiutils.analyses import strategies
from xaiutils.errors import InputError
from xaiutils.gallery import FEATURES, Candidate
from xaiutils.metrics.localisation import iou
from xaiutils.prompting import Prompts
from xaiutils.segmenters import Prediction, Segmenter

SHAPE = (96, 96)  # the grid's own size: nothing is lost in reducing


def rectangle(y0, x0, y1, x1) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


LEFT, RIGHT = rectangle(20, 10, 60, 40), rectangle(30, 60, 70, 90)
GROUND = ~(LEFT | RIGHT)


class FakeSam(Segmenter):
    """Gives the object under the first point, what a box holds of objects, or the background."""

    needs = (("points",), ("box",))

    def _prepare(self, image):
        self.asked = []

    def predict(self, prompts: Prompts, logits=None) -> Prediction:
        self.asked.append((prompts, logits))
        if prompts.box is not None:
            x0, y0, x1, y1 = prompts.box.astype(int)
            mask = (LEFT | RIGHT) & rectangle(y0, x0, y1 + 1, x1 + 1)
        else:
            x, y = prompts.points[0].astype(int)
            mask = next(m for m in (LEFT, RIGHT, GROUND) if m[y, x])
        low = np.where(np.kron(mask[::3, ::3], np.ones((8, 8))), 5.0, -5.0)
        return Prediction(mask, 0.9, low.astype(np.float32))


@pytest.fixture
def sam():
    segmenter = FakeSam()
    segmenter.set_image(np.zeros((*SHAPE, 3), np.uint8))
    return segmenter


def candidate(name, mask, score=0.9):
    return Candidate(name, mask, score, 1.0)


def test_shared_prompts_are_a_grid_and_the_centre():
    prompts = gallery.shared_prompts((50, 101), grid=2)
    assert list(prompts) == [
        "grid 0 0", "grid 0 1", "grid 1 0", "grid 1 1",
        "centre point", "centre box 0.5", "centre box 0.7", "centre box 0.9",
    ]  # fmt: skip
    np.testing.assert_allclose(prompts["grid 1 0"].points, [[25, 0.75 * 49]])
    np.testing.assert_allclose(prompts["centre point"].points, [[50, 24.5]])


def test_map_prompts_box_the_components():
    map = 0.9 * LEFT + 0.8 * RIGHT
    prompts = gallery.map_prompts(map, np.random.default_rng(0))
    assert prompts["peak"].points.tolist() == [[24, 34]]  # the first of the deepest
    boxes = {tuple(p.box.astype(int)) for name, p in prompts.items() if name[:3] in ("box", "all")}
    assert (10, 20, 39, 59) in boxes  # the larger, left one alone
    assert (10, 20, 89, 69) in boxes  # both
    assert prompts["box + peak"].labels.tolist() == [1]
    corners = [tuple(p.box) for p in prompts.values() if p.box is not None and not len(p.points)]
    assert len(corners) == len(set(corners))  # no box twice


def test_a_flat_map_suggests_nothing():
    assert gallery.map_prompts(np.ones(SHAPE), np.random.default_rng(0)) == {}


def test_propose_names_candidates_and_leaves_out_empty_masks(sam):
    nowhere = Prompts(np.zeros((0, 2), np.float32), np.zeros(0, np.int32), np.array([0, 0, 5, 5.0]))
    found = gallery.propose(sam, {"a": gallery._point(20, 30), "b": nowhere}, "gradcam ")
    assert [c.name for c in found] == ["gradcam a"]
    assert (found[0].mask == LEFT).all()
    assert found[0].stability == 1


def test_soft_iou_is_the_iou_of_masks():
    rows = np.stack([LEFT.ravel(), (LEFT | RIGHT).ravel()]).astype(np.float32)
    found = gallery.soft_iou(rows, LEFT.ravel().astype(np.float32))
    assert found == pytest.approx([1, iou(LEFT | RIGHT, LEFT)])
    assert gallery.soft_iou(rows[:1], np.full(rows.shape[1], 0.5, np.float32)) == pytest.approx(
        [0.5 * 1200 / (1200 + 0.5 * 96 * 96 - 600)]
    )


def test_unite_joins_what_is_apart_and_not_what_overlaps():
    inner = rectangle(25, 15, 50, 35)
    candidates = [candidate("l", LEFT), candidate("r", RIGHT, 0.5), candidate("i", inner)]
    found = {c.name: c for c in gallery.unite(candidates, np.array([3.0, 2, 1]))}
    assert set(found) == {"l + r", "r + i"}
    assert (found["l + r"].mask == (LEFT | RIGHT)).all()
    assert found["l + r"].score == 0.5


def test_equal_masks_are_united_once():
    candidates = [candidate("l", LEFT), candidate("again", LEFT), candidate("r", RIGHT)]
    assert [c.name for c in gallery.unite(candidates, np.ones(3))] == ["l + r"]


def test_refine_feeds_logits_and_box_back(sam):
    first = gallery.propose(sam, {"a": gallery._point(20, 30)})
    sam.asked.clear()
    (again,) = gallery.refine(sam, first, np.ones(1))
    ((prompts, logits),) = sam.asked
    assert prompts.box.tolist() == [10, 20, 39, 59]
    assert logits is first[0].logits
    assert again.name == "a, again"


def test_features_of_a_perfect_mask():
    map = (LEFT | RIGHT).astype(np.float32)
    candidates = [candidate("a + b", LEFT | RIGHT), candidate("l", LEFT), candidate("g", GROUND)]
    table = pd.DataFrame(gallery.features(candidates, map, [map]), columns=FEATURES)
    assert table["map"].tolist() == pytest.approx([1, 0.5, 0])
    assert table["others"].tolist() == pytest.approx([1, 0.5, 0])
    n = LEFT.size
    tied = (n - 2400) / 2 / n, (n - 1200) / n  # mean rank of the ground, of the objects
    assert table["order"][0] == pytest.approx(tied[1] - tied[0] + 0.5, abs=1e-4)
    assert table["order"][2] == pytest.approx(0, abs=1e-4)
    assert table["mass"].tolist() == pytest.approx([1, 0.5, 0])
    assert table["consensus"].tolist() == pytest.approx([0.5, 0.5, 1 / 3])
    w = np.exp(-gallery.SHARPNESS / 2)  # of a mask whose agreement is 0.5 below the best
    assert table["supported"][0] == pytest.approx((1 + 0.5 * w) / (1 + w + w**2), abs=1e-6)
    assert table["area"].tolist() == pytest.approx([2400 / n, 1200 / n, 1 - 2400 / n])
    assert table["size"].tolist() == pytest.approx(np.sqrt(table["area"]).tolist())
    assert table["border"].tolist() == [0, 0, 1]
    assert table["united"].tolist() == [1, 0, 0]


def test_a_flat_map_cannot_choose():
    with pytest.raises(InputError, match="flat"):
        gallery.features([candidate("l", LEFT)], np.zeros(SHAPE), [LEFT * 1.0])


def test_scores_are_a_weighted_sum_and_check_names():
    table = np.zeros((2, len(FEATURES)))
    table[1, FEATURES.index("map")] = 0.5
    assert gallery.scores(table, {"map": 2, "score": 1}).tolist() == [0, 1]
    with pytest.raises(InputError, match="unknown features"):
        gallery.scores(table, {"taste": 1})


def test_two_objects_are_found_by_the_whole_gallery(sam):
    map = np.clip(0.9 * LEFT + 0.7 * RIGHT + 0.05, 0, 1).astype(np.float32)
    shared = gallery.propose(sam, gallery.shared_prompts(SHAPE, grid=3))
    whole = gallery.gallery(sam, shared, [map])
    best = whole[gallery.features(whole, map, [map])[:, FEATURES.index("map")].argmax()]
    assert iou(best.mask, LEFT | RIGHT) == 1
    assert max(iou(c.mask, LEFT | RIGHT) for c in shared if "point" not in c.name) >= 0.5


def test_the_centre_map_is_a_gaussian():
    map = gallery.centre_map((5, 9))
    assert map[2, 4] == 1
    assert map[2, 0] == pytest.approx(np.exp(-2))
    np.testing.assert_allclose(map, map[::-1, ::-1], rtol=1e-6)


# Choosers ---------------------------------------------------------------------------------------


def _table(samples=12, n=20, cues=("gradcam", "lime", "fused-weighted", "fused-mean")):
    """Galleries in which IoU = 0.3 others + 0.3 supported: both choosers can find the best."""
    rng = np.random.default_rng(1)
    rows = []
    for s in range(samples):
        for cue in cues:
            x = rng.random((n, len(FEATURES)))
            values = 0.3 * x[:, FEATURES.index("others")] + 0.3 * x[:, FEATURES.index("supported")]
            rows += [
                {"sample": f"s{s:02}", "cue": cue, "candidate": f"c{i}", "iou": value, "dice": 0.0,
                 "seconds": 0.1, **dict(zip(FEATURES, each))}
                for i, (each, value) in enumerate(zip(x, values))
            ]  # fmt: skip
    return pd.DataFrame(rows)


def test_both_choosers_find_a_linear_truth():
    found = learned.selection(_table(), "made-up")
    cue, prompting = found["chosen"]
    group = learned.group_of(cue)
    assert found[prompting][group]["held_out_by_cue"][cue] == max(
        iou
        for name in ("gallery", "gallery-learned")
        for part in learned.FITTED
        for iou in found[name][part]["held_out_by_cue"].values()
    )
    assert found["images"] == 12
    for group in ("single", "fused"):
        rule, ridge = found["gallery"][group], found["gallery-learned"][group]
        assert rule["galleries"] == 24
        assert rule["weights"] == {"others": 1.0, "supported": 1.0} | dict.fromkeys(
            ("consensus", "score", "centre"), 0.0
        )
        assert rule["held_out_iou"] == pytest.approx(rule["best_iou"], abs=1e-9)
        assert ridge["held_out_iou"] == pytest.approx(ridge["best_iou"], abs=0.005)
        weights = ridge["weights"]
        assert weights["others"] / weights["supported"] == pytest.approx(1, rel=0.05)


def test_held_out_choices_have_not_seen_the_image():
    seen = []

    def fit(parts):
        seen.append({part.sample for part in parts})
        return {"map": 1.0}

    parts = learned.galleries(_table(samples=7))
    values = learned.held_out(parts, fit)
    assert len(values) == len(parts)
    assert set.intersection(*seen) == set()  # each image is left out once
    assert [len(each) for each in seen] == [5, 6, 6, 6, 6, 6]


def test_strategies_take_the_highest_and_say_the_best():
    table = _table(samples=1)
    selection = {
        name: {group: {"weights": {"others": weight}} for group in ("single", "fused")}
        for name, weight in (("gallery", 1.0), ("gallery-learned", -1.0))
    }
    rows = {(row["cue"], row["prompting"]): row for row in strategies.choices(table, selection)}
    part = table[table["cue"] == "lime"]
    high, low = part.loc[part["others"].idxmax()], part.loc[part["others"].idxmin()]
    assert rows["lime", "gallery"]["iou"] == high["iou"]
    assert rows["lime", "gallery-learned"]["iou"] == low["iou"]
    assert rows["lime", "gallery"]["seconds"] == pytest.approx(2.0)
    assert rows["ceiling:best of gallery", "gallery"]["iou"] == table["iou"].max()


def test_learned_numbers_are_checked_when_read(tmp_path):
    with pytest.raises(InputError, match="not found"):
        learned.read("selection", tmp_path)
    assert learned.version("selection", tmp_path) is None
    path = tmp_path / "selection.json"
    found = learned.selection(_table(samples=3), "made-up")
    path.write_text(json.dumps(found))
    assert learned.read("selection", tmp_path) == found
    found["gallery"]["single"]["weights"]["taste"] = 1.0
    path.write_text(json.dumps(found))
    with pytest.raises(InputError, match="not what"):
        learned.read("selection", tmp_path)
    (tmp_path / "stacking.json").write_text('{"explainers": ["a"], "coefficients": [1]}')
    with pytest.raises(InputError, match="not what"):
        learned.read("stacking", tmp_path)
