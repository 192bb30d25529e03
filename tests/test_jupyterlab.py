"""The widgets and the repository's notebooks in a real JupyterLab, by Chromium, as for a reader.

JupyterLab listens on the loopback interface with a token, in a folder of its own: notebooks are
copied there, write their figures there, and neither the user's settings nor kernels are read.
XAIUTILS_SCREENSHOTS names a folder for the pictures that are taken on the way.
"""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import nbformat
import pytest
from conftest import chromium
from ipykernel.kernelspec import write_kernel_spec
from nbformat.v4 import new_code_cell, new_notebook

from xaiutils.batch import NOTEBOOKS, TIMEOUT, check_cells, kill_tree
from xaiutils.study import open_study

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

START = 180  # seconds: servers and kernels on a busy machine
RUN = TIMEOUT  # a whole notebook
SENTINEL = "--".join(["all", "cells", "ran"])  # never in a cell's source as it is printed
LAST = 'print("--".join(["all", "cells", "ran"]))'
SPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
# whole notebooks in the page, and nothing fetched from elsewhere
SETTINGS = {
    "notebook-extension/tracker": '{"windowingMode": "none"}',
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
}
OPTIONS = (
    "--no-browser",
    "--ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.news_url=None",
    "--LabApp.extension_manager=readonly",
)


