"""Section 2 in tables and sentences: misaligned, incomplete, spurious and noisy maps."""

import numpy as np
import pandas as pd

from xaiutils.names import in_order, title
from xaiutils.sections.cues import singles
from xaiutils.sections.words import percent, quote, signed_interval
from xaiutils.statistics import paired_difference, summary
from xaiutils.study import Study

PRINTED_SCORECAM = (0.4, 0.6)  # section 2: Score-CAM's IoU "on average across datasets"
NAMES = {  # columns of the table of failure modes, to be read
    "iou": "IoU",
    "coverage": "coverage",
    "spill": "spill",
    "gini": "Gini index",
    "effective_area": "effective area",
    "miss": "maximum off the object",
}


# Figures 1 and 2


def sam_of(study: Study) -> tuple[str, str] | None:
    """(prompting, segmenter) of the study's SAM, dual cues if it has them; None without a SAM."""
    segmenter = next((s for s in study.config.segmenters if "sam" in s), None)
    promptings = study.config.promptings
    if segmenter is None:
        return None
    return ("dual" if "dual" in promptings else promptings[0]), segmenter


def prompted(study: Study, id: str, cues: list[str]) -> pd.Series:
    """IoU of the mask that each cue prompts on one photograph (Figure 1), where defined."""
    prompting, segmenter = sam_of(study) or ("otsu", "threshold")
    part = study.table("segmentation")
    part = part[(part["prompting"] == prompting) & (part["segmenter"] == segmenter)]
    part = part[(part["sample"] == id) & part["cue"].isin(cues)]
    return part.set_index("cue")["iou"].dropna()


def misalignment_title(study: Study, ids: list[str], cues: list[str]) -> str:
    """The widest range of the masks' IoU on one of the photographs."""
    each = ((id, prompted(study, id, cues)) for id in ids)
    ranges = [(v.max() - v.min(), id, v) for id, v in each if len(v)]
    if not ranges:
        return "Maps above, the masks that they prompt below"
    _, id, values = max(ranges, key=lambda found: found[0])
    return (
        f"{study.sample(id).label}: {len(values)} explainers of one class, masks from IoU "
        f"{values.min():.2f} to {values.max():.2f}"
    )


def misalignment_sentence(study: Study, ids: list[str], cues: list[str]) -> str:
    """For each photograph the best and the worst mask of these explainers."""
    said = []
    for id in ids:
        values = prompted(study, id, cues)
        if len(values):
            best, worst = values.idxmax(), values.idxmin()
            said.append(
                f"- {id}: the best mask has IoU {values[best]:.2f} ({title(best)}), "
                f"the worst {values[worst]:.2f} ({title(worst)})."
            )
    return "\n".join(said) or "No mask is defined on these photographs."


def maxima_off(localisation: pd.DataFrame, ids, cues) -> tuple[int, int]:
    """How many maxima lie off the object (at 0 px), and how many are defined."""
    part = localisation[
        localisation["sample"].isin(ids)
        & localisation["cue"].isin(cues)
        & (localisation["metric"] == "pointing_0")
    ]["value"].dropna()
    return int((part == 0).sum()), len(part)


# Tables


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
    part = localisation[localisation["metric"].isin(["iou", "coverage", "spill", "gini"])]
    both = pd.concat([part, effective_area(localisation, samples)])
    table = summary(both, ["cue", "metric"]).drop(columns="undefined")
    miss = misses(localisation)
    miss = miss[miss["metric"] == "pointing_0"].assign(metric="miss")
    table = pd.concat([table, miss], ignore_index=True)
    return table[table["cue"].isin(singles(table["cue"]))].reset_index(drop=True)


