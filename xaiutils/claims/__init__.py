"""The ledger: every checkable claim of the paper, its number in a study, and a verdict.

    python -m xaiutils claims --study voc2012-subset-resnet50

The claims, in our own words, stand in data/published/claims.csv together with what the paper says
against itself. What decides a claim is one or more *findings*: an estimate with its 95 % interval
and the range in which the claim would hold. No verdict is typed; it follows from the intervals:

- supported: every interval lies inside its range;
- not supported: every interval lies outside;
- mixed: anything between, an interval across the border included;
- not tested here: the study lacks what decides the claim, or is smaller than `FEWEST` images (a
  handful of photographs shows a direction at most; the reason says which).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from xaiutils.claims import maps, proxy, training
from xaiutils.claims.composites import on_composites
from xaiutils.claims.finding import UNTESTED, Finding, decide
from xaiutils.config import is_stand_in
from xaiutils.errors import InputError, UnusableFile
from xaiutils.sections.published import (
    PUBLISHED,
    data_name,
    images_of,
    other_images,
    other_settings,
    printed_name,
    published,
)
from xaiutils.sections.words import as_markdown, quote
from xaiutils.store import write_text
from xaiutils.study import Study, studies_dir

COLUMNS = ["id", "section", "claim", "quantity", "estimate", "low", "high", "n", "verdict"]
COLUMNS += ["reason", "contradiction"]

Evidence = tuple[Callable[[Study], list[Finding]], tuple[str, ...]]
# claim -> what decides it, and the analyses that it needs beside the study's own tables
EVIDENCE: dict[str, Evidence] = {**maps.EVIDENCE, **proxy.EVIDENCE, **training.EVIDENCE}
# claims that no study here can decide, and why
BEYOND = {
    "C16": "needs all of VOC 2012 val and SAM2's real weights",
    "C28": "needs the pretrained transformers, which could not be had here",
    "C29": "needs all of VOC 2012 val and SAM2's real weights",
}
OF_VOC = ("C09", "C12")  # claims that the paper makes of VOC 2012 alone


# the claims of each notebook, in the order of its sections
OF_NOTEBOOK = {
    1: "C01 C02 C03 C04 C05 C06 C07 C08 C24 C28 C30 C31 C32 C33 C34",
    2: "C09 C10 C11 C26 C27",
    3: "C12 C13 C14 C15 C16 C17 C18 C19 C29",
    4: "C20 C21 C22 C23 C25",
}
# the stored study to be held beside another: the first that is here, the paper's classifier first
REFERENCES = ("voc2012-subset-resnet50", "voc2012-subset")


def claims() -> pd.DataFrame:
    """Columns id, section, claim, contradiction ("" where there is none)."""
    return pd.read_csv(PUBLISHED / "claims.csv", dtype=str).fillna("")


def ledger(study: Study, ids: list[str] | None = None) -> pd.DataFrame:
    """One row a claim (default: all), with the columns of `COLUMNS`.

    Of several findings the first is printed; all stand in the reason, each with its interval.
    """
    known = claims().set_index("id", drop=False)
    rows = [_row(study, claim) for claim in known.loc[ids or known.index].to_dict("records")]
    return pd.DataFrame(rows, columns=COLUMNS)


def write_ledger(study: Study) -> Path:
    """The ledger as claims.csv in the study's folder: the file's path."""
    path = study.folder / "claims.csv"
    write_text(path, ledger(study).to_csv(index=False, float_format="%.6g"))
    return path


def _row(study: Study, claim: dict) -> dict:
    found = _findings(study, claim["id"])
    if isinstance(found, str):
        nan = float("nan")
        empty = {"quantity": "", "estimate": nan, "low": nan, "high": nan, "n": 0}
        return {**claim, **empty, "verdict": UNTESTED, "reason": found}
    verdict, reason = decide(found)
    why = BEYOND.get(claim["id"]) or elsewhere(study, claim["id"])
    if why and (claim["id"] in BEYOND or verdict != UNTESTED):
        verdict, reason = UNTESTED, f"{why}; here: {reason}"
    first = found[0]
    return {
        **claim,
        "quantity": first.quantity,
        "estimate": first.estimate,
        "low": first.low,
        "high": first.high,
        "n": first.n,
        "verdict": verdict,
        "reason": "; ".join([reason, *departures(study, claim["id"]), *on_composites(claim["id"])]),
    }


def _findings(study: Study, id: str) -> list[Finding] | str:
    """The findings of a claim, or why there are none."""
    if id not in EVIDENCE:
        return BEYOND.get(id, "nothing here measures it")
    evidence, needs = EVIDENCE[id]
    missing = [name for name in needs if name not in study.tables]
    if missing:
        return f"this study has no table {' or '.join(missing)}"
    try:
        found = [finding for finding in evidence(study) if np.isfinite(finding.estimate)]
    except UnusableFile:
        raise
    except InputError as error:  # a study without a SAM, or from before a table was kept
        return str(error)
    return found or "the study lacks the cues that decide it"


def departures(study: Study, id: str) -> list[str]:
    """Where the study differs from the paper's own experiment, for this claim."""
    config = study.config
    images = len(images_of(study.table("samples"), config.dataset))
    printed = printed_name(config.dataset)
    said = [*other_images(printed, config, images), *other_settings(config)]
    if images < len(study.sample_ids):
        said.append(f"{len(study.sample_ids)} samples, one a class of an image, as independent")
    sam = id == "C20" or (id in proxy.EVIDENCE and id not in proxy.MAPS_ALONE)
    if sam and "embedded_sam" in config.segmenters and "sam2" not in config.segmenters:
        said.append("the embedded SAM, not SAM2")
    return said


def elsewhere(study: Study, id: str) -> str:
    """Why a claim of VOC 2012, or of a printed column, is not tested on the study's images."""
    name, data = study.config.dataset, data_name(study.config.dataset)
    if id in OF_VOC and name != "voc2012":
        return f"claimed of VOC 2012, not of {data}"
    if id == "C24":
        stand_in = is_stand_in(study.config, len(images_of(study.table("samples"), name)))
        if stand_in:
            return "these images are a stand-in for USIS10K"
        if data not in set(published("table2")["dataset"]):
            return f"Table 2 has no column for {data}; VOC's is taken"
    return ""


def verdicts(study: Study, notebook: int) -> pd.DataFrame:
    """The ledger's rows of a notebook, beside the verdicts of a stored study (`REFERENCES`)."""
    table = ledger(study, OF_NOTEBOOK[notebook].split())
    kept = [name for name in REFERENCES if (studies_dir() / name / "claims.csv").exists()]
    if not kept or study.name in kept[:1]:
        return table
    stored = pd.read_csv(studies_dir() / kept[0] / "claims.csv").set_index("id")
    text = [
        f"{row.verdict}: {quote(row.estimate, row.low, row.high, row.n)}" if row.n else row.verdict
        for row in stored.loc[table["id"]].itertuples()
    ]
    return table.assign(**{f"stored study {kept[0]}": text})


def as_read(table: pd.DataFrame) -> str:
    """A ledger in Markdown: the claim, its verdict, all that was measured for it (each number with
    its interval and n), a stored study's verdict, and what the paper says against itself."""
    first = ["id", "claim", "verdict", "reason"]
    stored = [name for name in table if name.startswith("stored study")]
    last = [name for name in ("contradiction",) if name in table and table[name].any()]
    names = {"reason": "measured", "contradiction": "the paper against itself"}
    return as_markdown(table[first + stored + last].rename(columns=names))
