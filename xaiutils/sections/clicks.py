"""The human in the loop in tables and sentences: what a start is worth in clicks."""

import pandas as pd

from xaiutils.names import in_order, title
from xaiutils.sections.words import number, percent, quote, signed_interval
from xaiutils.statistics import mean_interval, summary

ENOUGH = 0.85  # NoC@85, the usual mark of interactive segmentation


def start_title(start: str) -> str:
    """The printed name of a start."""
    return "Nothing" if start == "none" else title(start)


def in_start_order(starts) -> list[str]:
    """Nothing first, then cues and references in the usual order."""
    starts = list(dict.fromkeys(starts))
    return [s for s in ("none",) if s in starts] + in_order(s for s in starts if s != "none")


def curve_table(table: pd.DataFrame) -> pd.DataFrame:
    """Mean IoU with interval by start and number of clicks: start, clicks, n, mean, low, high."""
    found = summary(table, ["start", "clicks"], "iou").drop(columns="undefined")
    order = {start: place for place, start in enumerate(in_start_order(found["start"]))}
    return found.sort_values(["start", "clicks"], key=lambda c: c.map(order) if c.name == "start"
                             else c, ignore_index=True)  # fmt: skip


def number_of_clicks(table: pd.DataFrame, level: float = ENOUGH) -> pd.DataFrame:
    """Clicks until the IoU first reaches `level`: sample, start, noc, failed.

    Capped at the most that were made, with failed True, as is usual: a mean over capped values is
    too low where many fail.
    """
    most = table["clicks"].max()
    reached = table[table["iou"] >= level].groupby(["sample", "start"], sort=False)["clicks"].min()
    found = table[["sample", "start"]].drop_duplicates().reset_index(drop=True)
    noc = reached.reindex(pd.MultiIndex.from_frame(found)).to_numpy()
    found["noc"], found["failed"] = pd.Series(noc).fillna(most).astype(int), pd.isna(noc)
    return found


def clicks_saved(table: pd.DataFrame) -> pd.DataFrame:
    """How many clicks from nothing reach the IoU that a start has before any: sample, start, saved.

    Capped at the most that were made: where nothing reaches it, at least so many are saved.
    """
    most = int(table["clicks"].max())
    nothing = table[table["start"] == "none"].pivot(index="sample", columns="clicks", values="iou")
    begin = table[(table["clicks"] == 0) & (table["start"] != "none")]
    rows = []
    for row in begin.dropna(subset="iou").itertuples():
        reached = nothing.loc[row.sample].ge(row.iou)
        rows.append([row.sample, row.start, int(reached.idxmax()) if reached.any() else most])
    return pd.DataFrame(rows, columns=["sample", "start", "saved"])


def click_table(table: pd.DataFrame, level: float = ENOUGH) -> pd.DataFrame:
    """One row a start: IoU before a click, clicks saved, NoC at `level`, share that failed.

    start, n, iou, iou_low, iou_high, saved, saved_low, saved_high, noc, noc_low, noc_high, failed.
    """
    noc, saved = number_of_clicks(table, level), clicks_saved(table)
    rows = []
    for start in in_start_order(table["start"]):
        begin = table[(table["start"] == start) & (table["clicks"] == 0)]
        mine = noc[noc["start"] == start]
        found = [begin["iou"], saved.loc[saved["start"] == start, "saved"], mine["noc"]]
        estimates = [value for values in found for value in mean_interval(values)]
        rows.append([start, len(mine), *estimates, float(mine["failed"].mean())])
    names = [f"{name}{end}" for name in ("iou", "saved", "noc") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["start", "n", *names, "failed"])


def noc_difference(table: pd.DataFrame, start: str, level: float = ENOUGH):
    """NoC from nothing minus NoC from a start, on the same images: (mean, low, high)."""
    wide = number_of_clicks(table, level).pivot(index="sample", columns="start", values="noc")
    return mean_interval((wide["none"] - wide[start]).dropna())


def explanations(table: pd.DataFrame) -> list[str]:
    """The starts that are explanations or fusions of them."""
    found = in_start_order(table["start"])
    return [s for s in found if s != "none" and not s.startswith(("floor:", "ceiling:"))]


def best_start(table: pd.DataFrame) -> str:
    """The explanation with the most clicks saved."""
    found = click_table(table).set_index("start").loc[explanations(table), "saved"]
    return found.idxmax()


def click_title(table: pd.DataFrame) -> str:
    """What the best explanation saves at once and in the end, and what a box in the centre does."""
    best = best_start(table)
    found = click_table(table).set_index("start")["saved"]
    text = (
        f"Of {len(explanations(table))} explanations {title(best)} is worth most, "
        f"{number(found[best])} clicks"
    )
    box = "floor:centre box"
    if box in found:
        text += f" at the start (a box in the centre {number(found[box])})"
    less = signed_interval(*noc_difference(table, best))
    return f"{text} and {less} on the way to IoU {ENOUGH}"


def click_sentences(table: pd.DataFrame, level: float = ENOUGH) -> str:
    """Each start in clicks, and how many fewer clicks the best one needs to reach `level`."""
    found = click_table(table, level)
    most = int(table["clicks"].max())
    said = []
    for row in found.itertuples():
        noc = quote(row.noc, row.noc_low, row.noc_high)
        failed = f"{percent(row.failed)} not within {most} clicks"
        if row.start == "none":
            text = f"From nothing: IoU {level} after {noc} clicks (n = {row.n}, {failed})."
        else:
            saved = quote(row.saved, row.saved_low, row.saved_high)
            text = (
                f"{start_title(row.start)}: starts at IoU {row.iou:.2f}, which takes {saved} "
                f"clicks from nothing; IoU {level} after {noc} ({failed})."
            )
        said.append(f"- {text}")
    best = best_start(table)
    less = signed_interval(*noc_difference(table, best, level))
    said.append(
        f"- Clicks saved on the way to IoU {level} by starting from {title(best)} instead of from "
        f"nothing, on the same images: {less}."
    )
    return "\n".join(said)
