"""Tiny notebooks, each with one way to succeed or to fail, in real kernels."""

import base64
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from xaiutils import batch
from xaiutils.batch import (
    Outcome,
    check_artefact,
    check_cells,
    find_notebooks,
    run_notebook,
    run_notebooks,
    summary,
)
from xaiutils.errors import InputError
from xaiutils.pages import remote_sources, to_html
from xaiutils.report import save_figure, save_table

PARAMETERS = 'study: str = "demo"\nfigures: str = ""\nrows: int = 2'
DRAW = """
import matplotlib.pyplot as plt
import pandas as pd
from xaiutils.report import output_folder, save_figure, save_table

folder = output_folder(study, figures)
fig, ax = plt.subplots(figsize=(2, 1))
ax.plot([0, 1], [0, 1])
save_figure(fig, folder, "line")
"""
TABLE = 'save_table(pd.DataFrame({"study": [study] * rows}), folder, "rows")'
MANIFEST = {"figures": ["line"], "tables": ["rows"]}


def write(folder: Path, name: str, *code: str, manifest: dict | None = None) -> Path:
    """A notebook with a parameters cell, stored without outputs."""
    first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell(r"# Title with $\frac{a}{b}$"), first, *map(new_code_cell, code)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": spec, "xaiutils": manifest or {}}
    path = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.fixture
def out(tmp_path) -> Path:
    folder = tmp_path / "figures"
    folder.mkdir()
    return folder


def run(notebook: Path, out: Path, timeout: float = 120, **parameters) -> Outcome:
    return run_notebook(notebook, out, {"study": "s", "figures": str(out), **parameters}, timeout)


