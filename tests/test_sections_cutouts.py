"""Tables and sentences of the controlled benchmark on synthetic tables whose means are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from xaiutils.cutouts.plans import KINDS, SHARES
from xaiutils.figures import cutouts as draw
from xaiutils.sections import cutouts, cutouts_bias, cutouts_known

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
    assert "coverage of LIME −0.03 [−0.03, −0.03] (n = 3)" in said
    assert "Objects: 3 for Grad-CAM, LIME." in said
    by_place = cutouts.place_curves(maps, manifest, "eccentricity")
    row = by_place[(by_place["cue"] == "lime") & (by_place["metric"] == "iou")]
    assert row["mean"].tolist() == pytest.approx([0.82, 0.81, 0.80, 0.79])
    pointing = by_place[by_place["metric"] == "pointing_15"]
    assert (pointing["high"] - pointing["low"]).min() > 0.5  # three objects: exact, and wide
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
    assert cutouts.class_changes(scores, manifest, "ground") == []
    other = scores.assign(target=[2, *scores["target"][1:]])
    changed = cutouts.class_changes(other, manifest, "ground")
    same = cutouts.score_follows(other, manifest, changed)
    assert changed == ["cat"] and (same["n"] == 2).all()
    said = cutouts.class_sentence(changed, 3, follows, same)
    assert "1 of 3 objects (cat)" in said and "(n = 2) instead of −1.00" in said
    figure = draw.grounds(mass, cutouts.ground_scores(scores, manifest), follows, "n")
    assert "−7.0 without the object, −1.0 on an unusual" in figure.texts[0].get_text()
    plt.close(figure)


def test_company():
    scores = pd.DataFrame(
        [{"experiment": "company", "sample": f"p{k}", "explained": e, "rank": 9 * k,
          "object_share": 0.125 if e == "A" else 0.375} for k in range(4) for e in "AB"]
    )  # fmt: skip
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
    # 0.25 on the other, whose share of the area is 0.375 (asked about A) or 0.125
    avoided = cutouts.avoidance(table, scores)
    assert avoided["mean"].tolist() == [0, 0]
    said = cutouts.avoidance_sentence(avoided.assign(low=[-0.2, 0.1], high=[-0.1, 0.2]))
    assert "below 0, so that they avoid it: Grad-CAM" in said and "do not**: LIME" in said
    known = cutouts.sensitivity(cutouts_known.known_only(table, scores))
    assert known["n"].tolist() == [1, 1]  # one pair of rank 0
    both = cutouts_known.beside_known(cutouts.sensitivity(table), known)
    assert both.iloc[0].tolist() == ["Grad-CAM", "+0.25 [+0.25, +0.25], n = 4", "+0.25, n = 1"]


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
    accuracy = cutouts_bias.bias_accuracy(predictions)
    right = accuracy.set_index(["share", "own"])["mean"]
    assert right[100, False] == 0 and right[95, False] == 1 and right[100, True] == 1
    mass = cutouts_bias.bias_mass(maps, predictions)
    assert mass.set_index("share")["mean"].to_dict() == pytest.approx(
        {50: 0, 80: 0.1, 95: 0.2, 100: 0.3}
    )
    found = cutouts_bias.bias_regions(regions)
    said = cutouts_bias.bias_sentence(accuracy, mass, found)
    assert "100 % of composites when" in said and "**0 %** when it always" in said
    assert "1 of 1 explainers clearly move mass to the ground: Grad-CAM +0.30" in said
    assert "Grad-CAM's seed from 0.30 [0.30, 0.30] to **0.60 [0.60, 0.60]**" in said
    assert "SAM's mask from it from 0.30 [0.30, 0.30] to **0.30" in said
    assert cutouts_bias.bias_sentence(accuracy, mass, None) in said
    counted = cutouts_bias.bias_counts(maps, predictions, regions)
    assert "n = 3 composites of 3 objects" in counted and "n = 3 for Grad-CAM" in counted
    objects = pd.DataFrame({"object": [*OBJECTS], "recognised": [True, False, False]})
    manifest = pd.DataFrame({"object": [*OBJECTS, "ant"], "split": ["test"] * 3 + ["train"]})
    said = cutouts_bias.held_out_sentence(objects, manifest)
    assert "Of the 3 held-out objects" in said and "recognise 2 on grey" in said
    for table in (found, None):
        figure = draw.planted_bias(accuracy, mass, table, "n")
        assert "falls from 100 % to 0 %" in figure.texts[0].get_text()
        plt.close(figure)


def with_truth(regions):
    """The regions, a row a metric: what the bias adds to "ground" is no more than to the seeds'."""
    ground = regions.assign(metric="ground", value=0.1 + 0.1 * (regions["share"] == "100"))
    truth = regions[regions["share"] == "50"].assign(share="truth", value=0.05)
    return pd.concat([regions, ground, truth[truth["what"] == "trained"]], ignore_index=True)


