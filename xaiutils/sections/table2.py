"""Table 2: every printed cell beside ours, and whether both order the methods alike.

The paper cites a survey for "Effectiveness" and gives no formula, so several readings stand beside
each other (`READINGS`), the relevance mass as the default. Insertion is there where the study has
the table of the analysis "faithfulness". A further reading, the kept confidence (which share of the
class's probability is left when nothing but the thresholded map's area is shown), is not measured
by any analysis here.
"""

import numpy as np
import pandas as pd

from xaiutils.config import StudyConfig, is_stand_in
from xaiutils.sections.correlation import spearman_rows
from xaiutils.sections.published import (
    METHODS,
    NOT_COMPARABLE,
    data_name,
    images_of,
    not_comparable,
    published,
)
from xaiutils.sections.words import quote, signed
from xaiutils.statistics import LEVEL, RESAMPLES, summary

INSERTION = "insertion"  # of the table of the analysis "faithfulness", not of "localisation"
# What each printed measure may mean, as (our metric, its name), the default first.
READINGS = {
    "iou": {"iou": "IoU of the thresholded map"},
    "effectiveness": {
        "relevance_mass": "share of the map's mass on the object",
        "dice": "Dice of the thresholded map",
        INSERTION: "area under the insertion curve",
        "relevance_rank": "share of the top pixels on the object",
    },
    "localisation_accuracy": {"pointing_15": "maximum within 15 px of the object"},
}
NOT_HERE = "not measured here"  # a method that the study lacks
COMPARABLE = "comparable: data set, split, number of images and classifier are the paper's"
MEASURES = {
    "iou": "IoU",
    "effectiveness": "Effectiveness",
    "localisation_accuracy": "Localisation accuracy",
}
NOT_MEASURED = (
    "Not measured here: the kept confidence, the share of the class's probability that is left "
    "when only the thresholded map's area is shown."
)


def with_insertion(localisation: pd.DataFrame, faithfulness: pd.DataFrame | None) -> pd.DataFrame:
    """Rows sample, cue, metric, value: those of localisation and, where there is a table of the
    analysis "faithfulness", its insertion areas of the same samples."""
    if faithfulness is None:
        return localisation
    same = faithfulness["sample"].isin(localisation["sample"])
    areas = faithfulness[(faithfulness["metric"] == INSERTION) & same]
    return pd.concat([localisation, areas], ignore_index=True)


def readings_of(faithfulness: pd.DataFrame | None) -> list[tuple[str, str, str]]:
    """(measure, metric, reading) of `READINGS`, insertion only where there is a table of it."""
    return [
        (measure, metric, reading)
        for measure, readings in READINGS.items()
        for metric, reading in readings.items()
        if metric != INSERTION or faithfulness is not None
    ]


