"""The callbacks of the widgets by hand, what stands still, and the click canvas in Python."""

import base64
import io
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_clicks import Discs, disc

from xaiutils.clicks import simulate
from xaiutils.errors import InputError
from xaiutils.fusion import by_hand, mean
from xaiutils.maps import normalise
from xaiutils.study import open_study
from xaiutils.widgets import (
    blend,
    click_scene,
    click_to_prompt,
    frontend,
    fusion_blend,
    raster,
    threshold,
    threshold_explorer,
)
from xaiutils.widgets.click_canvas import ClickCanvas
from xaiutils.widgets.prompter import Prompter, act, place

H, W = 20, 30
NAN = float("nan")


def square(x0, y0, x1, y1):
    mask = np.zeros((H, W), bool)
    mask[y0:y1, x0:x1] = True
    return mask


class Study:
    """Two images of 20 x 30 with a square, maps of 20 x 30, and discs for a segmenter."""

    name, has_arrays = "toy", True
    cues = ("gradcam", "lime", "fused-weighted")
    sample_ids = ("first", "second")

    def __init__(self):
        self.discs = Discs()

    def caption(self):
        return "n = 2"

    def sample(self, id):
        image = np.full((H, W, 3), 40 if id == "first" else 200, np.uint8)
        void = np.zeros((H, W), bool)
        return SimpleNamespace(id=id, image=image, mask=square(5, 5, 14, 14), void=void)

    def raw(self, id, explainer):
        ys, xs = np.indices((H, W))
        x = 9 if explainer == "gradcam" else 20
        return np.exp(-((xs - x) ** 2 + (ys - 9) ** 2) / 60).astype(np.float32)

    def saliency(self, id, cue):
        if cue == "fused-weighted":
            weights = np.array([0.75, 0.25])
            return normalise(
                by_hand(np.stack([self.raw(id, c) for c in self.cues[:2]]), weights).map
            )
        return normalise(self.raw(id, cue))

    def segmenter(self, name):
        return self.discs

    def table(self, name):
        if name == "weights":
            rows = [("gradcam", 0.75), ("lime", 0.25)]
            return pd.DataFrame(
                [(id, "weighted", e, w) for id in self.sample_ids for e, w in rows],
                columns=["sample", "fusion", "explainer", "weight"],
            )
        cues = [(id, cue, "iou", 0.5) for id in self.sample_ids for cue in self.cues]
        return pd.DataFrame(cues, columns=["sample", "cue", "metric", "value"])


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    plt.close("all")


@pytest.fixture
def study():
    return Study()


