"""Sentences and figures of faithfulness, stability and statistics on tables made by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from section_tables import CUES, SAMPLES

from xaiutils.comparison import paired_tests, ranking
from xaiutils.figures import faithfulness as draw
from xaiutils.figures import statistics as compare
from xaiutils.sections import faithfulness as section
from xaiutils.sections.metric_order import (
    MEASURES,
    measures,
    metric_correlations,
    p_equals,
    pairs_to_read,
)

COLUMNS = ["sample", "cue", "metric", "value"]
BUMP = np.array([-0.02, -0.01, 0.0, 0.0, 0.01, 0.02])


def localisation() -> pd.DataFrame:
    """Coverage 0.9 for Grad-CAM, falling by 0.1 a cue; other measures like it."""
    rows = [
        (sample, cue, metric, 0.9 - 0.1 * k + bump)
        for sample, bump in zip(SAMPLES, BUMP)
        for k, cue in enumerate(CUES)
        for metric in ("iou", "coverage", "spill", "pointing_15", "relevance_mass")
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def faithfulness() -> pd.DataFrame:
    """Insertion 0.3 + 0.1 k, deletion 0.1: the reverse of the coverage; controls 0.1 and 0.1."""
    rows = []
    for sample, bump in zip(SAMPLES, BUMP):
        for k, cue in enumerate([*CUES, *section.CONTROLS]):
            insertion = 0.1 if cue in section.CONTROLS else 0.3 + 0.1 * k
            rows += [(sample, cue, "insertion", insertion + bump), (sample, cue, "deletion", 0.1)]
        for cue, total in (("ig", 3.0), ("gradcam", 400.0)):
            rows += [(sample, cue, "attribution_sum", total), (sample, cue, "score_difference", 4)]
    return pd.DataFrame(rows, columns=COLUMNS)


def stability() -> pd.DataFrame:
    rows = [
        (sample, cue, metric, value + abs(bump))
        for sample, bump in zip(SAMPLES, BUMP)
        for cue, values in (("gradcam", (0.05, 1.0, 0.0)), ("lime", (1.5, 0.6, 0.5)))
        for metric, value in zip(("max_sensitivity", "seed_correlation", "seed_spread"), values)
    ]
    table = pd.DataFrame(rows, columns=["sample", "explainer", "metric", "value"])
    exact = (table["explainer"] == "gradcam") & (table["metric"] == "seed_correlation")
    table.loc[exact, "value"] = 1.0
    return pd.concat([table, table.assign(metric="augmentation_spread")], ignore_index=True)


def randomisation() -> pd.DataFrame:
    rows = [
        (sample, cue, stage, "spearman", last * k / 4 + 1 - k / 4 + bump)
        for sample, bump in zip(SAMPLES, BUMP)
        for cue, last in (("gradcam", 0.0), ("vargrad", 0.5))
        for k, stage in enumerate(section.STAGES)
    ]
    return pd.DataFrame(rows, columns=["sample", "explainer", "stage", "metric", "value"])


def said(figure) -> str:
    text = " ".join(each.get_text() for each in figure.texts)
    plt.close(figure)
    return " ".join(text.split())


def test_the_gap_and_who_leads():
    curves = section.curves(faithfulness()).set_index(["cue", "metric"])
    assert curves.loc[("gradcam", "gap"), "mean"] == pytest.approx(0.2)
    assert curves.loc[("lime", "gap"), "mean"] == pytest.approx(0.5)
    assert curves.index[0][0] == "gradcam"
    text = section.faithfulness_sentence(curves.reset_index())
    assert "highest for LIME, 0.50" in text and "lowest for Grad-CAM, 0.20" in text
    assert "Control: centre: 0.00" in text and "below that of all 4 explainers" in text


def test_completeness_and_faithfulness_may_differ():
    table = section.completeness_and_faithfulness(localisation(), faithfulness())
    first = table.set_index("cue").loc["gradcam"]
    assert first["coverage"] == pytest.approx(0.9) and first["gap"] == pytest.approx(0.2)
    assert first["n"] == 6 and first["coverage_low"] < 0.9 < first["coverage_high"]
    title = section.completeness_title(table)
    assert title == "Grad-CAM covers most of the object, LIME has the highest insertion − deletion"
    figure = draw.completeness_against_faithfulness(table, section.curves(faithfulness()), "n = 6")
    assert title in said(figure)


def test_the_axiom_is_a_relative_error():
    table = section.axiom(faithfulness()).set_index("cue")
    assert table.loc["ig", "median"] == pytest.approx(0.25)
    assert table.loc["gradcam", "worst"] == pytest.approx(99)
    assert "misses the score difference by 25 %" in section.axiom_sentence(table.reset_index())


def test_stability_in_words_and_in_a_figure():
    text = section.stability_sentence(stability())
    assert "LIME changes most: max-sensitivity 1.51" in text
    assert (
        "by more than the map's own size: 1 of 2 explainers" in text
        and "LIME with another seed" in text
    )
    assert "the seed does not matter: 1." in text and "Grad-CAM with another seed" not in text
    assert "moves Grad-CAM by 6 % and LIME by 151 %" in said(draw.stability(stability(), ""))


def test_randomisation_tells_which_maps_do_not_move():
    table = section.randomised(randomisation())
    assert table[table["explainer"] == "gradcam"]["stage"].tolist() == list(section.STAGES)
    assert section.unmoved(table) == ["vargrad"]
    assert "1 of 2 explainers still correlate" in said(draw.randomisation(table, ""))
    assert "VarGrad: 1.00" in section.randomisation_sentence(table)


def test_texture_names_the_claimed_explainers():
    rows = [
        (sample, cue, metric, value + bump)
        for sample, bump in zip(SAMPLES, BUMP)
        for cue, value in (("occlusion", 0.9), ("ig", 0.2), ("vargrad", 0.3))
        for metric in ("grid_edges", "border_share", "high_frequency", "total_variation")
    ]
    rows += [
        (sample, "superpixels", metric, 0.5)
        for sample in SAMPLES
        for metric in ("boundary_recall", "boundary_chance", "undersegmentation", "best_iou")
    ]
    table = pd.DataFrame(rows, columns=["sample", "explainer", "metric", "value"])
    text = section.texture_sentence(table)
    assert "Occlusion, edges on Occlusion's grid: 0.90" in text
    assert "VarGrad, spectral power in periods below 8 pixels: 0.30" in text
    assert "Integrated Gradients 0.20" in text and "best union of whole superpixels" in text
    assert "Occlusion is the finest: 90 %" in said(draw.texture(table, ""))


def test_statistics_of_localisation_and_faithfulness():
    values = measures(localisation(), faithfulness())
    assert list(values) == list(MEASURES)
    assert list(values["IoU"].columns) == ["gradcam", "scorecam", "ig", "lime"]
    assert (values["precision"] < 0).to_numpy().all()  # minus the spill: high is good
    table = metric_correlations(values)
    rho = table.set_index(["a", "b"])["rho"]
    assert rho[("IoU", "coverage")] == pytest.approx(1)
    assert rho[("IoU", "insertion")] == pytest.approx(-1)
    assert np.isnan(rho[("insertion", "deletion")])  # deletion is the same for all
    assert "ρ = −1.00" in said(compare.metric_matrix(table, ""))
    read = pairs_to_read(paired_tests(values["IoU"]), "IoU", 2)
    assert len(read) == 2 and {"Grad-CAM", "LIME"} & {*read["explainer"], *read["against"]}
    assert (p_equals(0.0301), p_equals(1e-9)) == ("p = 0.030", "p below 0.001")
    ranks = {name: ranking(values[name]) for name in ("IoU", "insertion")}
    text = said(compare.critical_difference(ranks, ""))
    assert "By IoU, Grad-CAM ranks first" in text


def test_areas_are_drawn_with_controls():
    figure = draw.areas(section.curves(faithfulness()), "n = 6")
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    title = section.faithfulness_title(section.curves(faithfulness()))
    assert title == (
        "Insertion minus deletion: 0.20 (Grad-CAM) to 0.50 (LIME); the best control has 0.00"
    )
    assert labels[0] == "Grad-CAM" and labels[-3:] == list(section.CONTROLS.values())
    assert "n = 6" in said(figure)


def test_empty_tables_say_so():
    empty = stability().iloc[:0]
    assert "not measured" in said(draw.stability(empty, ""))
    assert "not measured" in section.stability_sentence(empty)
    assert "not measured" in said(draw.randomisation(section.randomised(randomisation()[:0]), ""))
