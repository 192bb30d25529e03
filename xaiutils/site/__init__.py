"""A static site of studies: notebooks, galleries, the ledger and the reference of the package.

    python -m xaiutils site --study demo,voc2012-subset --to build/site

It opens from a folder or a USB stick: every link is relative, nothing is asked of another host, and
without JavaScript the pages still show everything, unsorted.
"""

import json
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from xaiutils.errors import InputError
from xaiutils.report import FIGURES
from xaiutils.site.gallery import has_pictures, write_gallery
from xaiutils.site.ledger import verdicts, write_ledger_page
from xaiutils.site.notebooks import NOTEBOOK_TITLES, copy_notebooks
from xaiutils.site.reference import write_reference
from xaiutils.site.shell import ASSETS, Entry, Shell
from xaiutils.study import Study, open_study

STUDIES = ("demo", "voc2012-subset")  # photographs to look at, and numbers of real images
MARKER = "site.json"  # says that a folder is one of ours and may be replaced
HEADLINE = "03_floors_ceilings.png"  # the figure of a study that the first page shows


@dataclass(frozen=True)
class Card:
    """What the first page says of a study."""

    entry: Entry
    caption: str
    pictures: bool
    verdicts: dict[str, int]
    headline: str


def build(
    studies: tuple[str, ...] = STUDIES,
    to: str | Path = "build/site",
    figures: str | Path = FIGURES,
    modules: tuple[str, ...] = ("xaiutils",),
) -> Path:
    """Write the site of the named studies into the folder `to`: the path of its first page.

    figures: where the executed notebooks lie, a folder a study; those that are missing are left
    out. modules: what the reference describes; () for none. An earlier site in `to` is replaced
    once the new one is whole. Raises InputError for an unknown study, for a study named twice, and
    where `to` holds anything but a site.
    """
    if not studies or len(set(studies)) < len(studies):
        raise InputError(f"--study {','.join(studies)!r}: name at least one study, each once")
    to = Path(to).expanduser().absolute()
    check_target(to)
    opened = [open_study(name) for name in studies]
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as part:
        folder = Path(part) / "site"
        write_site(opened, folder, Path(figures), modules)
        check_target(to)
        if to.exists():
            shutil.rmtree(to)
        folder.rename(to)
    return to / "index.html"


def check_target(to: Path) -> None:
    """Raise InputError if `to` is a file, or a folder with something else than a site in it."""
    if to.is_file():
        raise InputError(f"{to}: is a file; choose a folder for the site")
    if to.exists() and any(to.iterdir()) and not (to / MARKER).exists():
        raise InputError(f"{to}: holds other files; choose a new or empty folder for the site")


def write_site(studies: list[Study], folder: Path, figures: Path, modules: tuple[str, ...]) -> None:
    """All pages of the studies into a new folder."""
    shutil.copytree(ASSETS, folder / "assets")
    pages = {study.name: notebook_pages(figures / study.name) for study in studies}
    entries = [Entry(name, [page.stem for page in found]) for name, found in pages.items()]
    shell = Shell(entries, modules[0] if modules else "")
    ledgers = {study.name: verdicts(study) for study in studies}
    cards = []
    for study, entry in zip(studies, entries):
        copy_notebooks(pages[study.name], folder / study.name, shell)
        write_gallery(study, folder / study.name, shell)
        counts = dict(Counter(ledgers[study.name]["verdict"]))
        headline = copy_headline(figures / study.name, folder / study.name)
        cards.append(Card(entry, study.caption(), has_pictures(study), counts, headline))
    write_ledger_page(studies, ledgers, folder, shell)
    if modules:
        write_reference(folder / "reference", modules, shell)
    page = shell.page("index.html.jinja2", "index.html", cards=cards, titles=NOTEBOOK_TITLES)
    (folder / "index.html").write_text(page, encoding="utf-8")
    names = [study.name for study in studies]
    (folder / MARKER).write_text(
        json.dumps({"schema": 1, "studies": names}) + "\n", encoding="utf-8"
    )


def notebook_pages(folder: Path) -> list[Path]:
    """The executed notebooks of a study as HTML, in order; none where they were not run."""
    return sorted(folder.glob("*.html"))


def copy_headline(figures: Path, folder: Path) -> str:
    """Copy the headline figure of a study beside its pages: its name, "" if it was not drawn."""
    if not (figures / HEADLINE).exists():
        return ""
    shutil.copyfile(figures / HEADLINE, folder / HEADLINE)
    return HEADLINE