def measured(localisation: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean, interval and n of one metric for every explainer, in the paper's order."""
    part = localisation[localisation["metric"] == metric]
    table = summary(part, "cue").set_index("cue", drop=False)
    return table.loc[singles(table["cue"])].reset_index(drop=True)


# Sentences


def range_title(table: pd.DataFrame, what: str) -> str:
    """'From 26 % (Integrated Gradients) to 82 % (Grad-CAM++) of the object is marked'."""
    table = table.dropna(subset="mean")
    if table.empty:
        return "No map has a threshold"
    low, high = table.loc[table["mean"].idxmin()], table.loc[table["mean"].idxmax()]
    return (
        f"From {percent(low['mean'])} ({title(low['cue'])}) to {percent(high['mean'])} "
        f"({title(high['cue'])}) {what}"
    )


def texture_title(maps: dict[str, np.ndarray]) -> str:
    """Which of the maps (H, W) changes most from pixel to pixel, and how many times as much as
    which other one: the mean step between neighbours over the map's maximum."""
    steps = {}
    for cue, map in maps.items():
        if min(map.shape) > 1 and np.isfinite(map).all() and map.max() > 0:
            changes = [np.abs(np.diff(map, axis=axis)).mean() for axis in (0, 1)]
            steps[cue] = float(np.mean(changes) / map.max())
    if len(steps) < 2 or min(steps.values()) <= 0:
        return "Texture of the maps on one crop"
    most, least = max(steps, key=steps.get), min(steps, key=steps.get)
    return (
        f"From pixel to pixel {title(most)} changes {steps[most] / steps[least]:.0f} times as much "
        f"as {title(least)}, as a share of its maximum (this crop)"
    )


def overlap_sentences(localisation: pd.DataFrame) -> str:
    """Score-CAM's IoU against the printed range; what Faster-Score-CAM and VarGrad add to it."""
    table = measured(localisation, "iou").set_index("cue")
    part = localisation[localisation["metric"] == "iou"]
    said = []
    if "scorecam" in table.index:
        r = table.loc["scorecam"]
        low, high = PRINTED_SCORECAM
        place = "below" if r["mean"] < low else "above" if r["mean"] > high else "inside"
        edge = any(r["low"] < end < r["high"] for end in PRINTED_SCORECAM)
        said.append(
            f"- Score-CAM's thresholded map has IoU {quote(r['mean'], r['low'], r['high'], r['n'])}"
            f", {place} the paper's {low}–{high}"
            f"{', but the interval reaches across its edge' if edge else ''}."
        )
    for cue in ("fasterscorecam", "vargrad"):
        mean, low, high, n = paired_difference(part, cue, "scorecam")
        if n:
            said.append(
                f"- {title(cue)} minus Score-CAM on the same photographs: "
                f"{signed_interval(mean, low, high)} IoU, n = {n}."
            )
    coverage = measured(localisation, "coverage").dropna(subset="mean")
    if len(coverage):
        least = coverage.loc[coverage["mean"].idxmin()]
        said.append(f"- {title(least['cue'])} marks least of the object: coverage {_of(least)}.")
    return "\n".join(said)


def spurious_sentences(localisation: pd.DataFrame, samples: pd.DataFrame) -> str:
    """Spill of LIME and KernelSHAP beside a blind choice's, and the maxima that miss."""
    blind = 1 - samples["object_share"].mean()
    table = measured(localisation, "spill").set_index("cue")
    said = []
    for cue in ("lime", "kernelshap", "gradcam"):
        if cue in table.index:
            r = table.loc[cue]
            said.append(f"- {title(cue)}: spill {_of(r)}.")
    said.append(f"- A blind choice of pixels would spill {percent(blind)}.")
    miss = misses(localisation)
    miss = miss[(miss["metric"] == "pointing_0") & miss["cue"].isin(singles(miss["cue"]))]
    if len(miss):
        worst = miss["mean"].max()
        names = [title(c) for c in in_order(miss[miss["mean"] == worst]["cue"])]
        names = " and ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])
        n = int(miss["n"].max())
        said.append(
            f"- The maximum misses the object most often for {names}: {percent(worst)} of n = {n} "
            "photographs."
            if worst > 0
            else f"- No maximum misses the object (n = {n} photographs)."
        )
    return "\n".join(said)


def noise_sentences(table: pd.DataFrame) -> str:
    """The most and the least concentrated map, and Integrated Gradients among them."""
    area = measured(table, "effective_area").dropna(subset="mean").set_index("cue")
    if area.empty:
        return "No map has mass."
    least, most = area["mean"].idxmin(), area["mean"].idxmax()
    said = [
        f"- The most concentrated map is that of {title(least)}: effective area "
        f"{_of(area.loc[least])}; the most spread that of {title(most)}: {_of(area.loc[most])}."
    ]
    if "ig" in area.index:
        place = int(area["mean"].rank()["ig"])
        said.append(
            f"- Integrated Gradients: effective area {_of(area.loc['ig'])}, place {place} of "
            f"{len(area)} counted from the most concentrated."
        )
    return "\n".join(said)


def _of(row: pd.Series) -> str:
    return quote(row["mean"], row["low"], row["high"], row["n"], share=True)
