"""The mean IoU that the field reports, over a whole split, from the table of `analyses.confusion`.

Pixels of all images are added before a ratio is taken; background is a class. In the reading
"binary" only object and background are told apart: that is another measure, with another name.
"""

import numpy as np
import pandas as pd

from xaiutils.errors import InputError
from xaiutils.metrics.confusion import class_ious
from xaiutils.names import SEGMENTER_TITLES, in_order, title
from xaiutils.sections.words import estimate
from xaiutils.statistics import LEVEL, RESAMPLES
from xaiutils.study import Study

COUNTS = ["tp", "fp", "fn"]
TRAINED = "level, chosen on training images"
SEEN = "level, the best on these very images"
COLUMNS = [
    *["cue", "route", "measure", "miou", "low", "high", "n", "undefined", "classes", "absent"],
]


def field_miou(study: Study) -> pd.DataFrame:
    """`confusion_miou` of a study, levels from its companion where that has been analysed too."""
    try:
        training = study.companion.table("confusion")
    except InputError:
        training = None
    return confusion_miou(study.table("confusion"), training)


def confusion_miou(table: pd.DataFrame, training: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a cue and route, cues in the usual order, routes as in the table.

    table: of the analysis "confusion"; training: the same of the training split, on which each
    cue's background level is chosen. Without it the level is the best on these very images, and the
    route says so.

    measure: "21-class mIoU", or "object/background mIoU"; miou with low and high, the 95 % interval
    when whole images are drawn again (NaN below two images); n images; undefined, images left out
    because no map or mask of theirs is defined; classes, how many the mean is over; absent, classes
    in neither truth nor prediction.
    """
    parts = [table[table["route"] != "level"], at_level(table, training)]
    joined = pd.concat([part for part in parts if len(part)])
    rows = []
    for (cue, route), part in joined.groupby(["cue", "route"], sort=False):
        value, low, high, n, classes = miou_interval(part)
        undefined = int(part["tp"].isna().sum())
        absent = int(part["of"].iloc[0]) - classes
        rows.append([cue, route, measure(part), value, low, high, n, undefined, classes, absent])
    found = pd.DataFrame(rows, columns=COLUMNS)
    place = {cue: i for i, cue in enumerate(in_order(found["cue"]))}
    return found.sort_values("cue", key=lambda x: x.map(place), kind="stable", ignore_index=True)


def measure(table: pd.DataFrame) -> str:
    """What the mean is called: how many classes are told apart."""
    if set(table["class"]) <= {"background", "object"}:
        return "object/background mIoU"
    return f"{int(table['of'].iloc[0])}-class mIoU"


def at_level(table: pd.DataFrame, training: pd.DataFrame | None = None) -> pd.DataFrame:
    """The rows of route "level" at each cue's own level, the route named after its choice."""
    part = table[table["route"] == "level"]
    chosen = best_levels(table if training is None else training)
    taken = part[part["level"] == part["cue"].map(chosen)]
    return taken.assign(route=SEEN if training is None else TRAINED)


def best_levels(table: pd.DataFrame) -> pd.Series:
    """The level with the highest mean IoU over the split, by cue; the lowest among equals."""
    part = table[table["route"] == "level"].dropna(subset=["tp"])
    totals = part.groupby(["cue", "level", "class"])[COUNTS].sum()
    ious = pd.Series(class_ious(totals.to_numpy()), totals.index)
    mious = ious.groupby(["cue", "level"]).mean()
    best = mious.groupby("cue").idxmax()
    return best.map(lambda key: key[1])


def miou_interval(part: pd.DataFrame) -> tuple[float, float, float, int, int]:
    """(mIoU, low, high, n images, classes) of one cue and route; images without counts left out."""
    part = part.dropna(subset=["tp"])
    if part.empty:
        return np.nan, np.nan, np.nan, 0, 0
    wide = part.pivot(index="image", columns="class", values=COUNTS).fillna(0)
    n = len(wide)
    counts = wide.to_numpy(np.float64)
    draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES)
    totals = np.vstack([np.ones(n), draws]) @ counts
    ious = class_ious(totals.reshape(len(totals), len(COUNTS), -1).swapaxes(1, 2))
    present = np.isfinite(ious)
    classes = present.sum(axis=1)
    means = np.nansum(ious, axis=1) / np.where(classes, classes, np.nan)
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(means[1:], [tail, 100 - tail]) if n > 1 else (np.nan, np.nan)
    return float(means[0]), float(low), float(high), n, int(classes[0])


def class_table(table: pd.DataFrame, cue: str, route: str) -> pd.DataFrame:
    """class, images (where it is in truth or prediction), tp, fp, fn, iou of one cue and route."""
    part = table[(table["cue"] == cue) & (table["route"] == route)].dropna(subset=["tp"])
    groups = part.groupby("class", sort=False)
    found = groups[COUNTS].sum().astype("int64")
    found.insert(0, "images", groups["image"].nunique())
    return found.assign(iou=class_ious(found[COUNTS].to_numpy())).reset_index()


def miou_sentence(found: pd.DataFrame) -> str:
    """The best cue on each route with n, a line a route, and what the measure is not."""
    said = []
    for route, part in found.dropna(subset=["miou"]).groupby("route", sort=False):
        for kind, rows in part.groupby(_kind(part["cue"]), sort=False):
            best = rows.loc[rows["miou"].idxmax()]
            said.append(
                f"- {SEGMENTER_TITLES.get(route, f'map, {route}')}, best {kind}: "
                f"{title(best['cue'])}, **{estimate(best['miou'], best['low'], best['high'])}** "
                f"{best['measure']} (n = {best['n']} images, "
                f"{best['classes']} of {best['classes'] + best['absent']} classes)."
            )
    said.append("- Pixels of all images are pooled: this is not the mean of the IoUs of images.")
    return "\n".join(said)


def _kind(cues: pd.Series) -> pd.Series:
    return cues.map(lambda cue: cue.split(":")[0] if ":" in cue else "cue")
