"""Where figures and tables go: PNG and PDF of a figure, CSV of a table, never half-written.

A folder that cannot be written raises InputError naming it. Equal content gives equal bytes, so
that a repeated run changes no file that is kept under version control.
"""

import io
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from xaiutils.errors import InputError

FIGURES = Path(__file__).resolve().parents[1] / "figures"
DPI = 150
# no dates and no versions: they would make every run's files differ
UNDATED = {"CreationDate": None, "Creator": None, "Producer": None}


def output_folder(study_name: str, figures: str | Path = "") -> Path:
    """The folder of a study's figures and tables, made if need be.

    figures: the folder itself; "" means figures/<study_name> of the repository. Raises InputError
    if the folder cannot be made or written.
    """
    folder = Path(figures).expanduser().absolute() if str(figures) else FIGURES / study_name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # a test of permissions alone misses full disks
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def save_figure(fig: Figure, folder: str | Path, name: str) -> None:
    """Write <name>.png (150 dpi) and <name>.pdf, trimmed to what is drawn.

    The figure stays open, so that a notebook shows it once, below the cell that drew it.
    """

    def pdf(path: str) -> None:
        fig.savefig(path, format="pdf", dpi=DPI, bbox_inches="tight", metadata=UNDATED)

    _write(folder, f"{name}.png", lambda path: _save_png(fig, path))
    _write(folder, f"{name}.pdf", pdf)


def _save_png(fig: Figure, path: str | Path) -> None:
    """On white and without matplotlib's alpha channel, which costs a tenth of the file."""
    stream = io.BytesIO()
    quick = {"compress_level": 1}  # written again below
    fig.savefig(stream, format="png", dpi=DPI, bbox_inches="tight", pil_kwargs=quick)
    drawn = Image.open(stream)
    page = Image.new("RGB", drawn.size, "white")
    page.paste(drawn, mask=drawn.getchannel("A"))
    page.save(path, "PNG", dpi=(DPI, DPI))


def save_table(df: pd.DataFrame, folder: str | Path, name: str) -> pd.DataFrame:
    """Write <name>.csv and return df itself, so that a notebook shows the table it saved.

    Numbers have six significant digits; the index is written unless it only counts the rows.
    """
    index = not isinstance(df.index, pd.RangeIndex)
    _write(
        folder,
        f"{name}.csv",
        lambda path: df.to_csv(path, index=index, float_format="%.6g", lineterminator="\n"),
    )
    return df


def _write(folder: str | Path, file: str, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside the target, then rename it into place."""
    folder = Path(folder)
    if Path(file).name != file:
        raise InputError(f"{file!r} cannot name a figure or table: use a name without folders")
    part = folder / f".{file}.{os.getpid()}"
    try:
        write(part)
        os.replace(part, folder / file)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        with suppress(OSError):  # also where the folder itself is missing or a file
            part.unlink(missing_ok=True)


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"{folder}: figures and tables cannot be written there ({error.strerror or error}); "
        "choose a folder with room that you may write to"
    )
