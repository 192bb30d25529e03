"""Does the classifier know what it is asked about? Of cut-outs on grey, and of the composites.

Inputs are the tables of the study "cutouts", as in `sections.cutouts`.
"""

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from xaiutils.cutouts.sources import TOP
from xaiutils.names import in_order
from xaiutils.sections.cutouts import FLOORS, by_count, cue_title, named, objects_of
from xaiutils.sections.words import change, estimate, percent
from xaiutils.statistics import LEVEL, mean_interval


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


def on_composites(scores: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """How the classifier takes the composites themselves, by experiment, and of "place" by size.

    experiment, size, composites, n (objects; pairs in "company"), unknown (composites of which a
    class asked about is not among the five likeliest), mean, low, high (probability of that class),
    top5, top5_low, top5_high.
    """
    factors = manifest[["experiment", "sample", "object", "scale"]]
    table = scores.merge(factors, on=["experiment", "sample"])
    table["unit"] = table["object"].where(table["experiment"] != "company", table["sample"])
    table["known"] = (table["rank"] < TOP).astype(float)
    parts = [(e, "all", part) for e, part in table.groupby("experiment", sort=False)]
    place = table[table["experiment"] == "place"]
    parts += [("place", f"{scale:g}", part) for scale, part in place.groupby("scale")]
    return pd.DataFrame([_taken(*part) for part in parts])


def _taken(experiment: str, size: str, part: pd.DataFrame) -> dict:
    each = part.groupby("unit")[["probability", "known"]].mean()
    mean, low, high = mean_interval(each["probability"])
    share, n = each["known"].mean(), len(each)
    ends = proportion_confint(share * n, n, 1 - LEVEL, method="beta")
    return {
        "experiment": experiment,
        "size": size,
        "composites": part["sample"].nunique(),
        "n": n,
        "unknown": part.loc[part["known"] == 0, "sample"].nunique(),
        **{"mean": mean, "low": low, "high": high},
        **{"top5": share, "top5_low": float(ends[0]), "top5_high": float(ends[1])},
    }


def taken_table(table: pd.DataFrame) -> pd.DataFrame:
    """`on_composites` as text."""
    return pd.DataFrame({
        "experiment": table["experiment"],
        "size": table["size"],
        "composites": table["composites"],
        "objects (pairs)": table["n"],
        "probability of the own class": [estimate(r.mean, r.low, r.high) for r in
                                         table.itertuples()],
        "own class among the five likeliest": [percent(r.top5, r.top5_low, r.top5_high) for r in
                                               table.itertuples()],
        "composites where it is not": table["unknown"],
    })  # fmt: skip


def taken_sentence(table: pd.DataFrame) -> str:
    """What the classifier sees of the composites that are explained."""
    whole = table[table["size"] == "all"]
    unknown, composites = whole["unknown"].sum(), whole["composites"].sum()
    said = [
        f"{percent(r.top5, r.top5_low, r.top5_high)} ({r.experiment}; probability "
        f"{estimate(r.mean, r.low, r.high)})"
        for r in whole.itertuples()
    ]
    sizes = table[table["size"] != "all"]
    small = sizes.iloc[0] if len(sizes) else None
    return (
        "On the composites that are explained the own class is among the classifier's five "
        f"likeliest in {', '.join(said)}"
        + (
            f"; at size {small['size']} in "
            f"{percent(small['top5'], small['top5_low'], small['top5_high'])}"
            if small is not None
            else ""
        )
        + f". On **{unknown} of {composites}** composites it is not, in the third experiment for "
        "one object at least: a map for a class that the network does not see has little to find."
    )


def known_only(maps: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of `maps` for a class that is among the composite's five likeliest."""
    keys = ["experiment", "sample", "explained"]
    return maps.merge(scores.loc[scores["rank"] < TOP, keys], on=keys)


def beside_known(table: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """A row a cue as text: a change or difference on all composites, and on the known ones."""
    parts = {"all": table, "own class among the five likeliest": known}
    found = {"cue": [cue_title(cue) for cue in in_order(table["cue"])]}
    for name, part in parts.items():
        rows = part.set_index("cue").reindex(in_order(table["cue"]))
        found[name] = [
            f"{change(row)}, n = {int(row['n'])}" if row["n"] > 0 else "–"
            for _, row in rows.iterrows()
        ]
    return pd.DataFrame(found)


def known_sentence(known: pd.DataFrame) -> str:
    """Which explainers lose or win on the known composites; a row a cue with mean, low, high, n."""
    rest = known[~known["cue"].isin(FLOORS)]
    sure = {"gain": rest[rest["low"] > 0], "lose": rest[rest["high"] < 0]}
    said = [
        f"{named(part)} clearly {verb if len(part) > 1 else verb + 's'}"
        for verb, part in sure.items()
        if 0 < len(part) < len(rest)
    ]
    said += [f"all {len(rest)} explainers clearly {v}" for v, p in sure.items()
             if len(p) == len(rest)]  # fmt: skip
    return (
        f"With the own class among the five likeliest (n = {by_count(objects_of(rest))}) "
        f"{'; '.join(said) or 'no explainer clearly gains or loses'}."
    )
