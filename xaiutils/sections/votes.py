"""Section 3, votes: how many explainers mark a pixel, and what that says of the object."""

import numpy as np
import pandas as pd

from xaiutils.maps import otsu, threshold
from xaiutils.metrics.agreement import votes
from xaiutils.sections.correlation import spearman
from xaiutils.sections.cues import explainers
from xaiutils.sections.words import percent, quote
from xaiutils.statistics import mean_interval, summary
from xaiutils.study import Study


def seed(study: Study, id: str, cue: str, void: np.ndarray) -> np.ndarray:
    """The map of a cue thresholded by Otsu outside `void`: (H, W) bool; empty for a flat map."""
    map = study.saliency(id, cue)
    return threshold(map, otsu(map, ~void)) & ~void


def vote_map(study: Study, sample) -> np.ndarray:
    """How many explainers mark each pixel (thresholded by Otsu): (H, W) int64."""
    cues = explainers(study)
    return votes(np.stack([seed(study, sample.id, cue, sample.void) for cue in cues]))


def votes_title(counts: list[np.ndarray], samples: list, k: int) -> str:
    """How much of the object all k explainers mark together, the mean over the photographs."""
    inside = [sample.mask & ~sample.void for sample in samples]
    shares = [np.mean(count[mask] == k) for count, mask in zip(counts, inside) if mask.any()]
    if not shares:
        return "How many explainers mark each pixel"
    return (
        f"All {k} explainers mark the same {percent(np.mean(shares))} of the object, the mean of "
        f"the {len(shares)} shown"
    )


def precision_title(table: pd.DataFrame) -> str:
    """Precision without a vote and with the most votes that occur."""
    found = summary(table, "votes", "precision").dropna(subset="mean").set_index("votes")["mean"]
    if len(found) < 2:
        return "Votes against the object: not computed without the stored maps"
    low, high = found.index.min(), found.index.max()
    return (
        f"On the object: {percent(found[low])} of the pixels with {low} votes, "
        f"{percent(found[high])} of those with {high}"
    )


def vote_sentences(table: pd.DataFrame) -> str:
    """Precision and coverage by votes, and the trend of precision within a photograph."""
    found = summary(table, "votes", "precision").dropna(subset="mean")
    if len(found) < 2:
        return "Votes need the stored maps, which this study has not."
    said = []
    for row in (found.iloc[0], found.iloc[-1]):
        said.append(
            f"- Of the pixels with {int(row['votes'])} votes, on the object: "
            f"{quote(row['mean'], row['low'], row['high'], row['n'], share=True)} photographs "
            "that have such pixels."
        )
    rho = vote_trend(table)
    said.append(
        f"- Rank correlation of precision with the number of votes, within a photograph: "
        f"{quote(*mean_interval(rho), len(rho))}."
    )
    kept = summary(table, "votes", "coverage").set_index("votes")["mean"]
    half = int(np.ceil(kept.index.max() / 2))
    said.append(
        f"- Pixels with at least {half} votes hold {percent(kept[half])} of the object, those "
        f"with all {kept.index.max()} hold {percent(kept.iloc[-1])}."
    )
    return "\n".join(said)


def vote_trend(table: pd.DataFrame) -> np.ndarray:
    """Spearman's rho of precision with votes, one for each image with at least three defined."""
    parts = table.groupby("sample")
    values = np.array([spearman(part["votes"], part["precision"]) for _, part in parts])
    return values[np.isfinite(values)]
