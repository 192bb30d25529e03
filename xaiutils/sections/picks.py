"""Which photographs and which explainers a figure shows: rules, so that nobody picks them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xaiutils.names import in_order
from xaiutils.sections.cues import explainers_of, singles
from xaiutils.study import Study

# One of each kind for figures with room for five; the others fill up where a study lacks one.
FIVE = ("gradcam", "scorecam", "ig", "occlusion", "lime")
FIGURE4 = ("gradcam", "scorecam", "ig", "lime")  # one of each family; the paper names none


def evenly(items: Sequence[str], k: int = 3) -> list[str]:
    """k items of a sequence, evenly spaced from its first to its last; all if there are fewer."""
    places = np.linspace(0, len(items) - 1, min(k, len(items))).round().astype(int)
    return [items[place] for place in places]


def spread_over(values: pd.Series, k: int = 3) -> list[str]:
    """k labels of a series, evenly spaced from its lowest to its highest value.

    The rule by which photographs are chosen for a figure: the two extremes and what lies between.
    """
    return evenly(values.dropna().sort_values(kind="stable").index, k)


def photographs(study: Study, k: int) -> list[str]:
    """k sample ids, evenly spaced from the photograph on which the explainers agree most to the
    one on which they agree least (mean pairwise IoU of their thresholded maps); k = 1: the most.

    Samples without a pair come last.
    """
    pairs = study.table("agreement")
    iou = pairs[pairs["metric"] == "iou"].groupby("sample")["value"].mean()
    ranked = iou.reindex(study.sample_ids).sort_values(ascending=False, kind="stable")
    return evenly(ranked.index, k)


def five(study: Study) -> list[str]:
    """At most five explainers of the study, one of each kind first, in the paper's order."""
    return _first(FIVE, study.cues, 5)


def four(cues) -> list[str]:
    """At most four explainers, one of each family first, in the paper's order."""
    return _first(FIGURE4, cues, 4)


def _first(wanted: Sequence[str], cues, k: int) -> list[str]:
    """At most k explainers among cues: those wanted, filled up with the others."""
    single = singles(cues)
    chosen = [cue for cue in wanted if cue in single]
    return in_order([*chosen, *(cue for cue in single if cue not in chosen)][:k])


def figure3_cue(segmentation: pd.DataFrame) -> str:
    """The explainer that Figure 3 shows: Grad-CAM++ as in the paper, else the first there is."""
    present = explainers_of(segmentation)
    return "gradcam++" if "gradcam++" in present else present[0]
