"""A real SLURM of two nodes runs a study, loses jobs and a node, and the study is the same."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from slurm_cluster import Cluster, wait_for, why_not
from test_shards import same

from xaiutils import executors, shards
from xaiutils.errors import InputError
from xaiutils.study import open_study

needs_slurm = pytest.mark.skipif(bool(why_not()), reason=why_not())

IMAGES, CHUNK = 200, 20
# every Python that finds this file on its path has the toy network in place of the real one
TOY = """\
from conftest import SmallNet, frozen

from xaiutils import run

model = SmallNet(classes=1000)
toy = frozen(model, 32, model.features, classes=1000)
run.load_classifier = lambda name, precision: toy
"""


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("submitit", reason="not installed: submitit")
    with Cluster() as found:
        yield found


@pytest.fixture
def environment(cluster, tmp_path, monkeypatch):
    """That of every command: the toy network, one thread, studies in a temporary folder."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "sitecustomize.py").write_text(TOY)
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    path = [str(tmp_path / "toy"), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    changes = {"PYTHONPATH": os.pathsep.join(filter(None, path)), "OMP_NUM_THREADS": "1"}
    return {**cluster.env, "XAIUTILS_STUDIES": os.environ["XAIUTILS_STUDIES"], **changes}


def make_images(root: Path) -> None:
    """Small photographs of nothing: colour noise on which a brighter box is the object."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for i in range(IMAGES):
        rng = np.random.default_rng(i)
        image = rng.integers(0, 160, (32, 32, 3), np.uint8)
        mask = np.zeros((32, 32), np.uint8)
        y, x = rng.integers(2, 16, 2)
        mask[y : y + 12, x : x + 12] = 255
        image[mask > 0] += 90
        Image.fromarray(image).save(root / "images" / f"{i:03}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i:03}.png")


def test_more_shards_than_an_array_holds(tmp_path, monkeypatch):
    given = {}

    class Recorder:
        def __init__(self, folder, cluster):
            assert cluster == "slurm"

        def update_parameters(self, **options):
            given.update(options)

        def map_array(self, function, folders, parts):
            given["parts"] = parts
            return [SimpleNamespace(job_id="7") for _ in parts]

    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(AutoExecutor=Recorder))
    executors.slurm(array=50, cpus=2)(tmp_path, list(range(2500)))
    assert len(given["parts"]) == executors.JOBS
    assert sorted(k for part in given["parts"] for k in part) == list(range(2500))
    assert given["slurm_array_parallelism"] == 50
    assert "export OMP_NUM_THREADS=2" in given["slurm_setup"]


@needs_slurm
@pytest.mark.slow
def test_what_slurm_refuses(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", cluster.env["SLURM_CONF"])
    with pytest.raises(InputError, match="SLURM refused the jobs"):
        executors.slurm(2, partition="none")(tmp_path, [0])


@needs_slurm
@pytest.mark.slow
def test_a_study_survives_lost_jobs_and_a_lost_node(cluster, environment, tmp_path):
    make_images(tmp_path / "data")

    def call(*words: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "xaiutils", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(name: str, *more: str) -> str:
        study = ["--name", name, "--dataset", "folder", "--root", str(tmp_path / "data")]
        what = ["--explainers", "gradcam,gradcam++", "--segmenters", "threshold"]
        return call("run", *study, *what, *more)

    total = IMAGES // CHUNK
    asked = ["--executor", "slurm", "--array", "2", "--cpus", "1", "--chunk", str(CHUNK)]
    assert f"{total} jobs submitted" in run("cut", *asked)
    folder = tmp_path / "studies" / "cut"
    files = folder / "shards"

    def wait_for_shards(count: int) -> None:
        wait_for(lambda: len(list(files.glob("*.parquet"))) >= count, 400, "shards", cluster)

    wait_for_shards(1)
    waiting = cluster.jobs("PENDING")
    wait_for(lambda: cluster.jobs("RUNNING"), 60, "a running job to cancel", cluster)
    cancelled = [*cluster.jobs("RUNNING")[:1], *waiting[-2:]]
    assert len(cancelled) == 3
    cluster.ask("scancel", *cancelled)
    cluster.kill_node("n2")  # in the middle of a job
    run("whole")  # meanwhile, in one process
    wait_for(lambda: not cluster.jobs("PENDING,RUNNING,COMPLETING"), 400, "the queue", cluster)
    assert "n2 not responding, setting DOWN" in cluster.logs()  # and its job was queued again
    known = shards.status(folder)
    assert 1 <= known["shards_done"] < total
    assert f"shards done {known['shards_done']}" in call("status", "--study", "cut")
    assert "is not done or damaged" in call("gather", "--study", "cut", status=2)

    cluster.start_node("n2")
    missing = total - known["shards_done"]
    assert f"{missing} jobs submitted" in run("cut", *asked)
    wait_for_shards(total)
    assert f"samples done {IMAGES}" in call("status", "--study", "cut")
    call("gather", "--study", "cut")
    whole, cut = open_study("whole"), open_study("cut")
    assert len(cut.sample_ids) == IMAGES
    same(whole, cut)
    assert (folder / "summary.csv").read_bytes() == (whole.folder / "summary.csv").read_bytes()
    assert cut.table("samples")["target_name"].str.startswith("class").all()  # the toy's names
