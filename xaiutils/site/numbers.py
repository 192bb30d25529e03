"""The numbers of an image that a gallery sorts by, from a study's tables alone."""

import pandas as pd

from xaiutils.errors import InputError
from xaiutils.sections.cues import kind, prompted, proxy_segmenter
from xaiutils.study import Study

# column -> (its name, what it is); all lie in [0, 1]
NUMBERS = {
    "map_iou": ("map IoU", "IoU of the map, thresholded by Otsu, with the object"),
    "mask_iou": ("mask IoU", "IoU of the mask that SAM makes of the cue's points, with the object"),
    "disagreement": (
        "disagreement",
        "1 minus the mean IoU of the thresholded map with those of the other explainers",
    ),
    "trust": (
        "trust",
        "mean IoU of SAM's mask with those of the other explainers; needs no ground truth",
    ),
}
ALL = ""  # stands for the mean over the explainers


def by_cue(study: Study) -> pd.DataFrame:
    """Index (sample, cue), columns `NUMBERS`, float64; NaN where the study has no such number.

    Cues are explainers and fusions, and floors and ceilings with a mask_iou alone.
    """
    maps, pairs = study.table("localisation"), study.table("agreement")
    found = {
        "map_iou": _indexed(maps[maps["metric"] == "iou"], "value"),
        "disagreement": 1 - _mean_of_pairs(pairs[pairs["metric"] == "iou"]),
    }
    segmentation = study.table("segmentation")
    try:
        sam = proxy_segmenter(segmentation)
    except InputError:  # a study without a SAM
        return pd.DataFrame(found).reindex(columns=list(NUMBERS))
    found["mask_iou"] = _indexed(prompted(segmentation), "iou")
    masks = study.table("mask_agreement")
    found["trust"] = _mean_of_pairs(masks[masks["segmenter"] == sam])
    if "trust" in study.tables:  # the analysis knows the fusions too
        more = study.table("trust")
        more = _indexed(more[more["score"] == "mask_agreement"], "value")
        found["trust"] = found["trust"].combine_first(more)
    return pd.DataFrame(found).reindex(columns=list(NUMBERS))


def by_image(table: pd.DataFrame) -> pd.DataFrame:
    """`by_cue` averaged over the explainers: index sample, columns `NUMBERS`."""
    single = table[table.index.get_level_values("cue").map(kind) == "explainer"]
    return single.groupby(level="sample").mean()


def as_values(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float | None]]]:
    """For the pages: sample -> cue -> number, the mean over the explainers under `ALL`.

    Four digits; None where undefined, as JSON has no NaN.
    """
    values = {}
    for sample, row in by_image(table).iterrows():
        values[sample] = {ALL: _numbers(row)}
    for (sample, cue), row in table.iterrows():
        values.setdefault(sample, {})[cue] = _numbers(row)
    return values


def _numbers(row: pd.Series) -> dict[str, float | None]:
    return {name: None if pd.isna(row[name]) else round(float(row[name]), 4) for name in NUMBERS}


def _indexed(table: pd.DataFrame, value: str) -> pd.Series:
    return table.set_index(["sample", "cue"])[value].astype(float)


def _mean_of_pairs(pairs: pd.DataFrame) -> pd.Series:
    """Of each cue the mean over its pairs (a, b), which the tables hold once; NaN is left out."""
    both = pd.concat(
        [pairs.rename(columns={"a": "cue"}), pairs.rename(columns={"b": "cue"})],
        ignore_index=True,
    )
    return both.groupby(["sample", "cue"])["value"].mean()
