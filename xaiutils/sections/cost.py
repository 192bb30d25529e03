"""What an explanation costs, beside the Cost column of Table 2: table and sentences."""

import pandas as pd

from xaiutils.names import in_order, title
from xaiutils.sections.correlation import spearman
from xaiutils.sections.published import METHODS, published
from xaiutils.sections.words import quote, signed
from xaiutils.statistics import mean_interval, summary

# The words of the Cost column, cheapest first.
COSTS = ("Low", "Low–Moderate", "Moderate", "Moderate–High", "High")


def cost(explanations: pd.DataFrame) -> pd.DataFrame:
    """What an explanation of one image costs, by explainer, beside the paper's Cost column.

    Columns explainer, method, printed (the paper's word, "" if it has none), forward and backward
    (mean passes of an image through the classifier), passes (their sum), seconds (mean), low, high
    (95 % interval of the seconds over images), n, settings. The CAMs share one pass
    forward and backward, which is charged to each, though Score-CAM does not need the gradient.
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


def speed_ratio(explanations: pd.DataFrame) -> tuple[float, float, float, int]:
    """Seconds of Score-CAM over Faster-Score-CAM: mean of the photographs' ratios, low, high, n."""
    cues = ["scorecam", "fasterscorecam"]
    part = explanations[explanations["explainer"].isin(cues)]
    wide = part.pivot(index="sample", columns="explainer", values="seconds")
    if set(cues) - set(wide):
        return (float("nan"),) * 3 + (0,)
    ratio = (wide["scorecam"] / wide["fasterscorecam"]).dropna()
    return *mean_interval(ratio), len(ratio)


def cost_title(explanations: pd.DataFrame) -> str:
    """The measured ratio of claim C08, or a neutral title."""
    mean, *_, n = speed_ratio(explanations)
    if not n:
        return "What one explanation costs"
    return f"Score-CAM takes {mean:.1f} times as long as Faster-Score-CAM"


def cost_sentences(table: pd.DataFrame, explanations: pd.DataFrame) -> str:
    """The speed ratio with the passes that explain it, and the Cost column's order."""
    said = []
    mean, low, high, n = speed_ratio(explanations)
    passes = table.set_index("explainer")["passes"]
    if n:
        said.append(
            f"- Time of Score-CAM over time of Faster-Score-CAM: {quote(mean, low, high, n)}; "
            f"Score-CAM makes {passes['scorecam'] / passes['fasterscorecam']:.1f} times as many "
            f"passes ({passes['scorecam']:,.0f} against {passes['fasterscorecam']:,.0f})."
        )
    ranked = table[table["printed"].isin(COSTS)]
    if len(ranked) > 2:
        words = ranked["printed"].map(COSTS.index)
        for column, name in (("seconds", "mean seconds"), ("passes", "passes")):
            rho = spearman(words, ranked[column])
            said.append(
                f"- The order of the paper's Cost column against our {name}: rank correlation "
                f"{signed(rho)}, n = {len(ranked)} explainers."
            )
    return "\n".join(said)
