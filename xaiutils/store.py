"""Units of work on disk: arrays with a little JSON, valid or absent, never half-written.

Every file says in which `FORMAT` it is laid out, and holds what tells that it is whole. Files
from before that was so are read as they are.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xaiutils import __version__
from xaiutils.errors import UnusableFile, WriteError

FORMAT = 1  # of units, tables and JSON; raised when they are laid out in another way
NOTE = b"xaiutils"  # the key, in a table's metadata, of what it says of itself
PART = ".part."  # how folders of files that are not all there yet begin
STALE = 86_400  # seconds after which nobody writes to a temporary file any more
_TEMPORARY = re.compile(rf"{re.escape(PART)}|\..+\.(npz|parquet|json|csv)\.")


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
        raise not_writable(path, error) from error


def not_writable(path: Path, error: OSError) -> WriteError:
    help = "choose a folder with room that you may write to"
    if isinstance(error, IsADirectoryError):
        help = "a folder of that name is in the way: remove it"
    return WriteError(f"{path}: cannot be written ({error.strerror or error}); {help}")


def sweep(folder: Path) -> None:
    """Delete the temporary files and folders in it that a killed process left `STALE` ago."""
    with suppress(OSError):  # what cannot be deleted is in nobody's way
        for path in folder.glob(".*"):
            if _TEMPORARY.match(path.name) and not path.is_symlink():
                inside = path.iterdir() if path.is_dir() else ()
                if max(p.lstat().st_mtime for p in (path, *inside)) < time.time() - STALE:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process is in here for this folder, and keep the others out.

    Single files are renamed into place and need no lock; this is for files that belong together. A
    process that is killed leaves no lock behind. Where there are no locks (Windows, some network
    file systems) nobody waits.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDONLY, 0o666)
    except OSError as error:
        raise not_writable(folder, error) from error
    try:
        with suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_unit(path: Path, meta: dict, **arrays: np.ndarray) -> None:
    """Arrays and a JSON-able `meta` in one compressed file."""
    unit = {"schema": FORMAT, "arrays": sorted(arrays), "meta": meta}
    text = np.frombuffer(json.dumps(unit).encode(), dtype=np.uint8)
    _replace(path, lambda stream: np.savez_compressed(stream, unit=text, **arrays))


def read_unit(path: Path) -> tuple[dict, dict[str, np.ndarray]] | None:
    """What `write_unit` wrote; None if the file is missing, damaged or of another format.

    The zip's CRC tells of its arrays, but not whether one is missing from its directory.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        if "unit" not in arrays:  # from before the format was written down
            return json.loads(arrays.pop("meta").tobytes()), arrays
        unit = json.loads(arrays.pop("unit").tobytes())
        whole = unit["schema"] == FORMAT and unit["arrays"] == sorted(arrays)
        return (unit["meta"], arrays) if whole else None
    except Exception:  # by the byte that is damaged, zipfile raises nearly anything
        return None


def write_table(path: Path, table: pd.DataFrame | pa.Table, **note: object) -> None:
    """One tidy table as Parquet, with a checksum of every page, and what else it says of itself."""
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    given = {**(table.schema.metadata or {}), **({NOTE: json.dumps(note).encode()} if note else {})}
    table = table.replace_schema_metadata(stamp(table.schema, len(table), given))
    _replace(path, lambda stream: pq.write_table(table, stream, write_page_checksum=True))


def stamp(
    schema: pa.Schema, rows: int, metadata: dict[bytes, bytes] | None = None
) -> dict[bytes, bytes]:
    """The metadata of a table with its format, and a digest of its shape and columns: the end of
    the file, where they stand, has no checksum in Parquet."""
    metadata = metadata or {}
    shape = _shape(schema, rows, metadata)
    note = json.loads(metadata.get(NOTE, b"{}"))
    note |= {"schema": FORMAT, "xaiutils": __version__, "shape": shape}
    return {**metadata, NOTE: json.dumps(note).encode()}


def _shape(schema: pa.Schema, rows: int, metadata: dict[bytes, bytes]) -> str:
    plain = []
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        plain.append([field.name, str(kind).removeprefix("large_")])  # readers choose among these
    return digest(plain, rows, metadata.get(b"pandas", b"").decode())


def stated(path: Path) -> dict:
    """What a table says of itself; nothing where it does not, is damaged or not there."""
    try:
        return json.loads((pq.read_metadata(path).metadata or {})[NOTE])
    except Exception:  # by the byte that is damaged, nearly anything
        return {}


def read_whole(path: Path) -> pd.DataFrame:
    """A table that `write_table` wrote, every page verified; InputError if it is damaged, or of
    another format."""
    table = read_arrow(path)
    try:
        return table.to_pandas()
    except Exception as error:  # pandas reads JSON of its own in the file's end
        raise _damaged(path, error) from error


def read_arrow(path: Path) -> pa.Table:
    """The same before it becomes a frame."""
    if path.is_dir():  # pyarrow would read the files in it, or none
        raise _damaged(path, "it is a folder")
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        metadata = table.schema.metadata or {}
        note = json.loads(metadata.get(NOTE, b"{}"))
        shape = _shape(table.schema, len(table), metadata)
        same = note.get("shape", shape) == shape
    except Exception as error:  # by the byte that is damaged, nearly anything
        raise _damaged(path, error) from error
    if note.get("schema", FORMAT) != FORMAT:
        raise UnusableFile(other_version(path, note["schema"], FORMAT))
    if not same:
        raise _damaged(path, "not the rows and columns that were written")
    return table


def other_version(path: Path, found: object, read: object) -> str:
    return (
        f"{path}: written with schema {found}, this version reads {read}; "
        "run the study again or check out the version that wrote it"
    )


def _damaged(path: Path, why: object) -> UnusableFile:
    return UnusableFile(f"{path}: damaged ({why}); delete it and run the study again")


def write_text(path: Path, text: str) -> None:
    """A text file, UTF-8."""
    _replace(path, lambda stream: stream.write(text.encode()))


def write_json(path: Path, content: object) -> None:
    """JSON-able content with the format it is written in, and its digest."""
    text = json.dumps(content)
    write_text(path, f'{{"schema": {FORMAT}, "digest": "{digest(text)}", "content": {text}}}')


def parse_json(text: str | bytes) -> object:
    """What the text says; ValueError where it is no JSON or nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_json(path: Path) -> object:
    """What `write_json` wrote, or any other JSON as it is; InputError if it is missing, damaged or
    of another format."""
    try:
        stored = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(stored, dict) or set(stored) != {"schema", "digest", "content"}:
        return stored
    if stored["schema"] != FORMAT:
        raise UnusableFile(other_version(path, stored["schema"], FORMAT))
    if digest(json.dumps(stored["content"])) != stored["digest"]:
        raise _damaged(path, "not what was written")
    return stored["content"]


def pack(masks: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Masks (M, H, W) bool as (M, ceil(H W / 8)) uint8."""
    if not masks:
        return np.zeros((0, -(-shape[0] * shape[1] // 8)), np.uint8)
    return np.packbits(np.stack(masks).reshape(len(masks), -1), axis=1)


def unpack(row: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """One packed mask back as (H, W) bool."""
    return np.unpackbits(row, count=shape[0] * shape[1]).astype(bool).reshape(shape)