def texts(figure):
    """All that a figure says."""
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def decoded(url):
    """The picture of a data URL as an array."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


# ---- the threshold explorer


def test_at_threshold_by_hand():
    map = np.array([[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]])
    mask = np.array([[False, False, False, True, True, True]])
    found = threshold.at_threshold(map, mask, None, 0.4)
    assert found == {"level": 0.4, "iou": 3 / 4, "coverage": 1.0, "spill": 1 / 4}
    found = threshold.at_threshold(map, mask, None, 0.7)
    assert found == {"level": 0.7, "iou": 2 / 3, "coverage": 2 / 3, "spill": 0.0}


def test_void_counts_nowhere():
    map = np.array([[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]])
    mask = np.array([[False, False, False, True, True, True]])
    void = np.array([[False, False, True, False, False, True]])
    found = threshold.at_threshold(map, mask, void, 0.4)
    assert found == {"level": 0.4, "iou": 1.0, "coverage": 1.0, "spill": 0.0}
    same = threshold.at_threshold(map[~void], mask[~void], None, 0.4)
    assert same == found


def test_a_flat_map_and_a_missing_object_have_no_numbers():
    flat, object_, nothing = np.full((2, 2), NAN), np.ones((2, 2), bool), np.zeros((2, 2), bool)
    assert np.isnan(threshold.at_threshold(flat, object_, None, 0.5)["iou"])
    assert threshold.start_level(flat, nothing) == 0.5
    ramp = np.array([[0.0, 0.3], [0.6, 1.0]])
    assert np.isnan(threshold.at_threshold(ramp, nothing, nothing, 0.5)["spill"])


def test_a_level_outside_the_map_is_refused():
    with pytest.raises(InputError, match=r"level is 1\.5"):
        threshold.at_threshold(np.zeros((2, 2)), np.zeros((2, 2), bool), None, 1.5)


def test_the_slider_changes_numbers_and_picture(study):
    explorer = threshold_explorer(study, headless=False)
    before = explorer.numbers.value, explorer.shown.value
    assert explorer.level.value == threshold.start_level(study.saliency("first", "gradcam"), None)
    explorer.level.value = 0.9
    map, mask = study.saliency("first", "gradcam"), square(5, 5, 14, 14)
    found = threshold.at_threshold(map, mask, None, 0.9)
    assert f"cut at 0.90: IoU {found['iou']:.2f}, coverage" in explorer.numbers.value
    assert explorer.numbers.value != before[0] and explorer.shown.value != before[1]
    explorer.otsu.click()
    assert (explorer.numbers.value, explorer.shown.value) == before


def test_another_map_starts_at_its_own_threshold(study):
    explorer = threshold_explorer(study, "second", "lime", headless=False)
    assert "LIME on second" in explorer.numbers.value
    explorer.cue.value = "fused-weighted"
    assert explorer.level.value == threshold.start_level(
        study.saliency("second", "fused-weighted"), None
    )
    assert "Fused, weighted on second" in explorer.shown.value  # the picture's description


def test_the_cut_map_is_outlined_on_both_panels(study):
    shown = threshold.view(study, "first", "gradcam")
    picture = threshold.picture(shown, 0.5)
    assert picture.shape == (H, 2 * W + raster.GAP, 3)
    yellow, cyan = (255, 212, 0), (0, 229, 255)
    for panel in (picture[:, :W], picture[:, -W:]):
        for colour in (yellow, cyan):
            assert (panel == colour).all(axis=2).any()


def test_the_explorer_standing_still_says_the_same(study):
    figure = threshold_explorer(study, headless=True)
    assert isinstance(figure, plt.Figure)
    explorer = threshold_explorer(study, headless=False)
    said = re.search(r">(.*)<", explorer.numbers.value)[1]
    assert said in texts(figure)


# ---- the blend


def test_by_hand_is_the_weighted_average():
    maps = np.array([[[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]])
    assert by_hand(maps, [3, 1]).map.tolist() == [[0, 0.75, 0.25]]
    assert by_hand(maps, [3, 1]).weights.tolist() == [0.75, 0.25]
    assert by_hand(maps, [1, 1]).map.tolist() == mean(maps).map.tolist()


def test_by_hand_without_weights_or_with_flat_maps():
    maps = np.array([[[0.0, 1.0]], [[2.0, 2.0]]])
    found = by_hand(maps, [1, 9])
    assert found.weights.tolist() == [1, 0] and found.dropped == 1
    assert np.isnan(by_hand(maps, [0, 9]).map).all()
    assert np.isnan(by_hand(maps, [0, 0]).weights).all()
    for wrong in ([1], [1, -1], [1, NAN]):
        with pytest.raises(InputError, match="one for each of 2 maps"):
            by_hand(maps, wrong)


def test_by_otsu_by_hand():
    map = np.array([[0.0, 0.1, 0.9, 1.0]])
    mask, void = np.array([[False, False, False, True]]), np.zeros((1, 4), bool)
    found = blend.by_otsu(map, mask, void)
    assert found["level"] == 0.9 and found["iou"] == 0.5
    assert np.isnan(blend.by_otsu(np.full((1, 4), NAN), mask, void)["iou"])


def test_the_computed_weights_by_hand_are_the_computed_fusion(study):
    maps = blend.stack(study, "first")
    assert maps.explainers == ["gradcam", "lime"] and maps.weights.tolist() == [0.75, 0.25]
    both = blend.compare(maps, maps.weights)
    np.testing.assert_allclose(both["by hand"][0], both["computed"][0], atol=1e-6)
    assert both["by hand"][1]["iou"] == both["computed"][1]["iou"]


def test_the_sliders_change_the_blend_and_not_the_computed_fusion(study):
    box = fusion_blend(study, headless=False)
    maps = box.stack
    box.sliders["lime"].value = 0
    alone = blend.by_otsu(study.saliency("first", "gradcam"), maps.mask, maps.void)["iou"]
    computed = blend.by_otsu(maps.computed, maps.mask, maps.void)["iou"]
    assert f"IoU {alone:.2f} by hand (left), {computed:.2f} computed" in box.numbers.value
    box.computed.click()
    assert box.weights == pytest.approx([1, 1 / 3])
    assert f"IoU {computed:.2f} by hand (left), {computed:.2f} computed" in box.numbers.value
    box.equal.click()
    assert box.weights.tolist() == [1, 1]


def test_no_weights_no_blend(study):
    box = fusion_blend(study, "second", headless=False)
    for slider in box.sliders.values():
        slider.value = 0
    assert "second: IoU – by hand" in box.numbers.value


def test_the_blend_standing_still_says_the_same(study):
    figure = fusion_blend(study, headless=True)
    said = re.search(r">(.*)<", fusion_blend(study, headless=False).numbers.value)[1]
    assert said.replace("by hand", "by equal weights") in texts(figure)


# ---- clicks


@pytest.fixture
def prompter(study):
    return Prompter(study.discs, study.sample("first"))


def test_clicks_refine_the_mask_and_are_counted(prompter):
    truth = square(5, 5, 14, 14)
    prompter.click(9, 9)
    first = disc(9, 9)
    assert (prompter.mask == first).all()
    prompter.click(20.4, 9.6, 0)
    assert (prompter.mask == first & ~disc(20, 10)).all()
    assert prompter.points == [(9, 9, 1), (20, 10, 0)]
    value = (first & truth).sum() / (first | truth).sum()
    assert prompter.curve == [(0, 0.0), (1, pytest.approx(value)), (2, pytest.approx(value))]


def test_the_curve_is_that_of_the_simulated_user(study, prompter):
    sample = study.sample("first")
    values, clicks = simulate(study.discs, None, sample.mask, sample.void, 4)
    for click in clicks:
        prompter.click(*click)
    assert [value for _, value in prompter.curve] == pytest.approx(values)


def test_a_box_counts_as_two_clicks_and_replaces_another(prompter):
    prompter.drag(13.2, 13, 5, 4.6)
    assert prompter.last.prompts.box.tolist() == [5, 5, 13, 13]
    assert (prompter.mask == square(5, 5, 14, 14)).all()
    assert prompter.curve[-1] == (2, 1.0)
    prompter.drag(0, 0, 3, 3)
    assert (prompter.mask == square(0, 0, 4, 4)).all() and prompter.last.clicks == 4


def test_undo_and_reset(prompter):
    prompter.undo()  # nothing to take back
    prompter.click(9, 9)
    prompter.click(20, 10)
    prompter.undo()
    assert (prompter.mask == disc(9, 9)).all() and prompter.last.clicks == 1
    prompter.reset()
    assert not prompter.mask.any() and prompter.points == [] and prompter.curve == [(0, 0.0)]


def test_two_images_share_a_segmenter(study, prompter):
    other = Prompter(study.discs, study.sample("second"))
    seen = []
    study.discs._prepare = lambda image: seen.append(int(image[0, 0, 0]))
    prompter.click(9, 9)
    prompter.click(10, 9)
    other.click(9, 9)
    assert seen == [40, 200]  # set again once for each, not for each click


def test_places_are_pixels_of_the_image():
    assert place(2.5, 3.49, (H, W)) == (3, 3)
    assert place(-4, 400, (H, W)) == (0, H - 1)
    with pytest.raises(InputError, match="no place"):
        place(NAN, 1, (H, W))


def test_messages_that_no_browser_of_ours_sends_are_refused(prompter):
    for message in (
        {"kind": "burn"},
        {"kind": "click", "x": 1, "y": 2},
        {"kind": "click", "x": "1", "y": 2, "label": 1},
        {"kind": "click", "x": 1, "y": 2, "label": 3},
        {"kind": "undo", "x": 1},
        {},
    ):
        with pytest.raises(InputError):
            act(prompter, message)
    assert prompter.curve == [(0, 0.0)]


def hear(canvas: ClickCanvas, **message):
    """As if the browser had sent it."""
    canvas._handle_custom_msg(message, [])


def test_a_fake_click_shows_a_mask_and_its_iou(study):
    canvas = click_to_prompt(study, headless=False).canvas
    assert (canvas.width, canvas.height, canvas.status) == (W, H, "0 clicks, IoU 0.00")
    empty = canvas.overlay
    hear(canvas, kind="click", x=9, y=9, label=1)
    value = canvas.prompter.last.iou
    assert canvas.status == f"1 click, IoU {value:.2f}" and value > 0.3
    assert canvas.overlay != empty
    veil = decoded(re.search(r'href="([^"]+)"', canvas.overlay)[1])
    assert veil.shape == (H, W, 4) and veil[9, 9].tolist() == [255, 212, 0, 102]
    assert veil[0, 29, 3] == 0
    assert '<circle cx="9" cy="9"' in canvas.overlay
    assert f"0 clicks 0.00, 1 clicks {value:.2f}" in canvas.curve
    hear(canvas, kind="undo")
    assert canvas.overlay == empty and canvas.status == "0 clicks, IoU 0.00"
    hear(canvas, kind="box", x0=5, y0=5, x1=13, y1=13)
    assert canvas.status == "2 clicks, IoU 1.00" and "<rect" in canvas.overlay
    hear(canvas, kind="reset")
    assert canvas.overlay == empty


def test_a_wrong_message_is_told_and_changes_nothing(study):
    canvas = click_to_prompt(study, headless=False).canvas
    before = canvas.overlay
    hear(canvas, kind="burn")
    assert "no message of the click canvas" in canvas.status and canvas.overlay == before


def test_the_true_outline_can_be_hidden(study):
    box = click_to_prompt(study, headless=False)
    assert box.canvas.overlay.count("<image") == 2
    box.truth.value = False
    assert box.canvas.overlay.count("<image") == 1


def test_another_image_starts_without_a_prompt(study):
    box = click_to_prompt(study, headless=False)
    hear(box.canvas, kind="click", x=9, y=9, label=1)
    photo = box.canvas.photo
    box.image.value = "second"
    assert box.canvas.status == "0 clicks, IoU 0.00" and box.canvas.photo != photo
    assert decoded(box.canvas.photo)[0, 0].tolist() == [200] * 3


def test_without_a_true_mask_there_is_no_iou(study):
    sample = study.sample("first")
    sample.mask = np.zeros((H, W), bool)
    prompter = Prompter(study.discs, sample)
    prompter.click(9, 9)
    assert click_scene.status(prompter) == "1 click"
    assert click_scene.curve(prompter.curve) == ""


def discs_of(sample):
    segmenter = Discs()
    segmenter.set_image(sample.image)
    return segmenter


def test_the_clicks_standing_still_are_those_of_the_simulated_user(study):
    figure = click_to_prompt(study, headless=True)
    sample = study.sample("first")
    values, _ = simulate(discs_of(sample), None, sample.mask, sample.void, 5)
    drawn = figure.axes[1].lines[0].get_ydata()
    assert drawn == pytest.approx(values[: len(drawn)])
    assert f"{len(drawn) - 1} clicks, IoU {drawn[-1]:.2f}" in texts(figure)


# ---- with the real study


@pytest.mark.slow
def test_the_numbers_are_those_that_the_study_stored():
    study = open_study("demo", progress=False)
    stored = study.table("localisation").set_index(["sample", "cue", "metric"])["value"]
    curve = study.table("thresholds").set_index(["sample", "cue"])
    for cue in study.cues:
        shown = threshold.view(study, "koala", cue)
        found = threshold.at_threshold(shown.values, shown.inside, None, shown.level)
        for metric in ("iou", "coverage", "spill"):
            assert found[metric] == pytest.approx(stored["koala", cue, metric])
        for level, value in curve.loc[("koala", cue)].itertuples(index=False):
            found = threshold.at_threshold(shown.values, shown.inside, None, level)
            assert found["iou"] == pytest.approx(value)
    maps = blend.stack(study, "koala")
    both = blend.compare(maps, maps.weights)
    np.testing.assert_allclose(both["by hand"][0], both["computed"][0], atol=1e-5)
    assert both["by hand"][1]["iou"] == pytest.approx(
        stored["koala", blend.COMPUTED, "iou"], abs=0.01
    )


@pytest.mark.slow
def test_a_click_on_the_koala_is_answered_by_the_real_sam():
    canvas = click_to_prompt(open_study("demo", progress=False), "koala", headless=False).canvas
    hear(canvas, kind="box", x0=70, y0=150, x1=400, y1=550)
    assert canvas.prompter.last.iou > 0.7
    hear(canvas, kind="click", x=250, y=300, label=1)
    assert canvas.prompter.last.iou > 0.7 and canvas.status.startswith("3 clicks, IoU 0.")


# ---- what they share

WIDGETS = [threshold_explorer, fusion_blend, click_to_prompt]


@pytest.mark.parametrize("widget", WIDGETS)
def test_the_environment_says_whether_anybody_is_there(widget, study, monkeypatch):
    monkeypatch.setenv("XAIUTILS_HEADLESS", "1")
    figure = widget(study)
    assert plt.fignum_exists(figure.number)  # open: a notebook shows it below the cell
    plt.close("all")
    assert not isinstance(widget(study, headless=False), plt.Figure)
    monkeypatch.delenv("XAIUTILS_HEADLESS")
    assert not isinstance(widget(study), plt.Figure)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("widget", WIDGETS)
def test_what_a_study_lacks_is_said(widget, study):
    with pytest.raises(InputError, match="unknown image 'third'; known: first, second"):
        widget(study, "third")
    study.has_arrays = False
    with pytest.raises(InputError, match="tables only"):
        widget(study)


def test_unknown_explainers_and_a_missing_fusion_are_refused(study):
    with pytest.raises(InputError, match="unknown explainer 'cam'"):
        threshold_explorer(study, explainer="cam")
    study.cues = ("gradcam", "lime")
    with pytest.raises(InputError, match="unknown fusion 'fused-weighted'"):
        fusion_blend(study)


def test_undefined_numbers_are_dashes():
    assert frontend.listed({"IoU": 0.416, "spill": NAN}) == "IoU 0.42, spill –"


def test_descriptions_are_escaped():
    tag = raster.tag(np.zeros((2, 2, 3), np.uint8), '<b> & "q"')
    assert 'alt="&lt;b&gt; &amp; &quot;q&quot;"' in tag


def test_pictures_of_large_images_are_small():
    photo = raster.small_photo(np.zeros((900, 1800, 3), np.uint8))
    assert photo.shape == (raster.SIDE // 2, raster.SIDE, 3)
    assert raster.small_mask(np.ones((900, 1800), bool), photo).shape == photo.shape[:2]


def test_the_browsers_part_names_no_other_host():
    folder = Path(frontend.__file__).parent
    for path in (*folder.glob("*.js"), *folder.glob("*.css")):
        assert "//" not in re.sub(r"^\s*//.*$|\s// .*$", "", path.read_text(), flags=re.MULTILINE)
