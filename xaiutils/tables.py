"""The paper's tables beside ours: Table 1, Table 2 and the cost of an explanation.

Printed numbers are read from data/published; ours from a study's tidy tables. Where data set or
classifier is not the paper's, the table itself says so.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from xaiutils.errors import InputError
from xaiutils.metrics.agreement import ranks
from xaiutils.names import CLASSIFIER_TITLES, in_order, title
from xaiutils.statistics import LEVEL, RESAMPLES, summary

PUBLISHED = Path(__file__).resolve().parents[1] / "data" / "published"
# The rows of Table 2 by the name of our cue.
METHODS = {
    "Grad-CAM": "gradcam",
    "Grad-CAM++": "gradcam++",
    "Score-CAM": "scorecam",
    "FasterScore-CAM": "fasterscorecam",
    "Integrated Gradients": "ig",
    "VarGrad": "vargrad",
    "Occlusion": "occlusion",
    "KernelSHAP": "kernelshap",
    "LIME": "lime",
    "Fused-Weighted": "fused-weighted",
}
# Our data sets by the name that the paper prints in its Tables 1 and 2.
PRINTED_AS = {
    "cub200": "CUB-200-2011",
    "voc2012": "Pascal VOC 2012",
    "usis10k": "USIS10K",
    "kvasir-sessile": "Sessile-Kvasir-SEG",
}
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
REMARKS = {
    "Pascal VOC 2012": "the val split has 1,449 images; the table prints 1,450",
    "Sessile-Kvasir-SEG": "1,000 images are all of Kvasir-SEG, its sessile subset has 196; "
    "the paper prints no result for it",
}
# The words of the Cost column, cheapest first.
COSTS = ("Low", "Low–Moderate", "Moderate", "Moderate–High", "High")


def published(name: str) -> pd.DataFrame:
    """A table of the paper as printed: "table1", "table2" or "table3"."""
    path = PUBLISHED / f"{name}.csv"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in PUBLISHED.glob("*.csv"))) or "none"
        raise InputError(f"no published table {name!r} in {PUBLISHED}; there are: {known}")
    table = pd.read_csv(path)
    # Table 1 writes one data set without the space that Table 2 writes
    if "dataset" in table:
        table["dataset"] = table["dataset"].replace("Pascal VOC2012", "Pascal VOC 2012")
    return table


def data_name(dataset: str) -> str:
    """How a data set of ours is called in print."""
    return PRINTED_AS.get(dataset, "bundled photographs" if dataset == "sample" else dataset)


def not_comparable(printed: str, dataset: str, classifier: str) -> str:
    """Why our numbers cannot be held against a printed column; "" if they can.

    printed: the column's data set; dataset, classifier: names of the study's configuration.
    """
    reasons = []
    if data_name(dataset) != printed:
        reasons.append(f"other images ({data_name(dataset)})")
    if classifier != "resnet50":
        reasons.append(f"other classifier ({CLASSIFIER_TITLES.get(classifier, classifier)})")
    return "not comparable: " + ", ".join(reasons) if reasons else ""


def scope(n: int, dataset: str, classifier: str) -> str:
    """What numbers of this study may be used for, in one sentence."""
    data = data_name(dataset)
    printed = [PRINTED_AS[d] for d in PRINTED_AS if PRINTED_AS[d] == data]
    reason = not_comparable(*(printed or ["the paper's"]), dataset, classifier)
    if reason or n < 100:
        why = f"; {reason}" if reason else ""
        return (
            f"**A direction only**: n = {n}{why}. These numbers neither confirm nor refute what "
            "the paper measured."
        )
    return f"With n = {n} images of {data} and ResNet-50 the numbers can be held against the paper."


def quote(mean: float, low: float, high: float, n: int | None = None, percent: bool = False) -> str:
    """A mean with its interval as text: "0.53 [0.45, 0.61], n = 12"."""
    if not np.isfinite(mean):
        return "undefined" if n is None else f"undefined (n = {int(n)})"
    form = "{:.0%}" if percent else "{:.2f}"
    text = form.format(mean)
    if np.isfinite(low) and np.isfinite(high):
        text += f" [{form.format(low)}, {form.format(high)}]"
    text = text.replace("-", "−")
    return text if n is None else f"{text}, n = {int(n)}"


def table1(samples: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Table 1 as printed, beside what this study holds of each data set; a row more for its own.

    samples: the study's table of that name. Columns ending in "here" are empty where the study
    holds nothing of the data set.
    """
    table = published("table1").rename(
        columns={"dataset": "data set", "classes": "classes, printed", "images": "images, printed"}
    )
    table = table.drop(columns="classes_as_printed")
    if data_name(dataset) not in set(table["data set"]):
        own = {"data set": data_name(dataset), "domain": "this study, not in the paper"}
        table = pd.concat([table, pd.DataFrame([own])], ignore_index=True)
    here = table["data set"] == data_name(dataset)
    table["classes here"] = np.where(here, samples["label"].nunique(), np.nan)
    table["images here"] = np.where(here, len(samples), np.nan)
    table["object's share of the image, median here"] = np.where(
        here, samples["object_share"].median(), np.nan
    )
    table["remark"] = table["data set"].map(REMARKS).fillna("")
    counts = [name for name in table if name.startswith(("classes", "images"))]
    return table.astype(dict.fromkeys(counts, "Int64"))


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


