"""The field's mean IoU of a study, and its figure, on two images counted by hand."""

from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from xaiutils.analyses.confusion import COLUMNS
from xaiutils.errors import InputError
from xaiutils.figures.miou import mious
from xaiutils.sections.miou import SEEN, TRAINED, field_miou

NAN = float("nan")


def counts(route: str, level: float, dog: tuple[int, int, int]) -> list[list]:
    """Two equal images: background is right on 50 pixels, the dog as given (tp, fp, fn)."""
    _, fp, fn = dog
    return [
        ["gradcam", route, level, 21, name, *each]
        for name, each in {"background": (50, fn, fp), "dog": dog}.items()
    ]


def table(*parts: list[list]) -> pd.DataFrame:
    rows = [[image, *row] for image in ("a", "b") for part in parts for row in part]
    return pd.DataFrame(rows, columns=COLUMNS)


class Two:
    """A study whose own best level is 0.2, while its training images prefer 0.4."""

    def __init__(self, own: pd.DataFrame, training: pd.DataFrame | None):
        self.own, self.training = own, training

    def table(self, name: str) -> pd.DataFrame:
        return self.own

    @property
    def companion(self):
        if self.training is None:
            raise InputError("no training study")
        return SimpleNamespace(table=lambda name: self.training)


OWN = table(
    counts("otsu", NAN, (10, 0, 10)),
    counts("level", 0.2, (20, 0, 0)),
    counts("level", 0.4, (10, 10, 0)),
)
TRAINING = table(counts("level", 0.2, (10, 0, 10)), counts("level", 0.4, (20, 0, 0)))


def test_the_level_comes_from_the_training_study_where_there_is_one():
    found = field_miou(Two(OWN, TRAINING)).set_index("route")["miou"]
    assert found["otsu"] == pytest.approx((50 / 60 + 0.5) / 2)
    assert found[TRAINED] == pytest.approx((50 / 60 + 0.5) / 2)  # at 0.4: 10 of 20, 50 of 60
    assert field_miou(Two(OWN, None)).set_index("route")["miou"][SEEN] == 1.0


def test_the_figure_has_a_panel_a_route():
    figure = mious(field_miou(Two(OWN, TRAINING)), "n = 2")
    assert [ax.get_title() for ax in figure.axes] == ["Map cut by Otsu", "Map cut at a level"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["Grad-CAM"]
    plt.close(figure)
