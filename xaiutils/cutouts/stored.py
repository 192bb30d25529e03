"""Reading the stored study of composites; `xaiutils.cutouts.study` makes it."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from xaiutils.config import studies_dir
from xaiutils.errors import InputError
from xaiutils.store import read_whole

STORED = Path(__file__).resolve().parents[2] / "data" / "studies"


@dataclass(frozen=True)
class CutoutStudy:
    """A stored study of composites, read lazily: `table(name)`."""

    name: str
    folder: Path

    def table(self, name: str) -> pd.DataFrame:
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            raise InputError(f"{path}: not found; `python -m xaiutils.cutouts run` makes it")
        return read_whole(path)

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.parquet").exists()

    def caption(self, experiment: str = "", counted: str = "") -> str:
        """n, classifier and seed; of one experiment, or of all. counted: said in place of n."""
        stored = json.loads((self.folder / "config.json").read_text())
        if not experiment:
            return stored["caption"]
        n, seed = stored["config"]["composites"][experiment], stored["config"]["seed"]
        counted = counted or f"n = {n} composites (costlier explainers fewer)"
        return f"{counted}, EfficientNet-Lite0, seed {seed}"


def open_cutouts(name: str = "cutouts") -> CutoutStudy:
    folder = next((f / name for f in (studies_dir(), STORED) if (f / name).is_dir()), STORED / name)
    if not (folder / "config.json").exists():
        raise InputError(
            f"no stored study of composites in {folder}; `python -m xaiutils.cutouts run` makes it"
        )
    return CutoutStudy(name, folder)
