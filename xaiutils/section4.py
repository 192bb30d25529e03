"""Section 4 in tables and sentences: SAM as a proxy, what prompting it with a map gains, floors.

Pure functions of a study's tidy tables; the figures draw what these return and the notebooks print
the sentences, so that no number is typed anywhere. Values are means over images with 95 %
bootstrap intervals; differences are paired by image.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xaiutils.correlation import correlations, spearman
from xaiutils.errors import InputError
from xaiutils.evaluation import PROXIES
from xaiutils.names import SEGMENTER_TITLES, in_order, title
from xaiutils.statistics import mean_interval, paired_difference, summary
from xaiutils.tables import published
from xaiutils.verdicts import (
    count,
    estimate,
    not_tested,
    percent,
    possessive,
    verdict,
    verdict_table,
)

REFERENCES = ("truth", "fused proxy", "own proxy")
FUSED = "fused-weighted"  # the paper's fusion
COVERAGE = (0.5, 0.6)  # of Grad-CAM on VOC, as the paper says
SPILL = 0.3  # of LIME and SHAP, "or more"
TABLE3 = [
    *["method", "backbone", "supervision", "metric", "data", "value", "low", "high"],
    "comparable",
]


def kind(cue: str) -> str:
    """explainer, fusion, floor or ceiling."""
    for prefix, name in {"fused-": "fusion", "floor:": "floor", "ceiling:": "ceiling"}.items():
        if cue.startswith(prefix):
            return name
    return "explainer"


def explainers_of(table: pd.DataFrame) -> list[str]:
    """The table's explainers, in the order of the paper's Table 2."""
    return [cue for cue in in_order(table["cue"].unique()) if kind(cue) == "explainer"]


def proxy_segmenter(segmentation: pd.DataFrame) -> str:
    """The segmenter of the table that stands in for SAM2; InputError when there is none."""
    present = set(segmentation["segmenter"])
    for name in PROXIES:
        if name in present:
            return name
    raise InputError(f"the study has no SAM among its segmenters ({', '.join(sorted(present))})")


def main_prompting(segmentation: pd.DataFrame) -> str:
    """The dual cues of the paper where the study has them, else its first prompting."""
    sam = segmentation[segmentation["segmenter"] == proxy_segmenter(segmentation)]
    kinds = sam["cue"].map(kind)
    present = list(dict.fromkeys(sam["prompting"][kinds.isin(["explainer", "fusion"])]))
    return "dual" if "dual" in present or not present else present[0]


def prompted(segmentation: pd.DataFrame) -> pd.DataFrame:
    """SAM's masks, one a (sample, cue): cues with the main prompting, floors and ceilings."""
    sam = segmentation[segmentation["segmenter"] == proxy_segmenter(segmentation)]
    reference = sam["cue"].map(kind).isin(["floor", "ceiling"])
    wanted = reference | (sam["prompting"] == main_prompting(segmentation))
    return sam[wanted].reset_index(drop=True)


def only(table: pd.DataFrame, kinds: Sequence[str]) -> pd.DataFrame:
    """The rows whose cue is of one of the kinds."""
    return table[table["cue"].map(kind).isin(kinds)]


