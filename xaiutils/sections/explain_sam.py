"""The segmenter's own explanations in numbers: what its mask depends on."""

import numpy as np
import pandas as pd

from xaiutils.sections.words import number, percent

SAME = 0.5  # a mask that overlaps the first by more is still the same


def as_grid(part: pd.DataFrame, kind: str) -> np.ndarray:
    """One sample's values of a kind ("occlusion" or "prompt") as (rows, columns)."""
    found = part[part["kind"] == kind].pivot(index="row", columns="col", values="value")
    return found.sort_index(axis=0).sort_index(axis=1).to_numpy()


def dependence(table: pd.DataFrame) -> pd.DataFrame:
    """One row a sample: what its mask depends on.

    moved: share of the point's places that give the same mask (IoU above 0.5); hidden: share of
    the patches that change it by more than that; most: the largest change by one patch.
    """
    rows = []
    for sample, part in table.groupby("sample", sort=False):
        moving, hiding = as_grid(part, "prompt"), as_grid(part, "occlusion")
        rows.append([sample, np.mean(moving > SAME), np.mean(hiding > 1 - SAME), np.nanmax(hiding)])
    return pd.DataFrame(rows, columns=["sample", "moved", "hidden", "most"])


def mask_title(table: pd.DataFrame) -> str:
    """Prompt and image side by side: a mean over the photographs, and the largest change."""
    found = dependence(table)
    return (
        f"On {len(found)} photographs SAM keeps its mask for {percent(found['moved'].mean())} of "
        f"the point's places; hiding one patch changes it by up to {number(found['most'].max())}"
    )


def dependence_sentences(table: pd.DataFrame, names: dict[str, str]) -> str:
    """Each photograph in a line, by the name (id -> name) that stands beside it."""
    return "\n".join(
        f"- {names[row.sample]}: {percent(row.moved)} of the point's places give the same mask "
        f"(IoU above {SAME}); hiding a single patch gives another one for {percent(row.hidden)} of "
        f"the patches (the largest change: {number(row.most)})."
        for row in dependence(table).itertuples()
    )
