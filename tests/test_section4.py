"""Tables and sentences of section 4 on synthetic tables whose means are known."""

import numpy as np
import pandas as pd
import pytest
import section_tables as given

from xaiutils.config import StudyConfig
from xaiutils.errors import InputError
from xaiutils.sections import cues, floors, fusion_gain, picks, promptings, proxy, published, table3


@pytest.fixture(scope="module")
def segmentation():
    return given.segmentation()


@pytest.fixture(scope="module")
def coverage():
    return proxy.coverage_table(given.proxy())


def test_kinds_and_the_segmenter_that_stands_in(segmentation):
    assert [cues.kind(c) for c in ("lime", "fused-mean", "floor:x", "ceiling:x")] == [
        *["explainer", "fusion", "floor", "ceiling"]
    ]
    assert cues.proxy_segmenter(segmentation) == "embedded_sam"
    assert cues.main_prompting(segmentation) == "dual"
    other = segmentation[segmentation["prompting"] != "dual"]
    assert cues.main_prompting(other) == "peak"
    with pytest.raises(InputError, match="no SAM among its segmenters"):
        cues.proxy_segmenter(segmentation[segmentation["segmenter"] != "embedded_sam"])


def test_prompted_has_one_mask_a_cue_and_image(segmentation):
    masks = cues.prompted(segmentation)
    assert len(masks) == 6 * (len(given.CUES) + len(given.REFERENCES))
    assert set(masks["segmenter"]) == {"embedded_sam"} and "peak" not in set(masks["prompting"])


def test_gains_and_photographs_by_rule(segmentation):
    gains = proxy.gains(segmentation, "gradcam")
    assert gains.tolist() == pytest.approx([0.2] * 6)
    values = pd.Series({"a": 3.0, "b": 1.0, "c": 2.0, "d": np.nan, "e": 9.0, "f": 4.0})
    assert picks.spread_over(values, 3) == ["b", "a", "e"]
    assert picks.spread_over(values.head(1), 3) == ["a"] and picks.spread_over(values[[]], 3) == []
    said = proxy.gains_sentence(gains, {"s0": "cat"}, "gradcam")
    assert "cat +0.20" in said and "on 6 of all 6 images" in said
    assert picks.figure3_cue(segmentation) == "gradcam"


def test_coverage_table_and_what_is_said_of_it(coverage, segmentation):
    assert coverage["cue"].unique().tolist() == ["gradcam", "scorecam", "ig", "lime", cues.FUSED]
    assert cues.look_up(coverage, measure="coverage", reference="truth", cue="gradcam")[
        0
    ] == pytest.approx(0.55)
    said = proxy.coverage_sentence(coverage)
    assert "Grad-CAM covers **55 % [54, 56]** of the object, which is inside the 50-60 %" in said
    assert "**40 % [40, 40]** of LIME's region is spill: a mean above" in said
    assert "KernelSHAP" not in said  # not in this study
    assert "is LIME's 70 % [69, 71]: it leaves 30 % of the object out" in said
    proxies = proxy.reference_sentence(coverage, segmentation)
    assert (
        "coverage, fused proxy for truth: the explainers' means move by **10.0 points**" in proxies
    )
    assert "coverage, own proxy for truth: the explainers' means move by **20.0 points**" in proxies
    assert "mean IoU of **0.72 [0.71, 0.73]**" in proxies


def test_a_mean_at_the_border_is_called_so():
    places = given.proxy()
    places.loc[places["cue"] == "lime", "spill"] = 0.2996
    assert "a mean at the paper's 30 %" in proxy.coverage_sentence(proxy.coverage_table(places))


def test_prompting_gain(segmentation):
    table = promptings.prompting_gain(segmentation).set_index("cue")
    assert table["mean"]["gradcam"] == pytest.approx(0.2)
    assert table["threshold"]["ig"] == pytest.approx(0.1)
    assert table["prompted"]["ig"] == pytest.approx(0.4)
    assert table.index[0] == "ig" and table.index[-1] == "lime"
    said = promptings.prompting_gain_sentence(table.reset_index())
    assert "for **3 of 4 explainers**" in said
    assert "Integrated Gradients gains most (+0.30 [+0.30, +0.30]), LIME least (−0.02" in said


def test_promptings(segmentation):
    grid, means = promptings.promptings(segmentation), promptings.prompting_means(segmentation)
    assert grid.columns.tolist() == ["otsu", "peak", "dual"]
    assert grid["peak"]["gradcam"] == pytest.approx(0.5)
    assert grid.index.tolist() == [*given.CUES, "mean"]
    single = np.mean([given.CUES[c][1] for c in given.EXPLAINERS])
    assert grid["dual"]["mean"] == pytest.approx(single)
    assert means.set_index("prompting")["mean"]["dual"] == pytest.approx(single)
    said = promptings.prompting_sentence(means, grid)
    assert "best prompting is **dual cues**" in said and "0.20 IoU apart" in said
    assert "**the maximum alone**" in said
    assert "0.42 apart (Grad-CAM 0.70, LIME 0.28)" in said


