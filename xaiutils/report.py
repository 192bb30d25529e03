"""Where figures and tables go: PNG and PDF of a figure, CSV of a table, never half-written.

A folder that cannot be written raises InputError naming it. Equal content gives equal bytes, so
that a repeated run changes no file that is kept under version control.
"""

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import PIL.Image
from IPython import get_ipython
from IPython.display import Image, display
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from xaiutils.errors import InputError

FIGURES = Path(__file__).resolve().parents[1] / "figures"
DPI = 150
SCREEN = 120  # dots an inch at which a notebook shows a figure; screens of high resolution use all
PAD = 0.1  # inches of white around what is drawn
LARGE = 190_000  # bytes of PNG; drawings stay far below, photographs above
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

    Where the notebook shows figures inline, it shows that very PNG, at once, and the figure is
    closed: otherwise it would be drawn again. Elsewhere the figure stays open as it was.
    """

    def pdf(path: str | Path) -> None:
        fig.savefig(path, format="pdf", dpi=DPI, bbox_inches=page, metadata=UNDATED)

    with _laid_out(fig) as page:
        picture = _drawn(fig, page)
        png = io.BytesIO()
        picture.save(png, "PNG", dpi=(DPI, DPI))
        _write(folder, f"{name}.png", lambda path: path.write_bytes(png.getvalue()))
        _write(folder, f"{name}.pdf", pdf)
    # a script that a notebook starts inherits the backend, but has nothing to show on
    if get_ipython() is not None and "inline" in plt.get_backend():
        plt.close(fig)
        _show(picture, png.getvalue())


@contextmanager
def _laid_out(fig: Figure) -> Iterator[Bbox]:
    """What is drawn of the figure, in inches; inside, nothing is laid out again."""
    dpi, engine = fig.dpi, fig.get_layout_engine()
    fig.set_dpi(DPI)
    fig.draw_without_rendering()
    fig.set_layout_engine("none")
    try:
        yield fig.get_tightbbox().padded(PAD)
    finally:
        fig.set_dpi(dpi)
        if engine is not None:
            fig.set_layout_engine(engine)


def _drawn(fig: Figure, page: Bbox) -> PIL.Image.Image:
    """On white and without matplotlib's alpha channel, which costs a tenth of the file."""
    stream = io.BytesIO()
    raw = {"compress_level": 0}  # read at once
    fig.savefig(stream, format="png", dpi=DPI, bbox_inches=page, pil_kwargs=raw)
    return on_white(PIL.Image.open(stream, formats=["PNG"]))


def _show(picture: PIL.Image.Image, png: bytes) -> None:
    """In the cell's output, photographs as JPEG: their PNG would fill the notebook."""
    large = len(png) > LARGE
    data, kind = (jpeg(picture), "jpeg") if large else (png, "png")
    display(Image(data, format=kind, width=int(picture.width * SCREEN / DPI)))


def on_white(picture: PIL.Image.Image) -> PIL.Image.Image:
    """The picture without an alpha channel."""
    page = PIL.Image.new("RGB", picture.size, "white")
    page.paste(picture, mask=picture.convert("RGBA").getchannel("A"))
    return page


def jpeg(picture: PIL.Image.Image) -> bytes:
    """A JPEG of full colour resolution, so that text stays sharp: a tenth of a photograph's PNG."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=80, subsampling=0)
    return stream.getvalue()


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