@dataclass
class Lab:
    """A running JupyterLab: where it listens, what it asks for, and the folder that it serves."""

    url: str
    token: str
    folder: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    home, token = tmp_path_factory.mktemp("lab"), secrets.token_hex(16)
    folder = home / "notebooks"
    folder.mkdir()
    open_study("demo", progress=False)  # computed before anybody waits for a cell
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [*OPTIONS, f"--port={port}", f"--ServerApp.root_dir={folder}"]
    options += ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    log = (home / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        env=environment(home, token),
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        answers(server, f"{url}/api/status?token={token}", home / "log")
        yield Lab(url, token, folder)
    finally:
        stop(server)
        log.close()


def environment(home: Path, token: str) -> dict[str, str]:
    """Only this interpreter's kernel, our settings, and a reader: no XAIUTILS_HEADLESS."""
    write_kernel_spec(home / "share" / "kernels" / "python3")
    for name, text in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    env = {key: value for key, value in os.environ.items() if key != "XAIUTILS_HEADLESS"}
    env.pop("MPLBACKEND", None)  # the tests' own
    return env | {
        "JUPYTER_TOKEN": token,
        "JUPYTER_PATH": str(home / "share"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def answers(server: subprocess.Popen, url: str, log: Path) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + START
    while time.monotonic() < end and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=10):
            return
        time.sleep(0.5)
    pytest.fail(f"JupyterLab did not answer:\n{log.read_text()[-2000:]}")


def stop(server: subprocess.Popen) -> None:
    """End JupyterLab and its kernels."""
    server.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        server.send_signal(signal.SIGTERM)
        server.wait(15)
    kill_tree(server.pid)
    server.wait(15)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as browsers:
        options = {"executable_path": chromium(browsers), "args": ["--no-sandbox"]}
        chrome = browsers.chromium.launch(**options)
        yield chrome
        chrome.close()


@pytest.fixture
def page(browser):
    """A page that notes which hosts it was made to ask."""
    shown = browser.new_page(viewport={"width": 1400, "height": 1000})
    shown.set_default_timeout(1000 * START)
    shown.hosts = set()
    shown.on("request", lambda request: shown.hosts.add(urlsplit(request.url).hostname))
    yield shown
    shown.close()


@pytest.fixture
def shots(tmp_path):
    folder = Path(os.environ.get("XAIUTILS_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(lab: Lab, name: str, cells: list) -> str:
    """A notebook without outputs that ends by saying so; its name."""
    for cell in cells:
        cell.pop("id", None)
    end = new_code_cell(LAST)
    notebook = new_notebook(cells=[*cells, end], metadata={"kernelspec": SPEC})
    nbformat.write(notebook, lab.folder / name)
    return name


# the first error, which stops the rest, or the closing sentence; looked for again until it is there
FOUND = """(sentinel) => {
    const cells = window.jupyterapp.shell.currentWidget.context.model.toJSON().cells;
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    const error = outputs.find((output) => output.output_type === "error");
    if (error) return `${error.ename}: ${error.evalue}`;
    return outputs.some((output) => [output.text ?? ""].flat().join("").includes(sentinel))
        && sentinel;
}"""


def run_all(page, lab: Lab, name: str) -> None:
    """Open a notebook, wait for its kernel, choose Run All Cells, wait for the closing sentence."""
    page.goto(f"{lab.url}/lab/tree/{quote(name)}?reset&token={lab.token}")
    page.wait_for_selector(".jp-NotebookPanel:visible .jp-Cell")
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.context.sessionContext.ready.then(() => null)"
    )
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
    found = page.wait_for_function(FOUND, arg=SENTINEL, timeout=1000 * RUN, polling=1000)
    assert found.json_value() == SENTINEL
    page.locator(".jp-OutputArea-output", has_text=SENTINEL).wait_for(state="attached")


def save(page, lab: Lab, name: str):
    """The notebook as JupyterLab saves it; its kernel is shut down to make room for the next."""
    page.evaluate("""async () => {
        const context = window.jupyterapp.shell.currentWidget.context;
        await context.save();
        await context.sessionContext.shutdown();
    }""")
    return nbformat.read(lab.folder / name, as_version=4)


IMPORTS = """
from xaiutils.study import open_study
from xaiutils.widgets import click_to_prompt, fusion_blend, threshold_explorer

demo = open_study("demo", progress=False)
"""


@pytest.fixture(scope="module")
def name(lab):
    """A notebook with the three widgets."""
    calls = [
        IMPORTS,
        'threshold_explorer(demo, "koala", "gradcam")',
        'fusion_blend(demo, "koala")',
        'click_to_prompt(demo, "koala")',
    ]
    return write(lab, "widgets.ipynb", [new_code_cell(call) for call in calls])


def test_a_reader_moves_sliders_and_clicks(lab, name, page, shots):
    run_all(page, lab, name)
    moves_the_threshold(page, shots)
    moves_a_weight(page, shots)
    clicks_on_the_image(page, shots)
    assert page.hosts <= {"127.0.0.1", None, ""}  # None: data URLs
    assert check_cells(save(page, lab, name)) == ""


def test_an_error_is_not_waited_out(lab, page):
    name = write(lab, "error.ipynb", [new_code_cell("1 / 0")])
    with pytest.raises(AssertionError, match="ZeroDivisionError: division by zero"):
        run_all(page, lab, name)
    save(page, lab, name)


def changes(locator, before: str) -> str:
    """What an element says once it says something else."""
    playwright.expect(locator).not_to_have_text(before, timeout=1000 * START)
    return locator.inner_text()


def moves_the_threshold(page, shots: Path) -> None:
    numbers = page.get_by_role("status").filter(has_text="Grad-CAM on koala")
    before = numbers.inner_text()
    picture = page.get_by_alt_text(re.compile("^Grad-CAM on koala"))
    drawn = picture.get_attribute("src")
    handle = page.locator(".noUi-handle").first
    handle.focus()
    for _ in range(5):
        handle.press("ArrowRight")
    after = changes(numbers, before)
    assert re.fullmatch(r"Grad-CAM on koala, cut at 0\.\d\d: IoU 0\.\d\d, coverage .*", after)
    playwright.expect(picture).not_to_have_attribute("src", drawn)
    into_view(picture)
    page.screenshot(path=shots / "widget_threshold.png")


def into_view(locator) -> None:
    """Scroll to it, again where a widget has drawn it anew meanwhile."""
    for _ in range(9):
        try:
            return locator.scroll_into_view_if_needed()
        except playwright.Error as error:
            if "not attached" not in str(error):
                raise
    locator.scroll_into_view_if_needed()


def moves_a_weight(page, shots: Path) -> None:
    numbers = page.get_by_role("status").filter(has_text="by hand")
    before = numbers.inner_text()
    handle = page.locator(".widget-slider", has_text="Grad-CAM++").locator(".noUi-handle")
    handle.focus()
    handle.press("Home")  # its least
    after = changes(numbers, before)
    assert before.split("by hand")[1] == after.split("by hand")[1]  # the computed one stays
    into_view(page.get_by_alt_text(re.compile("by hand")))
    page.screenshot(path=shots / "widget_blend.png")
    page.get_by_role("button", name="computed weights").click()
    hand, computed = re.findall(r"0\.\d\d", changes(numbers, after))
    assert hand == computed


def clicks_on_the_image(page, shots: Path) -> None:
    canvas = page.locator(".xaiutils-click")
    stage, status = canvas.locator(".stage"), canvas.locator(".status")
    into_view(stage)
    playwright.expect(status).to_have_text("0 clicks, IoU 0.00")
    frame = stage.bounding_box()
    at = {"x": 0.55 * frame["width"], "y": 0.55 * frame["height"]}  # on the koala
    stage.click(position=at)
    playwright.expect(status).to_have_text(re.compile(r"^1 click, IoU 0\.[1-9]"))
    assert yellow(page, canvas) > 500
    stage.click(position={"x": 20, "y": frame["height"] - 20}, modifiers=["Shift"])
    playwright.expect(status).to_have_text(re.compile(r"^2 clicks, "))
    assert canvas.locator(".overlay circle").count() == 2
    assert canvas.locator(".curve polyline").count() == 1
    page.screenshot(path=shots / "widget_clicks.png")
    stage.press("u")
    playwright.expect(status).to_have_text(re.compile(r"^1 click, "))
    canvas.get_by_role("button", name="reset").click()
    playwright.expect(status).to_have_text("0 clicks, IoU 0.00")
    assert yellow(page, canvas) == 0
    drag(page, frame, (0.15, 0.23), (0.87, 0.88))
    playwright.expect(status).to_have_text(re.compile(r"^2 clicks, IoU 0\.[5-9]"))
    assert canvas.locator(".overlay rect").count() == 1
    page.screenshot(path=shots / "widget_box.png")
    stage.press("r")
    playwright.expect(status).to_have_text("0 clicks, IoU 0.00")
    stage.press("ArrowDown")
    stage.press("Enter")
    playwright.expect(status).to_have_text(re.compile(r"^1 click, "))


def drag(page, frame: dict, start: tuple, end: tuple) -> None:
    """Press, move, let go: places are shares of the frame."""
    (x0, y0), (x1, y1) = (
        (frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in (start, end)
    )
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.mouse.move(x1, y1)
    page.mouse.up()


COUNT = """async (element) => {
    const image = new Image();
    image.src = element.getAttribute("href");
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height).data;
    let count = 0;
    for (let i = 0; i < pixels.length; i += 4) count += pixels[i + 3] > 0;
    return count;
}"""


def yellow(page, canvas) -> int:
    """Pixels of the mask that the browser shows."""
    return canvas.locator(".overlay image").first.evaluate(COUNT)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_runs_to_its_end(path, lab, page, shots):
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += f"\nfigures = {str(lab.folder / path.stem)!r}"  # not over those kept
    name = write(lab, path.name, notebook.cells)
    run_all(page, lab, name)
    page.screenshot(path=shots / f"{path.stem}.png")
    figure = page.locator(".jp-RenderedImage img").first
    into_view(figure)
    page.screenshot(path=shots / f"{path.stem}_figure.png")
    assert figure.evaluate("(image) => image.naturalWidth / image.width") >= 1.25  # sharp
    drawn = page.locator('.jp-OutputArea-output img[alt*="Cyan"], .xaiutils-click')
    for k, widget in enumerate(drawn.all()):
        into_view(widget)
        page.screenshot(path=shots / f"{path.stem}_widget{k}.png")
    assert page.hosts <= {"127.0.0.1", None, ""}
    assert check_cells(save(page, lab, name)) == ""