def difference(table: pd.DataFrame, a: str, b: str) -> tuple[float, float, float, int]:
    """(mean, low, high, n) of the IoU of cue a minus that of cue b."""
    return paired_difference(table, a, b, "iou")


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its cues by their printed names."""
    return table.assign(cue=table["cue"].map(title))


def ranked(table: pd.DataFrame, kinds: Sequence[str], value: str = "iou") -> pd.DataFrame:
    """Cues of some kinds with n, undefined, mean, low, high; best first, undefined last."""
    return (
        summary(only(table, kinds), "cue", value)
        .sort_values("mean", ascending=False, kind="stable")
        .reset_index(drop=True)
    )


# Figure 3


def figure3_cue(segmentation: pd.DataFrame) -> str:
    """The explainer that Figure 3 shows: Grad-CAM++ as in the paper, else the first there is."""
    present = explainers_of(segmentation)
    return "gradcam++" if "gradcam++" in present else present[0]


def gains(segmentation: pd.DataFrame, cue: str) -> pd.Series:
    """SAM's IoU minus Otsu's of one cue, by sample; only where both are defined."""
    sam, prompting = proxy_segmenter(segmentation), main_prompting(segmentation)
    rows = segmentation[segmentation["cue"] == cue].set_index("sample")
    mask = rows[(rows["segmenter"] == sam) & (rows["prompting"] == prompting)]["iou"]
    return (mask - rows[rows["segmenter"] == "threshold"]["iou"]).dropna()


def spread_over(values: pd.Series, k: int = 3) -> list[str]:
    """k labels of a series, evenly spaced from its lowest to its highest value.

    The rule by which photographs are chosen for a figure: the two extremes and what lies between.
    """
    ranked = values.dropna().sort_values(kind="stable").index.tolist()
    if not ranked:
        return []
    places = np.linspace(0, len(ranked) - 1, min(k, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]


def gains_sentence(found: pd.Series, ids: list[str], cue: str) -> str:
    """How often SAM improves on Otsu's mask of one explainer, and what it does on some images."""
    if found.empty:
        return f"{title(cue)} has no pair of masks in this study."
    each = "; ".join(f"{id} {estimate(found[id], sign=True)}" for id in ids)
    return (
        f"On the photographs shown, SAM changes the IoU of {possessive(title(cue))} mask by: "
        f"{each}. It is better than Otsu's mask on {int((found > 0).sum())} of all {len(found)} "
        f"images, and the mean change is **{estimate(*mean_interval(found), sign=True)}**."
    )


# Coverage and spill


def coverage_table(proxy: pd.DataFrame) -> pd.DataFrame:
    """Coverage and spill of each thresholded map against each reference.

    Columns measure, reference, cue, n, undefined, mean, low, high; explainers, then the fusion.
    """
    cues = [*explainers_of(proxy), *([FUSED] if FUSED in set(proxy["cue"]) else [])]
    long = proxy[proxy["cue"].isin(cues)].melt(
        ["sample", "cue", "reference"], ["coverage", "spill"], var_name="measure"
    )
    table = summary(long, ["measure", "reference", "cue"])
    order = table["cue"].map({cue: i for i, cue in enumerate(cues)})
    places = table["reference"].map({name: i for i, name in enumerate(REFERENCES)})
    table = table.assign(order=order, place=places).sort_values(["measure", "place", "order"])
    return table.drop(columns=["order", "place"]).reset_index(drop=True)


def look_up(table: pd.DataFrame, **where) -> tuple[float, float, float, int]:
    """(mean, low, high, n) of the one row with these values; NaN and 0 if there is none."""
    for column, value in where.items():
        table = table[table[column] == value]
    if table.empty:
        return float("nan"), float("nan"), float("nan"), 0
    row = table.iloc[0]
    return row["mean"], row["low"], row["high"], int(row["n"])


def coverage_sentence(table: pd.DataFrame) -> str:
    """What `coverage_table` says of the paper's three figures (C12, C13, C14)."""
    truth = table[table["reference"] == "truth"]
    said = []
    value, low, high, _ = look_up(truth, measure="coverage", cue="gradcam")
    if np.isfinite(value):
        where = "below" if value < COVERAGE[0] else "above" if value > COVERAGE[1] else "inside"
        said.append(
            f"Grad-CAM covers **{percent(value, low, high)}** of the object, which is {where} the "
            "50-60 % that the paper gives for VOC."
        )
    for cue in ("lime", "kernelshap"):
        value, low, high, _ = look_up(truth, measure="spill", cue=cue)
        if np.isfinite(value):
            near = abs(value - SPILL) < 0.005
            where = "at" if near else "above" if value > SPILL else "below"
            said.append(
                f"**{percent(value, low, high)}** of {possessive(title(cue))} region is spill: a "
                f"mean {where} the paper's 30 %."
            )
    single = truth[(truth["measure"] == "coverage") & (truth["cue"] != FUSED)].dropna(
        subset=["mean"]
    )
    if len(single):
        best = single.loc[single["mean"].idxmax()]
        said.append(
            f"The largest coverage of a single explainer is {possessive(title(best['cue']))} "
            f"{percent(best['mean'], best['low'], best['high'])}: it leaves "
            f"{percent(1 - best['mean'])} of the object out."
        )
    return " ".join(said) or "No explainer of this study has a defined coverage."


