"""A study cut into shards: what many processes, or the nodes of a cluster, share out.

    folder = plan(config, chunk=50)        # plan.parquet: which sample belongs to which shard
    run_shard(folder, 12)                  # shards/00012.KEY.parquet: every table of its samples
    gather(folder)                         # the study's tables, those of a run in one process

A shard is done when its file is there and whole (each Parquet page carries a checksum); no
scheduler is asked. KEY digests the configuration and the samples, so that a file of other settings
is never taken for a result. Maps and masks are kept as units, as in any study, or, with `compact`,
deleted once the shard's file is written: then a study of any size has one file a shard.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from xaiutils.config import (
    EVALUATION_SCHEMA,
    SCHEMA,
    TABLES,
    StudyConfig,
    dataset_of,
    studies_dir,
)
from xaiutils.errors import InputError, UnusableFile
from xaiutils.run import (
    Run,
    as_tables,
    conclude,
    require_samples,
    run_key,
    skipped_rows,
    write_config,
)
from xaiutils.store import (
    alone,
    digest,
    parse_json,
    read_json,
    read_whole,
    sweep,
    write_table,
    write_text,
)
from xaiutils.streams import GrowingTable, conform, moved_into, names_of_strings, note_of
from xaiutils.tally import summary_of

CHUNK = 50  # samples a shard
INDEX = "index"  # beside the tables a shard holds the unit files of each sample, as JSON


@dataclass(frozen=True)
class Plan:
    """config; compact; samples by shard, in the order of the data set."""

    config: StudyConfig
    compact: bool
    shards: tuple[tuple[str, ...], ...]

    def path(self, folder: Path, shard: int) -> Path:
        key = digest(SCHEMA, EVALUATION_SCHEMA, asdict(self.config), list(self.shards[shard]))
        return Path(folder) / "shards" / f"{shard:05}.{key}.parquet"


def plan(config: StudyConfig, chunk: int = CHUNK, compact: bool = False) -> Path:
    """Write the plan of a study into its folder and return the folder."""
    if chunk < 1:
        raise InputError(f"chunk is {chunk}: a shard needs at least one sample")
    ids = dataset_of(config).ids[: config.limit]
    if not ids:
        raise InputError(f"data set {config.dataset!r} has no samples")
    folder = studies_dir() / config.name
    write_plan(folder, config, ids, chunk, compact)
    return folder


def write_plan(folder: Path, config: StudyConfig, ids, chunk: int, compact: bool) -> None:
    """plan.parquet (shard, sample), and plan.json with the configuration and a digest of both
    columns, by which each knows the other."""
    shards = [k // chunk for k in range(len(ids))]
    table = pd.DataFrame({"shard": shards, "sample": list(ids)})
    known = digest(shards, list(ids))
    with alone(folder / "units"), moved_into(folder, last="plan.json") as place:
        write_table(place / "plan.parquet", table)
        write_config(place / "plan.json", config, compact=compact, samples=known)


def read_plan(folder: Path) -> Plan:
    """The plan in a study's folder; InputError without one, UnusableFile for one of another
    version, whose two files do not belong together, or with an id that leaves the folder."""
    from xaiutils.study import read_config

    path = Path(folder) / "plan.json"
    if not path.exists():
        raise InputError(f"{path}: not found; `run --executor ...` plans a study first")
    table = read_whole(path.with_suffix(".parquet"))
    config, stored = read_config(path), read_json(path)
    if not isinstance(stored.get("compact"), bool):
        raise _no_plan(path, "does not say whether it is compact")
    path = path.with_suffix(".parquet")
    kinds = {name: pd.api.types.infer_dtype(table[name]) for name in table}
    if kinds != {"shard": "integer", "sample": "string"}:
        raise _no_plan(path, "holds other columns than shard and sample")
    ids = table["sample"].tolist()
    if stray := [id for id in ids if not names_a_folder(id)]:
        raise _no_plan(path, f"{stray[0]!r} is no sample's name")
    # older plans have no digest
    if stored.get("samples") not in (None, digest(table["shard"].tolist(), ids)):
        raise _no_plan(path, "is not the plan that plan.json is of")
    shards = tuple(tuple(part) for _, part in table.groupby("shard", sort=True)["sample"])
    return Plan(config, stored["compact"], shards)


def names_a_folder(id: str) -> bool:
    """Whether units/ID lies where it should, so that nothing else is deleted with it."""
    return id not in ("", ".", "..") and os.path.basename(id) == id and "\0" not in id


def _no_plan(path: Path, why: str) -> UnusableFile:
    return UnusableFile(f"{path}: {why}; `run --executor ...` plans the study again")


def pending(folder: Path) -> list[int]:
    """The shards whose file is missing or damaged."""
    known = read_plan(folder)
    return [k for k in range(len(known.shards)) if read_shard(known.path(folder, k)) is None]


def status(folder: Path) -> dict[str, int]:
    """How many shards and samples there are, how many of each are done, and errors so far.

    Only the end of each file is read: `gather` is what verifies every page.
    """
    known = read_plan(folder)
    found = {"shards": len(known.shards), "samples": sum(map(len, known.shards))}
    ends = {k: footer(known.path(folder, k)) for k in range(len(known.shards))}
    done = {k: end for k, end in ends.items() if end is not None}
    return {
        **found,
        "shards_done": len(done),
        "samples_done": sum(len(known.shards[k]) for k in done),
        "errors": sum(note_of(end)["errors"] for end in done.values()),
    }


def footer(path: Path) -> pq.FileMetaData | None:
    """The end of a shard's file; None if it is missing or damaged."""
    try:
        found = pq.read_metadata(path)
        return found if note_of(found) else None
    except Exception:  # by the byte that is damaged, nearly anything
        return None


