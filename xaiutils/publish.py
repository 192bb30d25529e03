"""A study as it is kept in the repository: tables, summary and ledger, no images, no paths."""

import json
import shutil
from pathlib import Path

import pandas as pd

from xaiutils.claims import write_ledger
from xaiutils.errors import InputError
from xaiutils.run import summarise
from xaiutils.sections.thresholds import at_levels, training_images, tuned_levels
from xaiutils.statistics import summary
from xaiutils.store import write_text
from xaiutils.study import Study, open_study

KEYS = ["cue", "prompting", "segmenter", "metric"]


def full_summary(study: Study) -> pd.DataFrame:
    """Every mean of the study with its interval: columns `KEYS`, n, undefined, mean, low, high.

    Beside the grid of the study: the maps at a level that was tuned on training images (prompting
    "tuned" where they are the study's own companion's, "tuned elsewhere" where they are borrowed,
    `sections.thresholds.training_images`), and what the analysis "strategies" adds.
    """
    names = ("segmentation", "localisation")
    tables = {name: study.table(name) for name in names}
    if "strategies" in study.tables:
        more = study.table("strategies")
        tables["segmentation"] = pd.concat([tables["segmentation"], more], ignore_index=True)
    parts = [summarise(tables)]
    train = training_images(study)
    if train is not None:
        found = at_levels(study.table("thresholds"), tuned_levels(train.table("thresholds")))
        own = train.name == f"{study.name}-train"
        found = found.assign(prompting="tuned" if own else "tuned elsewhere")
        found = found.assign(segmenter="threshold", metric="iou")
        parts.append(summary(found, KEYS, "iou"))
    return pd.concat(parts, ignore_index=True)


def publish(name: str, to: Path) -> Path:
    """Copy a finished study's tables to `to`/NAME with a summary and a ledger: the new folder.

    The root of the data set is left out, since it is a folder of this machine. Raises InputError
    for an unknown study and where source and target are the same folder.
    """
    study = open_study(name)
    folder = Path(to) / name
    if folder.resolve() == study.folder.resolve():
        raise InputError(f"{folder}: is the study itself; publish to another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(study.folder / "summary.csv", full_summary(study).to_csv(index=False))
    write_ledger(study)
    kept = ("*.parquet", "*.csv", "probe.*")  # without its probe the classifier cannot be built
    for path in [path for pattern in kept for path in study.folder.glob(pattern)]:
        shutil.copyfile(path, folder / path.name)
    stored = json.loads((study.folder / "config.json").read_text())
    stored["config"] |= {"root": None, "sam2_checkpoint": None}
    write_text(folder / "config.json", json.dumps(stored, indent=2) + "\n")
    return folder
