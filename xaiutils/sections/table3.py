"""Table 3 as printed with ours beside the row of the paper's own method, and rows below of ours."""

import numpy as np
import pandas as pd

from xaiutils.config import StudyConfig
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


def table3(segmentation: pd.DataFrame, samples: pd.DataFrame, config: StudyConfig) -> pd.DataFrame:
    """The published Table 3 with ours beside it, and below it rows of this study alone.

    Columns method, backbone, supervision, metric, data, printed, ours, low, high, n,
    difference (ours − printed; all but n in %) and remark, which says "not comparable" and why.
    The one method that is printed and measured here is the paper's own, weighted fusion and SAM;
    the others are networks that others trained. samples: the study's table of that name.
    """
    table, name = floor_table(segmentation), SEGMENTER_TITLES[proxy_segmenter(segmentation)]
    images = len(images_of(samples, config.dataset))
    unit = "images" if images == len(samples) else "samples (image and class)"
    apart = [
        f"ours is the {BINARY}, not 21-class mIoU",
        *other_images("Pascal VOC 2012", config, images),
        *other_settings(config),
        *([] if name == SEGMENTER_TITLES["sam2"] else [f"{name}, not SAM2"]),
    ]
    rows = []
    for r in published("table3").fillna("").itertuples():
        mean, low, high, n = look_up(table, cue=FUSED if r.method == OURS_IN_PRINT else None)
        values = [r.miou, *(100 * v for v in (mean, low, high)), n, 100 * mean - r.miou]
        remark = f"{NOT_COMPARABLE}: {'; '.join(apart)}" if n else "not measured here"
        about = [r.method, r.backbone, r.supervision, "21-class mIoU", r.split]
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


def table3_sentence(table: pd.DataFrame) -> str:
    """Between which published values ours would fall, if they could be compared."""
    ours, paper = table[table["n"] > 0], table["printed"].dropna()
    if ours.empty:
        return "This study has no row to put beside the published ones."
    row = ours.iloc[0]
    name = "our weighted fusion" if row["method"] == OURS_IN_PRINT else f'"{row["method"]}"'
    above = int((paper > row["ours"]).sum())
    return (
        f"By the number alone, {name} ({row['ours']:.1f}) would stand below "
        f"{count(above, len(paper), 'published rows')}. **The numbers are not comparable**: ours "
        f"is a mean (n = {row['n']}) of the IoU of an object against its background, theirs one "
        "21-class mIoU over a whole split, in which every wrong class counts."
    )
