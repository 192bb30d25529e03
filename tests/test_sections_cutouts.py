"""Tables and sentences of the controlled benchmark on synthetic tables whose means are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from xaiutils.cutouts.plans import KINDS, SHARES
from xaiutils.figures import cutouts as draw
from xaiutils.sections import cutouts

OBJECTS = ("cat", "dog", "owl")
CUES = {"gradcam": 0.0, "lime": 0.1, "floor:centre box": 2.0}


def factors(**given):
    empty = {"eccentricity": np.nan, "scale": 0.5, "kind": "", "ground": "grey", "target": 1}
    return {**empty, **given}


@pytest.fixture(scope="module")
def place():
    """IoU 0.8 minus (the cue's slope) x eccentricity, plus 0, 0.02, 0.04 by object."""
    manifest, maps = [], []
    for k, name in enumerate(OBJECTS):
        for scale in (0.25, 0.4):
            for e in (0.0, 0.1, 0.2, 0.3):
                sample = f"{name}-{scale}-{e}"
                row = factors(object=name, scale=scale, eccentricity=e)
                manifest.append({"experiment": "place", "sample": sample, **row})
                for cue, slope in CUES.items():
                    for metric in cutouts.PLACE_METRICS:
                        maps.append({"experiment": "place", "sample": sample, "cue": cue,
                                     "explained": "object", "metric": metric,
                                     "value": 0.8 - slope * e + 0.02 * k})  # fmt: skip
    return pd.DataFrame(manifest), pd.DataFrame(maps)


def test_place(place):
    manifest, maps = place
    change = cutouts.place_change(maps, manifest)
    iou = change[change["metric"] == "iou"].set_index("cue")
    assert iou["mean"].to_dict() == pytest.approx(
        {"gradcam": 0.0, "lime": -0.03, "floor:centre box": -0.6}
    )
    assert (iou["n"] == 3).all()
    said = cutouts.place_sentence(change)
    assert "loses **0.60 [0.60, 0.60]** IoU" in said and "Of 2 explainers 1 clearly loses" in said
    assert "LIME's, −0.03" in said and "Every explainer loses less" in said
    by_place = cutouts.place_curves(maps, manifest, "eccentricity")
    row = by_place[(by_place["cue"] == "lime") & (by_place["metric"] == "iou")]
    assert row["mean"].tolist() == pytest.approx([0.82, 0.81, 0.80, 0.79])
    by_size = cutouts.place_curves(maps, manifest, "scale")
    figure = draw.place_and_size(by_place, by_size, "n")
    assert "centre box −0.60, explainers −0.03 to +0.00" in figure.texts[0].get_text()
    plt.close(figure)


@pytest.fixture(scope="module")
def ground():
    manifest, maps, scores = [], [], []
    for name in OBJECTS:
        for k, kind in enumerate(KINDS):
            sample = f"{name}-{kind}"
            row = factors(object=name, kind=kind)
            manifest.append({"experiment": "ground", "sample": sample, **row})
            ids = {"experiment": "ground", "sample": sample, "explained": "object"}
            for cue in CUES:
                maps.append({**ids, "cue": cue, "metric": "relevance_mass", "value": 0.6 - 0.1 * k})
            scores.append({**ids, "logit": 9.0 - k, "ground_logit": 2.0 - 0.5 * k,
                           "probability": 0.8 - 0.1 * k, "ground_probability": 0.1,
                           "target": 1})  # fmt: skip
    return pd.DataFrame(manifest), pd.DataFrame(maps), pd.DataFrame(scores)


def test_ground(ground):
    manifest, maps, scores = ground
    mass = cutouts.ground_mass(maps, manifest)
    lime = mass[mass["cue"] == "lime"].set_index("kind")["mean"]
    assert lime[list(KINDS)].tolist() == pytest.approx([0.4, 0.5, 0.6, 0.7])
    follows = cutouts.score_follows(scores, manifest)
    assert follows["mean"].tolist() == pytest.approx([-7.0, -1.0, -0.5])
    said = cutouts.ground_sentence(mass, follows)
    assert "logit by **7.00 [7.00, 7.00]**" in said and "**−1.00 [−1.00, −1.00]**" in said
    assert "follows the object" in said
    found = cutouts.ground_scores(scores, manifest).set_index(["what", "kind"])["mean"]
    assert found["with", "noise"] == pytest.approx(0.5)
    assert found["without", "usual"] == pytest.approx(0.1)
    figure = draw.grounds(mass, cutouts.ground_scores(scores, manifest), follows, "n")
    assert "−7.0 without the object, −1.0 on an unusual" in figure.texts[0].get_text()
    plt.close(figure)


def test_company():
    rows = []
    for k in range(4):
        for explained in "AB":
            for cue, gap in {"gradcam": 0.25, "lime": 0.0}.items():
                side = 1 if explained == "A" else -1  # a map that always shows A
                values = {
                    "iou": 0.5 + (gap or 0.125 * side),
                    "iou_other": 0.5,
                    "relevance_mass": 0.5,
                    "mass_other": 0.25,
                }
                rows += [{"experiment": "company", "sample": f"p{k}", "cue": cue,
                          "explained": explained, "metric": m, "value": v}
                         for m, v in values.items()]  # fmt: skip
    table = pd.DataFrame(rows)
    found = cutouts.sensitivity(table).set_index("cue")
    assert found["mean"].to_dict() == {"gradcam": 0.25, "lime": 0.0}
    assert (found["n"] == 4).all()
    mass = cutouts.sensitivity(table, "mass")
    assert mass["mean"].tolist() == pytest.approx([0.25, 0.25])
    said = cutouts.company_sentence(cutouts.sensitivity(table))
    assert "clearly preferred by 1 of 2 explainers" in said
    assert "strongest is Grad-CAM, **+0.25" in said
    plt.close(draw.company(cutouts.sensitivity(table), mass, "n"))


@pytest.fixture(scope="module")
def bias():
    maps, predictions, regions = [], [], []
    for name in OBJECTS:
        for own in (True, False):
            sample = f"{name}-{own}"
            for k, share in enumerate(SHARES):
                correct = float(own or share < 100)
                ids = {"sample": sample, "object": name, "share": share, "own": own}
                predictions.append({**ids, "correct": correct, "logit": 1.0})
                maps.append({"experiment": "bias", "sample": sample, "cue": "gradcam",
                             "explained": str(share), "metric": "relevance_mass",
                             "value": 0.7 - 0.1 * k})  # fmt: skip
                for what, step in {"seed": 0.1, "SAM": 0.0, "trained": 0.2}.items():
                    regions.append({**ids, "share": str(share), "what": what, "metric": "spill",
                                    "value": 0.3 + step * k})  # fmt: skip
    return pd.DataFrame(maps), pd.DataFrame(predictions), pd.DataFrame(regions)


def test_planted_bias(bias):
    maps, predictions, regions = bias
    accuracy = cutouts.bias_accuracy(predictions)
    right = accuracy.set_index(["share", "own"])["mean"]
    assert right[100, False] == 0 and right[95, False] == 1 and right[100, True] == 1
    mass = cutouts.bias_mass(maps, predictions)
    assert mass.set_index("share")["mean"].to_dict() == pytest.approx(
        {50: 0, 80: 0.1, 95: 0.2, 100: 0.3}
    )
    found = cutouts.bias_regions(regions)
    said = cutouts.bias_sentence(accuracy, mass, found)
    assert "100 % of composites when" in said and "**0 %** when it always" in said
    assert "1 of 1 explainers clearly move mass to the ground: Grad-CAM +0.30" in said
    assert "Grad-CAM's seed from 0.30 [0.30, 0.30] to **0.60 [0.60, 0.60]**" in said
    assert "SAM's mask from it from 0.30 [0.30, 0.30] to **0.30" in said
    assert cutouts.bias_sentence(accuracy, mass, None) in said
    for table in (found, None):
        figure = draw.planted_bias(accuracy, mass, table, "n")
        assert "falls from 100 % to 0 %" in figure.texts[0].get_text()
        plt.close(figure)


def test_recognition():
    columns = ["object", "target", "rank", "probability", "recognised"]
    objects = pd.DataFrame(
        [("photo-a", 1, 0, 0.5, True), ("photo-b", 2, 1, 0.3, True), ("c", 3, 9, 0.0, False),
         ("d", -1, -1, np.nan, False)], columns=columns)  # fmt: skip
    photographs = pd.DataFrame(
        [("photo-a", 1, 0, 0.9), ("photo-b", 2, 0, 0.7)], columns=columns[:-1]
    )
    table = cutouts.recognition(objects, photographs)
    assert table["mean"].tolist() == pytest.approx([0.8, 0.4, 0.4])
    assert table["top1"].tolist() == [1, 0.5, 0.5]
    said = cutouts.recognition_sentence(objects, table)
    assert "Of 4 cut-outs 3 have" in said and "**2**" in said and "other 1 are dropped" in said


def test_counts():
    maps = pd.DataFrame(
        [("place", "a", "gradcam"), ("place", "a", "gradcam"), ("place", "b", "gradcam"),
         ("company", "a", "lime")], columns=["experiment", "sample", "cue"])  # fmt: skip
    found = cutouts.counted(maps)
    assert found.loc["Grad-CAM"].to_dict() == {"company": 0, "place": 2}
    assert found.loc["LIME", "company"] == 1
