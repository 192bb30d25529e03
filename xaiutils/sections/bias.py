"""Section 5, bias: is context that seeds light up labelled as object by what is trained on them?

Pure functions of the table of the analysis "bias": the share of a region's pixels that is labelled
as object, by the seed and by the trained head. *Amplification* is head minus seed, paired by image;
*inheritance* is the rank correlation of the two.
"""

import pandas as pd

from xaiutils.names import TRUTH
from xaiutils.sections.correlation import correlations
from xaiutils.sections.trained import NOT_MEASURED, by_explainer, sources_of
from xaiutils.sections.words import change, of_explainers, rho_text
from xaiutils.statistics import mean_interval

REGIONS = ("object", "ring", "far", "explained class", "other classes")
CONTEXT = ("ring", "far", "other classes")
WORDS = {
    "object": "the object",
    "ring": "the ring around the object",
    "far": "the background far from it",
    "explained class": "the explained class",
    "other classes": "other classes beside the explained one",
}


def amplification(table: pd.DataFrame) -> pd.DataFrame:
    """A row a source and region: source, region, n, seed, head (mean rates), mean, low, high.

    mean: head minus seed over the images that have both. Source "all": first averaged over the
    explainers, image by image.
    """
    columns = ["source", "region", "n", "seed", "head", "mean", "low", "high"]
    if table.empty:
        return pd.DataFrame(columns=columns)
    table = table.assign(change=table["head"] - table["seed"])
    rows = []
    for region in REGIONS:
        part = table[table["region"] == region].dropna(subset=["change"])
        each = by_explainer(part).groupby("sample", sort=False)[["seed", "head", "change"]].mean()
        tables = {"all": each} | {s: part[part["source"] == s] for s in sources_of(part)}
        for source, found in tables.items():
            if len(found):
                ends = [found["seed"].mean(), found["head"].mean()]
                rows.append([source, region, len(found), *ends, *mean_interval(found["change"])])
    return pd.DataFrame(rows, columns=columns)


def beyond_truth(table: pd.DataFrame) -> pd.DataFrame:
    """Rate of the explainers' heads minus that of the head trained on true masks, by region.

    Columns region, n, mean, low, high. A head on a coarse grid labels some context whatever it was
    taught; what is left beyond that comes from the labels.
    """
    rows = []
    for region in REGIONS:
        part = table[table["region"] == region]
        truth = part[part["source"] == TRUTH].set_index("sample")["head"]
        gap = (by_explainer(part).groupby("sample", sort=False)["head"].mean() - truth).dropna()
        if len(gap):
            rows.append([region, len(gap), *mean_interval(gap)])
    return pd.DataFrame(rows, columns=["region", "n", "mean", "low", "high"])


def inheritance(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of the seed's and the head's rate on context, over the explainers.

    Columns region, level, n, pairs, rho, low, high (levels of `sections.correlation`).
    """
    found = []
    for region in CONTEXT:
        part = by_explainer(table[table["region"] == region]).rename(columns={"source": "cue"})
        if len(part):
            found.append(correlations(part, "seed", "head").assign(region=region))
    columns = ["region", "level", "n", "pairs", "rho", "low", "high"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def bias_sentence(table: pd.DataFrame) -> str:
    """Rates, amplification and inheritance in words, a line a region."""
    if table.empty:
        return NOT_MEASURED
    found, rho = amplification(table), inheritance(table).set_index(["region", "level"])
    extra = beyond_truth(table).set_index("region")
    said = []
    for region in CONTEXT:
        part = found[found["region"] == region].set_index("source")
        if "all" not in part.index:
            continue
        row, each = part.loc["all"], by_explainer(part.reset_index())
        text = (
            f"- Of {WORDS[region]} seeds label {100 * row['seed']:.1f} % as object, heads trained "
            f"on them {100 * row['head']:.1f} %: **{change(row)}** "
        )
        if row["n"] > 1:
            text += (
                f"(n = {row['n']} images; clearly more for {of_explainers(each['low'] > 0)}, "
                f"clearly less for {of_explainers(each['high'] < 0)})."
            )
        else:
            text += "(n = 1 image, an anecdote)."
        if region in extra.index:
            text += f" Against a head trained on true masks: {change(extra.loc[region])}."
        if row["n"] > 1:
            text += (
                " Rank correlation of seed and head across images "
                f"{rho_text(rho.loc[(region, 'across images')])}, of the explainers' means "
                f"{rho_text(rho.loc[(region, 'of the means')])}."
            )
        said.append(text)
    return "\n".join(said)