def table2_cells(
    localisation: pd.DataFrame,
    samples: pd.DataFrame,
    config: StudyConfig,
    faithfulness: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every printed cell of Table 2 with our reading, or readings, of its measure beside it.

    One row for each method, measure, printed data set and reading: printed, ours (the mean over
    images with its 95 % interval low, high and n), difference (ours - printed), and a remark that
    says whether the two are comparable and if not, why. Of methods that the study lacks ours is
    NaN, n 0, and the remark begins with "not measured here". samples: the study's table;
    faithfulness: that of the analysis, for the reading insertion, if the study has it.
    """
    images = len(images_of(samples, config.dataset))
    measured = with_insertion(localisation, faithfulness)
    ours = summary(measured, ["cue", "metric"]).set_index(["cue", "metric"])
    ours = ours[["mean", "low", "high", "n"]].T.to_dict("list")
    rows = []
    for cell in published("table2").to_dict("records"):
        cue = METHODS[cell["method"]]
        remark = not_comparable(cell["dataset"], config, images) or COMPARABLE
        for measure, metric, reading in readings_of(faithfulness):
            there = (cue, metric) in ours
            mean, low, high, n = ours.get((cue, metric), [np.nan, np.nan, np.nan, 0])
            rows.append(
                {
                    "cue": cue,
                    "method": cell["method"],
                    "measure": measure,
                    "metric": metric,
                    "reading": reading,
                    "dataset": cell["dataset"],
                    "printed": cell[measure],
                    "ours": mean,
                    "low": low,
                    "high": high,
                    "n": int(n),
                    "difference": mean - cell[measure],
                    "remark": remark if there else f"{NOT_HERE}; {remark}",
                }
            )
    return pd.DataFrame(rows)


def table2(cells: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One measure of Table 2 to be read: a row a method, ours, the printed columns, differences.

    cells: from `table2_cells`; measure: a key of `MEASURES`. Differences are those of the first
    reading; a column's header says "not comparable" where the conditions differ. Every printed row
    is there; what the study lacks is NaN.
    """
    part = cells[cells["measure"] == measure]
    table = part.drop_duplicates("method")[["method"]].set_index("method")
    first = part["metric"].iloc[0]
    for _, group in part.drop_duplicates(["method", "metric"]).groupby("metric", sort=False):
        name = "ours" if part["metric"].nunique() == 1 else f"ours: {group['reading'].iloc[0]}"
        there = group[~group["remark"].str.startswith(NOT_HERE)]
        text = [quote(r.ours, r.low, r.high) for r in there.itertuples()]
        table[name] = pd.Series(text, index=there["method"], dtype=object)
    for dataset, group in part[part["metric"] == first].groupby("dataset", sort=False):
        group = group.set_index("method")
        odd = f" ({NOT_COMPARABLE})" if group["remark"].str.contains(NOT_COMPARABLE).any() else ""
        table[f"{dataset}, printed"] = group["printed"]
        table[f"ours − {dataset}{odd}"] = group["difference"]
    return table.reset_index()


def order(
    localisation: pd.DataFrame,
    resamples: int = RESAMPLES,
    faithfulness: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Does a column of ours put the methods in the printed order? Spearman's rho for each.

    faithfulness: the study's table of that analysis; without it there are no rows of insertion.
    One row for each printed data set, measure and reading: rho between the printed column and our
    means over images, methods (how many are ranked: the n of rho), images, and low, high: the 95 %
    interval when images are drawn again, the methods staying the same. NaN below three methods.
    """
    printed = published("table2").assign(cue=lambda t: t["method"].map(METHODS))
    measured, rows = with_insertion(localisation, faithfulness), []
    for measure, metric, reading in readings_of(faithfulness):
        part = measured[measured["metric"] == metric]
        values = part.pivot(index="sample", columns="cue", values="value").dropna(axis=1, how="all")
        for dataset, column in printed.groupby("dataset", sort=False):
            column = column.set_index("cue")[measure]
            cues = [cue for cue in column.index if cue in values]
            found = _rank_interval(values[cues].to_numpy(), column[cues], resamples)
            rows.append(
                {
                    "dataset": dataset,
                    "measure": measure,
                    "metric": metric,
                    "reading": reading,
                    **dict(zip(["rho", "low", "high"], found)),
                    "methods": len(cues),
                    "images": len(values),
                }
            )
    return pd.DataFrame(rows)


def _rank_interval(values: np.ndarray, printed: pd.Series, resamples: int):
    """rho of the column means of (images, methods) with `printed`, and its bootstrap interval."""
    if values.shape[1] < 3:
        return (float("nan"),) * 3
    n = len(values)
    rng = np.random.default_rng(0)
    counts = np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), resamples)])
    defined = np.isfinite(values)
    means = (counts @ np.where(defined, values, 0)) / np.maximum(counts @ defined, 1e-12)
    rho = spearman_rows(means, printed.to_numpy(float))
    if n < 2 or not np.isfinite(rho[1:]).any():
        return float(rho[0]), float("nan"), float("nan")
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(rho[1:], [tail, 100 - tail])
    return float(rho[0]), float(low), float(high)


def order_title(order: pd.DataFrame) -> str:
    """How the rank correlations of the default readings lie, as a title."""
    rho = order.drop_duplicates(["dataset", "measure"])["rho"].dropna()
    if rho.empty:
        return "Too few methods to compare their order with the printed one"
    return (
        "Our order of the methods against the printed one: "
        f"ρ from {signed(rho.min())} to {signed(rho.max())}"
    )


def own_column(order: pd.DataFrame, config: StudyConfig | None) -> str:
    """The printed data set that the study's images are of; "" where they are of none."""
    if config is None or is_stand_in(config, order["images"].max()):
        return ""
    name = data_name(config.dataset)
    return name if (order["dataset"] == name).any() else ""


def best_reading(order: pd.DataFrame, column: str = "") -> pd.Series:
    """Rank correlation of each reading of Effectiveness, the highest first.

    With the printed column of that data set; without one the mean over the printed data sets.
    """
    part = order[order["measure"] == "effectiveness"]
    part = part[part["dataset"] == column] if column else part
    return part.groupby("reading", sort=False)["rho"].mean().dropna().sort_values(ascending=False)


def effectiveness_title(order: pd.DataFrame, config: StudyConfig | None = None) -> str:
    """Which reading of "Effectiveness" orders the methods most like the printed column of the
    study's data set, or, where none is printed for it, like the printed columns on the mean."""
    column = own_column(order, config)
    found = best_reading(order, column)
    if found.empty:
        return "Too few methods to compare readings"
    if not column:
        return (
            f"Closest to the printed order of Effectiveness: {found.index[0]}, mean ρ "
            f"{signed(found.iloc[0])}"
        )
    return (
        f"Closest to the Effectiveness printed for {column}: {found.index[0]}, ρ = "
        f"{signed(found.iloc[0])}"
    )


def order_sentences(order: pd.DataFrame, config: StudyConfig | None = None) -> str:
    """Each measure's rank correlations, then the readings of Effectiveness, with their n.

    config: the study's. Where the paper prints a column for its data set, that column comes first,
    and the mean over all columns, of other data sets too, after it.
    """
    column = own_column(order, config)
    said = []
    for measure, part in order.groupby("measure", sort=False):
        metric = part["metric"].iloc[0]
        part = part[part["metric"] == metric]
        part = part.sort_values("dataset", key=lambda name: name != column, kind="stable")
        each = "; ".join(
            f"{r.dataset} {quote(r.rho, r.low, r.high)}" for r in part.itertuples(index=False)
        )
        said.append(f"- Printed {MEASURES[measure]} against our {part['reading'].iloc[0]}: {each}.")
    return "\n".join([*said, *reading_sentences(order, column)])


def reading_sentences(order: pd.DataFrame, column: str) -> list[str]:
    """The readings of Effectiveness, best first, by `column` of the paper and by the mean."""
    said, mean = [], best_reading(order)
    if own := list(best_reading(order, column).index) if column else []:
        rows = order[(order["measure"] == "effectiveness") & (order["dataset"] == column)]
        rows = rows.set_index("reading").loc[own]
        each = "; ".join(f"{r.Index} {quote(r.rho, r.low, r.high)}" for r in rows.itertuples())
        said.append(
            f"- Readings of Effectiveness by their rank correlation with the column printed for "
            f"{column}, this study's data set: {each}."
        )
    if len(mean):
        each = "; ".join(f"{name} {signed(rho)}" for name, rho in mean.items())
        n = order["dataset"].nunique()
        other = "The same by their mean" if said else "Readings of Effectiveness by their mean"
        said.append(f"- {other} over all {n} printed columns, of whatever data set: {each}.")
    if INSERTION not in set(order["metric"]):
        said.append(
            "- Insertion, another reading, is not among them: the study has no table faithfulness."
        )
    said.append(f"- {NOT_MEASURED}")
    said.append(f"- Each correlation ranks n = {order['methods'].max()} methods.")
    return said
