"""Executed notebooks, which are pages of their own already, with the site's navigation on top."""

import re
from pathlib import Path

from xaiutils.errors import InputError
from xaiutils.pages import remote_sources
from xaiutils.site.shell import Shell

NOTEBOOK_TITLES = {
    "01_failure_modes": "Failure modes",
    "02_disagreement": "Disagreement",
    "03_sam2_proxy": "A foundation model as a proxy",
    "04_pitfalls": "Pitfalls",
    "05_controlled_benchmark": "A controlled benchmark",
}
STYLES = '<link rel="stylesheet" href="../assets/nav.css">'
STYLES += '<link rel="stylesheet" href="../assets/notebook.css">'


def copy_notebooks(pages: list[Path], folder: Path, shell: Shell) -> None:
    """Each page into `folder`, a study's, with the navigation. InputError if one is not ours."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages:
        html = page.read_text(encoding="utf-8")
        remote = remote_sources(html)
        if remote:
            raise InputError(f"{page}: loads {remote[0]}; run `make figures` to write it anew")
        nav = shell.navigation(f"{folder.name}/{page.name}")
        (folder / page.name).write_text(with_navigation(html, nav, page), encoding="utf-8")


def with_navigation(html: str, nav: str, page: Path) -> str:
    """The page with its styles at the end of the head and the navigation first in the body."""
    head, body = html.find("</head>"), re.search(r"<body\b[^>]*>", html)
    if head < 0 or body is None:
        raise InputError(f"{page}: no page of a notebook; run `make figures` to write it anew")
    return html[:head] + STYLES + html[head : body.end()] + nav + html[body.end() :]
