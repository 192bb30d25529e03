"""Mean Dice and mean IoU over images, as polyp segmentation is reported (Jha et al. 2020)."""

import pandas as pd

from xaiutils.names import in_order
from xaiutils.sections.cues import prompted, proxy_segmenter
from xaiutils.statistics import summary


def dice_and_iou(localisation: pd.DataFrame, segmentation: pd.DataFrame) -> pd.DataFrame:
    """cue, route, metric ("dice", "iou"), n, undefined, mean, low, high.

    Routes: "otsu" is the thresholded map, else the name of the SAM with the main prompting; floors
    and ceilings have that route only. Means of per-image values with 95 % intervals over images.
    """
    maps = localisation[localisation["metric"].isin(["dice", "iou"])]
    masks = prompted(segmentation).melt(["sample", "cue"], ["dice", "iou"], "metric", "value")
    parts = [maps.assign(route="otsu"), masks.assign(route=proxy_segmenter(segmentation))]
    found = summary(pd.concat(parts, ignore_index=True), ["cue", "route", "metric"])
    place = {cue: i for i, cue in enumerate(in_order(found["cue"]))}
    return found.sort_values(
        ["metric", "route", "cue"], key=lambda x: x.map(place) if x.name == "cue" else x
    ).reset_index(drop=True)
