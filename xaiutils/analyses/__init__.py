"""Further measurements of a finished study, each a tidy table beside the study's own.

    python -m xaiutils analyse --study NAME faithfulness

An analysis is a module of this package, entered in `ANALYSES`, that defines

- `COLUMNS`: the columns of its table;
- `VERSION`: raised when a change in its code changes the rows;
- `units(study) -> list[str]`: what is computed, stored and resumed one by one (most often
  `study.sample_ids`); each can name a file;
- `measure(study, unit) -> list[dict]`: the rows of one unit, with every column;
- `COMPANION = True` where it reads the maps of the training study too.

A unit is computed again only when `VERSION` or the maps that it reads have changed.
"""

from importlib import import_module
from types import ModuleType

import pandas as pd
from tqdm.auto import tqdm

from xaiutils.errors import InputError
from xaiutils.store import digest, read_unit, write_table, write_unit
from xaiutils.study import Study

# table -> module; imported when asked for
ANALYSES: dict[str, str] = {
    name: f"xaiutils.analyses.{name}"
    for name in (
        "faithfulness",
        "completeness",
        "texture",
        "stability",
        "randomisation",
        "trust",
        "clicks",
        "sam_occlusion",
        "gallery",
        "strategies",
        "trained",
        "bias",
        "curves",
        "sweep",
        "confusion",
        "pxap",
    )
}


def find(name: str) -> ModuleType:
    """The module of an analysis."""
    if name not in ANALYSES:
        raise InputError(f"unknown analysis {name!r}; known: {', '.join(ANALYSES)}")
    return import_module(ANALYSES[name])


def analyse(study: Study, name: str, progress: bool = True) -> pd.DataFrame:
    """Compute what is missing of an analysis, write its table into the study's folder, return it.

    The study's maps must be here (not its tables alone). What fails on a unit ends the analysis
    with that unit's error; units already computed are kept.
    """
    module = find(name)
    folder = study.folder / "units" / "analyses" / name
    rows = []
    units = module.units(study)
    also = [study.companion.maps_key("")] if getattr(module, "COMPANION", False) else []
    for unit in tqdm(units, desc=f"{study.name}: {name}", disable=not progress, delay=2):
        path = folder / f"{unit}.{digest(module.VERSION, name, study.maps_key(unit), *also)}.npz"
        found = read_unit(path)
        if found is None:
            found = {"rows": module.measure(study, unit)}, {}
            write_unit(path, found[0])
        rows += found[0]["rows"]
    table = pd.DataFrame(rows, columns=module.COLUMNS)
    write_table(study.folder / f"{name}.parquet", table)
    return table
