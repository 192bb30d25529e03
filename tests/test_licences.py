"""Every installed dependency has a known licence that an MIT project may depend on."""

from importlib.metadata import PackageNotFoundError, PathDistribution, version

import pytest
from packaging.utils import canonicalize_name

from xaiutils import licences
from xaiutils.licences import ALLOWED, closure, family_of, licence_of, main, report


def test_every_dependency_has_a_known_licence():
    rows = report(licences.EXTRAS)
    assert len(rows) > 100 and not [row for row in rows if row.refused]
    names = {row.name for row in rows}
    assert {"torch", "numpy", "pytest", "jupyterlab"} <= names and "xaiutils" not in names
    assert all(row.version == version(row.name) for row in rows)


def test_the_list_of_the_allowed_is_short_and_needed():
    assert len(ALLOWED) <= 5
    for name, (licence, reason) in ALLOWED.items():
        assert name == canonicalize_name(name) and family_of(licence) in licences.FREE
        assert len(reason) > 20
        try:
            found = licences.distribution(name)
        except PackageNotFoundError:
            continue
        assert family_of(licences.licence_text(found)) is None, f"{name} says it by now"


@pytest.mark.parametrize(
    "text, family",
    [
        ("MIT", "MIT"),
        ("MIT License", "MIT"),
        ("BSD-3-Clause", "BSD"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("Apache Software License AND BSD License", "Apache-2.0"),
        ("GPL-3.0-only", "GPL"),
        ("GNU Lesser General Public License v3 (LGPLv3)", "LGPL"),
        ("MIT AND GPL-2.0", "GPL"),
        ("GPL-2.0 OR BSD-2-Clause", "BSD"),
        ("Other/Proprietary License", "proprietary"),
        ("see the file", None),
        ("", None),
        ("Permitted to nobody", None),
    ],
)
def test_families_by_hand(text, family):
    assert family_of(text) == family


def made(folder, name, *lines):
    """A distribution of that name with some more lines of metadata."""
    home = folder / f"{name}-1.0.dist-info"
    home.mkdir(parents=True)
    text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines])
    (home / "METADATA").write_text(text + "\n")
    return PathDistribution(home)


def test_what_metadata_say_in_the_order_of_their_worth(tmp_path):
    classifier = "Classifier: License :: OSI Approved :: MIT License"
    cases = {
        "a": (["License-Expression: ISC", "License: GPL", classifier], "ISC", False),
        "b": (["License: a long text", classifier], "MIT License", False),
        "c": (["License: BSD"], "BSD", False),
        "d": (["License: UNKNOWN"], "unknown", True),
        "e": ([], "unknown", True),
        "f": (["License-Expression: AGPL-3.0-or-later"], "AGPL-3.0-or-later", True),
        "nvidia-x": (
            ["License: NVIDIA Proprietary Software"],
            "NVIDIA Proprietary Software",
            False,
        ),
    }
    for name, (lines, licence, refused) in cases.items():
        found = licence_of(made(tmp_path, name, *lines))
        assert (found.name, found.licence, found.refused) == (name, licence, refused)


def test_the_closure_follows_extras_and_leaves_out_what_is_not_there(tmp_path, monkeypatch):
    made(tmp_path, "top", "Requires-Dist: below[more]", 'Requires-Dist: other; extra == "x"')
    made(tmp_path, "below", 'Requires-Dist: deep; extra == "more"', "Requires-Dist: not-there-9")
    made(tmp_path, "deep", "Requires-Dist: top")
    made(tmp_path, "other", 'Requires-Dist: never; sys_platform == "nowhere"')
    monkeypatch.syspath_prepend(tmp_path)
    assert closure("top") == {"below", "deep"}
    assert closure("top", ["x"]) == {"below", "deep", "other"}


def test_the_command_fails_for_a_licence_that_is_refused(tmp_path, monkeypatch, capsys):
    made(tmp_path, "top", "Requires-Dist: good", "Requires-Dist: bad")
    made(tmp_path, "good", "License: MIT")
    made(tmp_path, "bad", "License: GPL-3.0")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(licences, "PROJECT", "top")
    assert main([]) == 1
    assert "error: bad 1.0: GPL-3.0 (refused: GPL)" in capsys.readouterr().err
    assert main(["--csv", str(tmp_path / "out.csv")]) == 1
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "name,version,licence,verdict" and lines[2] == "good,1.0,MIT,free"


def test_the_command_prints_a_line_a_dependency(capsys):
    assert main([]) == 0
    assert "torch " in capsys.readouterr().out
