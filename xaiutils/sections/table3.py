"""Table 3 as printed, and below it rows of this study, which are not comparable."""

import numpy as np
import pandas as pd

from xaiutils.names import SEGMENTER_TITLES
from xaiutils.sections.cues import FUSED, best_of, look_up, proxy_segmenter
from xaiutils.sections.floors import floor_table
from xaiutils.sections.published import published
from xaiutils.sections.words import count, short_title

TABLE3 = [
    *["method", "backbone", "supervision", "metric", "data", "value", "low", "high"],
    "comparable",
]


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
            label = method if cue == FUSED else f"{method} ({short_title(cue)})"
            uses = backbone if "I" in supervision.split(" + ") else ""
            rows.append(
                [
                    *[
                        label,
                        uses,
                        supervision,
                        "mean IoU of object against background",
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
        f'By the number alone, "{row["method"]}" ({row["value"]:.1f}) would stand below '
        f"{count(above, len(paper), 'published rows')}. **The numbers are not comparable**: ours "
        f"is a mean over {row['data']} of the IoU of the object against its background, theirs one "
        "21-class mIoU over a whole split, in which every wrong class counts."
    )
