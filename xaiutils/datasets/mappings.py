"""The tables from the classes of a data set to ImageNet-1k, `data/mappings/<name>_imagenet.csv`.

Columns: class, match, indices (positions in torchvision's ImageNet-1k order, with semicolons
between), reason, version. match says how the two meet:

- exact: one ImageNet class means the same.
- subclasses: the ImageNet classes are kinds of the class (dog: 118 breeds).
- superclass: the ImageNet class contains the class (Laysan albatross: albatross), so that the
  name is right for every such image.
- near: related ImageNet classes that would be a wrong name (cow: ox); listed, not taken.
- none: nothing.

Images whose class is near or none are skipped and counted where the mapped logit is explained.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from xaiutils.errors import InputError

MAPPINGS_ROOT = Path(__file__).resolve().parents[2] / "data" / "mappings"
COLUMNS = ("class", "match", "indices", "reason", "version")
TAKEN = ("exact", "subclasses", "superclass")
MATCHES = (*TAKEN, "near", "none")


@dataclass(frozen=True)
class Match:
    """One row: the ImageNet indices, how they meet the class (see above), and why."""

    match: str
    indices: tuple[int, ...]
    reason: str

    @property
    def taken(self) -> tuple[int, ...]:
        """The indices among which the explained logit is chosen; none for near classes."""
        return self.indices if self.match in TAKEN else ()


def load_mapping(name: str, classes: tuple[str, ...]) -> dict[str, Match]:
    """The table of a data set ("voc2012", "cub200", "usis10k", "kvasir"); see `read_mapping`."""
    return read_mapping(MAPPINGS_ROOT / f"{name}_imagenet.csv", classes)


def read_mapping(path: str | Path, classes: tuple[str, ...]) -> dict[str, Match]:
    """The rows by class. InputError, with the file's name and line, for an unknown or repeated
    class, an unknown match, an index outside 0..999, indices that the match does not allow, a
    missing reason; and for a class without a row."""
    rows: dict[str, Match] = {}
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            if missing := [c for c in COLUMNS if c not in (reader.fieldnames or ())]:
                raise InputError(f"{path}: lacks the column(s) {', '.join(missing)}")
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                label = row["class"].strip()
                if label not in classes:
                    raise InputError(f"{place}: '{label}' is not a class of this data set")
                if label in rows:
                    raise InputError(f"{place}: class '{label}' has a row already")
                rows[label] = _match(row, place)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a UTF-8 CSV file ({error})") from error
    if without := [c for c in classes if c not in rows]:
        raise InputError(f"{path}: has no row for {', '.join(without)}")
    return rows


def _match(row: dict[str, str], place: str) -> Match:
    match, reason = row["match"].strip(), row["reason"].strip()
    if match not in MATCHES:
        raise InputError(f"{place}: match '{match}' is none of {', '.join(MATCHES)}")
    indices = tuple(_index(text.strip(), place) for text in row["indices"].split(";") if text)
    if (match == "none") != (not indices) or (match == "exact" and len(indices) != 1):
        raise InputError(f"{place}: match '{match}' does not fit {len(indices)} indices")
    if not reason:
        raise InputError(f"{place}: lacks a reason")
    return Match(match, indices, reason)


def _index(text: str, place: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < 1000):
        raise InputError(f"{place}: index '{text[:20]}' is not a whole number from 0 to 999")
    return int(text)
