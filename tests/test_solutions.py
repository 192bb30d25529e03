"""The solutions of the notebooks' exercises run unedited, on the stored study."""

import nbformat
import pytest

from xaiutils.batch import NOTEBOOKS, find_notebooks, run_notebook

SOLUTIONS = find_notebooks(folder=NOTEBOOKS / "solutions")


def test_every_notebook_with_exercises_has_its_solutions():
    for path in find_notebooks():
        last = nbformat.read(path, as_version=4).cells[-1].source
        if "## Exercises" in last:
            assert f"solutions/{path.name}" in last
            solved = nbformat.read(NOTEBOOKS / "solutions" / path.name, as_version=4)
            asked = sum(line[:2] in ("1.", "2.", "3.") for line in last.splitlines())
            found = [c for c in solved.cells if c.source.startswith("## ")]
            assert len(found) == asked


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_run(path, tmp_path):
    given = {"study": "voc2012-subset", "figures": str(tmp_path)}
    outcome = run_notebook(path, tmp_path, given)
    assert outcome.reason == ""
    executed = nbformat.read(tmp_path / "notebooks" / path.name, as_version=4)
    printed = [o.get("text", "") for c in executed.cells for o in c.get("outputs", [])]
    expected = "composites" if path.stem.startswith("05") else "n = 78"
    assert any(expected in text for text in printed)
