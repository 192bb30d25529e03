"""The mean IoU that the field reports, over a whole split, from the table of `analyses.confusion`.

Pixels of all images are added before a ratio is taken; background is a class. In the reading
"binary" only object and background are told apart: that is another measure, with another name.

In the reading "class" the image's true labels choose which classes may appear in its label image
(`xaiutils.export.LabelImages` has a map for each of them and for no other): what is judged is where
they are, not whether they are there.
"""

import numpy as np
import pandas as pd

from xaiutils.errors import InputError
from xaiutils.metrics.confusion import class_ious
from xaiutils.names import SEGMENTER_TITLES, in_order, title
from xaiutils.sections.words import estimate
from xaiutils.statistics import BLOCK, RESAMPLES, percentiles
from xaiutils.study import Study

COUNTS = ["tp", "fp", "fn"]
BINARY = "object/background mIoU"
TRAINED = "level, chosen on training images"
SEEN = "level, the best on these very images"
COLUMNS = [
    *["cue", "route", "measure", "miou", "low", "high", "n", "undefined", "classes", "absent"],
    "kept",
]
LEAST = 0.05  # the share of the draws that must hold every class; below it there is no interval


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

    measure: "21-class mIoU", or "object/background mIoU"; miou with low and high, its 95 %
    interval (`miou_interval`); n images, of which one may have several samples; undefined, images
    left out because no map or mask of theirs is defined; classes, how many the mean is over;
    absent, classes in neither truth nor prediction; kept, the share of the draws that hold every
    class, the others are left out.
    """
    parts = [table[table["route"] != "level"], at_level(table, training)]
    joined = pd.concat([part for part in parts if len(part)])
    rows = []
    for (cue, route), part in joined.groupby(["cue", "route"], sort=False):
        value, low, high, n, classes, kept = miou_interval(part)
        undefined = int(part["tp"].isna().sum())
        absent = int(part["of"].iloc[0]) - classes
        numbers = value, low, high, n, undefined, classes, absent, kept
        rows.append([cue, route, measure(part), *numbers])
    found = pd.DataFrame(rows, columns=COLUMNS)
    place = {cue: i for i, cue in enumerate(in_order(found["cue"]))}
    return found.sort_values("cue", key=lambda x: x.map(place), kind="stable", ignore_index=True)


def measure(table: pd.DataFrame) -> str:
    """What the mean is called: how many classes are told apart."""
    if set(table["class"]) <= {"background", "object"}:
        return BINARY
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


def miou_interval(part: pd.DataFrame) -> tuple[float, float, float, int, int, float]:
    """(mIoU, low, high, n images, classes, kept) of one cue and route; images without counts left
    out.

    low, high: the percentiles of `class_draws`, NaN below two images and where fewer than `LEAST`
    of the draws hold every class; kept: the share that does, NaN below two images.
    """
    part = part.dropna(subset=["tp"])
    if part.empty:
        return np.nan, np.nan, np.nan, 0, 0, np.nan
    wide = part.pivot(index="image", columns="class", values=COUNTS).fillna(0)
    n = len(wide)
    counts = wide.to_numpy(np.float64).reshape(n, len(COUNTS), -1).swapaxes(1, 2)
    ious = class_ious(counts.sum(axis=0))
    present = np.isfinite(ious)
    if not present.any():
        return np.nan, np.nan, np.nan, n, 0, np.nan
    means, kept = class_draws(counts[:, present]) if n > 1 else (np.empty(0), np.nan)
    low, high = percentiles(means) if kept >= LEAST else (np.nan, np.nan)
    return float(ious[present].mean()), low, high, n, int(present.sum()), kept


def class_draws(counts: np.ndarray, resamples: int = RESAMPLES) -> tuple[np.ndarray, float]:
    """(means, kept): the mIoU of `resamples` draws of images, each over all the classes given.

    counts: (n, K, 3) tp, fp, fn of n images and the K classes that these hold together. Whole
    images are drawn, n of them with replacement. A draw that loses a class would be the mean over
    fewer, most often without a rare and badly marked one: another quantity, and higher. It is left
    out, and drawing goes on until `resamples` draws hold all K classes, or ends early when, of at
    least as many, fewer than `LEAST` do: after `resamples / LEAST` draws at the latest. kept: the
    share of all draws that hold all classes. Seeded; blocks bound the memory.
    """
    n, k, _ = counts.shape
    flat, rng = counts.reshape(n, -1), np.random.default_rng(0)
    step = min(max(BLOCK // max(flat.shape), 1), resamples)
    means, drawn = np.empty(0), 0
    while len(means) < resamples and (drawn < resamples or len(means) >= LEAST * drawn):
        times = rng.multinomial(n, np.full(n, 1 / n), step)
        found = class_ious((times @ flat).reshape(step, k, len(COUNTS))).mean(axis=1)
        means, drawn = np.append(means, found[np.isfinite(found)]), drawn + step
    return means[:resamples], len(means) / drawn


def class_table(table: pd.DataFrame, cue: str, route: str) -> pd.DataFrame:
    """class, images (where it is in truth or prediction), tp, fp, fn, iou of one cue and route."""
    part = table[(table["cue"] == cue) & (table["route"] == route)].dropna(subset=["tp"])
    groups = part.groupby("class", sort=False)
    found = groups[COUNTS].sum().astype("int64")
    found.insert(0, "images", groups["image"].nunique())
    return found.assign(iou=class_ious(found[COUNTS].to_numpy())).reset_index()


def miou_sentence(found: pd.DataFrame) -> str:
    """The best cue on each route with n, a line a route, and what measure and interval are not."""
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
    said += [f"- {text}" for text in (interval_note(found), label_note(found)) if text]
    return "\n".join(said)


def scope(found: pd.DataFrame) -> str:
    """ "n = 78 images, 10 of 21 classes present", of a table of `confusion_miou`."""
    known = found.dropna(subset=["miou"])
    total = (found["classes"] + found["absent"]).max()
    n, classes = _range(known["n"]), _range(known["classes"])
    return f"n = {n} images, {classes} of {total} classes present"


def interval_note(found: pd.DataFrame) -> str:
    """What is drawn again for the intervals, and how many of the draws count."""
    text = "95 % intervals: whole images drawn again; a draw that loses a class is left out"
    known = found.dropna(subset=["miou", "kept"])
    if known.empty:
        return f"{text}."
    kept = _range((100 * known["kept"]).round().astype(int))
    none = known["low"].isna()
    without = f"; no interval where fewer than {100 * LEAST:.0f} % do" if none.any() else ""
    return f"{text} ({kept} % of the draws hold all{without})."


def label_note(found: pd.DataFrame) -> str:
    """Who chooses the classes of a label image; "" where there is but one."""
    if set(found["measure"]) <= {BINARY}:
        return ""
    return "Which classes may appear in an image is taken from its true labels."


def _range(counts: pd.Series) -> str:
    """ "78", or "76 to 78"."""
    return " to ".join(str(value) for value in sorted({counts.min(), counts.max()}))


def _kind(cues: pd.Series) -> pd.Series:
    return cues.map(lambda cue: cue.split(":")[0] if ":" in cue else "cue")
