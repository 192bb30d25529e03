"""What a study costs, against arithmetic by hand."""

import pandas as pd
import pytest

from xaiutils.cost import CORES, SETS, Measured, cost, cost_table, main, passes_of, per_image
from xaiutils.explainers import EXPLAINERS, make_explainer

SPEED = pd.DataFrame(
    [{"method": name, "ours_s": 2.0, "passes": 4.0} for name in EXPLAINERS]
    + [{"method": "all nine", "ours_s": 18.0}, {"method": "pipeline", "ours_s": 19.0}]
)
FOUND = Measured(channels=100, masks=10, masking=3, explaining=50)


@pytest.mark.parametrize(
    "name, preset, expected",
    [
        ("gradcam", "full", (1, 1)),
        ("gradcam++", "full", (1, 1)),
        ("scorecam", "full", (101, 1)),
        ("fasterscorecam", "full", (129, 1)),
        ("ig", "full", (64, 64)),
        ("ig", "fast", (32, 32)),
        ("vargrad", "fast", (16, 16)),
        ("occlusion", "fast", (170, 0)),  # 13 x 13 windows of 32 px every 16 in 224, and none
        ("occlusion", "full", (626, 0)),  # 25 x 25
        ("kernelshap", "fast", (258, 0)),
        ("lime", "full", (1000, 0)),
    ],
)
def test_passes(name, preset, expected):
    assert passes_of(make_explainer(name, preset), channels=100) == expected


def test_an_image():
    image = per_image("fast", SPEED, FOUND).set_index("part")
    assert image.loc["lime", "seconds"] == 256 * 0.5  # half a second a pass
    assert image.loc["masks and measures", "seconds"] == 1 + 3  # the pipeline's rest, and masks
    assert image["masks"].sum() == 10


def test_hours_and_bytes():
    image = pd.DataFrame(
        [("lime", 1000, 0, 0, 36.0), ("ig", 50, 50, 0, 9.0), ("masks and measures", 0, 0, 5, 0.0)],
        columns=["part", "forward", "backward", "masks", "seconds"],
    )
    assumed = {"passes_per_s": 100.0, "backward": 2.0, "masks_per_s": 10.0}
    table = cost(image, 200, assumed).set_index("part")
    assert table.loc["lime", "cpu_hours"] == pytest.approx(36 * 200 * CORES / 3600)
    assert table.loc["ig", "gpu_hours_assumed"] == pytest.approx((50 + 100) * 200 / 100 / 3600)
    masks = table.loc["masks and measures", "gpu_hours_assumed"]
    assert masks == pytest.approx(5 * 200 / 10 / 3600)
    whole = table.loc["all"]
    assert (whole["forward"], whole["backward"]) == (1050 * 200, 50 * 200)
    assert whole["cpu_hours"] == pytest.approx(45 * 200 * CORES / 3600)
    assert whole["compact_gb"] == pytest.approx(200 * 13_523 / 1e9)
    assert whole["units_gb"] > 100 * whole["compact_gb"]


def test_every_data_set_has_its_rows():
    table = cost_table(SPEED, FOUND)
    assert len(table) == 2 * len(SETS) * (len(EXPLAINERS) + 2)
    voc = table[(table["dataset"] == "voc2012") & (table["preset"] == "fast")].set_index("part")
    assert voc.loc["lime", "forward"] == 1449 * 256


def test_the_page(tmp_path, capsys):
    main(["--folder", str(tmp_path)])
    page = (tmp_path / "cost.md").read_text()
    assert "9,839 images" in page and "not measured" in page and "ResNet-50" in page
    assert page.count("| full |") == len(SETS)
    assert len(pd.read_csv(tmp_path / "cost.csv")) == 2 * len(SETS) * (len(EXPLAINERS) + 2)
