"""Real weights, a real photograph: our maps against the plain libraries' at equal settings."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from xaiutils import bench, plain, scaling
from xaiutils.explainers import EXPLAINERS, Query, make_explainer
from xaiutils.images import read_image

SETTINGS = {
    "fasterscorecam": {"max_channels": 40},
    "ig": {"steps": 8},
    "vargrad": {"samples": 16},
    "occlusion": {"window": 56, "stride": 28},
    "kernelshap": {"samples": 150, "superpixels": 20},
    "lime": {"samples": 100, "superpixels": 20},
}


@pytest.fixture(scope="module")
def query(lite0):
    image = read_image(ROOT / "data" / "sample" / "images" / "koala.jpg")
    return Query(lite0, lite0.preprocess(image), 105)


def both(query, name, seed=3, **settings):
    explainer = make_explainer(name, **{**SETTINGS.get(name, {}), **settings})
    rng = np.random.default_rng(seed) if name == "vargrad" else bench._Fixed(seed)
    ours = explainer.attribute(query, rng)
    arguments = query.classifier, query.image[None], query.target, explainer, seed
    return ours, plain.PLAIN[name](*arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in EXPLAINERS if name not in ("scorecam", "vargrad")]
)
def test_real_maps_agree_with_the_plain_library(query, name):
    """The compiled forward and the folded batch norms change no map's order.

    Score-CAM is Faster-Score-CAM over all channels: minutes with the plain library, left to
    the benchmark; its equality is tested on a small network.
    """
    ours, theirs = both(query, name)
    assert bench.rank_correlation(ours, theirs) > 0.99


@pytest.mark.slow
def test_vargrad_is_within_the_spread_of_the_librarys_seeds(query):
    ours, theirs = both(query, "vargrad")
    _, other = both(query, "vargrad", seed=4)
    within = bench.rank_correlation(theirs, other)
    assert bench.rank_correlation(ours, theirs) > within - 0.02


# --- the tables of the benchmark --------------------------------------------------------------


def pair(plain_s, ours_s, passes=10, peak=1.0):
    return {
        "plain_s": plain_s,
        "ours_s": ours_s,
        "passes": passes,
        "plain_peak_mb": peak,
        "ours_peak_mb": 2 * peak,
    }


def test_a_row_holds_medians_and_the_spread_of_the_pairs():
    row = bench.row_of("net", "m", [pair(4, 1, peak=5), pair(9, 3), pair(8, 1)])
    assert (row["plain_s"], row["ours_s"], row["runs"]) == (8, 1, 3)
    assert (row["ratio"], row["ratio_min"], row["ratio_max"]) == (4, 3, 8)
    assert (row["plain_peak_mb"], row["ours_peak_mb"]) == (5, 10)


def test_totals_add_seconds_and_passes_run_by_run():
    rows = bench.total([[pair(4, 1), pair(8, 2)], [pair(6, 1), pair(2, 3, peak=9)]])
    assert [row["plain_s"] for row in rows] == [10, 10]
    assert [row["ours_s"] for row in rows] == [2, 5]
    assert [row["passes"] for row in rows] == [20, 20]
    assert rows[1]["plain_peak_mb"] == 9


def test_the_speed_table_has_the_nine_their_sum_and_the_pipeline():
    found = {name: [pair(5, 1), pair(5, 1)] for name in EXPLAINERS}
    found["masks"] = [{key: value for key, value in pair(9, 3).items() if key != "passes"}] * 2
    table = bench.speed_table("net", found)
    assert list(table.columns) == bench.COLUMNS
    assert table["method"].tolist() == [*EXPLAINERS, "all nine", "pipeline"]
    assert table.set_index("method").loc["all nine", "ratio"] == 5
    assert table.set_index("method").loc["pipeline", "plain_s"] == 54


def test_rank_correlation_of_known_maps():
    a = np.arange(6.0).reshape(2, 3)
    assert bench.rank_correlation(a, a**3) == pytest.approx(1)
    assert bench.rank_correlation(a, -a) == pytest.approx(-1)
    assert np.isnan(bench.rank_correlation(a, np.zeros((2, 3))))


def test_peak_sees_an_allocation():
    with bench.Peak() as peak:
        block = np.ones(20_000_000)  # 160 MB, touched
        block.sum()
        for _ in range(40):
            block += 1
    assert 120 < peak.mb < 400
    assert peak.seconds > 0


def test_slope_of_a_power_law():
    x = np.array([1.0, 10, 100])
    assert scaling.slope(x, 3 * x**0.5) == pytest.approx(0.5)


def test_the_scaling_figure_draws_every_point(monkeypatch):
    rows = [
        {"axis": axis, "value": value, "seconds": 2.0 * value, "peak_mb": 500.0}
        for axis, values in scaling.AXES.items()
        for value in values
    ]
    figure = scaling.scaling_figure(pd.DataFrame(rows))
    assert len(figure.axes) == 2 * len(scaling.AXES)
    assert figure.axes[0].get_title() == "slope 1.00"
    assert figure.axes[len(scaling.AXES)].get_title() in ("slope 0.00", "slope -0.00")
    assert list(figure.axes[1].lines[0].get_xdata()) == scaling.AXES["samples"]


@pytest.mark.slow
def test_a_point_of_the_scaling_study_is_measured_in_its_own_process(capsys):
    scaling.main(["--point", "images", "1"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["seconds"] > 0
    assert found["peak_mb"] > 100
