"""The page of the claims: the verdict of every study on every claim of the paper."""

from pathlib import Path

import pandas as pd

from xaiutils.claims import ledger
from xaiutils.site.shell import Shell
from xaiutils.study import Study

VERDICTS = ("supported", "mixed", "not supported", "not tested here")


def verdicts(study: Study) -> pd.DataFrame:
    """The study's ledger (`claims.COLUMNS`): its claims.csv, or judged now where there is none."""
    path = study.folder / "claims.csv"
    table = pd.read_csv(path) if path.exists() else ledger(study)
    texts = ["id", "section", "claim", "quantity", "verdict", "reason", "contradiction"]
    return table.assign(**table[texts].fillna("").astype(str))


def write_ledger_page(
    studies: list[Study], ledgers: dict[str, pd.DataFrame], folder: Path, shell: Shell
) -> None:
    """claims.html: a row a claim and study, the studies below each other for each claim.

    ledgers: the `verdicts` of each study by its name.
    """
    rows = pd.concat([ledgers[study.name].assign(study=study.name) for study in studies])
    rows = rows.sort_values("id", kind="stable").to_dict("records")
    page = shell.page(
        "ledger.html.jinja2",
        "claims.html",
        rows=[row | {"values": _values(row)} for row in rows],
        studies=studies,
        verdicts=VERDICTS,
        sections=sorted({row["section"] for row in rows}),
    )
    (folder / "claims.html").write_text(page, encoding="utf-8")


def _values(row: dict) -> dict[str, dict[str, object]]:
    """What the page sorts by."""
    estimate = None if pd.isna(row["estimate"]) else float(row["estimate"])
    known = {name: row[name] for name in ("id", "claim", "study", "verdict")}
    return {"": known | {"estimate": estimate, "n": int(row["n"])}}
