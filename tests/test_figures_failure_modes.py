"""Figures and sentences of notebook 1, from synthetic tables: what is drawn and what is said."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from xaiutils.config import StudyConfig
from xaiutils.errors import InputError
from xaiutils.figures import failure_modes as draw
from xaiutils.figures import photos
from xaiutils.figures import table2 as draw_table2
from xaiutils.sections import cost, failure_modes, picks, table2, words

CUES = ["gradcam", "scorecam", "fasterscorecam", "vargrad"]
IOU = {
    "gradcam": [0.5, 0.7, 0.6],
    "scorecam": [0.4, 0.6, 0.5],
    "fasterscorecam": [0.5, 0.7, 0.6],
    "vargrad": [0.2, 0.3, 0.1],
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def samples():
    frame = {"sample": ["s0", "s1", "s2"], "object_share": [0.2, 0.3, 0.4], "label": "cat"}
    return pd.DataFrame({**frame, "height": 40, "width": 60})


@pytest.fixture
def localisation():
    rows = []
    metrics = ("iou", "coverage", "spill", "gini", "effective_area", "dice", "relevance_mass")
    for cue, column in IOU.items():
        for i, value in enumerate(column):
            rows += [(f"s{i}", cue, metric, value) for metric in metrics]
            rows += [(f"s{i}", cue, "pointing_0", float(cue != "vargrad"))]
            rows += [(f"s{i}", cue, "pointing_15", 1.0)]
    rows += [(f"s{i}", "fused-weighted", "iou", 0.9) for i in range(3)]
    return pd.DataFrame(rows, columns=["sample", "cue", "metric", "value"])


class FakeStudy:
    """Two photographs of 40 x 60 with a square object; maps are ramps."""

    name, cues, sample_ids = "fake", CUES, ["s0", "s1"]
    config = SimpleNamespace(segmenters=("embedded_sam",), promptings=("peak",))
    has_arrays = True

    def caption(self):
        return "n = 2"

    def sample(self, id):
        mask = np.zeros((40, 60), bool)
        mask[10:30, 20:40] = True
        image = np.full((40, 60, 3), 128, np.uint8)
        return SimpleNamespace(id=id, image=image, mask=mask, void=~mask & False, label="cat")

    def saliency(self, id, cue):
        if cue == "vargrad":
            return np.full((40, 60), np.nan, np.float32)
        return np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60)

    def mask(self, id, cue, prompting, segmenter):
        if cue == "vargrad":
            raise InputError("undefined")
        return self.sample(id).mask

    def table(self, name):
        if name == "agreement":
            rows = [("s0", "iou", 0.2), ("s1", "iou", 0.8)]
            return pd.DataFrame(rows, columns=["sample", "metric", "value"])
        if name == "localisation":
            rows = [("s0", "gradcam", "pointing_0", 1.0), ("s1", "gradcam", "pointing_0", 0.0)]
            return pd.DataFrame(rows, columns=["sample", "cue", "metric", "value"])
        rows = [("s0", c, "peak", "embedded_sam", v) for c, v in zip(CUES, [0.9, 0.3, 0.4, np.nan])]
        columns = ["sample", "cue", "prompting", "segmenter", "iou"]
        return pd.DataFrame(rows, columns=columns)


def texts(figure):
    return [text.get_text() for text in figure.texts]


def labels(ax):
    return [tick.get_text() for tick in ax.get_yticklabels()]


def test_photographs_go_from_most_to_least_agreement():
    assert picks.photographs(FakeStudy(), 2) == ["s1", "s0"]
    assert picks.photographs(FakeStudy(), 1) == ["s1"]
    assert picks.photographs(FakeStudy(), 9) == ["s1", "s0"]


def test_grid_keeps_the_shape_of_every_image():
    figure, axes = photos.grid([(100, 200), (300, 200)], 3)
    size = figure.get_size_inches()
    for row, ratio in zip(axes, (0.5, 1.5)):
        for ax in row:
            _, _, w, h = ax.get_position().bounds
            assert h * size[1] / (w * size[0]) == pytest.approx(ratio)
            assert ax.get_position().x1 <= 1 + 1e-9


def test_signed_has_a_true_minus_and_no_signed_zero():
    assert [words.signed(v) for v in (0.126, -0.5, -0.001)] == ["+0.13", "−0.50", "0.00"]


def test_five_takes_one_of_each_kind_first():
    study = SimpleNamespace(cues=["lime", "gradcam", "gradcam++", "scorecam", "ig", "occlusion"])
    assert picks.five(study) == ["gradcam", "scorecam", "ig", "occlusion", "lime"]
    assert picks.five(SimpleNamespace(cues=["lime", "vargrad"])) == ["vargrad", "lime"]


def test_misalignment_draws_maps_above_masks():
    figure = draw.misalignment(FakeStudy(), ["s0", "s1"], CUES)
    assert len(figure.axes) == 4 * 5
    under = [ax.get_xlabel() for ax in figure.axes[5:10]]
    assert under == ["", "IoU 1.00", "IoU 1.00", "IoU 1.00", "no mask"]
    assert "masks from IoU 0.30 to 0.90" in texts(figure)[0]


def test_misalignment_sentence_names_best_and_worst():
    said = failure_modes.misalignment_sentence(FakeStudy(), ["s0", "s1"], CUES)
    assert said == "- s0: the best mask has IoU 0.90 (Grad-CAM), the worst 0.30 (Score-CAM)."


def test_gallery_counts_the_dots_that_miss():
    figure = draw.gallery(FakeStudy(), ["s0", "s1"])
    assert len(figure.axes) == 2 * (2 + len(CUES))
    assert texts(figure)[0] == "1 of 2 red dots lie off the object"


@pytest.mark.parametrize("make", [lambda s: draw.gallery(s, ["s0"]),
                                  lambda s: draw.misalignment(s, ["s0"], CUES),
                                  lambda s: draw.crops(s, "s0", CUES)])  # fmt: skip
def test_pictures_without_stored_maps_say_so(make):
    study = FakeStudy()
    study.has_arrays = False
    figure = make(study)
    assert not figure.axes
    assert "'fake' is stored without its maps" in texts(figure)[0].replace("\n", " ")


def test_overlap_draws_a_mean_a_cue_and_the_printed_range(localisation):
    figure = draw.overlap(localisation, "n = 3")
    left, right = figure.axes
    assert labels(left) == ["Grad-CAM", "Score-CAM", "Faster-Score-CAM", "VarGrad"]
    points = left.collections[1].get_offsets()
    np.testing.assert_allclose(points[:, 0], [0.6, 0.5, 0.6, 0.2])
    box = left.patches[0]
    assert (box.get_x(), box.get_width()) == pytest.approx((0.4, 0.2))
    assert box.get_y() == pytest.approx(0.55)  # Score-CAM's row is 1
    assert texts(figure)[0] == "From 20 % (VarGrad) to 60 % (Grad-CAM) of the object is marked"
    assert len(right.lines) >= 4  # a rug for each


def test_overlap_sentences(localisation):
    said = failure_modes.overlap_sentences(localisation)
    assert "IoU 0.50 [0.40, 0.60], n = 3, inside the paper's 0.4–0.6" in said
    assert "Faster-Score-CAM minus Score-CAM on the same photographs: +0.10" in said
    assert "VarGrad minus Score-CAM on the same photographs: −0.30" in said
    assert "VarGrad marks least of the object: coverage 20 %" in said


def test_spurious_marks_the_blind_choice(localisation, samples):
    figure = draw.spurious(localisation, samples, "n = 3")
    line = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert line.get_xdata()[0] == pytest.approx(0.7)
    missed = figure.axes[1].collections[1].get_offsets()[:, 0]
    np.testing.assert_allclose(missed, [0, 0, 0, 1])
    said = failure_modes.spurious_sentences(localisation, samples)
    assert "blind choice of pixels would spill 70 %" in said
    assert "most often for VarGrad: 100 % of n = 3 photographs" in said


def test_noise_sentences_order_the_maps(localisation):
    draw.noise(localisation, "n = 3")
    said = failure_modes.noise_sentences(localisation)
    assert "most concentrated map is that of VarGrad: effective area 20 %" in said
    assert "that of Grad-CAM: 60 %" in said


def test_texture_title_names_the_finest_and_the_smoothest():
    ramp, dust = np.tile(np.arange(8.0), (8, 1)), np.indices((8, 8)).sum(axis=0) % 2.0
    said = failure_modes.texture_title({"gradcam": ramp, "ig": dust})
    start, end = said.split(", as a share")
    assert start == "From pixel to pixel Integrated Gradients changes 14 times as much as Grad-CAM"
    assert end == " of its maximum (this crop)"
    flat = np.full((8, 8), np.nan)
    assert failure_modes.texture_title({"gradcam": flat}) == "Texture of the maps on one crop"


def test_window_stays_inside_and_holds_the_object():
    mask = np.zeros((100, 200), bool)
    mask[80:100, 180:200] = True
    assert draw.window(mask) == (140, 40, 60)
    assert draw.window(np.zeros((100, 200), bool)) == (70, 20, 60)


def test_crops_have_a_panel_a_cue():
    figure = draw.crops(FakeStudy(), "s0", CUES)
    assert [ax.get_title() for ax in figure.axes if ax.get_visible()][1:] == [
        "Grad-CAM", "Score-CAM", "Faster-Score-CAM", "VarGrad"]  # fmt: skip


@pytest.fixture
def explanations():
    rows = []
    for i, seconds in enumerate([10.0, 20.0]):
        rows.append((f"s{i}", "scorecam", "", seconds, 1280, 0))
        rows.append((f"s{i}", "fasterscorecam", "", seconds / 10, 128, 0))
        rows.append((f"s{i}", "gradcam", "", 0.1, 1, 1))
        rows.append((f"s{i}", "gradcam++", "", 0.1, 0, 0))
    return pd.DataFrame(
        rows, columns=["sample", "explainer", "settings", "seconds", "forward", "backward"]
    )


def test_cost_figure_and_sentences(explanations):
    table = cost.cost(explanations)
    figure = draw.costs(table, explanations, "n = 2")
    assert texts(figure)[0] == "Score-CAM takes 10.0 times as long as Faster-Score-CAM"
    written = [text.get_text() for text in figure.axes[0].texts]
    assert written == ["1 + 1 backward", "none of its own: shared", "1,280", "128"]
    said = cost.cost_sentences(table, explanations)
    assert "10.0 times as many passes (1,280 against 128)" in said
    assert "n = 4 explainers" in said


def test_cost_without_the_pair_has_a_neutral_title(explanations):
    assert cost.cost_title(explanations[explanations["explainer"] == "gradcam"]) == (
        "What one explanation costs"
    )


def test_order_figures_state_rho_and_n(localisation, samples):
    order = table2.order(localisation, 50)
    cells = table2.table2_cells(localisation, samples, StudyConfig("t", classifier="resnet50"))
    figure = draw_table2.printed_against_ours(cells, order, "n = 3")
    rho = order.query("metric == 'iou' and dataset == 'Pascal VOC 2012'")["rho"].iloc[0]
    assert figure.axes[1].get_title() == f"ρ = {words.signed(rho)} (n = 5)"
    np.testing.assert_allclose(
        figure.axes[1].collections[-1].get_offsets()[0], [0.70, 0.6], atol=1e-9
    )
    draw_table2.readings(order, "n = 3")
    assert "Each correlation ranks n = 5 methods." in table2.order_sentences(order)


def test_best_reading_is_the_one_with_the_highest_mean():
    rows = [("effectiveness", "A", 0.1), ("effectiveness", "A", 0.3), ("effectiveness", "B", 0.5)]
    order = pd.DataFrame(rows, columns=["measure", "reading", "rho"])
    assert table2.best_reading(order).round(6).to_dict() == {"B": 0.5, "A": 0.2}
    said = table2.effectiveness_title(order)
    assert said == "Closest to the printed order of Effectiveness: B, mean ρ +0.50"


@pytest.mark.parametrize("width", range(20, 60))
def test_lines_part_no_number_from_what_it_belongs_to(width):
    text = (
        "Moves it by 0.05 [−0.07, +0.02], that is 88 % of 90 [1, 2], n = 78 images, seed 0, and on"
    )
    lines = photos.wrapped(text, width).splitlines()
    assert " ".join(lines) == text and max(map(len, lines)) <= width
    for whole in ("[−0.07, +0.02]", "88 %", "[1, 2]", "n = 78", "seed 0"):
        assert any(whole in line for line in lines)
