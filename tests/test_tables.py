"""The paper's tables beside ours."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy.stats import spearmanr

from xaiutils.config import StudyConfig
from xaiutils.errors import InputError
from xaiutils.figures.table2 import readings
from xaiutils.sections import cost, failure_modes, published, table2, words
from xaiutils.sections.target import target_sentence

# the conditions of the paper's VOC column, as far as they are known
WHOLE = StudyConfig("t", dataset="voc2012", split="val", classifier="resnet50", preset="full")


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
    table = published.table1(samples, StudyConfig("t")).set_index("data set")
    assert len(table) == 5
    own = table.loc["bundled photographs"]
    assert (own["classes here"], own["images here"]) == (1, 2)
    assert own["object's share of the image, median here"] == pytest.approx(0.3)
    assert pd.isna(table.loc["USIS10K", "images here"])
    assert table.loc["Pascal VOC 2012", "images, printed"] == 1450
    assert "1,449" in table.loc["Pascal VOC 2012", "remark"]
    assert table["remark"].str.startswith("not comparable: not in this study").sum() == 4
    assert own["remark"] == "not comparable: not printed"
    assert table.filter(like="here − printed").isna().all(axis=None)


def test_table1_counts_classes_and_images_not_samples_and_their_labels(samples):
    def counted(samples, dataset):
        return published.table1(samples, StudyConfig("t", dataset)).set_index("data set")

    united = samples.assign(label=["cat, dog", "cat"])
    row = counted(united, "voc2012").loc["Pascal VOC 2012"]
    assert (row["classes here"], row["images here"]) == (2, 2)
    classes = samples.assign(sample=["a-cat", "a-sea-floor"], label=["cat", "sea floor"])
    row = counted(classes, "usis10k").loc["USIS10K"]
    assert (row["classes here"], row["images here"]) == (2, 1)
    own = counted(united, "folder").loc["folder"]  # its own label
    assert (own["classes here"], own["images here"]) == (2, 2)
    whole = counted(samples, "kvasir-seg")
    assert len(whole) == 4 and whole.loc["Sessile-Kvasir-SEG", "images here"] == 2


def test_table1_fills_the_row_of_a_printed_data_set(samples):
    table = published.table1(samples, WHOLE).set_index("data set")
    assert len(table) == 4
    row = table.loc["Pascal VOC 2012"]
    assert row["images here"] == 2
    assert row[["classes, here − printed", "images, here − printed"]].tolist() == [-19, -1448]
    assert row["remark"].startswith("not comparable: 2 of the 1,449 val images; the val split")
    assert pd.isna(table.loc["USIS10K", "images, here − printed"])


def test_table1_compares_counts_whatever_explains_them():
    samples = pd.DataFrame({"sample": [f"s{i}" for i in range(1449)], "label": "cat"})
    other = replace(WHOLE, classifier="efficientnet_lite0", preset="fast")
    table = published.table1(samples.assign(object_share=0.1), other).set_index("data set")
    row = table.loc["Pascal VOC 2012"]
    assert row["images, here − printed"] == -1
    assert row["remark"] == published.REMARKS["Pascal VOC 2012"]


@pytest.mark.parametrize(
    ("printed", "changes", "images", "expected"),
    [
        ("Pascal VOC 2012", {}, 1449, ""),
        ("Pascal VOC 2012", {}, 1440, ""),
        ("Pascal VOC 2012", {"split": None, "classifier": "resnet50_tv_v1"}, 1449, ""),
        ("Pascal VOC 2012", {}, 78, "78 of the 1,449 val images"),
        ("Pascal VOC 2012", {"split": "train"}, 1464, "split train (1,464 images)"),
        ("Pascal VOC 2012", {"preset": "fast"}, 1449, "fast preset"),
        (
            "Pascal VOC 2012",
            {"logit": "probe", "settings": (("lime", (("samples", 9),)),)},
            1449,
            "other classifier (ResNet-50 with a probe), changed settings (LIME)",
        ),
        ("USIS10K", {"preset": "fast"}, 1449, "other images (Pascal VOC 2012), fast preset"),
        ("Pascal VOC 2012", {"dataset": "sample"}, 12, "other images (bundled photographs)"),
        (
            "USIS10K",
            {"dataset": "usis10k", "split": None, "classifier": "efficientnet_lite0"},
            1596,
            "other classifier (EfficientNet-Lite0)",
        ),
        ("USIS10K", {"dataset": "usis10k"}, 50, "other images (a stand-in for USIS10K)"),
        ("USIS10K", {"dataset": "usis10k", "limit": 50}, 50, "split val (50 images)"),
        ("CUB-200-2011", {"dataset": "cub200", "split": None}, 5794, ""),
        ("CUB-200-2011", {"dataset": "cub200", "split": "all"}, 11788, ""),
        (
            "Sessile-Kvasir-SEG",
            {"dataset": "kvasir-seg", "split": None},
            44,
            "44 of the 1,000 images",
        ),
    ],
)
def test_not_comparable_names_each_difference(printed, changes, images, expected):
    reason = f"not comparable: {expected}" if expected else ""
    assert published.not_comparable(printed, replace(WHOLE, **changes), images) == reason


def of(n: int) -> pd.DataFrame:
    """The samples of a study of n images."""
    return pd.DataFrame({"sample": [f"s{i}" for i in range(n)], "label": "cat"})


def test_scope_lets_only_the_whole_split_be_held_against_the_paper():
    said = published.scope(of(1449), WHOLE)
    assert said.startswith("With n = 1449 images of Pascal VOC 2012 and ResNet-50")
    assert "can be held against" in said
    direction = published.scope(of(12), replace(WHOLE, dataset="sample", split=None))
    assert direction.startswith("**A direction only**: n = 12 images; not comparable: other images")
    part = published.scope(of(78), WHOLE)
    assert part.startswith("**Not the paper's setting**: n = 78 images; not comparable: 78 of the")
    fast = published.scope(of(1449), replace(WHOLE, preset="fast"))
    assert fast.startswith("**Not the paper's setting**: n = 1449 images; not comparable: fast")
    polyps = published.scope(of(1000), replace(WHOLE, dataset="kvasir-seg", split=None))
    assert "not comparable: the paper prints no result for this data set. A" in polyps


def test_scope_counts_images_where_one_has_several_samples():
    ids = [f"s{i}-{label}" for i in range(40) for label in ("cat", "dog")]
    samples = pd.DataFrame({"sample": ids, "label": ["cat", "dog"] * 40})
    assert "n = 40 images; not comparable: 40 of the 1,449" in published.scope(samples, WHOLE)


def test_quote():
    assert words.quote(0.534, 0.451, 0.61, 12.0) == "0.53 [0.45, 0.61], n = 12"
    assert words.quote(-0.2, -0.3, 0.1) == "−0.20 [−0.30, 0.10]"
    assert words.quote(0.5, np.nan, np.nan, 1, share=True) == "50 %, n = 1"
    assert words.quote(np.nan, np.nan, np.nan, 0) == "undefined (n = 0)"


def test_table2_cells_subtract_the_printed_number_and_say_not_comparable(samples):
    local = tidy({"gradcam": [0.4, 0.6], "lime": [0.1, 0.3]}, "iou")
    cells = table2.table2_cells(local, samples, StudyConfig("t", classifier="resnet50"))
    cell = cells.query("cue == 'gradcam' and dataset == 'Pascal VOC 2012'").iloc[0]
    assert (cell["metric"], cell["printed"], cell["n"]) == ("iou", 0.70, 2)
    assert cell["ours"] == pytest.approx(0.5)
    assert cell["difference"] == pytest.approx(-0.2)
    said = "not comparable: other images (bundled photographs), fast preset"
    assert set(cells["remark"]) == {said, f"not measured here; {said}"}


def test_every_printed_cell_of_table2_is_kept(samples):
    cells = table2.table2_cells(tidy({"gradcam": [0.4, 0.6]}, "iou"), samples, WHOLE)
    assert len(cells.drop_duplicates(["method", "measure", "dataset"])) == 90
    there = cells["n"] > 0
    assert cells[there][["cue", "metric"]].drop_duplicates().values.tolist() == [["gradcam", "iou"]]
    assert cells.loc[~there, ["ours", "difference"]].isna().all(axis=None)
    assert cells.loc[~there, "remark"].str.startswith("not measured here; ").all()
    table = table2.table2(cells, "iou")
    assert table["method"].tolist() == list(published.METHODS)
    assert table.loc[0, "ours"] == "0.50 [0.40, 0.60]" and table["ours"].isna().sum() == 9
    assert table["Pascal VOC 2012, printed"].notna().all()


def test_table2_says_not_comparable_in_its_header(samples):
    local = tidy({"gradcam": [0.5, 0.5]}, "iou")
    table = table2.table2(table2.table2_cells(local, samples, WHOLE), "iou")
    assert table.loc[0, "ours"] == "0.50 [0.50, 0.50]"
    assert table.loc[0, "ours − Pascal VOC 2012 (not comparable)"] == pytest.approx(-0.2)
    assert table.loc[0, "ours − USIS10K (not comparable)"] == pytest.approx(-0.05)
    assert table.loc[0, "CUB-200-2011, printed"] == 0.70


def test_table2_of_the_whole_split_is_comparable_in_its_own_column():
    cells = table2.table2_cells(tidy({"gradcam": [0.5, 0.5]}, "iou"), of(1449), WHOLE)
    remark = cells.query("n > 0").set_index("dataset")["remark"]
    assert remark["Pascal VOC 2012"] == table2.COMPARABLE
    assert remark["USIS10K"] == "not comparable: other images (Pascal VOC 2012)"
    table = table2.table2(cells, "iou")
    assert table.loc[0, "ours − Pascal VOC 2012"] == pytest.approx(-0.2)
    assert "ours − USIS10K (not comparable)" in table


def test_table2_shows_every_reading_of_effectiveness(samples):
    local = pd.concat([tidy({"lime": [0.2]}, "relevance_mass"), tidy({"lime": [0.6]}, "dice")])
    table = table2.table2(table2.table2_cells(local, samples, WHOLE), "effectiveness")
    lime = table.set_index("method").loc["LIME"]
    assert lime["ours: share of the map's mass on the object"] == "0.20"
    assert lime["ours: Dice of the thresholded map"] == "0.60"
    assert lime["ours − Pascal VOC 2012 (not comparable)"] == pytest.approx(0.2 - 0.5)


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


def effectiveness_like(dataset: str) -> list[tuple[str, float]]:
    """(cue, value) whose order is the one that the paper prints for a data set."""
    printed = published.published("table2").query("dataset == @dataset")
    return [(published.METHODS[r.method], r.effectiveness) for r in printed.itertuples()]


def measured() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Localisation whose relevance mass follows USIS10K's column and whose Dice VOC's reversed;
    faithfulness whose insertion follows VOC's, with a deletion, a control and a foreign sample."""
    voc = effectiveness_like("Pascal VOC 2012")
    mass = tidy({cue: [v, v] for cue, v in effectiveness_like("USIS10K")}, "relevance_mass")
    dice = tidy({cue: [1 - v, 1 - v] for cue, v in voc}, "dice")
    insertion = tidy({cue: [v / 2, v / 2] for cue, v in voc}, "insertion")
    deletion = tidy({cue: [0.1, 0.2] for cue, _ in voc}, "deletion")
    control = tidy({"control:centre": [0.9, 0.9]}, "insertion")
    foreign = insertion.assign(sample="elsewhere", value=7.0).drop_duplicates("cue")
    return pd.concat([mass, dice]), pd.concat([deletion, insertion, control, foreign])


