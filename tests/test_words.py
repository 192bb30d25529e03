"""How estimates are printed."""

import pandas as pd
import pytest

from xaiutils.sections import words

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "sign", "text"),
    [
        ((0.554, 0.481, 0.606), False, "0.55 [0.48, 0.61]"),
        ((-0.1, -0.2, 0.0), True, "−0.10 [−0.20, 0.00]"),
        ((-0.001, NAN, NAN), False, "0.00"),
        ((-0.02, -0.043, 0.0012), True, "−0.020 [−0.043, +0.001]"),  # which side of zero?
        ((NAN, NAN, NAN), False, "undefined"),
    ],
)
def test_estimate(values, sign, text):
    assert words.estimate(*values, sign=sign) == text


def test_percent():
    assert words.percent(0.305, 0.17, 0.449) == "30 % [17, 45]"
    assert words.percent(0.5) == "50 %" and words.percent(NAN) == "undefined"


def test_words():
    assert words.count(7, 9, "explainers") == "7 of 9 explainers"
    assert words.count(9, 9, "explainers") == "all 9 explainers"
    assert words.count(0, 9, "explainers") == "none of 9 explainers"
    assert words.possessive("LIME") == "LIME's"
    assert words.possessive("Integrated Gradients") == "Integrated Gradients'"


def test_markdown_cuts_nothing_off_and_merges_intervals():
    long = "x" * 80
    table = pd.DataFrame(
        {"cue": ["a|b", long], "mean": [0.5, NAN], "low": [0.4, NAN], "high": [0.6, NAN], "n": 3}
    )
    lines = words.as_markdown(table, {"IoU": ("mean", "low", "high")}).split("\n")
    assert lines == [
        "| cue | IoU | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.50 [0.40, 0.60] | 3 |",
        f"| {long} | – | 3 |",
    ]
    assert table.columns.tolist() == ["cue", "mean", "low", "high", "n"]
    assert words.as_markdown(pd.DataFrame({"x": [-0.123]}), digits=1).endswith("| −0.1 |")
