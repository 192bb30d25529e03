"""Files are data: nothing in them is run, unpickled, or taken for markup.

Archives that would leave their target are in test_fetch.py, the checks of weight files against
their hashes in test_weights.py, names and labels on the site's pages in test_site.py.
"""

import ast
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from conftest import SmallNet, frozen
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from test_figures_disagreement import FakeStudy

from xaiutils import run
from xaiutils.cli import main
from xaiutils.errors import InputError
from xaiutils.fetch import ARCHIVES
from xaiutils.figures.disagreement import vote_maps
from xaiutils.figures.photos import row_label
from xaiutils.hub_classifiers import read_state
from xaiutils.pages import to_html
from xaiutils.sections.words import as_markdown, shown
from xaiutils.store import read_unit, write_unit
from xaiutils.study import open_study
from xaiutils.weights import RESNET_SHARDS_SHA256, WEIGHTS
from xaiutils.widgets.frontend import line
from xaiutils.widgets.raster import tag

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "xaiutils").rglob("*.py"))
TAG = "<img src=x onerror=alert(1)><script>alert(2)</script>&\"'"

# ---- the package's own text

UNPICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUN = {"eval", "exec", "compile", "__import__", "execfile", "input"}
# calls that may unpickle -> the argument that forbids it
LOADERS = {"np.load": ("allow_pickle", False), "torch.load": ("weights_only", True)}
FORBIDDEN = {
    *("os.system", "os.popen", "pd.read_pickle", "yaml.load", "yaml.unsafe_load", "runpy.run_path"),
    *("torch.hub.load", "torch.jit.load", "numpy.load", "tarfile.extractall", "importlib.reload"),
}


