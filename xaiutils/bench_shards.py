"""What processes of one machine gain on a study in shards, and what the runner itself takes.

    python -m xaiutils.bench_shards     # minutes; writes figures/bench/shards.csv

A study of the perturbation methods on the bundled photographs, a shard a photograph, each time
from nothing and with the start of Python and the loading of models:

    one process, one thread     the measure of the others
    one process, all threads
    two processes               `executors.local(2)`, which halves the threads

`ROUNDS` rounds of the three, one after the other: medians of `seconds` and `others`, and of the
`speedup` against the first within a round, with the smallest and the largest. Then, of the demo's
settings (all nine explainers, SAM) in a process that has its models, `overhead`: the share of its
time that is not spent in explanations and evaluations (reading images, digests, writing units,
tables and shards). `others` is how many cores other programs kept busy meanwhile: where that is not
near 0 the times say little.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import psutil

from xaiutils import executors, run, shards
from xaiutils.config import StudyConfig
from xaiutils.report import output_folder, save_table

SETTINGS = (
    ("occlusion", (("stride", 16),)),
    ("kernelshap", (("samples", 128),)),
    ("lime", (("samples", 128),)),
)
ROUNDS = 3
CONFIG = StudyConfig(
    "bench",
    explainers=("occlusion", "kernelshap", "lime"),
    settings=SETTINGS,
    promptings=("dual",),
    segmenters=("threshold",),
)


def cores() -> int:
    found = getattr(os, "sched_getaffinity", None)
    return len(found(0)) if found else os.cpu_count() or 1


def clocked(work: Callable[[], object]) -> dict[str, float]:
    """Seconds of `work`, and how many cores others kept busy meanwhile."""
    start, busy, ours = time.perf_counter(), busy_seconds(), own_seconds()
    work()
    seconds = time.perf_counter() - start
    others = (busy_seconds() - busy) - (own_seconds() - ours)
    return {"seconds": seconds, "others": max(others / seconds, 0.0)}


def busy_seconds() -> float:
    """Of all cores and programs since the machine started."""
    times = psutil.cpu_times()
    return times.user + times.system + times.nice


def own_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def one_process(threads: int) -> executors.Executor:
    """A process of its own for all shards, as `executors.local` starts them."""

    def call(folder: Path, todo) -> None:
        command = [sys.executable, "-m", "xaiutils.executors", str(folder), *map(str, todo)]
        env = {**os.environ, **dict.fromkeys(executors.THREADS, str(threads))}
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)

    return call


def processes(config: StudyConfig = CONFIG, rounds: int = ROUNDS) -> list[dict]:
    """A row an executor: executor, processes, threads, shards, rounds, seconds, others, speedup,
    speedup_low, speedup_high."""
    half = max(cores() // 2, 1)
    ways = [
        ("one process, one thread", 1, 1, one_process(1)),
        ("one process, all threads", 1, cores(), one_process(cores())),
        ("two processes", 2, half, executors.local(2)),
    ]
    found = []
    for turn in range(rounds):
        for name, *_, executor in ways:
            row = {"executor": name, "round": turn, **once(config, executor)}
            found.append(row)
            print(row, flush=True)
    table = pd.DataFrame(found)
    first = table[table["executor"] == ways[0][0]].set_index("round")["seconds"]
    table["speedup"] = table["round"].map(first) / table["seconds"]
    by = table.groupby("executor")
    middle, low, high = by.median(), by["speedup"].min(), by["speedup"].max()
    return [
        {
            **{"executor": name, "processes": count, "threads": threads, "rounds": rounds},
            **middle.loc[name, ["shards", "seconds", "others", "speedup"]],
            **{"speedup_low": low[name], "speedup_high": high[name]},
        }
        for name, count, threads, _ in ways
    ]


def once(config: StudyConfig, executor: executors.Executor) -> dict[str, float]:
    """A study from nothing: shards, seconds, others."""
    with tempfile.TemporaryDirectory() as place, patch.dict(os.environ, XAIUTILS_STUDIES=place):
        folder = shards.plan(config, chunk=1)
        todo = shards.pending(folder)
        return {"shards": len(todo), **clocked(lambda: executor(folder, todo))}


class Clock:
    """Adds up the seconds of the functions that it wraps."""

    def __init__(self):
        self.seconds = 0.0

    def around(self, function):
        def timed(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def overhead() -> dict:
    """The runner's own share of a study in this process, after a first shard has loaded models."""
    clock = Clock()
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(patch.dict(os.environ, XAIUTILS_STUDIES=place))
        for owner, name in ((run.Run, "compute"), (run, "evaluate")):
            stack.enter_context(patch.object(owner, name, clock.around(getattr(owner, name))))
        folder = shards.plan(StudyConfig("bench", limit=4), chunk=1)  # as the demo
        todo = shards.pending(folder)
        steps = shards.run_shards(folder, todo)
        next(steps)
        clock.seconds = 0.0
        found = clocked(lambda: list(steps))
    row = {"executor": "sequential, models loaded", "processes": 1, "threads": cores(), "rounds": 1}
    share = 1 - clock.seconds / found["seconds"]
    return {**row, "shards": len(todo) - 1, **found, "overhead": share}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m xaiutils.bench_shards", description=__doc__)
    parser.add_argument("--folder", default="", help="default: figures/bench of the repository")
    parser.add_argument("--limit", type=int, default=12, help="photographs (12)")
    options = parser.parse_args(arguments)
    folder = output_folder("bench", options.folder)
    table = pd.DataFrame([*processes(replace(CONFIG, limit=options.limit)), overhead()])
    print(save_table(table, folder, "shards").round(3).to_string(index=False))


if __name__ == "__main__":
    main()
