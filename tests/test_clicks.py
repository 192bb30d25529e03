"""The simulated user and the corrections, with a segmenter that can be computed by hand."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from xaiutils.analyses import clicks as analysis
from xaiutils.analyses import sweep
from xaiutils.clicks import NONE, add, correct, next_click, simulate
from xaiutils.figures import clicks as draw
from xaiutils.prompting import Prompts, true_box
from xaiutils.sections import clicks as said
from xaiutils.sections import sweep as sweep_section
from xaiutils.segmenters import Prediction, Segmenter

H, W = 20, 30


class Discs(Segmenter):
    """A disc of radius 4 around every foreground point, without discs around background points.

    Logits are the mask of the last answer in a corner of (256, 256), kept and added to.
    """

    needs = (("points",), ("box",))

    def __init__(self, feedback: bool = True):
        self.feedback, self.asked = feedback, []

    def _prepare(self, image):
        pass

    def predict(self, prompts, logits=None):
        self._check(prompts)
        self.asked.append(logits is not None)
        height, width = self.size
        mask = np.zeros(self.size, bool) if logits is None else logits[:height, :width] > 0
        if prompts.box is not None:
            x0, y0, x1, y1 = prompts.box.astype(int)
            mask[y0 : y1 + 1, x0 : x1 + 1] = True
        ys, xs = np.indices(self.size)
        for (x, y), label in zip(prompts.points, prompts.labels):
            mask[np.hypot(xs - x, ys - y) <= 4] = bool(label)
        low = np.zeros((256, 256), np.float32)
        low[:height, :width] = mask
        return Prediction(mask, 0.5, low if self.feedback else None)


@pytest.fixture
def discs():
    segmenter = Discs()
    segmenter.set_image(np.zeros((H, W, 3), np.uint8))
    return segmenter


def square(x0, y0, x1, y1):
    mask = np.zeros((H, W), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def disc(x, y):
    ys, xs = np.indices((H, W))
    return np.hypot(xs - x, ys - y) <= 4


def test_the_first_click_is_the_objects_deepest_pixel():
    assert next_click(np.zeros((H, W), bool), square(4, 4, 9, 9)) == (6, 6, 1)


def test_a_click_goes_to_the_larger_error_with_its_label():
    truth = square(2, 2, 7, 7)
    spilled = truth | square(15, 5, 24, 14)  # 81 pixels too many, none missed
    assert next_click(spilled, truth) == (19, 9, 0)
    missing = square(15, 5, 24, 14) | truth
    assert next_click(truth, missing) == (19, 9, 1)


def test_of_two_errors_of_a_kind_the_connected_larger_one_counts():
    truth = square(2, 2, 5, 5) | square(20, 10, 27, 17)
    assert next_click(np.zeros((H, W), bool), truth) == (23, 13, 1)


def test_void_pixels_are_no_error():
    truth, void = square(2, 2, 7, 7), square(10, 2, 20, 12)
    assert next_click(truth | void, truth, void) is None


def test_correct_adds_clicks_one_by_one(discs):
    found = correct(discs, None, [(6, 6, 1), (20, 10, 1), (6, 6, 0)])
    assert (found.mask == disc(20, 10)).all()
    assert discs.asked == [False, True, True]


def test_correct_from_prompts_keeps_them(discs):
    start = Prompts(np.array([[6, 6]], np.float32), np.array([1], np.int32))
    assert (correct(discs, start).mask == disc(6, 6)).all()
    assert (correct(discs, start, [(20, 10, 1)]).mask == (disc(6, 6) | disc(20, 10))).all()
    assert len(start.points) == 1


def test_nothing_is_segmented_before_a_foreground_click(discs):
    assert not correct(discs, None).mask.any()
    assert not correct(discs, None, [(3, 3, 0)]).mask.any()


def test_a_segmenter_without_logits_is_asked_again_with_all_points():
    plain = Discs(feedback=False)
    plain.set_image(np.zeros((H, W, 3), np.uint8))
    found = correct(plain, None, [(6, 6, 1), (20, 10, 1)])
    assert (found.mask == (disc(6, 6) | disc(20, 10))).all()
    assert plain.asked == [False, False]


def test_add_leaves_the_box():
    box = true_box(square(2, 2, 7, 7))
    more = add(box, (3, 4, 0))
    assert more.points.tolist() == [[3, 4]] and more.labels.tolist() == [0]
    assert more.box is box.box and NONE.empty


def test_simulation_of_two_discs(discs):
    truth = disc(6, 6) | disc(20, 10)  # equally large: the first in row-major order comes first
    values, clicks = simulate(discs, None, truth, n=4)
    assert values == [0, 0.5, 1, 1, 1]
    assert clicks == [(6, 6, 1), (20, 10, 1)]


def test_a_true_start_needs_no_click(discs):
    truth = square(5, 5, 12, 12)
    values, clicks = simulate(discs, true_box(truth), truth, n=3)
    assert values == [1, 1, 1, 1] and clicks == []


# Tables and sentences ---------------------------------------------------------------------------


def curves(**starts) -> pd.DataFrame:
    rows = [
        (f"s{i}", start, k, value)
        for start, images in starts.items()
        for i, values in enumerate(images)
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["sample", "start", "clicks", "iou"])


@pytest.fixture
def table():
    return curves(
        none=[[0, 0.4, 0.8, 0.9], [0, 0.2, 0.5, 0.6]],
        gradcam=[[0.7, 0.9, 0.9, 0.9], [0.1, 0.5, 0.9, 0.9]],
    )


def test_number_of_clicks_is_capped_and_says_how_many_fail(table):
    found = said.number_of_clicks(table).set_index(["sample", "start"])
    assert found["noc"].to_dict() == {
        ("s0", "none"): 3,
        ("s0", "gradcam"): 1,
        ("s1", "none"): 3,
        ("s1", "gradcam"): 2,
    }
    assert found["failed"].tolist().count(True) == 1 and found.loc[("s1", "none"), "failed"]


def test_clicks_saved_by_hand(table):
    found = said.clicks_saved(table).set_index(["sample", "start"])["saved"]
    assert found["s0", "gradcam"] == 2  # none reaches 0.7 with its second click
    assert found["s1", "gradcam"] == 1
    assert "none" not in found.index.get_level_values("start")


def test_a_start_that_nothing_reaches_saves_all_clicks():
    table = curves(none=[[0, 0.4, 0.5]], gradcam=[[0.9, 0.9, 0.9]])
    assert said.clicks_saved(table)["saved"].tolist() == [2]


def test_sentences_name_starts_and_numbers(table):
    text = said.click_sentences(table)
    assert "From nothing" in text and "Grad-CAM" in text and "1.50" in text


# The analysis and the figures ---------------------------------------------------------------------


class Study:
    """One photograph with a square; a map that peaks on it, and a flat one."""

    config, has_arrays = SimpleNamespace(seed=0), True
    cues = ("gradcam", "lime", "fused-weighted")

    def caption(self):
        return "n = 1"

    def sample(self, id):
        image, void = np.zeros((H, W, 3), np.uint8), np.zeros((H, W), bool)
        return SimpleNamespace(id=id, image=image, mask=square(5, 5, 14, 14), void=void)

    def saliency(self, id, cue):
        if cue == "lime":
            return np.full((H, W), np.nan, np.float32)
        ys, xs = np.indices((H, W))
        return np.exp(-((xs - 9) ** 2 + (ys - 9) ** 2) / 60).astype(np.float32)

    def segmenter(self, name):
        return Discs()

    def table(self, name):
        return pd.DataFrame({"segmenter": ["embedded_sam"]})


def test_analysis_of_one_photograph():
    rows = pd.DataFrame(analysis.measure(Study(), "s"), columns=analysis.COLUMNS)
    wide = rows.pivot(index="start", columns="clicks", values="iou")
    assert list(wide.columns) == list(range(9))
    assert wide.loc["none", 0] == 0 and wide.loc["lime", 0] == 0  # a flat map tells nothing
    assert wide.loc["ceiling:true box", 0] == 1
    assert wide.loc["gradcam", 0] > 0.3
    first, truth = disc(9, 9), square(5, 5, 14, 14)
    assert wide.loc["none", 1] == pytest.approx((first & truth).sum() / (first | truth).sum())


def test_curves_and_their_title(table):
    figure = draw.click_curves(table, "n = 2")
    assert "explanations Grad-CAM is worth most, 1.50 clicks" in figure.texts[0].get_text()
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([0, 0.3, 0.65, 0.75])
    plt.close("all")


def test_the_strip_shows_every_click():
    figure = draw.correction_strip(Study(), "s", n=2)
    said = [ax.get_xlabel() for ax in figure.axes]
    assert said[3].startswith("0 clicks, IoU 0.00") and said[5].startswith("2 clicks")
    plt.close("all")


# The sweep over rules of thumb, which uses the same photograph -----------------------------------


def test_the_sweep_of_one_photograph_by_hand(monkeypatch):
    monkeypatch.setattr(sweep, "superpixels", lambda *args: [])
    table = pd.DataFrame(sweep.measure(Study(), "s"))
    assert list(table.columns) == sweep.COLUMNS
    iou = table.set_index(["cue", "factor", "result", "value"])["iou"]
    truth, ys, xs = square(5, 5, 14, 14), *np.indices((H, W))
    for level in (0.2, 0.5, 0.8):
        cut = np.exp(-((xs - 9) ** 2 + (ys - 9) ** 2) / 60) >= level
        assert iou["gradcam", "threshold", "map", str(level)] == pytest.approx(overlap(cut, truth))
        rows, columns = np.flatnonzero(cut.any(1)), np.flatnonzero(cut.any(0))
        box = square(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert iou["gradcam", "threshold", "SAM", str(level)] == pytest.approx(overlap(box, truth))
    assert iou["lime"].isna().all()  # a flat map has no mask and no prompt
    assert {*table["factor"]} == {"threshold", *sweep.POINTS, "drawing"}
    drawn = table[table["factor"] == "drawing"].groupby("cue")["value"].nunique()
    assert (drawn == sweep.DRAWINGS).all()
    # the default value of every factor is the same mask: the study's own draw
    defaults = [
        iou["gradcam", factor, "SAM", sweep_section.DEFAULTS[factor]] for factor in sweep.POINTS
    ]
    assert len(set(defaults)) == 1
    alone = iou["gradcam", "foreground points", "SAM", "1"]
    assert alone != defaults[0] and 0 < alone < 1


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()