def nodes(path: Path):
    return ast.walk(ast.parse(path.read_text(), str(path)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_package_neither_unpickles_nor_runs_text(path):
    for node in nodes(path):
        place = f"{path.name}, line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNPICKLE, place
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLE, place
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in RUN | FORBIDDEN, place
            assert not called.endswith((".extractall", ".to_pickle", ".read_pickle")), place
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if called in LOADERS:
                key, value = LOADERS[called]
                assert given.get(key) is value, f"{place}: {called} without {key}={value}"
            assert not given.get("shell"), place
            if called.endswith("Image.open"):
                assert "formats" in given, f"{place}: Pillow would start Ghostscript for PostScript"
            assert not given.get("allow_pickle") and not given.get("trust_remote_code"), place


def test_modules_are_imported_by_names_of_tables_alone():
    """`import_module` with a name that a file states would run what that name says."""
    found = {
        (path.name, ast.unparse(node.args[0]))
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module")
    }
    for _, argument in found:
        assert re.fullmatch(r"ANALYSES.*|module|f?'xaiutils[\w.{}]*'", argument), argument


def test_every_weight_and_every_downloaded_archive_has_its_hash():
    hashes = [weight.sha256 for weight in WEIGHTS.values()] + [RESNET_SHARDS_SHA256]
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in hashes)
    assert len(set(hashes)) == len(hashes)
    for archive in sum(ARCHIVES.values(), ()):
        # those without a published hash: fetched by a click, or checked for their layout alone
        assert archive.hash or archive.file in ("USIS10K.zip", "kvasir-sessile.zip")


# ---- files that would like to be run


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_a_unit_is_damage(tmp_path):
    done, path = tmp_path / "executed", tmp_path / "unit.npz"
    write_unit(path, {}, map=np.zeros(3))
    meta = np.frombuffer(b"{}", np.uint8)
    np.savez(path, meta=meta, map=np.array([Payload(done)], dtype=object))
    assert read_unit(path) is None
    path.write_bytes(pickle.dumps(Payload(done)))
    assert read_unit(path) is None
    assert not done.exists()
    pickle.loads(pickle.dumps(Payload(done)))  # it would have
    assert done.exists()


def test_a_pickle_among_weights_is_refused(tmp_path):
    done, path = tmp_path / "executed", tmp_path / "weights.pth"
    torch.save({"weight": Payload(done)}, path)
    with pytest.raises(InputError, match=r"weights\.pth: not a readable weight file"):
        read_state(path)
    path.write_bytes(pickle.dumps(Payload(done)))
    with pytest.raises(InputError, match=r"weights\.pth: not a readable weight file"):
        read_state(path)
    assert not done.exists()


CODE = "conftest.py", "sitecustomize.py", "usercustomize.py", "setup.py", "__init__.py", "numpy.py"
CODE += "torch.py", "xaiutils.py", "__main__.py", "config.py", "labels.py", "folder.pth"


def write_code(folder: Path, done: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        (folder / name).write_text(f"import pathlib; pathlib.Path({str(done)!r}).touch()\n")


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A folder of one image and code everywhere; the study folder has code as well."""
    done, root = tmp_path / "executed", tmp_path / "data"
    for folder in (root, root / "images", root / "masks", tmp_path / "studies" / "mine"):
        write_code(folder, done)
    rng = np.random.default_rng(0)
    for name in (TAG.replace("/", "∕"), "plain"):
        image = Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
        image.save(root / "images" / f"{name}.png")
        Image.fromarray(np.full((20, 30), 255, np.uint8)).save(root / "masks" / f"{name}.png")
    (root / "labels.csv").write_text(
        f'file,label\nplain.png,"{TAG.replace(chr(34), chr(34) * 2)}"\n'
    )
    monkeypatch.setenv("XAIUTILS_STUDIES", str(tmp_path / "studies"))
    model = SmallNet(classes=1000)
    toy = frozen(model, 32, model.features, classes=1000)
    monkeypatch.setattr(run, "load_classifier", lambda name, precision: toy)
    return root, done


def ran(root: Path):
    asked = ["run", "--name", "mine", "--dataset", "folder", "--root", str(root)]
    assert main([*asked, "--explainers", "gradcam", "--segmenters", "threshold"]) == 0
    return open_study("mine")


def test_code_in_the_folders_of_images_and_studies_is_not_run(hostile):
    root, done = hostile
    study = ran(root)
    assert len(study.sample_ids) == 2 and study.table("errors").empty
    assert main(["data", "check", "folder", "--root", str(root), "--full"]) == 0
    assert not done.exists()
    assert TAG in set(study.table("samples")["label"])  # the label is kept as it stands


def test_another_process_does_not_run_it_either(hostile, tmp_path):
    root, done = hostile
    ran(root)
    for command in (["list"], ["data", "check", "folder", "--root", str(root), "--full"]):
        command = [sys.executable, "-m", "xaiutils", *command]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
    assert not done.exists()


def test_a_command_that_starts_among_data_takes_no_module_from_there(hostile, tmp_path):
    """But for a file that is named as the package: Python looks for that before anything runs."""
    root, done = hostile
    names = {path.name for path in root.glob("*.py")} - {"xaiutils.py"}
    place = tmp_path / "place"
    place.mkdir()
    for name in (*names, "signal.py", "json.py", "pathlib.py", "PIL.py", "pyarrow.py"):
        (place / name).write_text(f"open({str(done)!r}, 'w')\n")
    told = subprocess.run(
        [sys.executable, "-m", "xaiutils", "list"], cwd=place, capture_output=True, text=True
    )
    assert told.returncode == 0 and "gradcam" in told.stdout, told.stderr
    assert not done.exists()
    assert "__pycache__" not in os.listdir(place)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../elsewhere"},
        {"name": "/absolute"},
        {"classifier": "os.system"},
        {"classifier": "../weights"},
        {"segmenters": ["os.system"]},
        {"explainers": ["__import__('os')"]},
        {"settings": [["lime", [["__class__", "x"]]]]},
        {"settings": [["lime", [["samples", 9], ["attribute", "x"]]]]},
        {"__class__": "x"},
        {"__post_init__": None},
    ],
    ids=str,
)
def test_a_configuration_names_what_is_known_and_nothing_else(change, hostile, tmp_path):
    root, done = hostile
    study = ran(root)
    path = study.folder / "config.json"
    stored = json.loads(path.read_text())
    stored["config"] |= change
    path.write_text(json.dumps(stored))
    with pytest.raises(InputError):
        open_study("mine")
    assert not done.exists() and sorted(os.listdir(tmp_path)) == ["data", "studies"]


def test_an_index_that_points_out_of_the_study_reads_nothing_there(hostile, tmp_path):
    """A unit is read as data wherever it lies: what is no unit is damage, and told."""
    root, done = hostile
    study = ran(root)
    path = study.folder / "units" / "index.json"
    path.write_text(json.dumps({"plain": {"explanations": {"gradcam": "../../../config.py"}}}))
    with pytest.raises(InputError, match="damaged"):
        open_study("mine").raw("plain", "gradcam")
    assert not done.exists()


# ---- names and labels are text


def is_text(html: str) -> None:
    page = BeautifulSoup(html, "html.parser")
    assert not page.select("script:-soup-contains('alert(2)'), img[onerror], [onerror]")
    assert "alert(1)" in page.get_text() or any("alert(1)" in i.get("alt", "") for i in page("img"))


def test_tables_and_widgets_show_names_as_text():
    table = pd.DataFrame({"sample": [TAG], TAG: [1.5], "n": [3]})
    is_text(shown(table).to_html())
    is_text(table._repr_html_())
    is_text(line(TAG))
    is_text(tag(np.zeros((4, 4, 3), np.uint8), TAG))


def test_pages_of_notebooks_show_names_as_text(tmp_path):
    table = pd.DataFrame({"sample": [TAG], "value": [0.5]})
    said = f"The first is {TAG}, where $x < y$.\n\n{as_markdown(table)}\n\n{TAG}\n"
    outputs = [
        new_output("display_data", {"text/markdown": said}),
        new_output("display_data", {"text/html": shown(table).to_html()}),
        new_output("display_data", {"text/plain": TAG}),
        new_output("stream", text=f"{TAG}\n"),
    ]
    cells = [new_markdown_cell(f"# A heading\n\n{TAG}"), new_code_cell(f"'{TAG}'", outputs=outputs)]
    html = to_html(new_notebook(cells=cells), "a page", tmp_path)
    is_text(html)
    page = BeautifulSoup(html, "html.parser")
    assert page.select("math") and page.select_one("h1").get_text().startswith("A heading")
    assert len(page.select("table")) == 2


@pytest.mark.parametrize("label", [r"$\foo$", "$x", "a_b^c", r"\alpha $$ {", TAG])
def test_figures_show_labels_as_text(label, monkeypatch):
    """Between dollars matplotlib would read a formula, and refuse most."""
    sample = FakeStudy.sample
    monkeypatch.setattr(
        FakeStudy,
        "sample",
        lambda self, id: SimpleNamespace(**vars(sample(self, id)) | {"label": label}),
    )
    figure = vote_maps(FakeStudy(), ["s0"])
    figure.canvas.draw()
    assert label in [ax.get_title() for ax in figure.axes]
    row_label(figure.axes[0], label)
    figure.canvas.draw()
    assert figure.axes[0].get_ylabel().replace("\n", " ")[:4] == label[:4]
    plt.close(figure)


# ---- JupyterLab


def test_make_lab_listens_on_loopback_and_asks_for_its_token():
    made = subprocess.run(
        ["make", "-n", "-o", "setup", "lab"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (command,) = [
        text for text in made.stdout.replace("\\\n", " ").splitlines() if "jupyterlab" in text
    ]
    assert "--ip=127.0.0.1" in command.split()
    for word in ("token", "password", "0.0.0.0", "allow_origin", "disable_check_xsrf"):
        assert word not in command  # Jupyter's own default: a random token at every start
    for option in command.split():
        assert not option.startswith("--ip") or option == "--ip=127.0.0.1"
