"""Studies in processes that may be killed, for test_faults.

    python tests/faulty_run.py       # a line of JSON, a list of jobs, for a line with their ends

Everything is imported once; each job is a fork, so that twenty of them cost no twenty imports of
torch. Torch has one thread here: a pool of threads does not survive a fork. A job is a dictionary:

    studies   folder of the studies
    config    what is changed of `BASE`
    shards    run these shards instead of the study, gather them for []
    wait      seconds before it begins
    after     seconds until it is killed
    log       file to which a line is added for each unit before it is computed
    pause     seconds that each unit and each file take longer, so that a kill falls into one
"""

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import torch
from conftest import SmallNet, frozen

from xaiutils import run, shards, store
from xaiutils.errors import InputError
from xaiutils.study import StudyConfig, run_study

EXPLAINERS = ("gradcam", "occlusion", "lime")
BASE = StudyConfig(
    "toy",
    limit=5,
    explainers=EXPLAINERS,
    settings=(
        ("occlusion", (("window", 8), ("stride", 8))),
        ("lime", (("samples", 40), ("superpixels", 9))),
    ),
    promptings=("dual",),
    segmenters=("threshold",),
)


def toy_classifier():
    model = SmallNet(classes=1000)
    return frozen(model, 32, model.features, classes=1000)


def watched(job: dict) -> None:
    """Every computed unit leaves a line; units and files take `pause` longer."""
    log = os.open(job["log"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    pause = job.get("pause", 0)
    compute, evaluate, write = run.Run.compute, run.evaluate, store._replace

    def note(id: str, name: str) -> None:
        os.write(log, f"{id} {name}\n".encode())
        time.sleep(pause)

    def computing(self, query, explainer, id):
        note(id, explainer.name)
        return compute(self, query, explainer, id)

    def evaluating(sample, *rest):
        note(sample.id, "evaluation")
        return evaluate(sample, *rest)

    def writing(path: Path, save) -> None:
        write(path, lambda stream: (save(stream), stream.flush(), time.sleep(pause / 5)))

    run.Run.compute, run.evaluate, store._replace = computing, evaluating, writing


def do(job: dict) -> None:
    os.environ["XAIUTILS_STUDIES"] = job["studies"]
    config = replace(BASE, **{k: tuples(v) for k, v in job.get("config", {}).items()})
    watched(job)
    time.sleep(job.get("wait", 0))
    folder = Path(job["studies"]) / config.name
    if "shards" not in job:
        run_study(config, progress=False)
    elif job["shards"]:
        list(shards.run_shards(folder, job["shards"]))
    else:
        shards.gather(folder)


def tuples(value):
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def fork(job: dict) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        do(job)
        status = 0
    except InputError as error:
        print(error, file=sys.stderr)
        status = 2
    finally:
        os._exit(status)


def together(jobs: list[dict]) -> list[int]:
    """Start all, kill those that are to be killed, wait: exit statuses, -9 for a killed one."""
    start = time.monotonic()
    pids = [fork(job) for job in jobs]
    timed = sorted((job["after"], pid) for job, pid in zip(jobs, pids) if "after" in job)
    for after, pid in timed:
        time.sleep(max(start + after - time.monotonic(), 0))
        os.kill(pid, signal.SIGKILL)  # not waited for yet: the number is still its own
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    TOY = toy_classifier()
    run.load_classifier = lambda name, precision: TOY
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(together(json.loads(line))), flush=True)