def run_shard(folder: Path, shard: int) -> Path:
    """Compute the samples of one shard, unless its file is whole already: the file's path."""
    return next(run_shards(folder, [shard]))


def run_shards(folder: Path, shards: Sequence[int]) -> Iterator[Path]:
    """The same of several, each yielded when it is written; the models are loaded once."""
    known, folder = read_plan(folder), Path(folder)
    run = Run(known.config, folder, dataset_of(known.config))
    there = set(run.dataset.ids)
    for shard in shards:
        if not 0 <= shard < len(known.shards):
            raise InputError(f"shard {shard} is outside 0..{len(known.shards) - 1} of {folder}")
        path, ids = known.path(folder, shard), known.shards[shard]
        if stray := [id for id in ids if id not in there]:
            raise _no_plan(folder / "plan.parquet", f"the data set has no sample {stray[0]!r}")
        if read_shard(path) is None:
            with tqdm(disable=True) as bar:
                write_shard(path, *run.collect(ids, bar))
            for id in ids if known.compact else ():
                rmtree(folder / "units" / id, ignore_errors=True)
        yield path


def write_shard(path: Path, rows: dict[str, list[dict]], index: dict[str, dict]) -> None:
    """All tables in one file: a row group each, a column `table`, then the columns of all."""
    tables = as_tables(rows)
    units = map(json.dumps, index.values())
    tables[INDEX] = pd.DataFrame({"sample": list(index), "units": list(units)})
    parts = {name: as_arrow(name, table) for name, table in tables.items() if len(table)}
    write_parts(path, parts, len(rows["errors"]))


def write_parts(path: Path, parts: dict[str, pa.Table], errors: int) -> None:
    """A shard's file from its tables by name; the columns that a table lacks are null."""
    schema = unified([part.schema for part in parts.values()])
    with moved_into(path.parent) as folder:
        file = GrowingTable(folder / path.name, schema)
        for part in parts.values():
            file.write(conform(part, schema))
        file.close({"errors": errors, "tables": list(parts)})


def as_arrow(name: str, table: pd.DataFrame) -> pa.Table:
    found = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    return found.append_column("table", pa.array([name] * len(table), pa.string()))


