"""Units of work on disk: arrays with a little JSON, valid or absent, never half-written."""

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xaiutils.errors import InputError


def digest(*parts) -> str:
    """A 16-digit key of JSON-able settings and arrays; equal content gives equal keys."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha.update(f"{part.dtype}{part.shape}".encode())
            sha.update(np.ascontiguousarray(part).tobytes())
        else:
            sha.update(json.dumps(part, sort_keys=True).encode())
        sha.update(b"\0")
    return sha.hexdigest()[:16]


def _replace(path: Path, write) -> None:
    """Call `write(stream)` on a temporary file beside `path`, then rename it into place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                write(stream)
            os.chmod(part, 0o644)  # mkstemp's file is readable by its owner alone
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "choose a folder with room that you may write to"
        ) from error


def write_unit(path: Path, meta: dict, **arrays: np.ndarray) -> None:
    """Arrays and a JSON-able `meta` in one compressed file."""
    text = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    _replace(path, lambda stream: np.savez_compressed(stream, meta=text, **arrays))


def read_unit(path: Path) -> tuple[dict, dict[str, np.ndarray]] | None:
    """What `write_unit` wrote; None if the file is missing or damaged (the zip's CRC tells)."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        return json.loads(arrays.pop("meta").tobytes()), arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write_table(path: Path, table: pd.DataFrame | pa.Table) -> None:
    """One tidy table as Parquet, with a checksum of every page."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    _replace(path, lambda stream: pq.write_table(table, stream, write_page_checksum=True))


def read_whole(path: Path) -> pd.DataFrame:
    """A table that `write_table` wrote, every page verified; InputError if it is damaged."""
    return read_arrow(path).to_pandas()


def read_arrow(path: Path) -> pa.Table:
    """The same before it becomes a frame."""
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: damaged ({error}); delete it and run the study again") from error


def write_text(path: Path, text: str) -> None:
    """A text file, UTF-8."""
    _replace(path, lambda stream: stream.write(text.encode()))


def pack(masks: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Masks (M, H, W) bool as (M, ceil(H W / 8)) uint8."""
    if not masks:
        return np.zeros((0, -(-shape[0] * shape[1] // 8)), np.uint8)
    return np.packbits(np.stack(masks).reshape(len(masks), -1), axis=1)


def unpack(row: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """One packed mask back as (H, W) bool."""
    return np.unpackbits(row, count=shape[0] * shape[1]).astype(bool).reshape(shape)
