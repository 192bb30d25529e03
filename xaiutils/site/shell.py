"""What all pages of the site share: the frame, the navigation, and escaping.

Templates escape whatever they print, so that a name or a label from a file is always text.
"""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from xaiutils.names import COLOURS, title
from xaiutils.sections.words import estimate, number

HERE = Path(__file__).resolve().parent
ASSETS = HERE / "assets"
TEMPLATES = HERE / "templates"


@dataclass(frozen=True)
class Entry:
    """A study in the navigation: its name, which is its folder, and the notebooks that are there
    (file names without suffix)."""

    name: str
    notebooks: list[str]


class Shell:
    """Renders pages that know where they stand.

    entries: the studies of the site; reference: the module on the first page of the reference, ""
    for a site without one.
    """

    def __init__(self, entries: list[Entry], reference: str = ""):
        self.entries = entries
        self.reference = reference.replace(".", "/")
        self.env = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.env.filters["cue"] = title
        self.env.filters["colour"] = lambda cue: COLOURS.get(cue, "#333333")
        self.env.filters["decimals"] = decimals
        self.env.globals["estimate"] = estimate

    def page(self, template: str, path: str, **context) -> str:
        """The HTML of a page; `path` is where it will lie, relative to the site's folder."""
        return self.env.get_template(template).render(**self._where(path), **context)

    def navigation(self, path: str) -> str:
        """The HTML of the navigation alone, for pages that were made elsewhere."""
        return self.env.get_template("nav.html.jinja2").render(**self._where(path))

    def _where(self, path: str) -> dict[str, object]:
        root = "../" * path.count("/")
        return {"root": root, "path": path, "entries": self.entries, "reference": self.reference}


def decimals(value: float | None) -> str:
    """Two decimals; an en dash where nothing is known (None or NaN)."""
    return "–" if value is None or value != value else number(value)
