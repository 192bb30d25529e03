"""The planted bias: what the explainers show of it, what SAM and a trained segmenter make of it.

Inputs are the tables of the study "cutouts", as in `sections.cutouts`. 50 % is the head without a
bias, 100 % the full one. Intervals are over objects.
"""

import pandas as pd

from xaiutils.names import in_order
from xaiutils.sections.cutouts import by_count, by_object, exact, named
from xaiutils.sections.words import change, count, estimate, percent
from xaiutils.statistics import mean_interval


def bias_accuracy(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on held-out objects by share and whether the ground is the class's own."""
    return exact(by_object(predictions, ["share", "own"], "correct"))


def held_out_sentence(objects: pd.DataFrame, manifest: pd.DataFrame) -> str:
    """How many of the objects that are explained ImageNet's classifier does not recognise."""
    test = manifest.loc[manifest["split"] == "test", "object"].unique()
    known = int(objects.set_index("object").loc[test, "recognised"].sum())
    return (
        f"Of the {len(test)} held-out objects the ImageNet classifier does not recognise "
        f"{len(test) - known} on grey. They are kept here, and here only: the head was taught "
        "birds and mammals by other objects, its own accuracy (below, left) is the test, and no "
        "ImageNet class is explained."
    )


def bias_counts(maps: pd.DataFrame, predictions: pd.DataFrame, regions: pd.DataFrame) -> str:
    """The true n of the three panels, in composites and objects."""
    ids = predictions.loc[predictions["own"], ["sample", "object"]].drop_duplicates()
    table = maps[maps["experiment"] == "bias"].merge(ids, on="sample")
    by_cue = table.groupby("cue")["sample"].nunique().to_dict()
    own = regions[regions["own"]]
    return (
        f"Left: n = {len(ids)} composites of {ids['object'].nunique()} objects on the own ground, "
        "as many on the other; middle: "
        f"n = {by_count(by_cue)}; right: n = {own['sample'].nunique()} composites of "
        f"{own['object'].nunique()} objects"
    )


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


PAIRS = (("SAM", "seed"), ("trained", "seed"))


def bias_pairs(regions: pd.DataFrame) -> pd.DataFrame:
    """What the full bias adds (100 minus 50 %), on the class's own ground, paired by object.

    what: "seed", "SAM", "trained", or "SAM - seed", "trained - seed", the difference of two such
    changes; metric: "spill" or "ground" (share of the ground that is marked); n, mean, low, high.
    """
    rows = []
    for metric in ("spill", "ground"):
        part = regions[regions["own"] & (regions["metric"] == metric)]
        wide = part.pivot_table(index="object", columns=["what", "share"], values="value")
        if wide.empty:
            continue
        added = {w: wide[w, "100"] - wide[w, "50"] for w in ("seed", "SAM", "trained")}
        added |= {f"{a} - {b}": added[a] - added[b] for a, b in PAIRS}
        rows += [
            [what, metric, int(v.notna().sum()), *mean_interval(v)] for what, v in added.items()
        ]
    return pd.DataFrame(rows, columns=["what", "metric", "n", "mean", "low", "high"])


def hides_sentence(pairs: pd.DataFrame, regions: pd.DataFrame) -> str:
    """Does SAM hide the bias? From what the bias adds to its masks and to the seeds."""
    by = pairs.set_index(["what", "metric"])
    spill, ground = by.loc[("SAM - seed", "spill")], by.loc[("SAM - seed", "ground")]
    if spill["high"] < 0:
        verdict = "yes, a part of it"
    elif spill["low"] > 0:
        verdict = "no, it shows more of it than the seed"
    else:
        verdict = "not shown"
    level = regions[regions["metric"] == "spill"].set_index(["what", "share"])
    before = estimate(*level.loc[("SAM", "50"), ["mean", "low", "high"]])
    return (
        f"Does SAM hide the bias? **{verdict[0].upper()}{verdict[1:]}**: the full bias adds to the "
        f"spill of its masks {change(spill)} more than to the seeds', and {change(ground)} more to "
        f"the share of the ground that is marked (n = {int(spill['n'])} objects). Without a bias "
        f"the spill of its masks is {before} already."
    )


def inherits_sentence(pairs: pd.DataFrame, regions: pd.DataFrame) -> str:
    """Is the bias inherited, and amplified? By both quantities, with what confounds the answer."""
    by = pairs.set_index(["what", "metric"])
    names = {"spill": "spill", "ground": "share of the ground marked"}
    own = [f"{name} {change(by.loc[('trained', m)])}" for m, name in names.items()]
    more = [f"{name} {change(by.loc[('trained - seed', m)])}" for m, name in names.items()]
    grown = [by.loc[("trained - seed", m), "low"] > 0 for m in names]
    verdict = {2: "by both measures", 1: "by one measure, not shown by the other", 0: "not shown"}
    level = regions[regions["metric"] == "spill"].set_index(["what", "share"])
    truth, none = (level.loc[("trained", s), ["mean", "low", "high"]] for s in ("truth", "50"))
    return (
        f"Does the trained segmenter inherit it? The full bias adds to its {', to its '.join(own)} "
        f"(n = {int(by.loc[('trained', 'spill'), 'n'])} objects). Amplified "
        f"**{verdict[sum(grown)]}**: against what it adds to the seeds, {', '.join(more)}. "
        f"{CONFOUND[0].upper()}{CONFOUND[1:]}. Most of its spill is no bias at all: "
        f"{estimate(*none)} when the ground said nothing, {estimate(*truth)} when trained on exact "
        "masks."
    )


# also in the ledger's reason
CONFOUND = (
    "the segmenter's own training composites are weighted like the head's, so that its training "
    "set is biased together with its seeds and the two causes are not told apart; the segmenter "
    "trained on exact masks has no such weights"
)


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
        + f"{named(full.loc[in_order(full.index)].reset_index())}."
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
