"""The reference of the package, from its docstrings, by pdoc; its search works from a file too."""

import re
import warnings
from pathlib import Path

from xaiutils.errors import InputError
from xaiutils.site.shell import TEMPLATES, Shell

ROOT = Path(__file__).resolve().parents[2]


def write_reference(folder: Path, modules: tuple[str, ...], shell: Shell) -> None:
    """A page a module below `folder`, with those below them. Raises InputError without pdoc."""
    try:
        import pdoc  # not needed but for this page
    except ImportError as error:
        raise InputError("the reference needs pdoc: pip install -e '.[site]'") from error
    pdoc.render.configure(
        docformat="markdown", show_source=False, template_directory=TEMPLATES / "reference"
    )
    pdoc.render.env.globals["site_entries"] = shell.entries
    with warnings.catch_warnings():  # a lambda across lines, which pdoc cannot parse by itself
        warnings.filterwarnings("ignore", "Error parsing source code", UserWarning)
        pdoc.pdoc(*modules, output_directory=folder)
    for path in [*folder.rglob("*.html"), *folder.rglob("*.js")]:
        path.write_text(without_paths(path.read_text(encoding="utf-8")), encoding="utf-8")


def without_paths(text: str) -> str:
    """The text with folders of this machine, which are values of constants, left out or as ~."""
    for folder, short in ((ROOT, "."), (Path.home(), "~")):
        if folder == folder.parent:  # of a user without a home, "/" would be everywhere
            continue
        text = re.sub(rf"{re.escape(str(folder))}(?![\w.-])", short, text)
    return text
