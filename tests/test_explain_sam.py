"""The maps that explain a segmenter, with one that answers a disc around the point."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")

from xaiutils.analyses import sam_occlusion as analysis
from xaiutils.errors import InputError
from xaiutils.explain_sam import blurred, edges, grid_points, occlusion_map, prompt_map
from xaiutils.figures.explain_sam import segmenter_maps
from xaiutils.prompting import Prompts
from xaiutils.sections.explain_sam import as_grid, dependence, dependence_sentences, mask_title
from xaiutils.segmenters import Prediction, Segmenter

H, W, R = 40, 60, 6


class Disc(Segmenter):
    """The bright pixels of a disc around the first point."""

    needs = (("points",),)

    def _prepare(self, image):
        self.image = image.copy()

    def predict(self, prompts, logits=None):
        self._check(prompts)
        ys, xs = np.indices(self.size)
        x, y = prompts.points[0]
        return Prediction((np.hypot(xs - x, ys - y) <= R) & (self.image[..., 0] > 100))


def bright():
    return np.full((H, W, 3), 200, np.uint8)


def point(x, y):
    return Prompts(np.array([[x, y]], np.float32), np.array([1], np.int32))


def test_hiding_a_patch_takes_its_share_of_the_disc():
    image, hidden = bright(), np.zeros((H, W, 3), np.uint8)
    segmenter = Disc()
    change = occlusion_map(segmenter, image, point(30, 20), (4, 6), hidden)  # patches of 10 x 10
    ys, xs = np.indices((H, W))
    disc = np.hypot(xs - 30, ys - 20) <= R
    shares = disc.reshape(4, 10, 6, 10).sum(axis=(1, 3)) / disc.sum()
    np.testing.assert_allclose(change, shares)
    assert change.sum() == pytest.approx(1)
    assert (segmenter.image == image).all() and (image == 200).all()


def test_a_patch_without_effect_changes_nothing():
    image = bright()
    change = occlusion_map(Disc(), image, point(30, 20), (2, 2))  # blurring a plain image: the same
    assert (change == 0).all()


def test_an_empty_mask_has_no_explanation():
    dark = np.zeros((H, W, 3), np.uint8)
    assert np.isnan(occlusion_map(Disc(), dark, point(5, 5), (2, 2))).all()


def test_the_prompt_map_is_one_where_the_point_was():
    segmenter = Disc()
    segmenter.set_image(bright())
    x, y = grid_points((H, W), (4, 6))[1, 2]
    mask = segmenter.predict(point(x, y)).mask
    found = prompt_map(segmenter, mask, (4, 6))
    assert found[1, 2] == 1
    assert found[3, 5] == 0  # 20 px lower, 30 px to the right: the discs do not touch
    both = segmenter.predict(point(x + 10, y)).mask
    expected = (mask & both).sum() / (mask | both).sum()
    assert found[1, 3] == pytest.approx(expected) and 0 < expected < 0.2


def test_grid_points_are_the_centres():
    points = grid_points((4, 6), (2, 3))
    assert points.shape == (2, 3, 2)
    assert points[0].tolist() == [[0.5, 0.5], [2.5, 0.5], [4.5, 0.5]]
    assert points[1, 0].tolist() == [0.5, 2.5]


def test_patches_share_the_pixels_out():
    assert edges(10, 4).tolist() == [0, 2, 5, 8, 10]
    with pytest.raises(InputError, match="11 patches on 10 pixels"):
        edges(10, 11)


def test_blurring_keeps_the_mean_and_loses_the_detail():
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, ::2] = 200
    soft = blurred(image)
    assert abs(int(soft[20, 20, 0]) - 100) <= 2
    assert soft[:, 16:24].std() < 2


# Tables and figure --------------------------------------------------------------------------------


def table():
    grids = {"occlusion": [[0.1, 0.9], [0.0, 0.2]], "prompt": [[0.3, 1.0], [0.3, 0.3]]}
    rows = [("s", kind, r, c, grids[kind][r][c]) for kind in grids for r in (1, 0) for c in (0, 1)]
    return pd.DataFrame(rows, columns=["sample", "kind", "row", "col", "value"])


def test_the_table_becomes_its_grid_again():
    assert as_grid(table(), "occlusion").tolist() == [[0.1, 0.9], [0.0, 0.2]]


def test_dependence_by_hand():
    assert dependence(table()).iloc[0].tolist() == ["s", 0.25, 0.25, 0.9]
    assert "25 % of the point's places" in mask_title(table())
    assert "largest change: 0.90" in dependence_sentences(table(), {"s": "cat"})


def test_the_figure_shows_mask_and_grids():
    class Study:
        has_arrays, cues = True, ("gradcam", "fused-weighted")

        def caption(self):
            return "n = 1"

        def sample(self, id):
            return SimpleNamespace(id=id, image=bright(), label="cat")

        def table(self, name):
            return pd.DataFrame({"segmenter": ["embedded_sam"]})

        def saliency(self, id, cue):
            map = np.zeros((H, W), np.float32)
            map[10, 20] = 1
            return map

        def mask(self, id, cue, prompting, segmenter):
            assert (cue, prompting, segmenter) == ("fused-weighted", "peak", "embedded_sam")
            mask = np.zeros((H, W), bool)
            mask[5:15, 15:25] = True
            return mask

    figure = segmenter_maps(Study(), table())
    assert len(figure.axes) == 3
    assert figure.axes[1].images[1].get_array().tolist() == [[0.1, 0.9], [0.0, 0.2]]
    assert "stored without" in segmenter_maps(
        SimpleNamespace(has_arrays=False, name="x"), table()
    ).texts[0].get_text().replace("\n", " ")  # fmt: skip


def test_the_analysis_of_one_photograph_asks_at_the_maps_maximum():
    class Study:
        config, cues = SimpleNamespace(seed=0), ("gradcam", "fused-weighted")

        def sample(self, id):
            return SimpleNamespace(id=id, image=spot)

        def saliency(self, id, cue):
            map = np.zeros((H, W), np.float32)
            map[(20, 10) if cue == "fused-weighted" else (5, 5)] = 1
            return np.full((H, W), np.nan) if id == "flat" else map

        def segmenter(self, name):
            assert name == "embedded_sam"
            segmenter = Disc()
            segmenter.set_image(spot)
            return segmenter

    ys, xs = np.indices((H, W))
    seen = np.hypot(xs - 10, ys - 20) <= 3  # a bright spot, which vanishes when it is blurred
    spot = np.where(seen, 200, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    rows = pd.DataFrame(analysis.measure(Study(), "s"))
    assert list(rows.columns) == analysis.COLUMNS
    hiding, moving = as_grid(rows, "occlusion"), as_grid(rows, "prompt")
    assert hiding.shape == analysis.PATCHES and moving.shape == analysis.POINTS
    tops, lefts = edges(H, 6), edges(W, 6)
    for row, col in np.ndindex(6, 6):
        patch = seen[tops[row] : tops[row + 1], lefts[col] : lefts[col + 1]]
        assert hiding[row, col] == pytest.approx(patch.sum() / seen.sum())
    best = np.unravel_index(moving.argmax(), moving.shape)
    assert best[1] == 10 * 12 // W and abs(best[0] - 20 * 12 / H) <= 1
    assert analysis.measure(Study(), "flat") == []