def reference_sentence(table: pd.DataFrame, segmentation: pd.DataFrame) -> str:
    """Whether the proxy may stand in for the truth: the shift of the means, and their ranking."""
    said = []
    for measure in ("coverage", "spill"):
        wide = table[(table["measure"] == measure) & (table["cue"] != FUSED)].pivot(
            index="cue", columns="reference", values="mean"
        )
        for reference in [name for name in REFERENCES[1:] if name in wide]:
            shift = (wide[reference] - wide["truth"]).abs().mean()
            rho = spearman(wide["truth"].to_numpy(), wide[reference].to_numpy())
            said.append(
                f"- {measure}, {reference} for truth: the explainers' means move by "
                f"**{100 * shift:.1f} points** on average; their order keeps a rank correlation of "
                f"{estimate(rho)}."
            )
    fused = prompted(segmentation)
    value = mean_interval(fused.loc[fused["cue"] == FUSED, "iou"])
    said.append(
        f"\nThe fused proxy mask itself has a mean IoU of **{estimate(*value)}** with the truth."
    )
    return "\n".join(said)


# A thresholded map against the mask that it prompts


def prompting_gain(segmentation: pd.DataFrame) -> pd.DataFrame:
    """SAM's mask against the Otsu mask of the same map, for each explainer and fusion.

    Columns cue, threshold, prompted (mean IoU over the images that have both), n, mean, low, high
    (the paired difference, prompted minus threshold). Largest difference first.
    """
    maps = segmentation[segmentation["segmenter"] == "threshold"]
    pairs = prompted(segmentation).merge(
        maps[["sample", "cue", "iou"]], on=["sample", "cue"], suffixes=("", "_map")
    )
    pairs = pairs.dropna(subset=["iou", "iou_map"]).assign(gain=lambda t: t["iou"] - t["iou_map"])
    means = pairs.groupby("cue", observed=True)[["iou_map", "iou"]].mean()
    table = summary(pairs, "cue", "gain").merge(means, left_on="cue", right_index=True)
    table = table.rename(columns={"iou_map": "threshold", "iou": "prompted"})
    columns = ["cue", "threshold", "prompted", "n", "mean", "low", "high"]
    return table.sort_values("mean", ascending=False, kind="stable")[columns].reset_index(drop=True)


def prompting_gain_sentence(table: pd.DataFrame) -> str:
    """How many explainers gain, how surely, and which gains most and least (C15)."""
    single = table[table["cue"].map(kind) == "explainer"]
    if single.empty:
        return "No explainer of this study has both a thresholded and a prompted mask."
    best, worst = single.iloc[0], single.iloc[-1]
    better, surely = _of(single["mean"] > 0), _of(single["low"] > 0)
    return (
        f"SAM's mask is better on average than the thresholded map for **{better}**; the interval "
        f"of the paired difference lies above zero for {surely}. "
        f"{title(best['cue'])} gains most ({_change(best)}), {title(worst['cue'])} least "
        f"({_change(worst)}). Over the explainers the mean IoU goes from "
        f"{single['threshold'].mean():.2f} to {single['prompted'].mean():.2f}."
    )


def _of(holds: pd.Series) -> str:
    """For how many of the explainers something holds, in words."""
    return count(int(holds.sum()), len(holds), "explainers")


def _change(row) -> str:
    return estimate(row["mean"], row["low"], row["high"], sign=True)


# Promptings


