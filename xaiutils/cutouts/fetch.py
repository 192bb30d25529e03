"""Tux Paint's photographs from Debian: fetched and unpacked, used, never redistributed."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from xaiutils.cutouts.sources import STAMPS, TEMPLATES
from xaiutils.errors import InputError

PACKAGES = {"tuxpaint-stamps-default": STAMPS, "tuxpaint-data": TEMPLATES}
TERMS = (
    "Tux Paint stamps and templates, https://tuxpaint.org, by Bill Kendrick and contributors\n"
    "  terms: GNU General Public License, version 2 (the text: usr/share/doc/*/copyright in the "
    "folder)\n  used from where you keep them; neither they nor composites are part of this work"
)


def fetch_cutouts(target: str | Path, say: Callable[[str], None] = print) -> Path:
    """Download two Debian packages with apt-get and unpack them into `target` with dpkg.

    Nothing is installed, and no rights beyond the folder's are needed. What is there is left
    alone. InputError where apt-get or dpkg is missing or fails: then install the packages, or give
    any folder of RGBA images as root.
    """
    target = Path(target)
    say(TERMS)
    for name, holds in PACKAGES.items():
        if (target / holds).is_dir():
            say(f"{target / holds}: there already; not touched")
            continue
        with tempfile.TemporaryDirectory() as folder:
            _call(["apt-get", "download", name], folder)
            (package,) = Path(folder).glob(f"{name}_*.deb")
            target.mkdir(parents=True, exist_ok=True)
            _call(["dpkg", "-x", str(package), str(target.absolute())], folder)
        if not (target / holds).is_dir():
            raise InputError(f"{name}: holds no {holds}; another version than expected?")
    return target


def _call(command: list[str], folder: str) -> None:
    if shutil.which(command[0]) is None:
        raise InputError(
            f"{command[0]} not found: this needs Debian; or give a folder of RGBA files"
        )
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise InputError(
            f"`{' '.join(command[:3])}` failed: {done.stderr.strip()[-300:]}; "
            "`apt-get update` may be needed first"
        )