def test_floors(segmentation):
    table = floors.floor_table(segmentation)
    assert table["cue"].iloc[0] == "ceiling:true box"
    gain = table.set_index("cue")["gain"]
    assert gain["gradcam"] == pytest.approx(0.25) and np.isnan(gain["floor:centre point"])
    assert gain["lime"] == pytest.approx(-0.17)
    assert cues.best_of(table, "floor") == "floor:centre point"
    assert floors.floor_title(table) == (
        "Clearly above the best floor (centre point, 0.45): 2 of 4 explainers"
    )
    said = floors.floor_sentence(table)
    assert "Above it on average: **2 of 4 explainers**" in said
    assert "with a corrected p below 0.05: none of 4 explainers; with an" in said  # n = 6
    assert "The best explainer, Grad-CAM, adds +0.25" in said
    assert "true box 0.90" in said and "one click 0.60" in said


def test_a_study_without_floors_says_so(segmentation):
    table = floors.floor_table(segmentation[~segmentation["cue"].str.startswith("floor:")])
    assert table["gain"].isna().all()
    assert floors.floor_title(table) == "IoU of the SAM mask, by cue"
    assert "no floors" in floors.floor_sentence(table)


def test_fusion_against_the_best_and_the_published_gain(segmentation):
    table = fusion_gain.fused_against(segmentation)
    pick = table.set_index(["of", "cue"])["mean"]
    assert pick["SAM mask", "gradcam"] == pytest.approx(0.02)
    # six differences of one sign: p = 2 / 2^6 each, times the number of rivals
    for _, rows in table.groupby("of"):
        assert rows["p_holm"].min() == pytest.approx(min(1, len(rows) / 32))
    assert pick["thresholded map", "fused-mean"] == pytest.approx(-0.03)
    assert pick["SAM mask", "floor:centre point"] == pytest.approx(0.27)
    assert fusion_gain.hardest(table, "SAM mask")["cue"] == "gradcam"
    said = fusion_gain.fusion_sentence(table)
    assert "Grad-CAM, the difference is **+0.02" in said and "**all 4 explainers**" in said
    printed = fusion_gain.published_gain(published.published("table2")).set_index("dataset")
    assert printed["difference"].tolist() == [0.05, 0.07, -0.19]
    assert set(printed["method"]) == {"Grad-CAM++"}


def test_score(segmentation):
    scores = proxy.score_table(segmentation)
    assert len(scores) == 24 and set(scores["cue"]) == set(given.EXPLAINERS)
    said = proxy.score_sentence(scores)
    # within an image all scores are equal: there is nothing to rank
    assert "it is undefined" in said and "0.41 above the IoU" in said
    assert "Of the 16 masks that SAM scores at 0.9 or more, **8** have an IoU below 0.5" in said


def test_table3_keeps_the_printed_rows_and_holds_ours_beside_the_papers_own(segmentation):
    config = StudyConfig("t", dataset="voc2012", classifier="resnet50")
    table = table3.table3(segmentation, given.samples().assign(label="cat"), config)
    paper, own = table.head(9), table.tail(3)
    printed = [77.8, 76.7, 81.6, 73.9, 72.2, 70.0, 70.9, 79.4, 78.4]
    assert paper["printed"].tolist() == printed and own["printed"].isna().all()
    assert table["ours"].dropna().tolist() == pytest.approx([72.0, 70.0, 45.0, 90.0])
    assert table["difference"].dropna().to_dict() == {8: pytest.approx(72.0 - 78.4)}
    assert paper["remark"].tolist()[:8] == ["not measured here"] * 8
    assert paper["remark"].iloc[8] == (
        "not comparable: ours is the mean IoU of object against background, not 21-class mIoU; "
        "6 of the 1,449 val images; fast preset; embedded SAM, not SAM2"
    )
    assert own["remark"].tolist() == ["not comparable: not printed"] * 3
    assert own["backbone"].tolist() == ["ResNet-50", "", ""]
    said = table3.table3_sentence(table)
    assert "our weighted fusion (72.0) would stand below 7 of 9 published rows" in said
    assert "a mean (n = 6)" in said


def test_table3_takes_the_printed_measure_where_the_study_has_it(segmentation):
    miou = pd.DataFrame(
        [
            ("fused-weighted", "otsu", 0.3, 0.2, 0.4, 78),
            ("fused-weighted", "embedded_sam", 0.42, 0.37, 0.47, 78),
        ],
        columns=["cue", "route", "miou", "low", "high", "n"],
    )
    config = StudyConfig("t", dataset="voc2012", split="val")
    samples = given.samples().assign(label="cat")
    table = table3.table3(segmentation, samples, config, miou).set_index("method")
    row = table.loc["XAI-fused (Ours)"]
    assert (row["ours"], row["n"]) == (42.0, 78)
    assert row["difference"] == pytest.approx(-36.4) and "its true labels" in row["remark"]
    assert "21-class mIoU of the classes present (n = 78)" in table3.table3_sentence(
        table.reset_index()
    )
    bare = table3.table3(segmentation, samples, config, miou.head(1)).set_index("method")
    assert bare.loc["XAI-fused (Ours)", "n"] == 0


def test_table3_without_the_fusion(segmentation):
    part = segmentation[segmentation["cue"] != "fused-weighted"]
    table = table3.table3(part, given.samples().assign(label="cat"), StudyConfig("t"))
    assert table["remark"].tolist()[:9] == ["not measured here"] * 9
    assert table["difference"].isna().all() and table["ours"].notna().sum() == 3
    assert '"Best single explainer + embedded SAM (Grad-CAM)" (70.0)' in table3.table3_sentence(
        table
    )