def unified(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of all, each of the type that holds every one's values."""
    return pa.unify_schemas(list(schemas), promote_options="permissive")


def read_shard(path: Path, wanted: Sequence[str] | None = None) -> dict[str, pa.Table] | None:
    """The wanted tables of a shard, or all, with every page verified and strings as dictionaries;
    those without a row are left out. None if the file is missing or damaged."""
    end = footer(path)
    if end is None:
        return None
    strings = names_of_strings(end.schema.to_arrow_schema())
    known = enumerate(note_of(end)["tables"])
    options = {"metadata": end, "read_dictionary": strings, "page_checksum_verification": True}
    try:
        with pq.ParquetFile(path, **options) as file:
            if wanted is None:
                return {name: file.read_row_group(k) for k, name in known}
            return {n: file.read_row_group(k, columns_of(n)) for k, n in known if n in wanted}
    except Exception:  # by the byte that is damaged, nearly anything
        return None


def columns_of(table: str) -> list[str]:
    return ["sample", "units"] if table == INDEX else TABLES[table]


def gather(folder: Path) -> None:
    """The study's tables from its shards, as a run in one process writes them.

    Shards are read one after the other and tables grow on the disk, beside those that they replace
    when all are whole: of compact shards memory does not grow with the study. InputError names the
    first shard that is not done or damaged.
    """
    folder = Path(folder)
    known = read_plan(folder)
    for part in (folder, folder / "shards"):
        sweep(part)
    with alone(folder / "units"), moved_into(folder, last="config.json") as place:
        index, rows = grow_tables(known, folder, place)
        require_samples(known.config, rows["samples"], read_whole(place / "errors.parquet"))
        summary = summary_of(place, rows["samples"])
        write_text(place / "summary.csv", summary.to_csv(index=False))
        conclude(known.config, place, index)


def grow_tables(known: Plan, folder: Path, place: Path) -> tuple[dict[str, dict], dict[str, int]]:
    """Write every table into `place`; the unit files of each sample and each table's rows."""
    before = skipped(known.config)
    schema = unified([schema_of(known, folder), before.schema])
    grown = {
        name: GrowingTable(place / f"{name}.parquet", pa.schema(fields(schema, TABLES[name])))
        for name in TABLES
    }
    grown["errors"].add(before)
    index: dict[str, dict] = {}
    for k in range(len(known.shards)):
        tables = read_shard(known.path(folder, k), [*TABLES] if known.compact else [*TABLES, INDEX])
        if tables is None:
            raise not_done(known, folder, k)
        units = tables.pop(INDEX, None)
        if units is not None:
            names, files = units["sample"].to_pylist(), units["units"].to_pylist()
            index.update(zip(names, map(parse_json, files)))
        for name, table in tables.items():
            grown[name].add(table)
    run = run_key(known.config, index)
    for name, table in grown.items():
        table.close({"run": run})
        if not table.rows:  # without rows it has no types to keep
            write_table(place / f"{name}.parquet", pd.DataFrame(columns=TABLES[name]), run=run)
    return index, {name: table.rows for name, table in grown.items()}


def fields(schema: pa.Schema, columns: Sequence[str]) -> list[pa.Field]:
    """The named columns, those without a value anywhere as nulls."""
    known = set(schema.names)
    return [schema.field(c) if c in known else pa.field(c, pa.null()) for c in columns]


def skipped(config: StudyConfig) -> pa.Table:
    """What the data set leaves out, for the errors table."""
    rows = pd.DataFrame(skipped_rows(dataset_of(config)), columns=TABLES["errors"])
    return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)


def schema_of(known: Plan, folder: Path) -> pa.Schema:
    """The columns of all shards, from their files' ends."""
    found = set()
    for k in range(len(known.shards)):
        end = footer(known.path(folder, k))
        if end is None:
            raise not_done(known, folder, k)
        found.add(end.schema.to_arrow_schema().remove_metadata())
    return unified(found)


def not_done(known: Plan, folder: Path, shard: int) -> InputError:
    return InputError(
        f"{folder}: shard {shard} is not done or damaged; `python -m xaiutils status --study "
        f"{known.config.name}` counts what is, `run` again computes the rest"
    )
