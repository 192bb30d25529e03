"""Table 2: every printed cell beside ours, and whether both order the methods alike."""

import numpy as np
import pandas as pd

from xaiutils.sections.correlation import spearman_rows
from xaiutils.sections.published import METHODS, not_comparable, published
from xaiutils.sections.words import quote, signed
from xaiutils.statistics import LEVEL, RESAMPLES, summary

# What each printed measure may mean, as (our metric, its name). The paper cites a survey for
# "Effectiveness" and gives no formula: the three are our readings, relevance mass the default.
READINGS = {
    "iou": {"iou": "IoU of the thresholded map"},
    "effectiveness": {
        "relevance_mass": "share of the map's mass on the object",
        "dice": "Dice of the thresholded map",
        "relevance_rank": "share of the top pixels on the object",
    },
    "localisation_accuracy": {"pointing_15": "maximum within 15 px of the object"},
}
MEASURES = {
    "iou": "IoU",
    "effectiveness": "Effectiveness",
    "localisation_accuracy": "Localisation accuracy",
}


def table2_cells(localisation: pd.DataFrame, dataset: str, classifier: str) -> pd.DataFrame:
    """Every printed cell of Table 2 with our reading, or readings, of its measure beside it.

    One row for each method, measure, printed data set and reading: printed, ours (the mean over
    images with its 95 % interval low, high and n), difference (ours - printed), and a remark that
    says "not comparable" and why. Methods that the study has not are left out.
    """
    ours = summary(localisation, ["cue", "metric"]).set_index(["cue", "metric"])
    rows = []
    for cell in published("table2").to_dict("records"):
        cue = METHODS[cell["method"]]
        remark = not_comparable(cell["dataset"], dataset, classifier)
        for measure, readings in READINGS.items():
            for metric, reading in readings.items():
                if (cue, metric) not in ours.index:
                    continue
                found = ours.loc[(cue, metric)]
                rows.append(
                    {
                        "cue": cue,
                        "method": cell["method"],
                        "measure": measure,
                        "metric": metric,
                        "reading": reading,
                        "dataset": cell["dataset"],
                        "printed": cell[measure],
                        "ours": found["mean"],
                        "low": found["low"],
                        "high": found["high"],
                        "n": int(found["n"]),
                        "difference": found["mean"] - cell[measure],
                        "remark": remark or "same data set and classifier",
                    }
                )
    return pd.DataFrame(rows)


def table2(cells: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One measure of Table 2 to be read: a row a method, ours, the printed columns, differences.

    cells: from `table2_cells`; measure: a key of `MEASURES`. Differences are those of the first
    reading; a column's header says "not comparable" where data set or classifier differ.
    """
    part = cells[cells["measure"] == measure]
    table = part.drop_duplicates("method")[["method"]].set_index("method")
    first = part["metric"].iloc[0]
    for _, group in part.drop_duplicates(["method", "metric"]).groupby("metric", sort=False):
        name = "ours" if part["metric"].nunique() == 1 else f"ours: {group['reading'].iloc[0]}"
        text = [quote(r.ours, r.low, r.high) for r in group.itertuples()]
        table[name] = pd.Series(text, index=group["method"])
    for dataset, group in part[part["metric"] == first].groupby("dataset", sort=False):
        group = group.set_index("method")
        odd = group["remark"].str.startswith("not comparable").any()
        table[f"{dataset}, printed"] = group["printed"]
        table[f"ours − {dataset}{' (not comparable)' if odd else ''}"] = group["difference"]
    return table.reset_index()


def order(localisation: pd.DataFrame, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Does a column of ours put the methods in the printed order? Spearman's rho for each.

    One row for each printed data set, measure and reading: rho between the printed column and our
    means over images, methods (how many are ranked: the n of rho), images, and low, high: the 95 %
    interval when images are drawn again, the methods staying the same. NaN below three methods.
    """
    printed = published("table2").assign(cue=lambda t: t["method"].map(METHODS))
    rows = []
    for measure, readings in READINGS.items():
        for metric, reading in readings.items():
            part = localisation[localisation["metric"] == metric]
            values = part.pivot(index="sample", columns="cue", values="value").dropna(
                axis=1, how="all"
            )
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


def best_reading(order: pd.DataFrame) -> pd.Series:
    """Mean rank correlation over the printed data sets of each reading of Effectiveness."""
    part = order[order["measure"] == "effectiveness"]
    return part.groupby("reading", sort=False)["rho"].mean().dropna().sort_values(ascending=False)


def effectiveness_title(order: pd.DataFrame) -> str:
    """Which reading of "Effectiveness" orders the methods most like the printed columns."""
    found = best_reading(order)
    if found.empty:
        return "Too few methods to compare readings"
    return (
        f"Closest to the printed order of Effectiveness: {found.index[0]}, mean ρ "
        f"{signed(found.iloc[0])}"
    )


def order_sentences(order: pd.DataFrame) -> str:
    """The best reading of Effectiveness, and each measure's rank correlations with their n."""
    said = []
    for measure, part in order.groupby("measure", sort=False):
        metric = part["metric"].iloc[0]
        part = part[part["metric"] == metric]
        each = "; ".join(
            f"{r.dataset} {quote(r.rho, r.low, r.high)}" for r in part.itertuples(index=False)
        )
        said.append(f"- Printed {MEASURES[measure]} against our {part['reading'].iloc[0]}: {each}.")
    found = best_reading(order)
    if len(found):
        said.append(
            "- Readings of Effectiveness by their mean rank correlation over the printed columns: "
            + "; ".join(f"{name} {signed(rho)}" for name, rho in found.items())
            + "."
        )
    said.append(f"- Each correlation ranks n = {order['methods'].max()} methods.")
    return "\n".join(said)
