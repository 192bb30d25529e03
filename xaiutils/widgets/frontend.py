"""What the widgets share: whether anybody is there, what they are given, how numbers are shown."""

from collections.abc import Iterable, Mapping
from html import escape

import matplotlib.pyplot as plt
import numpy as np

from xaiutils.errors import InputError
from xaiutils.figures.clicks import interactive
from xaiutils.figures.style import style
from xaiutils.sections.words import number
from xaiutils.study import Study


def is_headless(given: bool | None) -> bool:
    """As given; None asks the environment (`interactive`)."""
    return not interactive() if given is None else given


def need_maps(study: Study) -> None:
    """InputError for a study of tables alone."""
    if not study.has_arrays:
        raise InputError(
            f"study {study.name!r} has tables only, no maps: take one that has them, as "
            "`xaiutils.sections.borrow.with_pictures(study)` does"
        )


def pick(kind: str, wanted: str | None, known: Iterable[str]) -> str:
    """What is wanted, by default the first that is known; InputError for anything unknown."""
    known = list(known)
    if not known:
        raise InputError(f"the study has no {kind}")
    if wanted is not None and wanted not in known:
        raise InputError(f"unknown {kind} {wanted!r}; known: {', '.join(known)}")
    return known[0] if wanted is None else wanted


def said(name: str, value: float, digits: int = 2) -> str:
    """ "IoU 0.42", "0.42" without a name; an undefined value is a dash."""
    return f"{name} {number(value, digits) if np.isfinite(value) else '–'}".lstrip()


def listed(found: Mapping[str, float], digits: int = 2) -> str:
    """ "IoU 0.42, coverage 0.80"."""
    return ", ".join(said(name, value, digits) for name, value in found.items())


def line(text: str) -> str:
    """A line of HTML in the figures' font, which screen readers read out when it changes."""
    return f'<div role="status" style="font: 15px {font()}; padding: 4px 0">{escape(text)}</div>'


def font() -> str:
    """The figures' fonts as CSS."""
    with style():
        names = plt.rcParams["font.sans-serif"]
    return ", ".join(name if name == "sans-serif" else f"'{name}'" for name in names[:6])