def promptings(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Mean IoU of each (cue, prompting): rows cues in order, columns promptings, Otsu first.

    The last row, "mean", is over the explainers only.
    """
    sam = segmentation[segmentation["segmenter"] == proxy_segmenter(segmentation)]
    maps = segmentation[segmentation["segmenter"] == "threshold"]
    both = only(pd.concat([maps, sam]), ["explainer", "fusion"])
    wide = both.pivot_table(index="cue", columns="prompting", values="iou", sort=False)
    wide = wide.loc[in_order(wide.index), _prompting_order(wide.columns)]
    wide.loc["mean"] = wide.loc[[c for c in wide.index if kind(c) == "explainer"]].mean()
    return wide.rename_axis(columns=None)


def _prompting_order(names) -> list[str]:
    known = ["otsu", "peak", "points", "dual", "box", "dual+box", "literal"]
    return [*[n for n in known if n in names], *[n for n in names if n not in known]]


def prompting_means(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Each prompting's IoU averaged over the explainers of an image, then over images.

    Columns prompting, n, undefined, mean, low, high, in the order of `promptings`.
    """
    sam = segmentation[segmentation["segmenter"] == proxy_segmenter(segmentation)]
    maps = segmentation[segmentation["segmenter"] == "threshold"]
    both = only(pd.concat([maps, sam]), ["explainer"])
    each = both.groupby(["prompting", "sample"], as_index=False, sort=False)["iou"].mean()
    table = summary(each, "prompting", "iou").set_index("prompting")
    return table.loc[_prompting_order(table.index)].reset_index()


def prompting_sentence(means: pd.DataFrame, grid: pd.DataFrame) -> str:
    """How far apart promptings are, beside how far apart explainers are."""
    sam = means[means["prompting"] != "otsu"].dropna(subset=["mean"])
    if sam.empty:
        return "No prompting of this study gave a defined mask."
    best, worst = sam.loc[sam["mean"].idxmax()], sam.loc[sam["mean"].idxmin()]
    main = "dual" if "dual" in grid else best["prompting"]
    single = grid.loc[[c for c in grid.index if kind(c) == "explainer" and c != "mean"], main]
    return (
        f"Averaged over the explainers, the best prompting is **{best['prompting']}** "
        f"({estimate(best['mean'], best['low'], best['high'])}) and the worst "
        f"**{worst['prompting']}** ({estimate(worst['mean'], worst['low'], worst['high'])}): "
        f"{best['mean'] - worst['mean']:.2f} IoU apart with the same maps and the same SAM. With "
        f"the prompting {main}, the best and the worst explainer are "
        f"{single.max() - single.min():.2f} apart ({title(single.idxmax())} {single.max():.2f}, "
        f"{title(single.idxmin())} {single.min():.2f})."
    )


# Floors and ceilings


def floor_table(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Every cue, floor and ceiling with the IoU of its SAM mask, best first.

    Columns cue, kind, n, undefined, mean, low, high, and the paired difference from the best floor:
    gain, gain_low, gain_high (NaN for that floor itself and where the study has no floor). The best
    floor is the one with the highest mean.
    """
    masks = prompted(segmentation)
    table = ranked(masks, ["explainer", "fusion", "floor", "ceiling"])
    table.insert(1, "kind", table["cue"].map(kind))
    floor = best_of(table, "floor")
    gains = [
        difference(masks, cue, floor)[:3] if floor and cue != floor else (np.nan,) * 3
        for cue in table["cue"]
    ]
    return table.assign(**dict(zip(["gain", "gain_low", "gain_high"], np.transpose(gains))))


def best_of(table: pd.DataFrame, which: str) -> str | None:
    """The first cue of a kind in a table that is sorted, best first; None if there is none."""
    cues = table.loc[(table["cue"].map(kind) == which) & table["mean"].notna(), "cue"]
    return cues.iloc[0] if len(cues) else None


def floor_title(table: pd.DataFrame) -> str:
    """The finding of `floor_table` in one line."""
    single = table[table["kind"] == "explainer"]
    floor = best_of(table, "floor")
    if floor is None:
        return "IoU of the SAM mask, by cue"
    mean = table.loc[table["cue"] == floor, "mean"].iloc[0]
    return (
        f"Clearly above the best floor ({_plain(floor)}, {mean:.2f}): {_of(single['gain_low'] > 0)}"
    )


def _plain(cue: str) -> str:
    return title(cue).split(": ")[-1]


def floor_sentence(table: pd.DataFrame) -> str:
    """Explainers against the best floor and the ceilings (C18, C19)."""
    single, floor = table[table["kind"] == "explainer"], best_of(table, "floor")
    if floor is None or single.empty:
        return "This study has no floors, so what the explanations add cannot be told."
    row, top = table[table["cue"] == floor].iloc[0], single.iloc[0]
    text = (
        "Without any explanation, SAM reaches "
        f"**{estimate(row['mean'], row['low'], row['high'])}** from the best floor "
        f"({_plain(floor)}). Above it on average: **{_of(single['gain'] > 0)}**; with an interval "
        f"of the paired difference above zero: {_of(single['gain_low'] > 0)}; with one below zero: "
        f"{_of(single['gain_high'] < 0)}. "
    )
    text += (
        f"The best explainer, {title(top['cue'])}, adds "
        f"{estimate(top['gain'], top['gain_low'], top['gain_high'], sign=True)} to it. "
    )
    ceilings = table[table["kind"] == "ceiling"]
    said = [f"{_plain(r.cue)} {estimate(r.mean, r.low, r.high)}" for r in ceilings.itertuples()]
    return text + (f"From the ground truth SAM reaches: {'; '.join(said)}." if said else "")


# Fusion


def fused_against(segmentation: pd.DataFrame) -> pd.DataFrame:
    """The weighted fusion minus every other cue and floor, paired: as maps, and as SAM masks.

    Columns of, cue, kind, n, mean, low, high; `of` is "thresholded map" (Otsu) or "SAM mask".
    """
    maps = segmentation[segmentation["segmenter"] == "threshold"]
    rows = []
    for of, table in {"thresholded map": maps, "SAM mask": prompted(segmentation)}.items():
        for cue in in_order(table["cue"].unique()):
            if cue != FUSED and kind(cue) != "ceiling":
                mean, low, high, n = difference(table, FUSED, cue)
                rows.append([of, cue, kind(cue), n, mean, low, high])
    return pd.DataFrame(rows, columns=["of", "cue", "kind", "n", "mean", "low", "high"])


def hardest(table: pd.DataFrame, of: str, which: str = "explainer") -> pd.Series | None:
    """The row of `fused_against` with the smallest difference: the best rival on average."""
    rows = table[(table["of"] == of) & (table["kind"] == which)].dropna(subset=["mean"])
    return rows.loc[rows["mean"].idxmin()] if len(rows) else None


def fusion_sentence(table: pd.DataFrame) -> str:
    """Fused against single, against the best single, and against other fusions (C17, C18)."""
    said = []
    for of in ("thresholded map", "SAM mask"):
        single = table[(table["of"] == of) & (table["kind"] == "explainer")]
        rival, other = hardest(table, of), hardest(table, of, "fusion")
        if rival is None:
            continue
        said.append(
            f"As {of}s, the weighted fusion is above **{_of(single['mean'] > 0)}** on average, and "
            f"with an interval above zero above {_of(single['low'] > 0)}. Against the best single "
            f"explainer here, {title(rival['cue'])}, the difference is **{_change(rival)}** (the "
            "paper says +0.05 or more)."
        )
        if other is not None:
            said.append(
                f"The strongest of the other fusions is {title(other['cue'])}: weighted minus that "
                f"is {_change(other)}."
            )
    return " ".join(said) or "This study has no weighted fusion."


def published_gain(table2: pd.DataFrame) -> pd.DataFrame:
    """What the paper's own Table 2 gives for fused minus best single: a row a data set.

    Columns dataset, fused, best (IoU), method, difference.
    """
    rows = []
    for dataset, part in table2.groupby("dataset", sort=False):
        iou = part.set_index("method")["iou"]
        single = iou.drop("Fused-Weighted")
        rows.append([dataset, iou["Fused-Weighted"], single.max(), single.idxmax()])
    found = pd.DataFrame(rows, columns=["dataset", "fused", "best", "method"])
    return found.assign(difference=(found["fused"] - found["best"]).round(4))


# SAM's own score


def score_table(segmentation: pd.DataFrame) -> pd.DataFrame:
    """Masks from explainers: sample, cue, score (the IoU that SAM predicts) and iou (the true)."""
    masks = only(prompted(segmentation), ["explainer"])
    return masks[["sample", "cue", "score", "iou"]].reset_index(drop=True)


def score_sentence(scores: pd.DataFrame) -> str:
    """Does SAM know how good its mask is? Rank correlations and the bias."""
    found = correlations(scores, "score", "iou").set_index("level")
    pooled, within = found.loc["pooled"], found.loc["across explainers"]
    bias = (scores["score"] - scores["iou"]).mean()
    sure = scores[scores["score"] >= 0.9]
    text = (
        f"Over all masks the rank correlation of SAM's own score with the true IoU is "
        f"**{estimate(pooled['rho'], pooled['low'], pooled['high'])}**; among the masks of one "
        f"image, which is what choosing the best of them needs, it is "
        f"{estimate(within['rho'], within['low'], within['high'])}. On average the score is "
        f"{abs(bias):.2f} {'above' if bias > 0 else 'below'} the IoU."
    )
    if len(sure):
        poor = int((sure["iou"] < 0.5).sum())
        text += (
            f" Masks that SAM scores at 0.9 or more: {len(sure)}; of these below an IoU of 0.5: "
        )
        text += f"**{poor}**."
    return text


# Table 3


def table3(segmentation: pd.DataFrame, backbone: str) -> pd.DataFrame:
    """The published Table 3, and below it rows of this study, which are not comparable.

    Columns method, backbone, supervision, metric, data, value (in %), low, high, comparable.
    """
    paper = published("table3")
    rows = [
        [
            r.method,
            r.backbone,
            r.supervision,
            "21-class mIoU",
            r.split,
            r.miou,
            np.nan,
            np.nan,
            "published",
        ]
        for r in paper.fillna("").itertuples()
    ]
    table, name = floor_table(segmentation), SEGMENTER_TITLES[proxy_segmenter(segmentation)]
    wanted = {
        f"Fused, weighted + {name}": (FUSED, "I + S"),
        f"Best single explainer + {name}": (best_of(table, "explainer"), "I + S"),
        f"Best floor + {name}": (best_of(table, "floor"), "S"),
        f"Best ceiling + {name}": (best_of(table, "ceiling"), "S + ground truth"),
    }
    for method, (cue, supervision) in wanted.items():
        mean, low, high, n = look_up(table, cue=cue)
        if n:
            label = method if cue == FUSED else f"{method} ({_plain(cue)})"
            uses = backbone if "I" in supervision.split(" + ") else ""
            rows.append(
                [
                    *[
                        label,
                        uses,
                        supervision,
                        "mean IoU of one object",
                        f"{n} images of this study",
                    ],
                    *[100 * value for value in (mean, low, high)],
                    f"not comparable: per-image IoU on {n} images, not 21-class mIoU on VOC",
                ]
            )
    return pd.DataFrame(rows, columns=TABLE3).round({"value": 1, "low": 1, "high": 1})


def table3_sentence(table: pd.DataFrame) -> str:
    """Between which published values ours would fall, if they could be compared."""
    printed = table["comparable"] == "published"
    ours, paper = table[~printed], table.loc[printed, "value"]
    if ours.empty:
        return "This study has no row to put beside the published ones."
    row = ours.iloc[0]
    above = int((paper > row["value"]).sum())
    return (
        f'By the number alone, "{row["method"]}" ({row["value"]:.1f}) would stand below {above} of '
        f"the {len(paper)} published rows. **The numbers are not comparable**: ours is a mean over "
        f"{row['data']} of the IoU of one named object, theirs one 21-class mIoU over a whole "
        "split, in which every wrong class counts."
    )


# Verdicts


def verdicts(proxy: pd.DataFrame, segmentation: pd.DataFrame) -> pd.DataFrame:
    """Claims C12 to C19 and what this study says of them: a direction at most."""
    places = coverage_table(proxy)
    truth = places[places["reference"] == "truth"]
    masks, table = prompted(segmentation), floor_table(segmentation)
    maps = segmentation[segmentation["segmenter"] == "threshold"]
    low, high = COVERAGE
    rows = [
        verdict(
            "C12",
            "Grad-CAM covers 50-60 % of the object on VOC",
            "coverage, against ground truth",
            look_up(truth, measure="coverage", cue="gradcam"),
            low,
            high,
        )
    ]
    for cue in ("lime", "kernelshap"):
        found = look_up(truth, measure="spill", cue=cue)
        says = f"{title(cue)} spills 30 % or more"
        rows.append(verdict("C13", says, "spill, against ground truth", found, SPILL))
    said_best = "the best single map is Score-CAM's or Grad-CAM's"
    rows.append(verdict("C14", said_best, *_best_two(maps), at_least=0))
    gain = _over_explainers(masks, maps)
    rows.append(
        verdict(
            "C15",
            "prompting beats the thresholded map by far",
            "SAM mask minus Otsu mask, mean over the explainers",
            gain,
            0,
        )
    )
    data = "needs the 21-class mIoU on VOC 2012 with SAM2"
    rows.append(not_tested("C16", "fused cues and SAM2 reach 78.4 mIoU on VOC 2012", data))
    rows.append(
        verdict(
            "C17",
            "masks from single explainers are worse than fused ones",
            "fused minus the mean over the explainers, SAM masks",
            _fused_minus_mean(masks),
            0,
        )
    )
    for which, says, least in [
        ("explainer", "fusion adds 5 points or more to the best single explainer", 0.05),
        ("floor", "the gain is not due to SAM alone", 0.0),
    ]:
        rival = best_of(table, which)
        found = difference(masks, FUSED, rival) if rival else (np.nan, np.nan, np.nan, 0)
        measured = f"fused minus {_plain(rival) if rival else f'best {which}'}, SAM masks"
        rows.append(verdict("C18", says, measured, found, least))
    top = best_of(table, "ceiling")
    measured = f"SAM mask from {_plain(top) if top else 'the ground truth'}"
    found = look_up(table, cue=top)
    rows.append(verdict("C19", "SAM reaches 70 % or more on such data", measured, found, 0.7))
    return verdict_table(rows)


def _best_two(maps: pd.DataFrame) -> tuple[str, tuple[float, float, float, int]]:
    """The better of Score-CAM and Grad-CAM minus the best other explainer, thresholded maps."""
    order = ranked(maps, ["explainer"])["cue"].tolist()
    named = [c for c in order if c in ("scorecam", "gradcam")]
    others = [c for c in order if c not in named]
    if not named or not others:
        return "IoU of thresholded maps", (np.nan, np.nan, np.nan, 0)
    measured = f"{title(named[0])} minus {title(others[0])}, thresholded maps"
    return measured, difference(maps, named[0], others[0])


def _over_explainers(masks: pd.DataFrame, maps: pd.DataFrame) -> tuple[float, float, float, int]:
    """Prompted minus thresholded, averaged over an image's explainers, then over images."""
    both = only(masks, ["explainer"]).merge(
        maps[["sample", "cue", "iou"]], on=["sample", "cue"], suffixes=("", "_map")
    )
    each = (both["iou"] - both["iou_map"]).groupby(both["sample"]).mean().dropna()
    return *mean_interval(each), len(each)


def _fused_minus_mean(masks: pd.DataFrame) -> tuple[float, float, float, int]:
    single = only(masks, ["explainer"]).groupby("sample")["iou"].mean()
    fused = masks[masks["cue"] == FUSED].set_index("sample")["iou"]
    each = (fused - single).dropna()
    return *mean_interval(each), len(each)
