"""Who runs the shards of a study: this process, several of this machine, or a cluster.

An executor is called with a study's folder and the shards to run (`xaiutils.shards`) and returns
when they are done or, on a cluster, when they are handed over. What counts afterwards is which
files are there, not what an executor says.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shlex import quote

from tqdm.auto import tqdm

from xaiutils.errors import InputError
from xaiutils.shards import run_shards

Executor = Callable[[Path, Sequence[int]], None]
JOBS = 1000  # of an array: SLURM's MaxArraySize is 1001 where a cluster does not say otherwise
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
PACKAGE = str(Path(__file__).resolve().parents[1])


def sequential(folder: Path, shards: Sequence[int]) -> None:
    """One shard after the other, here."""
    total = len(shards)
    for _ in tqdm(run_shards(folder, shards), folder.name, total, unit="shard", delay=2):
        pass


def local(workers: int) -> Executor:
    """Processes of this machine, which share its cores: each gets cores / workers threads.

    Fewer threads add in another order: a map moves in its last digits, and what is measured of it
    by 0.02 at most (one bin of Otsu's histogram) in our tests.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}: at least 1 is needed")

    def run(folder: Path, shards: Sequence[int]) -> None:
        parts = [list(shards[k::workers]) for k in range(min(workers, len(shards)))]
        with ThreadPoolExecutor(workers) as pool:
            status = list(pool.map(lambda part: _apart(folder, part, workers), parts))
        failed = [f"{s}" for s in status if s]
        if failed:
            raise InputError(
                f"{folder}: {len(failed)} of {len(parts)} processes failed (exit status "
                f"{', '.join(failed)}; see above); what they finished is kept, run again"
            )

    return run


def environment(threads: int) -> dict[str, str]:
    """Of a process that runs shards: its threads, and this package rather than what lies in the
    folder where it is started, which may be one of data with a numpy.py in it."""
    found = dict.fromkeys(THREADS, str(threads)) | {"PYTHONSAFEPATH": "1"}
    paths = [PACKAGE, os.environ.get("PYTHONPATH", "")]
    return found | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _apart(folder: Path, shards: list[int], workers: int) -> int:
    """A process for some shards: its models are loaded once. Its exit status."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    threads = max((len(cores) or os.cpu_count() or 1) // workers, 1)
    env = {**os.environ, **environment(threads)}
    command = [sys.executable, "-m", "xaiutils.executors", str(folder), *map(str, shards)]
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL).returncode


def slurm(array: int, cpus: int = 4, gpus: int = 0, minutes: int = 720, partition: str = ""):
    """A job array of SLURM through submitit; at most `array` jobs run at a time.

    A job takes one shard; beyond `JOBS` shards, several one after the other, so that `minutes` is
    for all of them. Logs lie in the study's folder. A job whose node fails is queued again by
    SLURM; one that is cancelled or out of time leaves shards undone, and `run` again submits them.
    InputError without submitit or SLURM's commands, or if SLURM refuses the job.
    """
    try:
        import submitit
    except ImportError as error:
        raise InputError("SLURM needs submitit: pip install 'xaiutils[slurm]'") from error

    def run(folder: Path, shards: Sequence[int]) -> None:
        try:
            executor = submitit.AutoExecutor(folder=folder / "slurm", cluster="slurm")
        except RuntimeError as error:  # no srun on the PATH
            raise InputError(
                f"no SLURM here ({error}): submit from a node of the cluster"
            ) from error
        executor.update_parameters(
            name=folder.name,
            timeout_min=minutes,
            cpus_per_task=cpus,
            slurm_array_parallelism=array,
            slurm_setup=[f"export {n}={quote(v)}" for n, v in environment(cpus).items()],
            slurm_additional_parameters={"requeue": True},
            **({"gpus_per_node": gpus} if gpus else {}),
            **({"slurm_partition": partition} if partition else {}),
        )
        parts = [list(shards[k::JOBS]) for k in range(min(JOBS, len(shards)))]
        try:
            jobs = executor.map_array(run_all, [folder] * len(parts), parts)
        except submitit.core.utils.FailedJobError as error:
            raise InputError(f"{folder}: SLURM refused the jobs: {error}") from error
        print(f"{len(jobs)} jobs submitted, the first is {jobs[0].job_id}", flush=True)

    return run


def run_all(folder: Path, shards: Sequence[int]) -> list[str]:
    """What a job does: the names of the files that are whole afterwards."""
    return [path.name for path in run_shards(folder, shards)]


if __name__ == "__main__":
    for path in run_shards(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]]):
        print(path.name, flush=True)
