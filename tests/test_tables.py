"""The paper's tables beside ours."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from xaiutils.config import StudyConfig
from xaiutils.errors import InputError
from xaiutils.sections import cost, failure_modes, published, table2, words
from xaiutils.sections.target import target_sentence


def tidy(values: dict[str, list[float]], metric: str) -> pd.DataFrame:
    """Rows sample, cue, metric, value; the i-th value of each cue is of sample s<i>."""
    return pd.DataFrame(
        [
            {"sample": f"s{i}", "cue": cue, "metric": metric, "value": value}
            for cue, column in values.items()
            for i, value in enumerate(column)
        ]
    )


@pytest.fixture
def samples():
    return pd.DataFrame(
        {
            "sample": ["s0", "s1"],
            "label": ["cat", "cat"],
            "height": [10, 20],
            "width": [10, 10],
            "object_share": [0.2, 0.4],
        }
    )


def test_published_table2_has_ninety_cells_all_of_known_methods():
    table = published.published("table2")
    assert len(table) == 30
    assert set(table["method"]) == set(published.METHODS)
    assert table[["iou", "effectiveness", "localisation_accuracy"]].notna().all(axis=None)


def test_unknown_published_table_is_named():
    with pytest.raises(InputError, match="table9"):
        published.published("table9")


def test_table1_adds_the_studys_own_data_set(samples):
    table = published.table1(samples, "sample").set_index("data set")
    assert len(table) == 5
    own = table.loc["bundled photographs"]
    assert (own["classes here"], own["images here"]) == (1, 2)
    assert own["object's share of the image, median here"] == pytest.approx(0.3)
    assert pd.isna(table.loc["USIS10K", "images here"])
    assert table.loc["Pascal VOC 2012", "images, printed"] == 1450
    assert "1,449" in table.loc["Pascal VOC 2012", "remark"]


def test_table1_counts_classes_and_images_not_samples_and_their_labels(samples):
    united = samples.assign(label=["cat, dog", "cat"])
    row = published.table1(united, "voc2012").set_index("data set").loc["Pascal VOC 2012"]
    assert (row["classes here"], row["images here"]) == (2, 2)
    classes = samples.assign(sample=["a-cat", "a-sea-floor"], label=["cat", "sea floor"])
    row = published.table1(classes, "usis10k").set_index("data set").loc["USIS10K"]
    assert (row["classes here"], row["images here"]) == (2, 1)
    own = published.table1(united, "folder").set_index("data set").loc["folder"]  # its own label
    assert (own["classes here"], own["images here"]) == (2, 2)
    whole = published.table1(samples, "kvasir-seg").set_index("data set")
    assert len(whole) == 4 and whole.loc["Sessile-Kvasir-SEG", "images here"] == 2


def test_table1_fills_the_row_of_a_printed_data_set(samples):
    table = published.table1(samples, "voc2012").set_index("data set")
    assert len(table) == 4
    assert table.loc["Pascal VOC 2012", "images here"] == 2


@pytest.mark.parametrize(
    ("printed", "dataset", "classifier", "expected"),
    [
        ("Pascal VOC 2012", "voc2012", "resnet50", ""),
        ("USIS10K", "voc2012", "resnet50", "not comparable: other images (Pascal VOC 2012)"),
        (
            "USIS10K",
            "usis10k",
            "efficientnet_lite0",
            "not comparable: other classifier (EfficientNet-Lite0)",
        ),
    ],
)
def test_not_comparable_names_each_difference(printed, dataset, classifier, expected):
    assert published.not_comparable(printed, dataset, classifier) == expected


def test_scope_says_direction_unless_data_and_classifier_and_number_fit():
    assert published.scope(12, "sample", "resnet50").startswith("**A direction only**: n = 12;")
    assert published.scope(99, "voc2012", "resnet50").startswith("**Not the paper's setting**")
    assert "Not the paper's" in published.scope(500, "voc2012", "efficientnet_lite0")
    assert "can be held against" in published.scope(500, "voc2012", "resnet50")


def test_quote():
    assert words.quote(0.534, 0.451, 0.61, 12.0) == "0.53 [0.45, 0.61], n = 12"
    assert words.quote(-0.2, -0.3, 0.1) == "−0.20 [−0.30, 0.10]"
    assert words.quote(0.5, np.nan, np.nan, 1, share=True) == "50 %, n = 1"
    assert words.quote(np.nan, np.nan, np.nan, 0) == "undefined (n = 0)"


def test_table2_cells_subtract_the_printed_number_and_say_not_comparable():
    cells = table2.table2_cells(
        tidy({"gradcam": [0.4, 0.6], "lime": [0.1, 0.3]}, "iou"), "sample", "resnet50"
    )
    assert len(cells) == 6  # two methods, three printed data sets, one measure
    cell = cells.query("cue == 'gradcam' and dataset == 'Pascal VOC 2012'").iloc[0]
    assert (cell["printed"], cell["n"]) == (0.70, 2)
    assert cell["ours"] == pytest.approx(0.5)
    assert cell["difference"] == pytest.approx(-0.2)
    assert cells["remark"].str.startswith("not comparable: other images").all()


def test_table2_says_not_comparable_in_its_header():
    local = tidy({"gradcam": [0.5, 0.5]}, "iou")
    table = table2.table2(table2.table2_cells(local, "voc2012", "resnet50"), "iou")
    assert table.loc[0, "ours"] == "0.50 [0.50, 0.50]"
    assert table.loc[0, "ours − Pascal VOC 2012"] == pytest.approx(-0.2)
    assert table.loc[0, "ours − USIS10K (not comparable)"] == pytest.approx(-0.05)
    assert table.loc[0, "CUB-200-2011, printed"] == 0.70


def test_table2_shows_every_reading_of_effectiveness():
    local = pd.concat([tidy({"lime": [0.2]}, "relevance_mass"), tidy({"lime": [0.6]}, "dice")])
    table = table2.table2(table2.table2_cells(local, "voc2012", "resnet50"), "effectiveness")
    assert table.loc[0, "ours: share of the map's mass on the object"] == "0.20"
    assert table.loc[0, "ours: Dice of the thresholded map"] == "0.60"
    assert table.loc[0, "ours − Pascal VOC 2012"] == pytest.approx(0.2 - 0.5)


def test_order_is_spearman_of_the_means(monkeypatch):
    rng = np.random.default_rng(0)
    cues = list(published.METHODS.values())
    values = rng.uniform(size=(8, len(cues)))
    values[0, 3] = np.nan
    local = tidy({cue: values[:, k] for k, cue in enumerate(cues)}, "iou")
    found = table2.order(local.dropna(), resamples=200).query("measure == 'iou'")
    printed = published.published("table2")
    for row in found.itertuples():
        column = printed[printed["dataset"] == row.dataset].set_index("method")["iou"]
        expected = spearmanr(np.nanmean(values, axis=0), column[list(published.METHODS)]).statistic
        assert row.rho == pytest.approx(expected)
        assert row.low <= row.rho <= row.high or row.low < row.high
        assert (row.methods, row.images) == (10, 8)


def test_order_of_two_methods_is_undefined():
    found = table2.order(tidy({"gradcam": [0.5], "lime": [0.4]}, "iou"), resamples=10)
    assert found["rho"].isna().all()


def test_same_means_in_the_printed_order_give_one():
    printed = published.published("table2").query("dataset == 'USIS10K'")
    local = tidy({published.METHODS[r.method]: [r.iou, r.iou] for r in printed.itertuples()}, "iou")
    found = table2.order(local, 50).query("dataset == 'USIS10K' and measure == 'iou'").iloc[0]
    assert found[["rho", "low", "high"]].tolist() == pytest.approx([1, 1, 1])


def test_effective_area_of_an_even_map_over_a_quarter(samples):
    local = tidy({"lime": [np.log(25), np.log(200)]}, "entropy")
    found = failure_modes.effective_area(local, samples)["value"].tolist()
    assert found == pytest.approx([0.25, 1.0])


def test_misses_count_and_wilson_has_width_at_zero():
    local = tidy({"gradcam": [1, 1, 0, 1], "vargrad": [1, 1, 1, np.nan]}, "pointing_0")
    found = failure_modes.misses(local).set_index("cue")
    assert found.loc["gradcam", "mean"] == 0.25
    assert found.loc["vargrad", ["n", "mean", "low"]].tolist() == pytest.approx([3, 0, 0])
    assert found.loc["vargrad", "high"] == pytest.approx(0.5615, abs=1e-4)


def test_wilson_against_scipy():
    from scipy.stats import binomtest

    expected = binomtest(3, 12).proportion_ci(method="wilson")
    assert failure_modes.wilson(3, 12) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert np.isnan(failure_modes.wilson(0, 0)).all()


def test_failure_modes_leave_fusions_out(samples):
    local = pd.concat(
        [
            tidy({"lime": [0.2, 0.4], "fused-mean": [0.5, 0.5]}, metric)
            for metric in ("iou", "coverage", "spill", "gini", "entropy", "pointing_0")
        ]
    )
    table = failure_modes.failure_modes(local, samples)
    assert set(table["cue"]) == {"lime"}
    assert set(table["metric"]) == {"iou", "coverage", "spill", "gini", "effective_area", "miss"}
    shown = words.readable(table)
    assert shown.loc["LIME", "iou"] == "0.30 [0.20, 0.40]"


def test_cost_adds_passes_and_keeps_the_papers_order_and_words():
    rows = [
        ("s0", "lime", 256, 0, 2.0),
        ("s1", "lime", 256, 0, 4.0),
        ("s0", "gradcam", 1, 1, 0.1),
        ("s1", "gradcam", 1, 1, 0.1),
    ]
    columns = ["sample", "explainer", "forward", "backward", "seconds"]
    table = cost.cost(pd.DataFrame(rows, columns=columns).assign(settings="x"))
    assert table["explainer"].tolist() == ["gradcam", "lime"]
    assert table["printed"].tolist() == ["Low", "High"]
    assert table["passes"].tolist() == [2, 256]
    assert table["seconds"].tolist() == pytest.approx([0.1, 3.0])


def test_shown_rounds_and_marks_the_unknown():
    long = "a remark that is longer than the fifty characters at which pandas cuts a cell off"
    table = pd.DataFrame({"a": [-0.7, np.nan], "n": [12, np.nan], "text": [long, "-"]})
    html = words.shown(table).to_html()
    for cell in (">−0.70<", ">–<", ">12<", f">{long}<"):
        assert cell in html
    assert ">12.00<" not in html


def test_the_explained_class_is_counted_against_the_objects():
    config = StudyConfig("t", dataset="voc2012", reading="binary", logit="predicted")
    # tabby for a cat and a person; ox (345) for a cow: near; a greenhouse for a horse
    samples = pd.DataFrame(
        {"label": ["cat, person", "cow", "horse"], "target": [281, 345, 580]}, index=[3, 4, 5]
    )
    said = target_sentence(samples, config)
    assert "On 1 of 3 samples it names an object that the mask holds, on 1 more a related" in said
    assert "on the other 1 it is something else" in said
    assert target_sentence(samples.iloc[:2], config).endswith("(an ox for a cow).")
    for logit, text in (("mapped", "likeliest"), ("probe", "probe")):
        assert text in target_sentence(samples, replace(config, logit=logit))
    # VOC gives no ImageNet class: "given" is the top-1; the bundle gives one for every image
    assert target_sentence(samples, replace(config, logit="given")) == said
    for data, text in (("sample", "data set names"), ("folder", "labels.csv names")):
        assert text in target_sentence(samples, replace(config, dataset=data, logit="given"))
    polyps = replace(config, dataset="kvasir-seg", reading="class")
    assert target_sentence(samples, polyps).endswith("whatever the masks hold.")
