"""What decides a claim on composites, where the truth is made and not found (notebook 5).

Photographs show that a trained segmenter labels context; composites show whether a bias of the
classifier is the reason, because the same heads exist without it. Intervals are over objects.
"""

from collections.abc import Iterable

import pandas as pd

from xaiutils.claims.finding import UNTESTED, Finding, decide, mean_finding, share_finding
from xaiutils.cutouts.stored import CutoutStudy, open_cutouts
from xaiutils.errors import InputError, UnusableFile
from xaiutils.maps import BAND, BORDER
from xaiutils.sections.cutouts_bias import CONFOUND
from xaiutils.sections.words import percent

COLUMNS = ["id", "claim", "quantity", "estimate", "low", "high", "n", "verdict", "reason"]


def inherited(study: CutoutStudy) -> list[Finding]:
    """C21: what a full bias adds to the trained segmenter's spill, and to the share of the ground
    that it marks; each minus what it adds to the seeds' (objects held out, own ground).

    Spill depends on the size of the region, too: both must agree before the claim is supported.
    """
    table = study.table("bias_regions")
    found = []
    for metric, name in (("spill", "spill"), ("ground", "share of the ground marked")):
        part = table[table["own"] & (table["metric"] == metric)]
        wide = part.pivot_table(index="object", columns=["what", "share"], values="value")
        added = {what: wide[what, "100"] - wide[what, "50"] for what in ("trained", "seed")}
        inherited = f"{name}, segmenter trained on seeds, full bias minus none"
        amplified = f"that {name} minus what the bias adds to the seeds'"
        found += [
            mean_finding(inherited, added["trained"], at_least=0),
            mean_finding(amplified, added["trained"] - added["seed"], at_least=0),
        ]
    return found


def empty_borders(study: CutoutStudy) -> list[Finding]:
    """C33: composites of one object that stays clear of the border, yet Score-CAM's border band
    holds more than its share of the area; read as on photographs (5 % of them or more)."""
    manifest, maps = study.table("manifest"), study.table("maps")
    reach = (manifest[["x", "y"]] - 0.5).abs().max(axis=1) + manifest["scale"] / 2
    inside = manifest[reach <= 0.5 - BORDER]
    table = maps[(maps["cue"] == "scorecam") & (maps["metric"] == "border_share")]
    table = table[table["experiment"].isin(["place", "ground"])]
    table = table.merge(inside[["sample", "object"]], on="sample")
    heavy = (table["value"] > BAND).astype(float).groupby(table["object"]).mean()
    quantity = (
        f"share of composites with an empty border ({len(table)}, averaged by object) on which "
        f"Score-CAM's outer {percent(BORDER)} of each side holds more than its area's share"
    )
    return [share_finding(quantity, heavy, at_least=0.05)]


EVIDENCE = {"C21": inherited, "C33": empty_borders}
NOTES = {"C21": CONFOUND}  # what the numbers cannot tell, for the reason


def controlled(
    study: CutoutStudy | None = None, ids: Iterable[str] = tuple(EVIDENCE)
) -> pd.DataFrame:
    """One row a claim that composites decide: the columns of `COLUMNS`; no rows without a study."""
    from xaiutils.claims import claims

    try:
        study = study or open_cutouts()
        found = {id: EVIDENCE[id](study) for id in ids}
    except UnusableFile:
        raise
    except InputError:  # not measured, or without the costly parts yet
        return pd.DataFrame(columns=COLUMNS)
    said = claims().set_index("id")["claim"]
    rows = [_row(id, said[id], findings) for id, findings in found.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(id: str, claim: str, findings: list[Finding]) -> list:
    first = findings[0]
    numbers = [first.quantity, first.estimate, first.low, first.high, first.n]
    if not all(finding.n for finding in findings):
        return [id, claim, *numbers, UNTESTED, "the explainer has not been asked yet"]
    verdict, reason = decide(findings, "objects")
    return [id, claim, *numbers, verdict, f"{reason}; {NOTES[id]}" if id in NOTES else reason]


def on_composites(id: str) -> list[str]:
    """What the stored composites say of a claim, for the reason in another study's ledger."""
    return [
        f"on composites (notebook 5) {row.verdict}: {row.reason}"
        for row in controlled(ids={id} & set(EVIDENCE)).itertuples()
    ]