def shown(table: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """A table for the eye: rounded, and an en dash where nothing is known. Not for computing."""
    return table.round(digits).astype(object).where(table.notna(), "–")


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
    rho = _correlation(rankdata(means, axis=1), ranks(printed.to_numpy(float)))
    if n < 2 or not np.isfinite(rho[1:]).any():
        return float(rho[0]), float("nan"), float("nan")
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(rho[1:], [tail, 100 - tail])
    return float(rho[0]), float(low), float(high)


def _correlation(rows: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Pearson correlation of each row (R, K) with a column (K,); NaN for a row without spread."""
    rows = rows - rows.mean(axis=1, keepdims=True)
    column = column - column.mean()
    norm = np.linalg.norm(rows, axis=1) * np.linalg.norm(column)
    return np.divide(rows @ column, norm, where=norm > 0, out=np.full(len(rows), np.nan))


def effective_area(localisation: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """How much of the image a map fills: exp(H) / (height x width), as rows sample, cue, value.

    H is the entropy of the map as a distribution over the pixels. A map that is even over a
    fraction of the image and zero elsewhere gives that fraction. Void pixels, if any, are in the
    image's area but not in H.
    """
    entropy = localisation[localisation["metric"] == "entropy"]
    area = samples.set_index("sample").eval("height * width")
    value = np.exp(entropy["value"]) / entropy["sample"].map(area)
    return entropy.assign(metric="effective_area", value=value)


def misses(localisation: pd.DataFrame) -> pd.DataFrame:
    """The share of images where the map's maximum is off the object, with Wilson's interval.

    Rows cue, metric (pointing_0, pointing_15), n, mean, low, high. A bootstrap of zeros and ones
    has no width where all are equal; Wilson's interval for a proportion has.
    """
    part = localisation[localisation["metric"].isin(["pointing_0", "pointing_15"])]
    rows = []
    for (cue, metric), group in part.groupby(["cue", "metric"], sort=False):
        hits = group["value"].dropna()
        low, high = wilson(len(hits) - hits.sum(), len(hits))
        rows.append([cue, metric, len(hits), 1 - hits.mean(), low, high])
    return pd.DataFrame(rows, columns=["cue", "metric", "n", "mean", "low", "high"])


def wilson(k: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion k / n; NaN for n = 0."""
    if n == 0:
        return float("nan"), float("nan")
    p = k / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def failure_modes(localisation: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Mean, interval and n of every explainer for each failure mode of section 2, tidy.

    Rows cue, metric in iou, coverage (incomplete), spill, miss (spurious), effective_area, gini
    (noise); n, mean, low, high.
    """
    measured = localisation[localisation["metric"].isin(["iou", "coverage", "spill", "gini"])]
    both = pd.concat([measured, effective_area(localisation, samples)])
    table = summary(both, ["cue", "metric"]).drop(columns="undefined")
    miss = misses(localisation)
    miss = miss[miss["metric"] == "pointing_0"].assign(metric="miss")
    table = pd.concat([table, miss], ignore_index=True)
    return table[table["cue"].isin(singles(table["cue"]))].reset_index(drop=True)


def readable(table: pd.DataFrame, percent: bool = False) -> pd.DataFrame:
    """A tidy table (cue, metric, mean, low, high) as text: a row a cue, a column a metric."""
    text = [quote(r.mean, r.low, r.high, percent=percent) for r in table.itertuples()]
    wide = table.assign(text=text).pivot(index="cue", columns="metric", values="text")
    wide = wide.loc[in_order(wide.index), list(dict.fromkeys(table["metric"]))]
    return wide.rename(index=title).rename_axis(index=None, columns=None)


def singles(cues) -> list[str]:
    """The explainers among cues, in the paper's order: no fusion, no floor, no ceiling."""
    return in_order(c for c in cues if not c.startswith(("fused-", "floor:", "ceiling:")))


def cost(explanations: pd.DataFrame) -> pd.DataFrame:
    """What an explanation of one image costs, by explainer, beside the paper's Cost column.

    Columns explainer, method, printed (the paper's word, "" if it has none), forward and backward
    (mean passes of an image through the classifier), passes (their sum), seconds (mean), low, high
    (95 % interval of the seconds over images), n, settings. Passes that an explainer shares with
    one before it are counted there: Grad-CAM++ reads Grad-CAM's and has none of its own.
    """
    printed = published("table2").drop_duplicates("method")
    printed = {METHODS[row.method]: row.cost for row in printed.itertuples()}
    table = summary(explanations, "explainer", "seconds").rename(columns={"mean": "seconds"})
    groups = explanations.groupby("explainer", sort=False)
    for column in ("forward", "backward"):
        table[column] = table["explainer"].map(groups[column].mean())
    table["passes"] = table["forward"] + table["backward"]
    table["settings"] = table["explainer"].map(groups["settings"].first())
    table["method"] = table["explainer"].map(title)
    table["printed"] = table["explainer"].map(printed).fillna("")
    columns = "explainer method printed forward backward passes seconds low high n settings"
    table = table.set_index("explainer", drop=False).loc[in_order(table["explainer"])]
    return table[columns.split()].reset_index(drop=True)
