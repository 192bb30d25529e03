"""Section 5, seeds: does the quality of the labels limit a segmenter that is trained on them?

Pure functions of the table of the analysis "trained" (a row a source of labels and an image). The
rows of an analysis may come from the stored study: `measured` says which.
"""

from importlib import import_module

import numpy as np
import pandas as pd

from xaiutils.analyses import ANALYSES
from xaiutils.explainers import EXPLAINERS
from xaiutils.names import BOX, SAM, TRUTH, in_order, title
from xaiutils.sections.borrow import STORED, borrowed, with_table
from xaiutils.sections.correlation import correlations
from xaiutils.sections.words import estimate, of_explainers, rho_text
from xaiutils.statistics import mean_interval, summary
from xaiutils.study import Study, studies_dir

TITLES = {
    SAM: "SAM masks of the fused maps",
    TRUTH: "True masks (ceiling)",
    BOX: "Centre box (floor)",
}
NOT_MEASURED = "Not measured: no study that is here holds this table."


def measured(study: Study, name: str) -> tuple[pd.DataFrame, str]:
    """An analysis' table and a sentence on whose it is: the study's own, else the stored study's.

    Without either, no rows and a sentence that says how to get them.
    """
    stored = (studies_dir() / STORED / "config.json").exists()
    source = with_table(study, name) if name in study.tables or stored else study
    if name not in source.tables:
        columns = import_module(ANALYSES.get(name, f"xaiutils.analyses.{name}")).COLUMNS
        return pd.DataFrame(columns=columns), (
            f"{NOT_MEASURED} `python -m xaiutils analyse --study {study.name} {name}` makes it "
            "where a companion study of the training split is."
        )
    return source.table(name), borrowed(study, source)


def foot(note: str, caption: str) -> str:
    """What stands under a figure: the note of `measured` as plain text, else the caption."""
    return note.replace("**", "") if note else caption


def or_note(table: pd.DataFrame) -> pd.DataFrame:
    """The table, or one that says that nothing was measured where it has no rows."""
    return table if len(table) else pd.DataFrame({"note": [NOT_MEASURED]})


def source_title(source: str) -> str:
    """The printed name of a source of labels."""
    return TITLES.get(source, title(source))


def sources_of(table: pd.DataFrame) -> list[str]:
    """The table's sources: explainers and fusions in the paper's order, then SAM, truth, box."""
    found = set(table["source"])
    ends = [source for source in TITLES if source in found]
    return in_order(found - set(ends)) + ends


def by_explainer(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose source is a single explainer."""
    return table[table["source"].isin(list(EXPLAINERS))]


def trained_means(table: pd.DataFrame) -> pd.DataFrame:
    """A row a source: source, labels, label_iou, seed, seed_low, seed_high, n, undefined, mean,
    low, high, gain, gain_low, gain_high, coverage, spill.

    mean: IoU of the trained head on validation images; seed: that of the source's own masks of the
    same images; gain: head minus seed, paired by image.
    """
    rows = []
    for source in sources_of(table):
        part = table[table["source"] == source]
        gain = mean_interval(part["iou"] - part["seed_iou"])
        known = [source, int(part["labels"].iloc[0]), part["label_iou"].iloc[0]]
        found = summary(part, "source", "iou").iloc[0, 1:].tolist()
        ends = [part["coverage"].mean(), part["spill"].mean()]
        rows.append([*known, *mean_interval(part["seed_iou"]), *found, *gain, *ends])
    columns = ["source", "labels", "label_iou", "seed", "seed_low", "seed_high"]
    columns += ["n", "undefined", "mean", "low", "high"]
    columns += ["gain", "gain_low", "gain_high", "coverage", "spill"]
    return pd.DataFrame(rows, columns=columns)


def trained_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlations with the head's IoU over the explainers: of, level, n, pairs, rho, low,
    high.

    of "seed": the IoU of the explainer's own mask of the same validation image, in the four
    readings of `sections.correlation`; of "labels": the mean IoU of the labels that the head was
    trained on, one number an explainer, for which only two of the readings have a meaning.
    """
    columns = ["of", "level", "n", "pairs", "rho", "low", "high"]
    part = by_explainer(table).rename(columns={"source": "cue"})
    if part.empty:
        return pd.DataFrame(columns=columns)
    seed = correlations(part, "seed_iou", "iou").assign(of="seed")
    labels = correlations(part, "label_iou", "iou").assign(of="labels")
    labels = labels[labels["level"].isin(["across explainers", "of the means"])]
    return pd.concat([seed, labels], ignore_index=True)[columns]


def difference(table: pd.DataFrame, a: str, b: str) -> tuple[float, float, float, int]:
    """Mean IoU of the head of source a minus that of b, paired: (mean, low, high, n)."""
    wide = table.pivot(index="sample", columns="source", values="iou")
    if a not in wide or b not in wide:
        return float("nan"), float("nan"), float("nan"), 0
    paired = (wide[a] - wide[b]).dropna()
    return *mean_interval(paired), len(paired)


def best_explainer(table: pd.DataFrame) -> str:
    """The explainer whose labels train the best head (chosen on these images: flattering)."""
    return by_explainer(table).groupby("source")["iou"].mean().idxmax()


def trained_sentence(table: pd.DataFrame, found: pd.DataFrame) -> str:
    """How far the labels decide, against floor and ceiling; `found` of `trained_correlations`."""
    if table.empty:
        return NOT_MEASURED
    means = trained_means(table).set_index("source")
    best = best_explainer(table)
    gain = by_explainer(table).assign(gain=lambda t: t["iou"] - t["seed_iou"])
    gain = mean_interval(gain.groupby("sample")["gain"].mean())
    rho = {key: rho_text(row) for key, row in found.set_index(["of", "level"]).iterrows()}
    said = [
        f"- A head trained on the labels of one explainer differs from that explainer's own masks "
        f"of the same images by **{estimate(*gain, sign=True)}** IoU on average.",
        f"- Rank correlation of the IoU of the training labels with that of the head, over "
        f"explainers: **{rho['labels', 'of the means']}** of the means; of seed and head for a "
        f"given image {rho['seed', 'across explainers']}; for a given explainer, across images, "
        f"{rho['seed', 'across images']}.",
        f"- The best single explainer is {source_title(best)} "
        f"({_mean(means.loc[best])}); {_against(table, best)}",
    ]
    if BOX in means.index:
        gaps = [difference(table, BOX, source)[1] for source in sources_of(by_explainer(table))]
        below = of_explainers(pd.Series(gaps) > 0)
        said.append(f"- Clearly worse than the head taught by a box in the centre: {below}.")
    return "\n".join(said)


def _mean(row: pd.Series) -> str:
    return estimate(row["mean"], row["low"], row["high"])


def _against(table: pd.DataFrame, best: str) -> str:
    """The best explainer against each reference that the table has."""
    parts = []
    for other in ("fused-weighted", "fused-mean", *TITLES):
        mean, low, high, _ = difference(table, other, best)
        if np.isfinite(mean):
            parts.append(f"{source_title(other)}: {estimate(mean, low, high, sign=True)}")
    return "against it, paired: " + "; ".join(parts) + "." if parts else ""
