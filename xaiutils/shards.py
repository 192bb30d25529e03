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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from xaiutils.config import EVALUATION_SCHEMA, SCHEMA, TABLES, StudyConfig, studies_dir
from xaiutils.errors import InputError
from xaiutils.run import Run, as_tables, dataset_of, finish, skipped_rows, write_config
from xaiutils.store import digest, read_arrow, read_whole, write_table

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
    """plan.parquet (shard, sample), then plan.json with the configuration."""
    shards = pd.Series(range(len(ids))) // chunk
    write_table(folder / "plan.parquet", pd.DataFrame({"shard": shards, "sample": list(ids)}))
    write_config(folder / "plan.json", config, compact=compact)


def read_plan(folder: Path) -> Plan:
    """The plan in a study's folder; InputError without one, or one of another version."""
    from xaiutils.study import read_config

    path = Path(folder) / "plan.json"
    if not path.exists():
        raise InputError(f"{path}: not found; `run --executor ...` plans a study first")
    table = read_whole(Path(folder) / "plan.parquet")
    shards = tuple(tuple(part) for _, part in table.groupby("shard", sort=True)["sample"])
    return Plan(read_config(path), json.loads(path.read_text())["compact"], shards)


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
        "errors": sum(json.loads(end.metadata[b"xaiutils"])["errors"] for end in done.values()),
    }


def footer(path: Path) -> pq.FileMetaData | None:
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        return None


def run_shard(folder: Path, shard: int) -> Path:
    """Compute the samples of one shard, unless its file is whole already: the file's path."""
    return next(run_shards(folder, [shard]))


def run_shards(folder: Path, shards: Sequence[int]) -> Iterator[Path]:
    """The same of several, each yielded when it is written; the models are loaded once."""
    known, folder = read_plan(folder), Path(folder)
    run = Run(known.config, folder, dataset_of(known.config))
    for shard in shards:
        if not 0 <= shard < len(known.shards):
            raise InputError(f"shard {shard} is outside 0..{len(known.shards) - 1} of {folder}")
        path, ids = known.path(folder, shard), known.shards[shard]
        if read_shard(path) is None:
            with tqdm(disable=True) as bar:
                write_shard(path, *run.collect(ids, bar))
            for id in ids if known.compact else ():
                rmtree(folder / "units" / id, ignore_errors=True)
        yield path


def write_shard(path: Path, rows: dict[str, list[dict]], index: dict[str, dict]) -> None:
    """All tables in one file: a column `table`, then the columns of all; absent ones are null."""
    tables = as_tables(rows)
    units = map(json.dumps, index.values())
    tables[INDEX] = pd.DataFrame({"sample": list(index), "units": list(units)})
    parts = [as_arrow(name, table) for name, table in tables.items() if len(table)]
    whole = pa.concat_tables(parts, promote_options="permissive")
    note = json.dumps({"errors": len(rows["errors"])}).encode()
    write_table(path, whole.replace_schema_metadata({b"xaiutils": note}))


def as_arrow(name: str, table: pd.DataFrame) -> pa.Table:
    found = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    return found.append_column("table", pa.array([name] * len(table), pa.string()))


def read_shard(path: Path) -> pa.Table | None:
    """The file of a shard with every page verified; None if it is missing or damaged."""
    try:
        return read_arrow(path)
    except InputError:
        return None


def table_of(whole: pa.Table, name: str) -> pa.Table:
    """One table of a shard, with its own columns."""
    columns = ["sample", "units"] if name == INDEX else TABLES[name]
    if not set(columns) <= set(whole.column_names):  # a shard without a row of it
        return pa.table({column: pa.nulls(0) for column in columns})
    return whole.filter(pc.equal(whole["table"], name)).select(columns)


def shard_tables(folder: Path, names: list[str]) -> Iterator[dict[str, pa.Table]]:
    """The named tables of each shard in order; InputError names what is not done."""
    known = read_plan(folder)
    for k in range(len(known.shards)):
        whole = read_shard(known.path(folder, k))
        if whole is None:
            raise InputError(
                f"{folder}: shard {k} is not done or damaged; `python -m xaiutils status --study "
                f"{known.config.name}` lists what is missing, `run` again computes it"
            )
        yield {name: table_of(whole, name) for name in names}


def gather(folder: Path) -> None:
    """The study's tables from its shards, as a run in one process writes them."""
    known = read_plan(folder)
    parts = list(shard_tables(folder, [*TABLES, INDEX]))
    joined = {name: pa.concat_tables([part[name] for part in parts], promote_options="permissive")
              for name in [*TABLES, INDEX]}  # fmt: skip
    units = joined.pop(INDEX).to_pydict()
    index = {} if known.compact else dict(zip(units["sample"], map(json.loads, units["units"])))
    tables = {name: as_frame(table) for name, table in joined.items()}
    before = pd.DataFrame(skipped_rows(dataset_of(known.config)), columns=TABLES["errors"])
    if len(before):
        tables["errors"] = pd.concat([before, tables["errors"]], ignore_index=True)
    finish(known.config, Path(folder), index, tables)


def as_frame(table: pa.Table) -> pd.DataFrame:
    """As pandas; an empty table has no types to keep."""
    return table.to_pandas() if len(table) else pd.DataFrame(columns=table.column_names)
