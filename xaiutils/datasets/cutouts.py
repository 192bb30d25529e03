"""Composites of cut-outs and grounds, made on the fly, with exact masks (`xaiutils.cutouts`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from xaiutils.datasets.base import Dataset, Sample, choose_split, skipping, with_logit
from xaiutils.errors import InputError

if TYPE_CHECKING:  # the cut-outs read bundled photographs through `datasets`: not a circle
    from xaiutils.cutouts.sources import Library


def load_cutouts(
    root: str | Path | None, split: str | None, reading: str, logit: str, seed: int = 0
) -> Dataset:
    """split: one of the four experiments, "place" (default), "ground", "company" or "bias".

    reading "class" masks the object, "binary" the object with its companions. seed: of all choices
    that the experiment leaves to chance.
    """
    from xaiutils.cutouts.plans import EXPERIMENTS
    from xaiutils.cutouts.sources import open_library

    split = choose_split("cutouts", split, tuple(EXPERIMENTS), "place")
    library = open_library(root)
    return from_manifest(library, EXPERIMENTS[split](library, seed), reading, logit)


def from_manifest(
    library: Library, manifest: pd.DataFrame, reading: str = "class", logit: str = "given"
) -> Dataset:
    """The data set of a manifest's rows; InputError for a column or a cut-out that is missing.

    logit "mapped" leaves out the composites whose object has no ImageNet class, with their count.
    """
    from xaiutils.cutouts.plans import COLUMNS, render, whole

    if missing := [c for c in COLUMNS if c not in manifest]:
        raise InputError(f"the manifest lacks the column(s) {', '.join(missing)}")
    rows = {row.sample: row for row in manifest.itertuples()}
    for row in rows.values():
        library.cutout(row.object)
    classes = {id: _classes(library, row) for id, row in rows.items()}

    def read(id: str) -> Sample:
        row = rows[id]
        made = render(library, row)
        mask = whole(made) if reading == "binary" else made.mask
        taken = classes[id]
        target = taken[0] if len(taken) == 1 else None
        label = library.entries[row.object].label
        return Sample(id, made.image, mask, mask & False, label, target, taken)

    skipped = skipping()
    if logit == "mapped":
        for id in [id for id, taken in classes.items() if not taken]:
            skipped[f"no ImageNet class for {library.entries[rows[id].object].label}"].append(id)
            del rows[id], classes[id]
        if not rows:
            raise InputError(
                "data set 'cutouts': no composite whose object has an ImageNet class; explain the "
                "predicted logit instead"
            )
    labels = {id: (library.entries[row.object].label,) for id, row in rows.items()}
    targets: Mapping[str, int | None] = {id: t[0] if t else None for id, t in classes.items()}
    names = tuple(dict.fromkeys(label for (label,) in labels.values()))
    left_out = {**library.skipped, **{reason: tuple(ids) for reason, ids in skipped.items()}}
    dataset = Dataset("cutouts", tuple(rows), read, left_out, names, labels)
    return dataset if logit != "predicted" else with_logit(dataset, targets, logit)


def _classes(library: Library, row) -> tuple[int, ...]:
    return () if row.experiment == "bias" else library.entries[row.object].indices