def test_insertion_is_a_reading_where_it_was_measured():
    localisation, faithfulness = measured()
    without = table2.order(localisation, 50)
    assert "insertion" not in set(without["metric"])
    found = table2.order(localisation, 50, faithfulness)
    rows = found[found["metric"] == "insertion"].set_index("dataset")
    row = rows.loc["Pascal VOC 2012"]
    assert row[["rho", "low", "high"]].tolist() == pytest.approx([1, 1, 1])
    assert row[["methods", "images"]].tolist() == [10, 2]
    # the other readings are what they were
    rest = found[found["metric"] != "insertion"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, without)
    metrics = found.query("measure == 'effectiveness'")["metric"].unique().tolist()
    assert metrics == ["relevance_mass", "dice", "insertion", "relevance_rank"]


def test_table2_shows_insertion_where_it_was_measured(samples):
    localisation, faithfulness = measured()
    cells = table2.table2_cells(localisation, samples, WHOLE, faithfulness)
    table = table2.table2(cells, "effectiveness").set_index("method")
    column = "ours: area under the insertion curve"
    assert table.loc["Grad-CAM", column] == "0.39 [0.39, 0.39]"  # half of the printed 0.78
    # the differences stay those of the default reading
    expected = dict(effectiveness_like("USIS10K"))["occlusion"] - 0.81
    ours = table.loc["Occlusion", "ours − Pascal VOC 2012 (not comparable)"]
    assert ours == pytest.approx(expected)
    without = table2.table2(table2.table2_cells(localisation, samples, WHOLE), "effectiveness")
    assert column not in without


