"""Notebooks headless: the study first, then each notebook with papermill in a process of its own.

A notebook has succeeded when papermill has, every code cell was executed without an error, and
every artefact that its metadata names (`{"xaiutils": {"figures": [...], "tables": [...]}}`) was
written by this run and is whole. One that fails costs the others nothing, and what it had written
stays: the executed notebook, its page, figures and a log.

The kernel is this interpreter's, whatever other `python3` kernels the user has installed, and
neither the user's site-packages nor their IPython profile are read.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill
import psutil
from ipykernel.kernelspec import write_kernel_spec
from PIL import Image

from xaiutils.errors import InputError
from xaiutils.pages import remote_sources, to_html
from xaiutils.report import output_folder

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TIMEOUT = 1800.0  # seconds a notebook; they draw, the study before them computes
TOGETHER = 2  # notebooks at a time; each is one busy thread and about 1.5 GB
SUFFIXES = {"figures": (".png", ".pdf"), "tables": (".csv",)}


@dataclass(frozen=True)
class Outcome:
    """How a notebook (or the study before them) went; reason is empty for success."""

    name: str
    seconds: float
    reason: str = ""


def run_notebooks(
    study: str,
    notebooks: list[Path] | None = None,
    figures: str | Path | None = None,
    timeout: float = TIMEOUT,
    parameters: dict[str, object] | None = None,
) -> list[Outcome]:
    """Run the study, then each notebook (default: all), and print a summary.

    figures: the output folder, default figures/<study>. timeout: seconds a notebook. parameters:
    more of the notebooks' parameters. A parameter that a notebook does not have, a missing
    notebook and an unusable folder raise InputError before anything runs.
    """
    notebooks = find_notebooks() if notebooks is None else notebooks
    folder = output_folder(study, figures or "")
    given = {"study": study, **(parameters or {})}
    if figures:  # the default stays unwritten: a page should not name a folder of this machine
        given["figures"] = str(folder)
    for notebook in notebooks:
        check_parameters(notebook, given)
    outcomes = [run_study_apart(study)]
    if not outcomes[0].reason:
        with ThreadPoolExecutor(TOGETHER) as pool:  # each waits for a process of its own
            running = [
                pool.submit(run_notebook, each, folder, given, timeout) for each in notebooks
            ]
        outcomes += [each.result() for each in running]
    print(f"\n{summary(outcomes)}\n\n{folder}", flush=True)
    return outcomes


def find_notebooks(wanted: list[str] | None = None, folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks of a folder, in order; `wanted` are names or beginnings ("01")."""
    found = sorted(folder.glob("*.ipynb"))
    if not found:
        raise InputError(f"{folder}: no notebooks there")
    for each in wanted or []:
        if not any(path.stem.startswith(each) for path in found):
            names = ", ".join(path.stem for path in found)
            raise InputError(f"no notebook begins with {each!r}: choose from {names}")
    return [path for path in found if wanted is None or path.stem.startswith(tuple(wanted))]


def check_parameters(notebook: Path, parameters: dict[str, object]) -> None:
    """Raise InputError for a parameter that the notebook's parameters cell does not have.

    papermill itself only warns, and the notebook then runs with its defaults.
    """
    try:
        known = papermill.inspect_notebook(str(notebook))
    except (OSError, ValueError) as error:
        raise InputError(f"{notebook}: not a readable notebook ({error})") from error
    for name in parameters:
        if name not in known:
            names = ", ".join(known) or "none"
            raise InputError(f"{notebook.name} has no parameter {name!r}; its parameters: {names}")


def run_study_apart(study: str) -> Outcome:
    """The study in a process of its own, so that its memory is free before the notebooks run."""
    print(f"study {study}: running", flush=True)
    start = time.monotonic()
    status = _wait([sys.executable, "-m", "xaiutils", "run", "--study", study])
    reason = f"the study failed ({_status(status)}); see above" if status else ""
    return Outcome(f"study {study}", time.monotonic() - start, reason)


def run_notebook(
    notebook: Path, folder: Path, parameters: dict[str, object], timeout: float = TIMEOUT
) -> Outcome:
    """One notebook: <folder>/notebooks/<name>.ipynb and <folder>/<name>.html, and what it draws."""
    print(f"{notebook.stem}: running", flush=True)
    start = time.monotonic()
    executed = folder / "notebooks" / notebook.name
    executed.parent.mkdir(exist_ok=True)
    executed.unlink(missing_ok=True)  # what an earlier run left must not pass for this one's
    before = {path: _stamp(path) for path in declared(notebook, folder)}
    status, said = _papermill(notebook, executed, parameters, timeout)
    reasons = [_stopped(status, said, timeout), *_outcome(notebook, executed, before)]
    reason = next((each for each in reasons if each), "")
    seconds = time.monotonic() - start
    print(f"{notebook.stem}: {seconds:.0f} s, {reason or 'done'}", flush=True)
    return Outcome(notebook.stem, seconds, reason)


def declared(notebook: Path, folder: Path) -> list[Path]:
    """The files that the notebook's metadata says it writes."""
    manifest = nbformat.read(notebook, as_version=4).metadata.get("xaiutils", {})
    return [
        folder / f"{name}{suffix}"
        for kind, suffixes in SUFFIXES.items()
        for name in manifest.get(kind, [])
        for suffix in suffixes
    ]