def kernels_below(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


# ---- real kernels


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A notebook that does all it declares, run once under a hostile user configuration."""
    folder = tmp_path_factory.mktemp("good")
    home = folder / "home"
    spec = home / ".local" / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    startup = home / ".ipython" / "profile_default" / "startup" / "00.py"
    for path, text in (
        (spec, '{"argv": ["/bin/false"], "display_name": "other", "language": "python"}'),
        (startup, "raise SystemExit('the user profile was read')"),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    out = folder / "out"
    out.mkdir()
    check = "import sys\nprint(sys.executable)"
    notebook = write(folder, "good", DRAW, TABLE, check, manifest=MANIFEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "0")  # the user's kernels before this one's
        patch.setenv("JUPYTER_PATH", str(home / ".local" / "share" / "jupyter"))
        patch.setenv("MPLBACKEND", "Agg")
        outcome = run(notebook, out, rows=3)
    return outcome, out


def test_a_good_notebook_leaves_all_it_declares(good):
    outcome, out = good
    assert outcome.reason == ""
    assert 0 < outcome.seconds < 120
    assert pd.read_csv(out / "rows.csv")["study"].tolist() == ["s"] * 3
    names = {"good.html", "good.log", "line.pdf", "line.png", "notebooks", "rows.csv"}
    assert {path.name for path in out.iterdir()} == names


def test_the_kernel_is_this_interpreters(good):
    _, out = good
    notebook = nbformat.read(out / "notebooks" / "good.ipynb", as_version=4)
    printed = [o.text for cell in notebook.cells for o in cell.get("outputs", []) if "text" in o]
    assert Path(printed[-1].strip()) == Path(sys.executable)


def test_each_figure_is_shown_once(good):
    _, out = good
    notebook = nbformat.read(out / "notebooks" / "good.ipynb", as_version=4)
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 1


def test_the_page_is_self_contained(good):
    _, out = good
    html = (out / "good.html").read_text()
    assert remote_sources(html) == []
    soup = BeautifulSoup(html, "html.parser")
    assert [image["src"][:22] for image in soup.select("img")] == ["data:image/png;base64,"]
    assert soup.select_one("h1 mfrac") is not None
    assert soup.title.text == "good"


def test_results_do_not_tell_where_they_were_computed(good):
    _, out = good
    notebook = nbformat.read(out / "notebooks" / "good.ipynb", as_version=4)
    assert notebook.metadata.papermill.input_path == "good.ipynb"
    assert notebook.metadata.papermill.output_path == "good.ipynb"


def test_an_error_is_told_and_what_was_written_is_kept(tmp_path, out):
    notebook = write(tmp_path, "raises", DRAW, "1 / 0", TABLE, manifest=MANIFEST)
    outcome = run(notebook, out)
    # the parameters, papermill's injected parameters, the figure, and then the division
    assert outcome.reason == "In [4]: ZeroDivisionError: division by zero"
    assert check_artefact(out / "line.png") == check_artefact(out / "line.pdf") == ""
    assert not (out / "rows.csv").exists()
    assert "ZeroDivisionError" in (out / "raises.html").read_text()


def test_a_killed_kernel_is_told(tmp_path, out):
    notebook = write(tmp_path, "dies", "import os", "os._exit(1)", "print('never')")
    outcome = run(notebook, out)
    assert outcome.reason.startswith("the kernel died")
    assert outcome.seconds < 60
    kept = nbformat.read(out / "notebooks" / "dies.ipynb", as_version=4)
    assert [cell.execution_count for cell in kept.cells[1:4]] == [1, 2, 3]


def test_a_time_out_stops_the_kernel_at_once(tmp_path, out):
    marker = tmp_path / "pid"
    code = f"import os, time\nopen({str(marker)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    start = time.monotonic()
    outcome = run(write(tmp_path, "sleeps", code), out, timeout=15)
    assert outcome.reason == "stopped after the time limit of 15 s"
    assert time.monotonic() - start < 27
    assert not psutil.pid_exists(int(marker.read_text()))
    assert kernels_below(os.getpid()) == []
    assert (out / "notebooks" / "sleeps.ipynb").exists()


def test_a_missing_figure_is_told(tmp_path, out):
    notebook = write(tmp_path, "forgets", "x = 1", manifest={"figures": ["line"]})
    outcome = run(notebook, out)
    assert outcome.reason == "line.png, which its metadata names, was not written"


@pytest.mark.slow
def test_one_failure_costs_the_other_notebooks_nothing(tmp_path, out, monkeypatch, capsys):
    monkeypatch.setattr(batch, "run_study_apart", lambda study: Outcome(f"study {study}", 1.0))
    notebooks = [
        write(tmp_path, "01_bad", "raise ValueError('no\\nsecond line')"),
        write(tmp_path, "02_good", DRAW, TABLE, manifest=MANIFEST),
    ]
    outcomes = run_notebooks("s", notebooks, out)
    assert [outcome.reason for outcome in outcomes] == ["", "In [3]: ValueError: no", ""]
    assert "02_good" in capsys.readouterr().out.split("seconds  status")[1]


@pytest.mark.slow
def test_plain_papermill_works_from_any_folder(tmp_path):
    notebook = write(tmp_path, "plain", DRAW, TABLE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-m", "papermill", str(notebook), "out.ipynb"]
    command += ["-p", "study", "demo", "-p", "figures", str(tmp_path / "drawn")]
    subprocess.run(command, cwd=elsewhere, check=True, capture_output=True)
    assert check_artefact(tmp_path / "drawn" / "rows.csv") == ""
    assert check_cells(nbformat.read(elsewhere / "out.ipynb", as_version=4)) == ""


# ---- before anything runs


def test_a_mistyped_parameter_is_refused_before_anything_runs(tmp_path, out, monkeypatch):
    def run_study_apart(study):
        raise AssertionError("something ran")

    monkeypatch.setattr(batch, "run_study_apart", run_study_apart)
    notebook = write(tmp_path, "any", "x = 1")
    with pytest.raises(InputError, match=r"any.ipynb has no parameter 'rwos'; .*study, figures"):
        run_notebooks("s", [notebook], out, parameters={"rwos": 1})


def test_a_notebook_that_cannot_be_read_is_refused(tmp_path, out):
    (tmp_path / "broken.ipynb").write_text("{")
    for name in ("broken.ipynb", "absent.ipynb"):
        with pytest.raises(InputError, match=name):
            run_notebooks("s", [tmp_path / name], out)


def test_a_failed_study_leaves_the_notebooks_alone(tmp_path, out, monkeypatch, capsys):
    monkeypatch.setattr(batch, "run_study_apart", lambda s: Outcome(f"study {s}", 1.0, "why"))
    outcomes = run_notebooks("s", [write(tmp_path, "any", "x = 1")], out)
    assert [outcome.name for outcome in outcomes] == ["study s"]


def test_find_notebooks_by_beginning(tmp_path):
    for name in ("02_b", "01_a", "03_c"):
        write(tmp_path, name)
    stems = [path.stem for path in find_notebooks(["03", "01_a"], tmp_path)]
    assert stems == ["01_a", "03_c"]
    assert len(find_notebooks(None, tmp_path)) == 3
    with pytest.raises(InputError, match=r"begins with '4': choose from 01_a, 02_b, 03_c"):
        find_notebooks(["01", "4"], tmp_path)
    with pytest.raises(InputError, match="no notebooks"):
        find_notebooks(None, tmp_path / "nowhere")


# ---- checks without a kernel


def artefact(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_damaged_artefacts_are_refused(tmp_path):
    fig = plt.figure(figsize=(1, 1))
    save_figure(fig, tmp_path, "f")
    plt.close(fig)
    save_table(pd.DataFrame({"a": [1]}), tmp_path, "t")
    for name in ("f.png", "f.pdf", "t.csv"):
        assert check_artefact(tmp_path / name) == ""
        stamp = batch._stamp(tmp_path / name)
        assert "earlier run" in check_artefact(tmp_path / name, stamp)
    png, pdf = (tmp_path / "f.png").read_bytes(), (tmp_path / "f.pdf").read_bytes()
    for name, data in (
        ("cut.png", png[: len(png) // 2]),
        ("text.png", b"not a picture"),
        ("other.pdf", png),
        ("cut.pdf", pdf[: len(pdf) // 2]),
        ("header.csv", b"a,b\n"),
        ("empty.csv", b""),
        ("binary.csv", b"a,b\n\xff\xfe\n"),
    ):
        assert f"{name} is damaged" in check_artefact(artefact(tmp_path, name, data))


def test_cells_must_have_been_executed_without_an_error():
    cell = new_code_cell("x = 1\ny = 2", execution_count=1)
    empty, skipped = new_code_cell(""), new_code_cell("z = 3\nw = 4")
    failed = new_code_cell("f()", execution_count=7)
    failed.outputs = [new_output("error", ename="KeyError", evalue="'a'\nmore", traceback=[])]
    assert check_cells(new_notebook(cells=[cell, empty])) == ""
    assert check_cells(new_notebook(cells=[cell, skipped])) == "a cell was not executed: z = 3"
    assert check_cells(new_notebook(cells=[cell, skipped, failed])) == "In [7]: KeyError: 'a'"


def test_remote_sources_are_found():
    page = """<style>a {background: url("https://h/i.png")} @import 'https://h/s.css';
    b {background: url(data:image/png;base64,xx); fill: url(#f)}</style>
    <script src="https://h/x.js"></script><link href="//h/y.css"><img src="data:image/png,x">
    <script type="module">import m from 'https://h/m.mjs'</script>
    <a href="https://h/read">a link is only followed by a click</a>
    <svg xmlns="http://www.w3.org/2000/svg"></svg><img src="local.png">"""
    assert set(remote_sources(page)) == {
        "https://h/i.png",
        "https://h/s.css",
        "https://h/x.js",
        "//h/y.css",
        "https://h/m.mjs",
        "local.png",
    }


def test_a_page_shows_formulas_and_a_widgets_text_without_scripts(tmp_path):
    bar = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "50 % done"}
    cell = new_code_cell("bar", outputs=[new_output("display_data", data=bar)])
    text = new_markdown_cell("$w_k$ then\n\n$$\\sum_k w_k = 1$$\n\nand `$HOME` stays")
    notebook = new_notebook(cells=[text, cell], metadata={"widgets": {"x": {"state": {}}}})
    soup = BeautifulSoup(to_html(notebook, "title", tmp_path), "html.parser")
    assert [tag["display"] for tag in soup.select("math")] == ["inline", "block"]
    assert soup.select_one("code").text == "$HOME"
    assert "50 % done" in soup.text
    assert soup.select("script") == []
    assert "widgets" in notebook.metadata  # the caller's notebook is not changed


def test_the_summary_is_a_table():
    lines = summary([Outcome("01_a", 12.34), Outcome("02_long", 1.0, "why")]).splitlines()
    assert lines == [
        "notebook  seconds  status",
        "01_a        12.3  done",
        "02_long      1.0  why",
    ]


def test_large_pictures_become_jpeg_in_pages_and_drawings_stay_png():
    def output(pixels):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        data = {"image/png": base64.b64encode(stream.getvalue()).decode()}
        return new_output("display_data", data=data)

    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    flat = np.full((400, 400, 3), 200, np.uint8)
    cell = new_code_cell("", outputs=[output(noise), output(flat)], execution_count=1)
    notebook = new_notebook(cells=[cell])
    soup = BeautifulSoup(to_html(notebook, "page", Path()), "html.parser")
    kinds = [image["src"][:15] for image in soup.select("img")]
    assert kinds == ["data:image/jpeg", "data:image/png;"]
    assert "image/png" in cell.outputs[0].data  # the notebook itself keeps its PNG


def test_a_figures_caption_is_its_alt_text():
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    data = {"image/png": base64.b64encode(stream.getvalue()).decode()}
    drawn = new_code_cell("", outputs=[new_output("display_data", data)], execution_count=1)
    caption = new_markdown_cell(
        '*Figure 2: maps of a "koala", a row each.*\n\n**Notice** the dots.'
    )
    notebook = new_notebook(cells=[drawn, new_code_cell("1"), caption])
    image = BeautifulSoup(to_html(notebook, "page", Path()), "html.parser").select_one("img")
    assert image["alt"] == 'Figure 2: maps of a "koala", a row each.'
    assert "alt" not in drawn.metadata