def test_the_readings_of_the_studys_own_column_come_first():
    localisation, faithfulness = measured()
    found = table2.order(localisation, 50, faithfulness)
    own = table2.best_reading(found, "Pascal VOC 2012")
    insertion, mass, dice = (
        "area under the insertion curve",
        "share of the map's mass on the object",
        "Dice of the thresholded map",
    )
    assert own.index.tolist() == [insertion, mass, dice]
    assert own[[insertion, dice]].tolist() == pytest.approx([1, -1])
    mean = table2.best_reading(found)
    assert mean[dice] == pytest.approx(found.query("metric == 'dice'")["rho"].mean())

    said = table2.order_sentences(found, WHOLE).splitlines()
    assert said[1].startswith(
        "- Printed Effectiveness against our share of the map's mass on the object: Pascal VOC 2012"
    )
    assert said[3].startswith(
        "- Readings of Effectiveness by their rank correlation with the column printed for Pascal "
        f"VOC 2012, this study's data set: {insertion} 1.00 [1.00, 1.00]; {mass} "
    )
    assert said[4].startswith("- The same by their mean over all 3 printed columns, of whatever")
    assert said[5] == (
        "- Not measured here: the kept confidence, the share of the class's probability that is "
        "left when only the thresholded map's area is shown."
    )
    assert table2.effectiveness_title(found, WHOLE) == (
        f"Closest to the Effectiveness printed for Pascal VOC 2012: {insertion}, ρ = +1.00"
    )


@pytest.mark.parametrize(
    "config", [None, StudyConfig("t"), StudyConfig("uiis-subset", dataset="usis10k")]
)
def test_without_a_printed_column_of_its_own_the_mean_stands_alone(config):
    found = table2.order(measured()[0], 50)
    said = table2.order_sentences(found, config)
    assert "this study's data set" not in said and "The same by" not in said
    assert "- Readings of Effectiveness by their mean over all 3 printed columns" in said
    assert "Insertion, another reading, is not among them" in said
    assert "mean ρ" in table2.effectiveness_title(found, config)


def test_the_figure_of_the_readings_is_titled_by_the_studys_own_column():
    found = table2.order(measured()[0], 50, measured()[1])
    figure = readings(found, "n = 2", WHOLE)
    title, below = (" ".join(text.get_text().split()) for text in figure.texts)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    plt.close(figure)
    assert title == " ".join(table2.effectiveness_title(found, WHOLE).split())
    assert below.endswith("the thresholded map's area is shown. n = 2")
    assert "Effectiveness:\narea under the insertion curve" in labels


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
