"""Figures of notebook 3: what was drawn, read back from the artists."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import section_tables as given
from matplotlib.colors import to_rgba

from xaiutils.datasets import Sample
from xaiutils.errors import InputError
from xaiutils.figures import proxy as draw
from xaiutils.names import COLOURS, title
from xaiutils.sections import cues, floors, fusion_gain, promptings, proxy
from xaiutils.study import StudyConfig

CAPTION = "n = 6 squares"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def segmentation():
    return given.segmentation()


class Squares:
    """A study of one image: a bright square on noise, and its masks."""

    has_arrays, config, name = True, StudyConfig("squares"), "squares"
    sample_ids, cues = ["s0"], list(given.CUES)

    def table(self, name):
        rows = given.segmentation()
        return rows[rows["sample"] == "s0"]

    def sample(self, id):
        image = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
        mask = np.zeros((40, 60), bool)
        mask[10:30, 20:40] = True
        return Sample(id, image, mask, np.zeros_like(mask), "square", 0)

    def saliency(self, id, cue):
        y, x = np.mgrid[:40, :60]
        return np.exp(-((x - 30) ** 2 + (y - 20) ** 2) / 200).astype(np.float32)

    def mask(self, id, cue, prompting, segmenter):
        if cue == "lime":
            raise InputError("undefined")
        return self.sample(id).mask

    def caption(self):
        return CAPTION


def texts(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(plt.Text))


def labels(ax) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def test_pipeline_draws_the_studys_own_prompts_and_prints_its_iou():
    study = Squares()
    figure = draw.pipeline(study, ["s0"], "gradcam")
    assert len(figure.axes) == 6
    assert [ax.get_title() for ax in figure.axes][1:5] == [
        *["Grad-CAM", "dual cues", "SAM mask", "Otsu mask"]
    ]
    assert figure.axes[3].get_xlabel() == "IoU 0.68" and figure.axes[4].get_xlabel() == "IoU 0.48"
    points = [line for line in figure.axes[2].lines if line.get_marker() in ("o", "X")]
    prompts = draw.dual_cues(study, "s0", "gradcam")
    drawn = {(line.get_xdata()[0], line.get_ydata()[0]) for line in points}
    assert drawn == {tuple(point) for point in prompts.points} and len(points) == 5
    assert CAPTION in texts(figure)


def test_pipeline_of_an_undefined_mask_and_of_a_study_without_arrays():
    study = Squares()
    figure = draw.pipeline(study, ["s0"], "lime")
    assert figure.axes[3].get_xlabel() == "no mask"
    study.has_arrays = False
    figure = draw.pipeline(study, ["s0"], "gradcam")
    assert not figure.axes and "stored without its maps and masks" in texts(figure)


def test_coverage_and_spill_with_the_papers_bands():
    table = proxy.coverage_table(given.proxy())
    figure = draw.coverage_and_spill(table, CAPTION)
    left, right = figure.axes
    assert labels(left) == [
        "Grad-CAM",
        "Score-CAM",
        "Integrated Gradients",
        "LIME",
        title(cues.FUSED),
    ]
    truth = left.collections[1].get_offsets()  # a line and its markers for each reference
    assert truth[0, 0] == pytest.approx(0.55)
    assert len(truth) == 5
    own = left.collections[5].get_offsets()
    assert own[0].tolist() == pytest.approx([0.75, 0.24])
    (band,) = left.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((0.5, 0.1))
    assert band.get_y() == pytest.approx(-0.46)
    (lime,) = right.patches
    assert lime.get_x() == 0.3 and lime.get_y() == pytest.approx(3 - 0.46)


def test_threshold_against_prompted(segmentation):
    figure = draw.threshold_against_prompted(promptings.prompting_gain(segmentation), CAPTION)
    left, right = figure.axes
    assert labels(left)[0] == "Integrated Gradients" and labels(left)[-1] == "LIME"
    assert left.collections[1].get_offsets()[0, 0] == pytest.approx(0.1)
    assert left.collections[3].get_offsets()[0, 0] == pytest.approx(0.4)
    assert right.collections[1].get_offsets()[0, 0] == pytest.approx(0.3)
    assert "clearly better than the thresholded map: 3 of 4 explainers" in texts(figure)


def test_prompting_grid(segmentation):
    grid, means = promptings.promptings(segmentation), promptings.prompting_means(segmentation)
    figure = draw.prompting_grid(grid, means, CAPTION)
    top, low = figure.axes
    values = low.images[0].get_array()
    assert values.shape == (6, 3) and values[0].tolist() == pytest.approx([0.5, 0.5, 0.7])
    assert labels(low)[-1] == "Fused, mean"
    assert top.collections[1].get_offsets()[2, 1] == pytest.approx(0.495)
    assert "moves the mean IoU by 0.20" in texts(figure)


def test_floors_and_ceilings_are_rows_and_lines(segmentation):
    table, masks = floors.floor_table(segmentation), cues.prompted(segmentation)
    figure = draw.floors_and_ceilings(table, masks, CAPTION)
    left, right = figure.axes
    assert labels(left) == [title(cue) for cue in table["cue"]] and len(labels(left)) == 10
    points = left.collections[1]
    assert points.get_offsets()[:, 0].tolist() == pytest.approx(table["mean"].tolist())
    assert points.get_facecolors()[1].tolist() == pytest.approx(to_rgba(COLOURS[table["cue"][1]]))
    upright = [line.get_xdata()[0] for line in left.lines if line.get_marker() != "|"]
    assert sorted(upright) == pytest.approx([0.2, 0.45, 0.6, 0.9])
    ticks = [line for line in left.lines if line.get_marker() == "|"]
    assert len(ticks) == 10 and all(len(line.get_xdata()) == 6 for line in ticks)
    gains = right.collections[1].get_offsets()[:, 0]
    assert np.ma.filled(gains.astype(float), np.nan)[0] == pytest.approx(0.45)
    assert "Clearly above the best floor (centre point, 0.45): 2 of 4 explainers" in texts(figure)


def test_fused_minus(segmentation):
    figure = draw.fused_minus(fusion_gain.fused_against(segmentation), CAPTION)
    assert [ax.get_title() for ax in figure.axes] == ["thresholded maps", "SAM masks"]
    offsets = figure.axes[1].collections[1].get_offsets()
    assert offsets[0, 0] == pytest.approx(0.02)  # fused minus Grad-CAM
    assert "instead of Grad-CAM's: +0.02" in texts(figure)


def test_score_against_iou(segmentation):
    figure = draw.score_against_iou(proxy.score_table(segmentation), CAPTION)
    (ax,) = figure.axes
    assert sum(len(c.get_offsets()) for c in ax.collections) == 24
    assert ax.collections[0].get_offsets()[2].tolist() == pytest.approx([0.9, 0.7])


def test_the_note_says_loudly_which_sam_it_is(segmentation):
    assert "**The segmenter of this study is the embedded SAM, not SAM2.**" in proxy.segmenter_note(
        segmentation
    )
    real = segmentation.replace({"segmenter": {"embedded_sam": "sam2"}})
    assert "is SAM2, as in the paper" in proxy.segmenter_note(real)
