"""Tables that are written and read a part at a time, and appear only when they are whole."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from xaiutils.store import NOTE, PART, not_writable, parse_json, stamp

ROWS = 1_000_000  # of a row group: what is held in memory of a table that grows


@contextmanager
def moved_into(folder: Path, last: str = "") -> Iterator[Path]:
    """A new folder inside `folder`, whose files are moved up at the end, or deleted on an error.

    `last` names the file that is moved after the others: it tells that they are there.
    """
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=PART) as part:
            yield Path(part)
            files = [file.relative_to(part) for file in Path(part).rglob("*") if file.is_file()]
            for file in sorted(files, key=lambda file: (file.name == last, file)):
                path = folder / file
                path.parent.mkdir(exist_ok=True)
                os.replace(Path(part, file), path)
    except OSError as error:
        raise not_writable(path, error) from error


class GrowingTable:
    """A Parquet file with a checksum of every page that grows by tables of the same columns.

    Strings may come as dictionaries, which is quick; in the file they are strings all the same.
    """

    def __init__(self, path: Path, schema: pa.Schema):
        self.schema = pa.schema(
            [pa.field(field.name, as_dictionary(field.type)) for field in schema]
        )
        self._parts: list[pa.Table] = []
        self._held = 0
        self.rows = 0
        self._file = pq.ParquetWriter(
            path,
            self.schema,
            use_dictionary=names_of_strings(schema),
            write_page_checksum=True,
            store_schema=False,  # it would bring the dictionaries back as categories
        )

    def add(self, part: pa.Table) -> None:
        """Rows to the end; they are written together with others."""
        self._parts.append(part)
        self._held += len(part)
        if self._held >= ROWS:
            self._flush()

    def write(self, part: pa.Table) -> None:
        """A row group of its own."""
        whole = part.cast(self.schema).unify_dictionaries().combine_chunks()
        self._file.write_table(whole, row_group_size=max(len(whole), 1))
        self.rows += len(whole)

    def close(self, note: dict | None = None) -> None:
        """Write what is held, then the end of the file: what tells that it is whole, and a note."""
        self._flush()
        given = {NOTE: json.dumps(note or {}).encode()}
        self._file.add_key_value_metadata(stamp(self.schema, self.rows, given))
        self._file.close()

    def _flush(self) -> None:
        if self._held:
            self.write(pa.concat_tables(conform(part, self.schema) for part in self._parts))
        self._parts, self._held = [], 0


def is_string(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def as_dictionary(kind: pa.DataType) -> pa.DataType:
    """The type in which a column is handled: strings as dictionaries, all else as it is."""
    return pa.dictionary(pa.int32(), pa.string()) if is_string(kind) else kind


def names_of_strings(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if is_string(field.type)]


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of `schema` in its order and types; those that the table lacks are null."""
    given = set(table.column_names)
    columns = [
        table[field.name].cast(as_dictionary(field.type))
        if field.name in given
        else pa.nulls(len(table), as_dictionary(field.type))
        for field in schema
    ]
    return pa.table(columns, names=schema.names)


def note_of(end: pq.FileMetaData) -> dict | None:
    """The note in the end of a file that `GrowingTable` wrote; None if it has none, or is of
    another format or shape than it says."""
    found = parse_json((end.metadata or {}).get(NOTE, b"{}"))
    expected = json.loads(stamp(end.schema.to_arrow_schema(), end.num_rows)[NOTE])
    same = all(found.get(key) == expected[key] for key in ("schema", "shape"))
    return found if same else None