def _papermill(notebook: Path, executed: Path, parameters: dict, timeout: float):
    """(exit status, None after the time limit; what papermill said). See the end of this file."""
    arguments = {
        "input_path": str(notebook.absolute()),
        "output_path": str(executed),
        "parameters": parameters,
        "cwd": str(notebook.absolute().parent),  # where JupyterLab runs it
        "kernel_name": "python3",
        "progress_bar": False,
        "start_timeout": 180,
        "iopub_timeout": 60,  # the default of 4 s fails on a busy machine
    }
    command = [sys.executable, "-m", "xaiutils.batch", json.dumps(arguments)]
    log = executed.parent.parent / f"{notebook.stem}.log"
    with tempfile.TemporaryDirectory() as private, log.open("w", encoding="utf-8") as stream:
        env = _environment(Path(private))
        status = _wait(command, timeout, env=env, stdout=stream, stderr=subprocess.STDOUT)
    return status, log.read_text(encoding="utf-8", errors="replace")


def _environment(private: Path) -> dict[str, str]:
    """Variables under which `python3` is this interpreter's kernel and figures show inline."""
    write_kernel_spec(private / "kernels" / "python3")
    env = {**os.environ, "PYTHONNOUSERSITE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    env["JUPYTER_PATH"] = os.pathsep.join([str(private), *filter(None, [env.get("JUPYTER_PATH")])])
    env["IPYTHONDIR"] = str(private / "ipython")
    env["XAIUTILS_HEADLESS"] = "1"  # interactive cells show their static figure
    env.pop("MPLBACKEND", None)  # the kernel chooses inline, unless something else is set
    return env


def _wait(command: list[str], timeout: float | None = None, **options) -> int | None:
    """Exit status of a process, None if it outlived the limit; nothing that it started is left."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **options) as process:
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                kill_tree(process.pid)


def kill_tree(pid: int) -> None:
    """End a process and all that it started (a kernel leads a session of its own), and wait."""
    try:
        parent = psutil.Process(pid)
        tree = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(tree[1:], timeout=10)  # the first is waited for by its parent


def _stopped(status: int | None, said: str, timeout: float) -> str:
    """Why papermill did not end by itself or could not go on; cell errors are told elsewhere."""
    if status is None:
        return f"stopped after the time limit of {timeout:g} s"
    if status == 0 or "PapermillExecutionError" in said:
        return ""
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "nothing said")
    if "DeadKernelError" in said:
        last = "the kernel died (killed, out of memory, or a crash in compiled code)"
    return f"{last[:300]} ({_status(status)})"


def _status(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"


def _outcome(source: Path, executed: Path, before: dict[Path, object]) -> list[str]:
    """Reasons for which the run failed, "" for each check that passed; writes the page."""
    try:
        notebook = nbformat.read(executed, as_version=4)
    except (OSError, ValueError) as error:
        return [f"no executed notebook was written ({error})"]
    _forget_paths(notebook, executed)
    artefacts = [check_artefact(path, stamp) for path, stamp in before.items()]
    return [check_cells(notebook), *artefacts, _page(notebook, source, executed)]


def _page(notebook, source: Path, executed: Path) -> str:
    page = executed.parent.parent / f"{executed.stem}.html"
    try:
        html = to_html(notebook, executed.stem, source.parent)
        page.write_text(html, encoding="utf-8")
    except Exception as error:  # whatever a formula or an image in the prose makes nbconvert raise
        return f"{page.name} could not be made ({type(error).__name__}: {error})"
    remote = remote_sources(html)
    return f"{page.name} would load {remote[0]} from elsewhere" if remote else ""


def _forget_paths(notebook, executed: Path) -> None:
    """papermill notes absolute paths; results should not tell where they were computed."""
    notebook.metadata.get("papermill", {}).update(
        input_path=executed.name, output_path=executed.name
    )
    nbformat.write(notebook, executed)


def check_cells(notebook) -> str:
    """The first error, or the first code cell that was not executed; "" if there is none."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:
        for output in cell.outputs:
            if output.output_type == "error":
                value = output.evalue.strip().split("\n")[0][:300]
                return f"In [{cell.execution_count}]: {output.ename}: {value}"
    for cell in code:
        if cell.execution_count is None:
            return f"a cell was not executed: {cell.source.strip().splitlines()[0][:80]}"
    return ""


def check_artefact(path: Path, before: object = None) -> str:
    """Why a declared file does not count, "" if it does; `before` is its stamp before the run."""
    if not path.exists():
        return f"{path.name}, which its metadata names, was not written"
    if _stamp(path) == before:
        return f"{path.name} is of an earlier run: it was not written again"
    try:
        whole = {".png": _png, ".pdf": _pdf, ".csv": _csv}[path.suffix](path)
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises them for damaged files
        return f"{path.name} is damaged ({error})"
    return "" if whole else f"{path.name} is damaged or empty"


def _stamp(path: Path) -> object:
    """Changes whenever a file is written or replaced; a file system's clock may lag behind ours."""
    return (path.stat().st_mtime_ns, path.stat().st_ino) if path.exists() else None


def _png(path: Path) -> bool:
    with Image.open(path, formats=["PNG"]) as image:
        image.load()
    return True


def _pdf(path: Path) -> bool:
    data = path.read_bytes()
    return data.startswith(b"%PDF") and b"%%EOF" in data[-1024:]


def _csv(path: Path) -> bool:
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if row]
    return len(rows) >= 2


def summary(outcomes: list[Outcome]) -> str:
    """A table of name, seconds and status."""
    width = max(len(outcome.name) for outcome in outcomes)
    lines = [f"{'notebook':{width}}  seconds  status"]
    for each in outcomes:
        lines.append(f"{each.name:{width}}  {each.seconds:7.1f}  {each.reason or 'done'}")
    return "\n".join(lines)


if __name__ == "__main__":  # the process of one notebook, which `_papermill` starts
    papermill.execute_notebook(**json.loads(sys.argv[1]))
