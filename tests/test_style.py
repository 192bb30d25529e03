"""Overlays: the colours that are drawn, and coordinates that survive a smaller picture."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from xaiutils.figures.style import MAP, fill, fine_enough, heat, picture


@pytest.fixture
def ax():
    _, ax = plt.subplots(figsize=(2, 2), dpi=100)
    ax.set_position((0, 0, 1, 1))
    yield ax
    plt.close("all")


def test_a_picture_has_at_most_300_dots_an_inch_and_keeps_its_coordinates(ax):
    assert fine_enough(ax, (300, 600)) == (600, 300)  # 2 inches: nothing to gain
    assert fine_enough(ax, (600, 1200)) == (600, 300)
    picture(ax, np.zeros((600, 1200, 3), np.uint8))
    assert ax.images[0].get_array().shape[:2] == (300, 600)
    assert ax.images[0].get_extent() == [-0.5, 1199.5, 599.5, -0.5]


def test_a_map_lies_over_the_photograph_in_grey(ax):
    image = np.full((4, 4, 3), (30, 60, 90), np.uint8)
    map = np.zeros((4, 4))
    map[1, 2] = 1
    heat(ax, image, map, alpha=0.5)
    drawn = ax.images[0].get_array()
    for value, pixel in ((0, drawn[0, 0]), (1, drawn[1, 2])):
        colour = 255 * np.array(plt.get_cmap(MAP)(float(value))[:3])
        assert np.abs(pixel - (0.5 * 60 + 0.5 * colour)).max() <= 1
    dot = ax.lines[0]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (2, 1)


def test_a_flat_map_leaves_the_photograph_and_says_so(ax):
    heat(ax, np.full((4, 4, 3), 60, np.uint8), np.full((4, 4), np.nan))
    assert [text.get_text() for text in ax.texts] == ["flat map"]
    assert (ax.images[0].get_array() == 60).all()


def test_a_mask_is_filled_in_its_colour_and_nowhere_else(ax):
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    fill(ax, mask, "#ff0000", alpha=0.4)
    drawn = ax.images[0].get_array()
    assert drawn[1, 1].tolist() == [255, 0, 0, 102] and drawn[0, 0].tolist() == [0, 0, 0, 0]
