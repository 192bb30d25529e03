"""Strategies against the floor: the table, its sentences and its figure on IoUs that are known."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from section_tables import BUMP, SAMPLES, _row, segmentation

from xaiutils.figures.strategies import strategies as draw
from xaiutils.sections.strategies import (
    best_floor,
    both,
    of,
    row_of,
    strategy_sentence,
    strategy_table,
    strategy_title,
    target_met,
)

matplotlib.use("Agg")

ROWS = {
    ("gradcam", "gallery"): 0.74,
    ("fused-weighted", "gallery"): 0.80,
    ("fused-stacked", "gallery-learned"): 0.82,
    ("gradcam", "gallery-learned"): 0.50,
    ("floor:centre map", "gallery"): 0.60,
    ("ceiling:best of gallery", "gallery"): 0.95,
    ("fused-graph", "dual"): 0.55,
}


def _strategies() -> pd.DataFrame:
    rows = [
        _row(sample, cue, prompting, "embedded_sam", iou + bump)
        for sample, bump in zip(SAMPLES, BUMP)
        for (cue, prompting), iou in ROWS.items()
    ]
    rows += [_row(sample, "fused-graph", "otsu", "threshold", 0.5) for sample in SAMPLES]
    return pd.DataFrame(rows)


@pytest.fixture
def table():
    return strategy_table(segmentation(), _strategies())


def test_every_strategy_stands_beside_floors_and_ceilings(table):
    assert not table.duplicated(["cue", "prompting"]).any()
    assert row_of(table, "fused-weighted", "gallery")["mean"] == pytest.approx(0.80)
    assert row_of(table, "gradcam", "dual")["mean"] == pytest.approx(0.70)
    assert row_of(table, "fused-graph", "otsu") is None  # a thresholded map is no SAM mask
    assert table["mean"].is_monotonic_decreasing


def test_gains_are_paired_differences_from_the_best_plain_floor(table):
    floor = best_floor(table)
    assert floor["cue"] == "floor:centre point"  # not the gallery chosen by the centre
    assert np.isnan(floor["gain"])
    row = row_of(table, "fused-weighted", "gallery")
    assert [row["gain"], row["gain_low"], row["gain_high"]] == pytest.approx([0.35] * 3)
    assert row_of(table, "gradcam", "gallery-learned")["gain"] == pytest.approx(0.05)


def test_only_images_of_both_tables_are_compared():
    some = _strategies()
    some = some[some["sample"] != "s0"]
    assert set(both(segmentation(), some)["sample"]) == set(SAMPLES[1:])


def test_the_target_needs_mean_margin_and_interval():
    row = pd.Series({"mean": 0.75, "gain": 0.10, "gain_low": 0.01})
    assert target_met(row)
    for short in ({"mean": 0.74}, {"gain": 0.09}, {"gain_low": -0.01}):
        assert not target_met(pd.Series({**row, **short}))


def test_the_sentence_says_who_wins_and_what_the_controls_are(table):
    text = strategy_sentence(table)
    assert "best plain floor (centre point) reaches 0.45" in text
    assert "**gallery**: best with Fused, weighted, 0.80 [" in text
    assert "+0.35 [+0.35, +0.35] over that floor; clearly above it for 1 of 1 explainers" in text
    assert "It meets the target: 0.75 or more, and +0.10 or more over the floor." in text
    assert "fitted on pixel labels" in text
    assert "reaches 0.60" in text and "+0.20 against it." in text
    assert "0.95" in text
    assert strategy_title(table) == (
        "A gallery of masks, chosen by the map: 0.80 (Fused, weighted), +0.35 over the best floor"
    )


def test_without_galleries_or_floors_nothing_is_claimed():
    table = strategy_table(segmentation(), _strategies().query("prompting == 'dual'"))
    assert of(table, "gallery").empty
    assert strategy_sentence(table).startswith("This study has no gallery")


def test_the_figure_draws_every_strategy_and_line(table):
    figure = draw(table, "n = 6")
    left, right = figure.axes
    assert len(left.collections) == 6  # three strategies, each points and intervals
    lines = sorted(float(line.get_xdata()[0]) for line in left.lines)
    assert lines == pytest.approx([0.45, 0.60, 0.75, 0.95])
    assert "difference from the best floor" in right.get_xlabel()


def test_the_figure_of_nothing_says_so():
    empty = strategy_table(segmentation(), _strategies().query("prompting == 'dual'"))
    figure = draw(empty, "")
    assert "no galleries" in figure.texts[0].get_text()
