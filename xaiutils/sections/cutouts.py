"""What the composites of the controlled benchmark say: tables and sentences.

Inputs are the tables of the study "cutouts" (`xaiutils.cutouts.study`). An interval is over
objects (or pairs): what one object gives in several composites of a cell is averaged first.
"""

import json

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from xaiutils.names import in_order, title
from xaiutils.sections.words import change, count, estimate, percent, possessive
from xaiutils.statistics import LEVEL, mean_interval, summary

FLOORS = ("floor:centre box", "floor:random box")
NAMES = {"floor:random box": "Floor: random box"}
# scales and eccentricities at which every cell of the other factor exists
COMMON_SCALES = (0.25, 0.4)
COMMON_ECCENTRICITIES = (0.0, 0.1, 0.2)
PLACE_METRICS = ("iou", "coverage", "spill", "pointing_15")
MEASURES = {"coverage": "coverage", "spill": "spill", "pointing_15": "pointing game"}


def cue_title(cue: str) -> str:
    """The printed name of a cue, the floors of this benchmark included."""
    return NAMES.get(cue, title(cue))


def joined(maps: pd.DataFrame, manifest: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """The experiment's rows of `maps` with the factors of their composites."""
    factors = ["sample", "object", "eccentricity", "scale", "kind", "ground", "target"]
    part = manifest.loc[manifest["experiment"] == experiment, factors]
    return maps[maps["experiment"] == experiment].merge(part, on="sample")


def by_object(table: pd.DataFrame, keys: list[str], value: str = "value") -> pd.DataFrame:
    """Mean over objects with its interval: *keys, n, undefined, mean, low, high."""
    each = table.groupby([*keys, "object"], observed=True, sort=False)[value].mean().reset_index()
    return summary(each, keys, value)


def exact(found: pd.DataFrame, rows=slice(None)) -> pd.DataFrame:
    """`by_object` of shares, with the exact interval of Clopper and Pearson in the given rows.

    A bootstrap has no width where every object is right, or none. For objects that are right in
    some of their composites it is too wide rather than too narrow.
    """
    hits = found.loc[rows, "mean"] * found.loc[rows, "n"]
    low, high = proportion_confint(hits, found.loc[rows, "n"], 1 - LEVEL, method="beta")
    found = found.copy()
    found.loc[rows, "low"], found.loc[rows, "high"] = low, high
    return found


def objects_of(table: pd.DataFrame) -> dict[str, int]:
    """Objects (or pairs) that each cue of a summary was asked about; the most of its cells."""
    return table.groupby("cue", sort=False)["n"].max().to_dict()


def named(table: pd.DataFrame, digits: int = 2) -> str:
    """ "Grad-CAM +0.05 [+0.03, +0.07], LIME ...": the change of each row's cue."""
    return ", ".join(
        f"{cue_title(r.cue)} {estimate(r.mean, r.low, r.high, True, digits)}"
        for r in table.itertuples()
    )


def by_count(counts: dict[str, int]) -> str:
    """ "20 for Grad-CAM, Grad-CAM++, 5 for LIME": the explainers by how much they saw."""
    names: dict[int, list[str]] = {}
    for cue in in_order(counts):
        if cue not in FLOORS:
            names.setdefault(counts[cue], []).append(cue_title(cue))
    return ", ".join(f"{n} for {', '.join(cues)}" for n, cues in sorted(names.items())[::-1])


# place and size ---------------------------------------------------------------------------------


def place_curves(maps: pd.DataFrame, manifest: pd.DataFrame, factor: str) -> pd.DataFrame:
    """Measures by cue against "eccentricity" (at two sizes) or "scale" (at three places)."""
    table = joined(maps, manifest, "place")
    table = table[table["metric"].isin(PLACE_METRICS)]
    if factor == "eccentricity":
        table = table[table["scale"].isin(COMMON_SCALES)]
    else:
        table = table[table["eccentricity"].isin(COMMON_ECCENTRICITIES)]
    found = by_object(table, ["cue", "metric", factor])
    return exact(found, found["metric"] == "pointing_15")


def place_change(maps: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """The farthest place minus the centre, paired by object and size: cue, metric, n, mean, low,
    high."""
    table = joined(maps, manifest, "place")
    table = table[table["scale"].isin(COMMON_SCALES) & table["metric"].isin(PLACE_METRICS)]
    wide = table.pivot_table(
        index=["cue", "metric", "object", "scale"], columns="eccentricity", values="value"
    )
    far, centre = max(wide.columns), min(wide.columns)
    change = (wide[far] - wide[centre]).rename("value").reset_index()
    return by_object(change.dropna(), ["cue", "metric"])


def of_iou(change: pd.DataFrame) -> pd.DataFrame:
    """The rows of IoU of `place_change`."""
    return change[change["metric"] == "iou"]


def place_sentence(change: pd.DataFrame) -> str:
    """How the floor and the explainers take the way from the centre to the edge: by IoU, and what
    is clear by another measure."""
    iou = of_iou(change).set_index("cue")
    floor = iou.loc["floor:centre box"]
    rest = iou.drop(index=[c for c in FLOORS if c in iou.index])
    fallen = rest[rest["high"] < 0]
    loses = "lose" if len(fallen) > 1 else "loses"
    worst = rest["mean"].idxmin()
    lowest = estimate(*rest.loc[worst, ["mean", "low", "high"]], sign=True)
    unsure = [
        cue_title(cue)
        for cue in rest.index[rest["low"].le(floor["mean"]) & rest["high"].ge(floor["mean"])]
    ]
    return (
        f"From the centre to 0.3 sides away the centre box loses "
        f"**{estimate(-floor['mean'], -floor['high'], -floor['low'])}** IoU. Of "
        f"{len(rest)} explainers {len(fallen) or 'none'} clearly {loses}; the lowest change is "
        f"{possessive(cue_title(worst))}, {lowest}. "
        + (
            "Every explainer loses less than the floor on average"
            if (rest["mean"] > floor["mean"]).all()
            else "Not every explainer loses less than the floor on average"
        )
        + (f"; the interval of {', '.join(unsure)} holds the floor's loss, too." if unsure else ".")
        + f" {other_measures(change)} Objects: {by_count(rest['n'].to_dict())}."
    )


def other_measures(change: pd.DataFrame) -> str:
    """The changes of explainers by other measures than IoU whose interval excludes 0."""
    rest = change[~change["cue"].isin(FLOORS) & (change["metric"] != "iou")]
    sure = rest[(rest["low"] > 0) | (rest["high"] < 0)]
    said = [
        f"{MEASURES[row.metric]} of {cue_title(row.cue)} "
        f"{estimate(row.mean, row.low, row.high, sign=True)} (n = {row.n})"
        for row in sure.itertuples()
    ]
    return (
        f"Of the {len(rest)} changes by the other measures {len(said) or 'none'} "
        f"{'has' if len(said) == 1 else 'have'} an interval without 0"
        + (f": {', '.join(said)}." if said else ".")
    )


# ground -----------------------------------------------------------------------------------------


def ground_mass(maps: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Share of each map's mass outside the object, by cue and kind of ground."""
    table = joined(maps, manifest, "ground")
    table = table[table["metric"] == "relevance_mass"].assign(value=lambda t: 1 - t["value"])
    return by_object(table, ["cue", "kind"])


def ground_scores(scores: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Probability of the object's class by kind of ground, with the object and without it:
    kind, what, n, mean, low, high."""
    table = joined(scores, manifest[[*manifest.columns.drop("target")]].assign(target=0), "ground")
    parts = [
        by_object(table, ["kind"], column).assign(what=what)
        for column, what in (("probability", "with"), ("ground_probability", "without"))
    ]
    return pd.concat(parts, ignore_index=True)


def class_changes(scores: pd.DataFrame, manifest: pd.DataFrame, experiment: str) -> list[str]:
    """The objects whose explained class is not the same on all their composites: of several classes
    that fit, the likeliest is chosen on each."""
    table = scores[scores["experiment"] == experiment].merge(
        manifest[["sample", "object"]], on="sample"
    )
    classes = table.groupby("object")["target"].nunique()
    return list(classes.index[classes > 1])


def score_follows(
    scores: pd.DataFrame, manifest: pd.DataFrame, without: list[str] | None = None
) -> pd.DataFrame:
    """What moves the logit of the object's class: change, n, mean, low, high.

    "object removed": from the usual ground; "ground swapped": usual to unusual, the object stays;
    "ground alone": unusual ground minus usual ground, without the object. without: objects that
    are left out (`class_changes`).
    """
    table = scores[scores["experiment"] == "ground"].merge(
        manifest[["sample", "object", "kind"]], on="sample"
    )
    table = table[~table["object"].isin(without or [])]
    logit = table.pivot_table(index="object", columns="kind", values="logit")
    bare = table.pivot_table(index="object", columns="kind", values="ground_logit")
    changes = {
        "object removed": bare["usual"] - logit["usual"],
        "ground swapped": logit["unusual"] - logit["usual"],
        "ground alone": bare["unusual"] - bare["usual"],
    }
    rows = [[name, int(v.notna().sum()), *mean_interval(v)] for name, v in changes.items()]
    return pd.DataFrame(rows, columns=["change", "n", "mean", "low", "high"])


def ground_sentence(mass: pd.DataFrame, follows: pd.DataFrame) -> str:
    by = follows.set_index("change")
    wide = mass.pivot(index="cue", columns="kind", values="mean")
    blind = wide["usual"].get("floor:centre box", float("nan"))
    wide = wide.drop(index=[c for c in FLOORS if c in wide.index])
    gone, swapped = by.loc["object removed"], by.loc["ground swapped"]
    outside = wide["usual"]
    least, most = outside.idxmin(), outside.idxmax()
    follower = "object" if abs(gone["mean"]) > abs(swapped["mean"]) else "ground"
    return (
        f"Removing the object lowers its class's logit by "
        f"**{estimate(-gone['mean'], -gone['high'], -gone['low'])}**; giving it an unusual ground "
        f"changes it by **{change(swapped)}**: the score follows the {follower}."
        f" Yet between {percent(outside[least])} ({cue_title(least)}) and {percent(outside[most])} "
        f"({cue_title(most)}) of a map's mass lies outside the object on its usual ground; of a "
        f"box in the centre, which knows nothing of the image, {percent(blind)}."
    )


def class_sentence(changed: list[str], n: int, follows: pd.DataFrame, same: pd.DataFrame) -> str:
    """What the objects whose class changes with the ground contribute to "ground swapped"."""
    with_, without = (t.set_index("change").loc["ground swapped"] for t in (follows, same))
    named = ", ".join(name.replace("_", " ") for name in changed) or "none"
    return (
        "Where several ImageNet classes fit an object, the likeliest is taken, composite by "
        f"composite: {len(changed)} of {n} objects ({named}) are not asked about the same class on "
        f"all grounds. Without them the unusual ground changes the logit by "
        f"{change(without)} (n = {int(without['n'])}) instead of {change(with_)}."
    )


# company ----------------------------------------------------------------------------------------


def sensitivity(maps: pd.DataFrame, measure: str = "iou") -> pd.DataFrame:
    """Class sensitivity of each cue: n, undefined, mean, low, high.

    For a pair the mean, over the logits of A and B, of the measure with the explained object minus
    the measure with the other one. 0: the map does not depend on the class; the floors' value.
    measure: "iou" or "mass" (share of the map's mass).
    """
    own, other = {
        "iou": ("iou", "iou_other"),
        "mass": ("relevance_mass", "mass_other"),
    }[measure]
    table = maps[(maps["experiment"] == "company") & maps["metric"].isin([own, other])]
    keys = ["cue", "sample", "explained"]
    wide = table.set_index([*keys, "metric"])["value"].unstack("metric")  # keeps undefined ones
    value = (wide[own] - wide[other]).rename("value").reset_index()
    pairs = value.groupby(["cue", "sample"])["value"].mean().reset_index()
    found = summary(pairs, "cue").set_index("cue")
    return found.loc[in_order(found.index)].reset_index()


def avoidance(maps: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Mass on the object that was not asked about minus that object's share of the area, mean of
    both logits: cue, n (pairs), undefined, mean, low, high. Below 0: the map avoids it."""
    keys = ["sample", "explained"]
    other = {"A": "B", "B": "A"}
    area = scores.loc[scores["experiment"] == "company", [*keys, "object_share"]]
    area = area.assign(explained=area["explained"].map(other))
    table = maps[(maps["experiment"] == "company") & (maps["metric"] == "mass_other")]
    table = table.merge(area, on=keys)
    table["value"] -= table["object_share"]
    pairs = table.groupby(["cue", "sample"])["value"].mean().reset_index()
    found = summary(pairs, "cue").set_index("cue")
    return found.loc[in_order(found.index)].reset_index()


def avoidance_sentence(table: pd.DataFrame) -> str:
    rest = table[~table["cue"].isin(FLOORS)]
    parts = {
        "below 0, so that they avoid it": rest[rest["high"] < 0],
        "**above 0, so that they do not**": rest[rest["low"] > 0],
        "open": rest[(rest["low"] <= 0) & (rest["high"] >= 0)],
    }
    said = [f"{what}: {named(part, 3)}" for what, part in parts.items() if len(part)]
    return (
        "To prefer A is not to avoid B. Mass on the object that was not asked about, minus its "
        f"share of the area – {'; '.join(said)}."
    )


def company_sentence(table: pd.DataFrame) -> str:
    rest = table[~table["cue"].isin(FLOORS)].set_index("cue")
    sure = rest[rest["low"] > 0]
    best, worst = rest["mean"].idxmax(), rest["mean"].idxmin()
    return (
        f"The object asked about is clearly preferred by "
        f"{count(len(sure), len(rest), 'explainers')}. The strongest is {cue_title(best)}, **"
        f"{estimate(*rest.loc[best, ['mean', 'low', 'high']], sign=True)}** IoU; the weakest "
        f"{cue_title(worst)}, **{estimate(*rest.loc[worst, ['mean', 'low', 'high']], sign=True)}**."
    )


def settings_table(settings: pd.DataFrame) -> pd.DataFrame:
    """The explainers' settings in words: cue, settings; a dash where there are none."""
    rows = [
        [
            cue_title(row.cue),
            ", ".join(
                f"{name.replace('_', ' ')} {value}"
                for name, value in json.loads(row.settings).items()
            )
            or "–",
        ]
        for row in settings.itertuples()
    ]
    return pd.DataFrame(rows, columns=["cue", "settings"])


def counted(maps: pd.DataFrame) -> pd.DataFrame:
    """Composites of each experiment and cue: a row a cue, a column an experiment."""
    found = maps.groupby(["cue", "experiment"])["sample"].nunique().unstack(fill_value=0)
    found = found.loc[in_order(found.index)]
    return found.rename(index=cue_title).rename_axis(index=None, columns=None).astype(np.int64)
