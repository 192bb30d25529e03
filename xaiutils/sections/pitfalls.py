"""Section 5 in tables and sentences: masks that disagree, heuristics, object size.

Pure functions of a study's tidy tables.
"""

import pandas as pd

from xaiutils.names import SEGMENTER_TITLES, title
from xaiutils.sections.correlation import correlations
from xaiutils.sections.cues import only, prompted, proxy_segmenter
from xaiutils.sections.promptings import explainers_prompted, prompting_name
from xaiutils.sections.ranges import by_option, mean_range
from xaiutils.sections.seed_quality import refined
from xaiutils.sections.words import estimate, number, percent, rho_text
from xaiutils.statistics import mean_interval

# Figure 4: do the refined masks agree?


def mask_agreement(table: pd.DataFrame, segmentation: pd.DataFrame) -> pd.DataFrame:
    """Pairwise IoU of the SAM masks of explainers, for each image: sample, a, b, value.

    `table` is the study's mask_agreement table; NaN where one of the two masks is undefined.
    """
    found = table[table["segmenter"] == proxy_segmenter(segmentation)]
    return found[["sample", "a", "b", "value"]].reset_index(drop=True)


def agreement_change(maps: pd.DataFrame, masks: pd.DataFrame) -> pd.DataFrame:
    """Pairwise IoU of maps and of masks: a row a pair with a, b, maps, masks (means over images).

    `maps` is the study's agreement table, `masks` what `mask_agreement` gives.
    """
    maps = maps[maps["metric"] == "iou"]
    found = [t.groupby(["a", "b"], sort=False)["value"].mean() for t in (maps, masks)]
    return pd.concat(found, axis=1, keys=["maps", "masks"]).reset_index()


def agreement_sentence(maps: pd.DataFrame, masks: pd.DataFrame) -> str:
    """Mean pairwise IoU before and after SAM, with intervals over images (C25)."""
    both = maps[maps["metric"] == "iou"], masks
    each = [table.groupby("sample", sort=False)["value"].mean() for table in both]
    before, after, change = map(mean_interval, (*each, each[1] - each[0]))
    pairs = agreement_change(maps, masks).dropna(subset=["masks"])
    if pairs.empty:
        return "The masks of this study are not stored, so their agreement cannot be told."
    low, high = pairs.loc[pairs["masks"].idxmin()], pairs.loc[pairs["masks"].idxmax()]
    return (
        f"Two explainers' thresholded maps overlap with an IoU of {estimate(*before)} on average; "
        f"their SAM masks with **{estimate(*after)}** (change {estimate(*change, sign=True)}). The "
        f"masks of {title(low['a'])} and {title(low['b'])} agree least ({low['masks']:.2f}), those "
        f"of {title(high['a'])} and {title(high['b'])} most ({high['masks']:.2f})."
    )


def disagreement(masks: pd.DataFrame, cues: list[str]) -> pd.Series:
    """Mean pairwise IoU of the masks of some explainers, by sample, lowest first."""
    part = masks[masks["a"].isin(cues) & masks["b"].isin(cues)]
    return part.groupby("sample", sort=False)["value"].mean().dropna().sort_values(kind="stable")


# Over-reliance on heuristics


