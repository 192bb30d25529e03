"""The mean IoU of the field: a dot a cue and route, with floors and ceilings."""

import pandas as pd
from matplotlib.figure import Figure

from xaiutils.figures.panels import panels
from xaiutils.figures.photos import below, headline
from xaiutils.figures.style import intervals, rows, style
from xaiutils.names import SEGMENTER_TITLES, in_order, title
from xaiutils.sections.miou import interval_note, label_note, scope
from xaiutils.sections.words import estimate


def _floor(found: pd.DataFrame) -> str:
    """What the best floor has, for the title; nothing where there is none."""
    floors = found[found["cue"].str.startswith("floor:")]
    return f"; the best floor has {floors['mean'].max():.2f}" if len(floors) else ""


HEADS = {"otsu": "Map cut by Otsu", **SEGMENTER_TITLES}


def mious(found: pd.DataFrame, caption: str) -> Figure:
    """A panel a route of `sections.miou.confusion_miou`, a row a cue, with 95 % intervals.

    caption: of the study; how many images and classes are counted is said before it.
    """
    notes = f"{scope(found)}. {interval_note(found)} {label_note(found)}".strip()
    found = found.dropna(subset=["miou"]).rename(columns={"miou": "mean"})
    routes, cues = list(found["route"].unique()), in_order(found["cue"].unique())
    with style():
        height = 0.9 + 0.3 * len(cues)
        figure, axes = panels(len(routes), height, sharey=True, squeeze=False)
        for ax, route in zip(axes[0], routes):
            part = found[found["route"] == route].set_index("cue").reindex(cues).reset_index()
            intervals(ax, part)
            rows(ax, cues)
            ax.tick_params(labelleft=ax is axes[0, 0])
            head = "Map cut at a level" if route.startswith("level") else HEADS.get(route, route)
            ax.set(title=head, xlim=(0, 1), xlabel=found["measure"].iloc[0])
        best = found.loc[found[~found["cue"].str.contains(":")]["mean"].idxmax()]
        said = estimate(best["mean"], best["low"], best["high"])
        headline(
            figure,
            f"The best cue ({title(best['cue'])}) has a {best['measure']} of {said}{_floor(found)}",
        )
        levels = [route for route in routes if route.startswith("level")]
        note = f'Panel "Map cut at a level": {levels[0]}. ' if levels else ""
        below(figure, f"Pixels of all images pooled: {notes} {note}Study: {caption}")
    return figure
