"""Claims judged on composites: tables whose differences are known by construction."""

from types import SimpleNamespace

import pandas as pd
import pytest

from xaiutils.claims import composites
from xaiutils.errors import InputError

OBJECTS = [f"object {k}" for k in range(30)]


def study(trained: float, seeds: float, heavy: int = 3, objects: int = 30, ground=None):
    """The bias adds `trained` and `seeds` to the spill; `heavy` objects of 30 light up the band.

    ground: what it adds to the share of the ground that the trained segmenter marks (`trained`).
    """
    regions = [
        {"object": name, "share": share, "own": own, "what": what, "metric": metric,
         "value": 0.2 + 0.01 * k + (added if share == "100" else 0)}
        for k, name in enumerate(OBJECTS[:objects])
        for metric, grown in (("spill", trained), ("ground", trained if ground is None else ground))
        for what, added in (("trained", grown), ("seed", seeds))
        for share in ("50", "100")
        for own in (True, False)
    ]  # fmt: skip
    manifest = [
        {"experiment": "place", "sample": f"{name} {e}", "object": name, "x": 0.5 + e,
         "y": 0.5, "scale": 0.4}
        for name in OBJECTS[:objects] for e in (0.0, 0.3)
    ]  # fmt: skip
    maps = [
        {"experiment": "place", "sample": f"{name} {e}", "cue": cue, "metric": "border_share",
         "value": 0.9 if e or k < heavy else 0.1}
        for k, name in enumerate(OBJECTS[:objects])
        for e in (0.0, 0.3)
        for cue in ("scorecam", "lime")
    ]  # fmt: skip
    tables = {"bias_regions": regions, "manifest": manifest, "maps": maps}
    return SimpleNamespace(table=lambda name: pd.DataFrame(tables[name]))


def test_a_bias_that_grows_on_its_way_is_supported():
    table = composites.controlled(study(trained=0.3, seeds=0.1)).set_index("id")
    row = table.loc["C21"]
    assert (row["estimate"], row["n"], row["verdict"]) == (pytest.approx(0.3), 30, "supported")
    assert "0.20" in row["reason"] and "weighted like the head's" in row["reason"]


def test_a_bias_that_grows_by_one_measure_only_is_mixed():
    table = composites.controlled(study(trained=0.3, seeds=0.1, ground=0.05)).set_index("id")
    assert table.loc["C21", "verdict"] == "mixed"
    assert "share of the ground marked" in table.loc["C21", "reason"]


def test_inherited_but_damped_is_mixed_and_removed_is_not_supported():
    verdict = {
        added: composites.controlled(study(added, seeds=0.1)).set_index("id").loc["C21", "verdict"]
        for added in (0.05, -0.05)
    }
    assert verdict == {0.05: "mixed", -0.05: "not supported"}


def test_few_objects_decide_nothing():
    row = composites.controlled(study(trained=0.3, seeds=0.1, objects=6)).set_index("id").loc["C21"]
    assert row["verdict"] == "not tested here"
    assert row["reason"].startswith("n = 6 objects, a direction at most: supported")


def test_only_composites_with_an_empty_border_count():
    (finding,) = composites.empty_borders(study(0, 0, heavy=15))
    assert (finding.estimate, finding.n) == (0.5, 30)
    (finding,) = composites.empty_borders(study(0, 0, heavy=0))
    assert finding.estimate == 0 and finding.points == "open"  # 30 objects do not rule out 5 %
    assert finding.high == pytest.approx(1 - 0.025 ** (1 / 30))


def test_without_the_study_nothing_is_said(monkeypatch):
    def missing():
        raise InputError("no stored study of composites")

    monkeypatch.setattr(composites, "open_cutouts", missing)
    assert composites.controlled().empty
    assert composites.on_composites("C21") == []
    assert composites.on_composites("C01") == []