def choices(rules: dict[str, pd.DataFrame], segmentation: pd.DataFrame) -> pd.DataFrame:
    """How far each choice moves the mean IoU: choice, options, best, worst, range (best - worst),
    low, high; largest first.

    `rules` is `thresholds.by_rule`. Explainer, threshold rule (without the oracle), prompting and
    refinement, each with the others at their defaults (Otsu, main prompting, SAM) and averaged over
    what is not chosen. Intervals as of `ranges.mean_range`.
    """
    blind = {rule: table for rule, table in rules.items() if rule != "oracle"}
    named = [table.assign(option=rule, iou=table["value"]) for rule, table in blind.items()]
    growers = only(refined(segmentation), ["explainer"])
    cues = only(prompted(segmentation), ["explainer"])
    ways = explainers_prompted(segmentation)
    otsu = rules["Otsu"]
    options = {
        "explainer (SAM mask)": cues.assign(option=cues["cue"].map(title)),
        "explainer (thresholded map)": otsu.assign(
            option=otsu["cue"].map(title), iou=otsu["value"]
        ),
        "prompting (SAM mask)": ways.assign(option=ways["prompting"].map(prompting_name)),
        "refinement of the same cues": growers.assign(
            option=growers["segmenter"].map(SEGMENTER_TITLES)
        ),
        "threshold rule (thresholded map)": pd.concat(named),
    }
    rows = []
    for choice, table in options.items():
        each = table.groupby(["option", "sample"], sort=False)["iou"].mean()
        means = each.groupby("option", sort=False).mean().dropna()
        if len(means) > 1:
            found = mean_range(by_option(table, "option", "iou"))
            rows.append([choice, len(means), means.idxmax(), means.idxmin(), *found])
    columns = ["choice", "options", "best", "worst", "range", "low", "high"]
    found = pd.DataFrame(rows, columns=columns)
    return found.sort_values("range", ascending=False, kind="stable").reset_index(drop=True)


def choices_sentence(found: pd.DataFrame, rules: pd.DataFrame) -> str:
    """The choices in words, and what the oracle threshold adds to Otsu's."""
    said = [
        f"- {row.choice}: **{estimate(row.range, row.low, row.high)}** IoU between the best "
        f"({row.best}) and the worst ({row.worst}) of {row.options}"
        for row in found.itertuples()
    ]
    means = rules.groupby("rule")["mean"].mean()
    lost = means["oracle"] - means["Otsu"]
    said.append(
        f"\nThe best threshold for each image, which nobody knows in advance, would add "
        f"**{lost:.2f}** to Otsu's mean IoU of {means['Otsu']:.2f}."
    )
    return "\n".join(said)


# Object size

TINY = 0.05  # share of the image


def sizes(
    samples: pd.DataFrame, localisation: pd.DataFrame, segmentation: pd.DataFrame
) -> pd.DataFrame:
    """Each image's share of object pixels and its IoU averaged over explainers.

    Columns sample, object_share, seed (Otsu), final (SAM).
    """
    part = only(localisation[localisation["metric"] == "iou"], ["explainer"])
    seed = part.groupby("sample")["value"].mean().rename("seed")
    final = only(prompted(segmentation), ["explainer"]).groupby("sample")["iou"].mean()
    table = samples.set_index("sample")[["object_share"]]
    return table.join(seed).join(final.rename("final")).reset_index()


def size_correlations(table: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of object size with seed and final IoU: of, n, rho, low, high."""
    rows = []
    for of in ("seed", "final"):
        pairs = table[["sample", "object_share", of]].assign(cue="all")
        found = correlations(pairs, "object_share", of).iloc[0]
        rows.append([of, found["n"], found["rho"], found["low"], found["high"]])
    return pd.DataFrame(rows, columns=["of", "n", "rho", "low", "high"])


def size_sentence(table: pd.DataFrame) -> str:
    """Do small objects fare worse? Rank correlations and the halves of the images."""
    seed, final = (row for _, row in size_correlations(table).iterrows())
    small = table["object_share"] <= table["object_share"].median()
    halves = [table.loc[half, "final"].mean() for half in (small, ~small)]
    tiny = table["object_share"] < TINY
    least = (
        f" The {tiny.sum()} objects below {percent(TINY)} of the image have "
        f"{number(table.loc[tiny, 'final'].mean())}, all others "
        f"{number(table.loc[~tiny, 'final'].mean())}."
        if tiny.any() and not tiny.all()
        else ""
    )
    return (
        f"The rank correlation of object size and IoU is **{rho_text(seed)}** for the thresholded "
        f"maps and **{rho_text(final)}** for the SAM masks. SAM masks of the smaller half of the "
        f"objects have a mean IoU of {halves[0]:.2f}, those of the larger half {halves[1]:.2f}."
        f"{least}"
    )
