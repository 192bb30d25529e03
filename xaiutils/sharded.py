"""The command line of studies in shards: `run --executor ...`, `status`, `gather`."""

import argparse
from pathlib import Path

from xaiutils.errors import InputError

EXECUTORS = ("sequential", "local", "slurm")


def add_options(run: argparse.ArgumentParser) -> None:
    """What `run` takes beside the study's own options."""
    group = run.add_argument_group(
        "shards", "with --executor the study is cut into shards that processes or a cluster share"
    )
    group.add_argument("--executor", choices=EXECUTORS, help="who runs the shards")
    group.add_argument("--chunk", type=int, default=50, help="samples a shard (50)")
    group.add_argument("--compact", action="store_true", help="keep tables only, one file a shard")
    group.add_argument("--workers", type=int, default=2, help="processes of `local` (2)")
    group.add_argument("--array", type=int, default=100, help="jobs at a time of `slurm` (100)")
    group.add_argument("--cpus", type=int, default=4, help="processors a job (4)")
    group.add_argument("--gpus", type=int, default=0, help="GPUs a job (0)")
    group.add_argument("--minutes", type=int, default=720, help="time limit of a job (720)")
    group.add_argument("--partition", default="", help="SLURM's partition")


def add_commands(commands) -> None:
    status = commands.add_parser("status", help="how much of a study in shards is done")
    status.add_argument("--study", required=True)
    status.set_defaults(command=show_status)
    gather = commands.add_parser("gather", help="the tables of a study from its finished shards")
    gather.add_argument("--study", required=True)
    gather.set_defaults(command=gather_shards)


def run_sharded(config, args: argparse.Namespace) -> int:
    """Plan, hand over what is missing, and gather where the executor waits for its shards."""
    from xaiutils import executors, shards

    executor = {
        "sequential": lambda: executors.sequential,
        "local": lambda: executors.local(args.workers),
        "slurm": lambda: executors.slurm(
            args.array, args.cpus, args.gpus, args.minutes, args.partition
        ),
    }[args.executor]()
    folder = shards.plan(config, args.chunk, args.compact)
    todo = shards.pending(folder)
    print(f"{config.name}: {len(todo)} shards to run")
    if todo:
        executor(folder, todo)
    if args.executor == "slurm":
        print(f"python -m xaiutils status --study {config.name}; then gather --study {config.name}")
        return 0
    shards.gather(folder)
    print(f"{config.name}: tables in {folder}")
    return 0


def folder_of(study: str) -> Path:
    from xaiutils.config import studies_dir

    folder = studies_dir() / study
    if not (folder / "plan.json").exists():
        raise InputError(f"study {study!r} has no shards: {folder / 'plan.json'} is not there")
    return folder


def show_status(args: argparse.Namespace) -> int:
    from xaiutils.shards import status

    for name, count in status(folder_of(args.study)).items():
        print(f"{name.replace('_', ' '):>13} {count}")
    return 0


def gather_shards(args: argparse.Namespace) -> int:
    from xaiutils.shards import gather

    folder = folder_of(args.study)
    gather(folder)
    print(f"{args.study}: tables in {folder}")
    return 0