def test_what_hides_and_what_inherits_the_bias(bias):
    regions = with_truth(bias[2])
    pairs = cutouts_bias.bias_pairs(regions)
    by = pairs.set_index(["what", "metric"])["mean"]
    assert by["SAM - seed", "spill"] == pytest.approx(-0.3)
    assert by["trained - seed", "spill"] == pytest.approx(0.3)
    assert by["trained - seed", "ground"] == pytest.approx(0)
    found = cutouts_bias.bias_regions(regions)
    assert "**Yes, a part of it**" in cutouts_bias.hides_sentence(pairs, found)
    wide = pairs.assign(low=-1.0, high=1.0)
    assert "**Not shown**" in cutouts_bias.hides_sentence(wide, found)
    said = cutouts_bias.inherits_sentence(pairs, found)
    assert "**by one measure, not shown by the other**" in said and "0.05 [0.05, 0.05]" in said


def test_how_the_classifier_takes_composites():
    manifest, scores = [], []
    for k, (name, scale) in enumerate([("cat", 0.25), ("cat", 0.4), ("dog", 0.25), ("dog", 0.4)]):
        ids = {"experiment": "place", "sample": str(k)}
        manifest.append({**ids, **factors(object=name, scale=scale)})
        rank, p = (0, 0.5) if scale == 0.4 else (9, 0.1)
        scores.append({**ids, "explained": "object", "rank": rank, "probability": p})
    table = cutouts_known.on_composites(pd.DataFrame(scores), pd.DataFrame(manifest))
    assert table["size"].tolist() == ["all", "0.25", "0.4"] and (table["n"] == 2).all()
    assert table["mean"].tolist() == pytest.approx([0.3, 0.1, 0.5])
    assert table["top5"].tolist() == [0.5, 0, 1] and table["unknown"].tolist() == [2, 2, 0]
    assert table["top5_high"][1] == pytest.approx(1 - 0.025**0.5)  # Clopper and Pearson, 0 of 2
    said = cutouts_known.taken_sentence(table)
    assert "**2 of 4** composites" in said and "at size 0.25 in 0 %" in said


def test_recognition():
    columns = ["object", "target", "rank", "probability", "recognised"]
    objects = pd.DataFrame(
        [("photo-a", 1, 0, 0.5, True), ("photo-b", 2, 1, 0.3, True), ("c", 3, 9, 0.0, False),
         ("d", -1, -1, np.nan, False)], columns=columns)  # fmt: skip
    photographs = pd.DataFrame(
        [("photo-a", 1, 0, 0.9), ("photo-b", 2, 0, 0.7)], columns=columns[:-1]
    )
    table = cutouts_known.recognition(objects, photographs)
    assert table["mean"].tolist() == pytest.approx([0.8, 0.4, 0.4])
    assert table["top1"].tolist() == [1, 0.5, 0.5]
    said = cutouts_known.recognition_sentence(objects, table)
    assert "Of 4 cut-outs 3 have" in said and "**2**" in said and "other 1 are dropped" in said


def test_counts():
    maps = pd.DataFrame(
        [("place", "a", "gradcam"), ("place", "a", "gradcam"), ("place", "b", "gradcam"),
         ("company", "a", "lime")], columns=["experiment", "sample", "cue"])  # fmt: skip
    found = cutouts.counted(maps)
    assert found.loc["Grad-CAM"].to_dict() == {"company": 0, "place": 2}
    assert found.loc["LIME", "company"] == 1
