"""What the composites of the controlled benchmark say: tables and sentences.

Inputs are the tables of the study "cutouts" (`xaiutils.cutouts.study`). An interval is over
objects (or pairs): what one object gives in several composites of a cell is averaged first.
"""

import json

import numpy as np
import pandas as pd

from xaiutils.names import in_order, title
from xaiutils.sections.words import change, count, estimate, percent, possessive
from xaiutils.statistics import mean_interval, summary

FLOORS = ("floor:centre box", "floor:random box")
NAMES = {"floor:random box": "Floor: random box"}
# scales and eccentricities at which every cell of the other factor exists
COMMON_SCALES = (0.25, 0.4)
COMMON_ECCENTRICITIES = (0.0, 0.1, 0.2)
PLACE_METRICS = ("iou", "coverage", "spill", "pointing_15")


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


# the cut-outs -----------------------------------------------------------------------------------


def recognition(objects: pd.DataFrame, photographs: pd.DataFrame) -> pd.DataFrame:
    """Confidence in the own class: of bundled photographs, of the same objects cut out and set on
    grey, and of all recognised cut-outs on grey: images, n, mean, low, high, top1."""
    bundled = objects[objects["object"].isin(photographs["object"]) & (objects["target"] >= 0)]
    pairs = photographs[photographs["object"].isin(bundled["object"])]
    known = objects[objects["recognised"]]
    rows = []
    for name, part in {
        "bundled photographs": pairs,
        "the same objects on grey": bundled,
        "all recognised cut-outs on grey": known,
    }.items():
        mean, low, high = mean_interval(part["probability"])
        rows.append([name, len(part), mean, low, high, float((part["rank"] == 0).mean())])
    return pd.DataFrame(rows, columns=["images", "n", "mean", "low", "high", "top1"])


def recognition_sentence(objects: pd.DataFrame, table: pd.DataFrame) -> str:
    mapped, known = int((objects["target"] >= 0).sum()), int(objects["recognised"].sum())
    photo, same, every = table.itertuples(index=False)
    return (
        f"Of {len(objects)} cut-outs {mapped} have an ImageNet class, and the classifier "
        f"recognises **{known}** of them on grey (a class of theirs among its five "
        f"likeliest); the other {mapped - known} are dropped. It gives the own class a probability "
        f"of {estimate(photo.mean, photo.low, photo.high)} on the {photo.n} bundled photographs "
        "whose object has one, "
        f"{estimate(same.mean, same.low, same.high)} on the same objects cut out and set on grey, "
        f"and {estimate(every.mean, every.low, every.high)} on all recognised cut-outs "
        f"(first choice in {percent(every.top1)})."
    )


# place and size ---------------------------------------------------------------------------------


def place_curves(maps: pd.DataFrame, manifest: pd.DataFrame, factor: str) -> pd.DataFrame:
    """Measures by cue against "eccentricity" (at two sizes) or "scale" (at three places)."""
    table = joined(maps, manifest, "place")
    table = table[table["metric"].isin(PLACE_METRICS)]
    if factor == "eccentricity":
        table = table[table["scale"].isin(COMMON_SCALES)]
    else:
        table = table[table["eccentricity"].isin(COMMON_ECCENTRICITIES)]
    return by_object(table, ["cue", "metric", factor])


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


def place_sentence(change: pd.DataFrame) -> str:
    """How the floor and the explainers take the way from the centre to the edge, by IoU."""
    iou = change[change["metric"] == "iou"].set_index("cue")
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
    asked = {n: ", ".join(cue_title(cue) for cue in part.index) for n, part in rest.groupby("n")}
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
        + f" Objects: {', '.join(f'{n} for {cues}' for n, cues in asked.items())}."
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


def score_follows(scores: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """What moves the logit of the object's class: change, n, mean, low, high.

    "object removed": from the usual ground; "ground swapped": usual to unusual, the object stays;
    "ground alone": unusual ground minus usual ground, without the object.
    """
    table = scores[scores["experiment"] == "ground"].merge(
        manifest[["sample", "object", "kind"]], on="sample"
    )
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
    table = maps[maps["experiment"] == "company"]
    wide = table.pivot_table(
        index=["cue", "sample", "explained"], columns="metric", values="value", dropna=False
    )
    value = (wide[own] - wide[other]).rename("value").reset_index()
    pairs = value.groupby(["cue", "sample"])["value"].mean().reset_index()
    pairs = pairs[pairs["cue"].isin(table["cue"].unique())]
    found = summary(pairs, "cue").set_index("cue")
    return found.loc[in_order(found.index)].reset_index()


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


# planted bias -----------------------------------------------------------------------------------


def bias_accuracy(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on held-out objects by share and whether the ground is the class's own."""
    return by_object(predictions, ["share", "own"], "correct")


def bias_mass(maps: pd.DataFrame, predictions: pd.DataFrame, own: bool = True) -> pd.DataFrame:
    """Mass on the ground minus that of the unbiased head (50 %), paired by composite:
    cue, share, n, mean, low, high. own: objects on their class's ground, else on the other."""
    table = maps[(maps["experiment"] == "bias") & (maps["metric"] == "relevance_mass")]
    ids = predictions.loc[predictions["own"] == own, ["sample", "object"]].drop_duplicates()
    table = table.merge(ids, on="sample").assign(value=lambda t: 1 - t["value"])
    table = table.assign(share=table["explained"].astype(int))
    wide = table.pivot_table(index=["cue", "object", "sample"], columns="share", values="value")
    change = wide.sub(wide[50], axis=0).stack().rename("value").reset_index()
    return by_object(change, ["cue", "share"])


def bias_regions(regions: pd.DataFrame, own: bool = True) -> pd.DataFrame:
    """Measures of seeds, SAM's masks and the trained segmenter by head: what, share, metric, ..."""
    return by_object(regions[regions["own"] == own], ["what", "share", "metric"])


def bias_sentence(accuracy: pd.DataFrame, mass: pd.DataFrame, regions: pd.DataFrame | None) -> str:
    right = accuracy.set_index(["share", "own"])["mean"]
    full = mass[mass["share"] == 100].set_index("cue")
    shown = full[full["low"] > 0]
    text = (
        f"On the other class's ground the head is right in {percent(right[50, False])} of "
        "composites "
        f"when the ground said nothing in training, and in **{percent(right[100, False])}** when "
        f"it always went with the class; on the own ground in {percent(right[50, True])} and "
        f"{percent(right[100, True])}. With the full bias "
        f"{count(len(shown), len(full), 'explainers')} clearly move mass to the ground: "
        + ", ".join(
            f"{cue_title(c)} {estimate(*full.loc[c, ['mean', 'low', 'high']], sign=True)}"
            for c in in_order(full.index)
        )
        + "."
    )
    if regions is None or regions.empty:
        return text
    return f"{text} {regions_sentence(regions)}"


def regions_sentence(regions: pd.DataFrame) -> str:
    """Share of what is marked that is ground, without bias and with the full one."""
    spill = regions[regions["metric"] == "spill"].set_index(["what", "share"])
    parts = []
    for what, name in (
        ("seed", "Grad-CAM's seed"),
        ("SAM", "SAM's mask from it"),
        ("trained", "the segmenter trained on the seeds"),
    ):
        if (what, "50") in spill.index and (what, "100") in spill.index:
            before, after = (spill.loc[(what, s), ["mean", "low", "high"]] for s in ("50", "100"))
            parts.append(f"{name} from {estimate(*before)} to **{estimate(*after)}**")
    return f"Spill, from no bias to the full one: {'; '.join(parts)}." if parts else ""


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
