"""How an estimate is printed: numbers, intervals, counts, and tables to be read."""

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from xaiutils.names import in_order, title


def estimate(
    mean: float, low: float = np.nan, high: float = np.nan, sign: bool = False, digits: int = 2
) -> str:
    """ "0.55 [0.48, 0.61]", without the interval where it is undefined; "undefined" for NaN.

    Three digits where two would round an end of the interval to zero and hide its side of it.
    """
    if not np.isfinite(mean):
        return "undefined"
    values = [mean, low, high] if np.isfinite(mean + low + high) else [mean]
    if digits == 2 and any(end != 0 and round(end, 2) == 0 for end in values[1:]):
        digits = 3
    text = [number(value, digits, sign) for value in values]
    return text[0] if len(text) == 1 else f"{text[0]} [{text[1]}, {text[2]}]"


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """Fixed digits with a true minus; zero has no sign: "0.00", never "−0.00" or "+0.00"."""
    value = round(value, digits) + 0.0
    return f"{value:{'+' if sign and value else ''}.{digits}f}".replace("-", "−")


def percent(mean: float, low: float = np.nan, high: float = np.nan) -> str:
    """ "55 % [48, 61]" of a share; "undefined" for NaN."""
    if not np.isfinite(mean):
        return "undefined"
    interval = f" [{100 * low:.0f}, {100 * high:.0f}]" if np.isfinite(low + high) else ""
    return f"{100 * mean:.0f} %{interval}"


def quote(mean: float, low: float, high: float, n: int | None = None, share: bool = False) -> str:
    """A mean with its interval as text: "0.53 [0.45, 0.61], n = 12"; or `percent`."""
    if not np.isfinite(mean):
        return "undefined" if n is None else f"undefined (n = {int(n)})"
    text = (percent if share else estimate)(mean, low, high)
    return text if n is None else f"{text}, n = {int(n)}"


def p_text(p: float) -> str:
    """A p value: "0.02", "< 0.01"; "" where it is undefined."""
    if not np.isfinite(p):
        return ""
    return number(p) if p >= 0.005 else "< 0.01"


def signed(value: float) -> str:
    """Two digits with a sign, a true minus: "+0.53", "−0.12"; no sign for a zero."""
    return number(value, sign=True)


def signed_interval(mean: float, low: float, high: float) -> str:
    """A difference with its interval: "+0.05 [−0.02, +0.10]"."""
    return estimate(mean, low, high, sign=True)


def change(row) -> str:
    """The difference in a row's mean, low and high: "+0.05 [−0.02, +0.10]"."""
    return estimate(row["mean"], row["low"], row["high"], sign=True)


def rho_text(row) -> str:
    """The correlation in a row's rho, low and high: "0.55 [0.48, 0.61]"."""
    return estimate(row["rho"], row["low"], row["high"])


def possessive(name: str) -> str:
    """ "Grad-CAM's", "Integrated Gradients'"."""
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def short_title(cue: str) -> str:
    """The printed name of a cue without its kind: "centre box" for "Floor: centre box"."""
    return title(cue).split(": ")[-1]


def count(k: int, n: int, of: str) -> str:
    """ "7 of 9 explainers", "all 9 explainers", "none of 9 explainers"."""
    if k == n and n > 1:
        return f"all {n} {of}"
    return f"{k if k else 'none'} of {n} {of}"


def of_explainers(holds: pd.Series) -> str:
    """For how many of the explainers something holds, in words."""
    return count(int(holds.sum()), len(holds), "explainers")


def as_markdown(
    table: pd.DataFrame, merge: dict[str, tuple[str, str, str]] | None = None, digits: int = 2
) -> str:
    """A table in Markdown, for reading: nothing is cut off, a dash where nothing is known.

    merge: new column -> the columns of an estimate and its interval, which it replaces:
    {"IoU": ("mean", "low", "high")} prints "0.55 [0.48, 0.61]".
    """
    table = table.copy()
    for name, (mean, low, high) in (merge or {}).items():
        text = [
            estimate(*row, digits=digits) if pd.notna(row[0]) else np.nan
            for row in table[[mean, low, high]].to_numpy(dtype=float)
        ]
        table.insert(table.columns.get_loc(mean), name, text)
        table = table.drop(columns=[mean, low, high])
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy(dtype=object)]
    return "\n".join(f"| {' | '.join(_cell(value, digits) for value in line)} |" for line in lines)


def _cell(value: object, digits: int) -> str:
    if value is pd.NA:
        return "–"
    if isinstance(value, float):
        return "–" if np.isnan(value) else number(value, digits)
    if isinstance(value, int | np.integer):
        return number(value, 0)
    return str(value).replace("|", "\\|")


def shown(table: pd.DataFrame, digits: int = 2) -> Styler:
    """A table for the eye: `digits` decimals everywhere, an en dash where nothing is known, no cell
    cut off, no row numbers; names and labels are text, whatever is in them."""
    whole = table.select_dtypes("number").columns
    whole = [c for c in whole if (table[c].dropna() % 1 == 0).all()]
    style = table.style.format(precision=digits, na_rep="–", escape="html").hide(axis="index")
    style = style.format_index(escape="html", axis=1)
    floats = table.select_dtypes("float").columns.difference(whole).tolist()
    if floats:
        style = style.format(lambda x: number(x, digits), subset=floats, na_rep="–")
    return style.format(lambda x: number(x, 0), subset=whole, na_rep="–") if whole else style


def readable(table: pd.DataFrame, percent: bool = False) -> pd.DataFrame:
    """A tidy table (cue, metric, mean, low, high) as text: a row a cue, a column a metric."""
    text = [quote(r.mean, r.low, r.high, share=percent) for r in table.itertuples()]
    wide = table.assign(text=text).pivot(index="cue", columns="metric", values="text")
    wide = wide.loc[in_order(wide.index), list(dict.fromkeys(table["metric"]))]
    return wide.rename(index=title).rename_axis(index=None, columns=None)
