"""Table 3 as printed with ours beside the row of the paper's own method, and rows below of ours."""

import numpy as np
import pandas as pd

from xaiutils.config import StudyConfig
from xaiutils.evaluation import PROXIES
from xaiutils.names import CLASSIFIER_TITLES, SEGMENTER_TITLES
from xaiutils.sections.cues import FUSED, best_of, look_up, proxy_segmenter
from xaiutils.sections.floors import floor_table
from xaiutils.sections.published import (
    NOT_COMPARABLE,
    images_of,
    other_images,
    other_settings,
    published,
)
from xaiutils.sections.words import count, short_title

TABLE3 = [
    *["method", "backbone", "supervision", "metric", "data", "printed", "ours", "low", "high"],
    *["n", "difference", "remark"],
]
OURS_IN_PRINT = "XAI-fused (Ours)"  # the paper's method: fused maps that prompt SAM2
BINARY = "mean IoU of object against background"
PRINTED = "21-class mIoU"
KNOWN = "which classes an image may show is taken from its true labels"


def table3(
    segmentation: pd.DataFrame,
    samples: pd.DataFrame,
    config: StudyConfig,
    miou: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The published Table 3 with ours beside it, and below it rows of this study alone.

    Columns method, backbone, supervision, metric, data, printed, ours, low, high, n,
    difference (ours − printed; all but n in %) and remark, which says "not comparable" and why.
    The one method that is printed and measured here is the paper's own, weighted fusion and SAM;
    the others are networks that others trained. samples: the study's table of that name. miou:
    `miou.field_miou` of a study that has its measure, the printed one; else ours is the mean of the
    objects' IoU.
    """
    table, name = floor_table(segmentation), SEGMENTER_TITLES[proxy_segmenter(segmentation)]
    images = len(images_of(samples, config.dataset))
    unit = "images" if images == len(samples) else "samples (image and class)"
    ours = look_up(table, cue=FUSED) if miou is None else fused_miou(miou)
    apart = [
        f"ours is the {BINARY}, not {PRINTED}" if miou is None else KNOWN,
        *other_images("Pascal VOC 2012", config, images),
        *other_settings(config),
        *([] if name == SEGMENTER_TITLES["sam2"] else [f"{name}, not SAM2"]),
    ]
    rows = []
    for r in published("table3").fillna("").itertuples():
        mean, low, high, n = ours if r.method == OURS_IN_PRINT else look_up(table, cue=None)
        values = [r.miou, *(100 * v for v in (mean, low, high)), n, 100 * mean - r.miou]
        remark = f"{NOT_COMPARABLE}: {'; '.join(apart)}" if n else "not measured here"
        about = [r.method, r.backbone, r.supervision, PRINTED, r.split]
        rows.append([*about, *values, remark])
    wanted = {
        f"Best single explainer + {name}": ("explainer", "I + S"),
        f"Best floor + {name}": ("floor", "S"),
        f"Best ceiling + {name}": ("ceiling", "S + ground truth"),
    }
    for method, (kind, supervision) in wanted.items():
        mean, low, high, n = look_up(table, cue=best_of(table, kind))
        if n:
            label = f"{method} ({short_title(best_of(table, kind))})"
            uses = CLASSIFIER_TITLES[config.classifier] if kind == "explainer" else ""
            about = [label, uses, supervision, BINARY, f"{n} {unit} of this study"]
            values = [np.nan, *(100 * v for v in (mean, low, high)), n, np.nan]
            rows.append([*about, *values, f"{NOT_COMPARABLE}: not printed"])
    numbers = ["printed", "ours", "low", "high", "difference"]
    return pd.DataFrame(rows, columns=TABLE3).round(dict.fromkeys(numbers, 1))


def fused_miou(miou: pd.DataFrame) -> tuple[float, float, float, int]:
    """(mean, low, high, n) of SAM's masks from the fused cues; NaN and 0 where they are missing."""
    rows = miou[(miou["cue"] == FUSED) & miou["route"].isin(PROXIES)]
    if rows.empty:
        return np.nan, np.nan, np.nan, 0
    row = rows.iloc[0]
    return row["miou"], row["low"], row["high"], int(row["n"])


def table3_sentence(table: pd.DataFrame) -> str:
    """Between which published values ours would fall, if they could be compared."""
    ours, paper = table[table["n"] > 0], table["printed"].dropna()
    if ours.empty:
        return "This study has no row to put beside the published ones."
    row = ours.iloc[0]
    name = "our weighted fusion" if row["method"] == OURS_IN_PRINT else f'"{row["method"]}"'
    above = int((paper > row["ours"]).sum())
    measure = (
        f"{PRINTED} of the classes present (n = {row['n']}), {KNOWN}"
        if KNOWN in row["remark"]
        else f"a mean (n = {row['n']}) of the IoU of an object against its background"
    )
    return (
        f"By the number alone, {name} ({row['ours']:.1f}) would stand below "
        f"{count(above, len(paper), 'published rows')}. **The numbers are not comparable**: ours "
        f"is {measure}; theirs is one {PRINTED} over a whole split, in which every wrong class "
        "counts."
    )
