"""The field's mean IoU of a study, and its figure, on two images counted by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from xaiutils.analyses.confusion import COLUMNS
from xaiutils.errors import InputError
from xaiutils.figures.miou import mious
from xaiutils.metrics.confusion import class_ious
from xaiutils.sections import miou
from xaiutils.sections.miou import SEEN, TRAINED, confusion_miou, field_miou, miou_interval
from xaiutils.statistics import RESAMPLES

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


def split(images: list[dict[str, tuple[int, int, int]]]) -> pd.DataFrame:
    """The table of images i0, i1, ..., each with (tp, fp, fn) by class; one cue and route."""
    rows = [
        [f"i{i:02}", "gradcam", "otsu", NAN, 21, name, *each]
        for i, image in enumerate(images)
        for name, each in image.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_draws_that_lose_a_class_are_left_out():
    """The cat is in one of six images: a draw without it would be a mean over two classes."""
    rng = np.random.default_rng(5)
    names = ["background", "cat", "dog"]
    counts = rng.integers(1, 50, (6, 3, 3))
    counts[1:, 1] = 0
    images = [{name: row for name, row in zip(names, image) if row.any()} for image in counts]
    value, low, high, n, classes, kept = miou_interval(split(images))
    means, drawn, draws = [], 0, np.random.default_rng(0)
    while len(means) < RESAMPLES:
        times = draws.multinomial(6, np.full(6, 1 / 6))
        drawn += 1
        if times[0]:
            means.append(class_ious((times[:, None, None] * counts).sum(axis=0)).mean())
    assert value == pytest.approx(class_ious(counts.sum(axis=0)).mean(), rel=1e-12)
    np.testing.assert_allclose([low, high], np.percentile(means, [2.5, 97.5]), rtol=1e-9)
    assert (n, classes) == (6, 3)
    assert kept == pytest.approx(1 - (5 / 6) ** 6, abs=0.02)
    assert kept == pytest.approx(RESAMPLES / drawn, abs=0.02)


def test_every_draw_is_the_mean_over_the_same_classes():
    """All right but for the cat of one image, which is missed: the mean of any two classes is 1/2,
    that of the background alone would be 1."""
    images = [{"background": (50, 0, 0)} for _ in range(9)]
    found = confusion_miou(split([*images, {"background": (50, 0, 0), "cat": (0, 0, 9)}])).iloc[0]
    assert found[["miou", "low", "high"]].tolist() == [0.5, 0.5, 0.5]
    assert (found["n"], found["classes"], found["absent"]) == (10, 2, 19)


def test_where_every_image_holds_every_class_all_draws_count():
    images = [{"background": (50, i, 3), "dog": (5 + i, 3, i)} for i in range(8)]
    counts = np.array([list(image.values()) for image in images])
    times = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), RESAMPLES)
    means = class_ious(np.tensordot(times, counts, 1)).mean(axis=1)
    _, low, high, _, _, kept = miou_interval(split(images))
    np.testing.assert_allclose([low, high], np.percentile(means, [2.5, 97.5]), rtol=1e-9)
    assert kept == 1


def test_no_interval_where_hardly_a_draw_holds_every_class():
    """Eight images of a class each: 8! of 8^8 draws, 0.24 %, hold all. Four: 9.4 %."""
    found = confusion_miou(split([{f"class {i}": (1, 1, 0)} for i in range(8)]))
    row = found.iloc[0]
    assert (row["miou"], row["n"], row["classes"]) == (0.5, 8, 8)
    assert np.isnan([row["low"], row["high"]]).all() and 0 <= row["kept"] < 0.01
    assert "(0 % of the draws hold all; no interval where fewer than 5 % do)" in (
        miou.interval_note(found)
    )
    row = confusion_miou(split([{f"class {i}": (1, 1, 0)} for i in range(4)])).iloc[0]
    assert (row["low"], row["high"]) == (0.5, 0.5)
    assert row["kept"] == pytest.approx(24 / 256, abs=0.01)


def test_the_interval_does_not_depend_on_the_blocks(monkeypatch):
    images = [{"background": (50, i, 3), f"class {i % 4}": (5 + i, 3, i)} for i in range(9)]
    whole = miou_interval(split(images))
    monkeypatch.setattr(miou, "BLOCK", 50)
    assert miou_interval(split(images))[:5] == whole[:5]


def test_figure_and_sentence_say_what_is_drawn_again_and_counted():
    images = [{"background": (50, 0, 0)}, {"background": (50, 0, 0), "dog": (1, 1, 0)}]
    found = confusion_miou(split(images))
    figure = mious(found, "n = 3 samples (image and class)")
    title, below = (" ".join(text.get_text().split()) for text in figure.texts)
    plt.close(figure)
    assert title == "The best cue (Grad-CAM) has a 21-class mIoU of 0.75 [0.75, 0.75]"
    kept = round(100 * found["kept"].iloc[0])
    assert kept == pytest.approx(75, abs=2)
    notes = (
        "95 % intervals: whole images drawn again; a draw that loses a class is left out "
        f"({kept} % of the draws hold all).",
        "Which classes may appear in an image is taken from its true labels.",
    )
    assert below == (
        f"Pixels of all images pooled: n = 2 images, 2 of 21 classes present. {' '.join(notes)} "
        "Study: n = 3 samples (image and class)"
    )
    assert miou.miou_sentence(found).splitlines()[-2:] == [f"- {note}" for note in notes]


def test_object_and_background_need_no_labels():
    found = confusion_miou(split([{"background": (5, 0, 0), "object": (1, 0, 0)}]).assign(of=2))
    assert miou.label_note(found) == ""
    assert miou.scope(found) == "n = 1 images, 2 of 2 classes present"


def test_counts_that_differ_between_cues_are_a_range():
    one = split([{"background": (5, 0, 0), "cat": (1, 0, 0)}, {"background": (5, 0, 0)}])
    other = one.assign(cue="ig")
    other.loc[other["image"] == "i00", ["tp", "fp", "fn"]] = NAN
    found = confusion_miou(pd.concat([one, other]))
    assert miou.scope(found) == "n = 1 to 2 images, 1 to 2 of 21 classes present"
