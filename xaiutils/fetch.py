"""Downloading data sets: verified archives, unpacked so that nothing can leave the target."""

import errno
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tqdm.auto import tqdm

from xaiutils.datasets.facts import FACTS
from xaiutils.errors import InputError

# Photographs hardly compress: what unpacks to more than this is no data set of ours.
MAX_RATIO, MIN_LIMIT = 5, 2**30  # times the archive's size, but at least 1 GiB
MAX_MEMBERS = 200_000
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    EOFError,
    RuntimeError,  # zipfile: encrypted
    NotImplementedError,  # zipfile: unknown compression
    ValueError,
    LookupError,  # zipfile: a member without a name
    OverflowError,
    struct.error,
)


@dataclass(frozen=True)
class Archive:
    """A file to download, and the folder that it makes in the target.

    hash: "sha256:...", or None where none is published that we could confirm; url None: the
    download needs a click. `marker` is what the unpacked folder must hold.
    """

    url: str | None
    file: str
    hash: str | None
    makes: str
    marker: str


# Two or more independent public projects pin each of these hashes (VOC and CUB: torchvision too).
ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "voc2012": (
        Archive(
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            "VOCtrainval_11-May-2012.tar",
            "sha256:e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
            makes="VOCdevkit",
            marker="VOC2012",
        ),
    ),
    "cub200": (
        Archive(
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "CUB_200_2011.tgz",
            "sha256:0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
            makes="CUB_200_2011",
            marker="images.txt",
        ),
        Archive(
            "https://data.caltech.edu/records/w9d68-gec53/files/segmentations.tgz",
            "segmentations.tgz",
            "sha256:dc77f6cffea0cbe2e41d4201115c8f29a6320ecb04fffd2444f51b8066e4b84f",
            makes="segmentations",
            marker="001.Black_footed_Albatross",
        ),
    ),
    "usis10k": (
        Archive(None, "USIS10K.zip", None, makes="USIS10K", marker="multi_class_annotations"),
    ),
    "kvasir-seg": (
        Archive(
            "https://datasets.simula.no/downloads/kvasir-seg.zip",
            "kvasir-seg.zip",
            "sha256:03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7",
            makes="Kvasir-SEG",
            marker="masks",
        ),
    ),
    "kvasir-sessile": (
        Archive(
            "https://datasets.simula.no/downloads/kvasir-sessile.zip",
            "kvasir-sessile.zip",
            None,
            makes="sessile-main-Kvasir-SEG",
            marker="masks",
        ),
    ),
}


def fetch_dataset(name: str, target: str | Path, say: Callable[[str], None] = print) -> Path:
    """Download, verify and unpack a data set into `target`; that folder is then its root.

    Says the terms and what to cite. An archive that lies in `target` under its own name is
    verified and used instead of a download; archives are kept; folders that are there already are
    left alone. Raises InputError for an unknown name, a failed download, a file of another hash, a
    damaged or unsafe archive (nothing of it is left), and for a data set that needs a click: then
    the message says what goes where.
    """
    if name not in ARCHIVES:
        raise InputError(f"no download for '{name}': choose one of {', '.join(ARCHIVES)}")
    facts, target = FACTS[name], Path(target)
    say(f"{facts.title}, {facts.page}\n  terms: {facts.licence}\n  cite: {facts.citation}")
    try:
        target.mkdir(parents=True, exist_ok=True)
        for archive in ARCHIVES[name]:
            if (target / archive.makes / archive.marker).exists():
                say(f"{target / archive.makes}: there already; not touched")
                continue
            refuse_other(target / archive.makes, archive.marker)
            path = _obtain(archive, target, facts.page, say)
            unpack(path, target, archive.makes, archive.marker)
            say(f"{target / archive.makes}: unpacked; {path} may be deleted")
    except OSError as error:
        raise InputError(f"{target}: cannot be written or read ({error})") from error
    return target


def refuse_other(folder: Path, marker: str) -> None:
    """InputError for a folder in the way that holds something else; an empty one is filled."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there but lacks {marker}; move it away and fetch again")


def unpack(path: Path, target: Path, makes: str, marker: str, limit: int | None = None) -> Path:
    """Unpack a tar or zip archive into the new folder `target`/`makes`, whole or not at all.

    Its members go to a temporary folder in `target`; the folder in it that holds `marker` (under
    the name `makes`, or the top itself) is then renamed into place. InputError, naming the
    archive, if it is damaged or none, lacks that folder, has a member with an absolute name or
    `..`, a link or a device, or unpacks to more than `limit` bytes (default: five times its size,
    at least 1 GiB).
    """
    limit = max(MIN_LIMIT, MAX_RATIO * path.stat().st_size) if limit is None else limit
    with tempfile.TemporaryDirectory(dir=target, prefix=".unpack-") as temporary:
        folder = Path(temporary, "content")
        folder.mkdir()
        try:
            _write_members(_members(path), folder, limit)
        except InputError as error:
            raise InputError(f"{path}: refused: {error}; nothing was unpacked") from error
        except (*_DAMAGED, OSError) as error:
            if not _is_damage(error):
                raise
            raise InputError(
                f"{path}: damaged or no archive ({error}); nothing was unpacked: delete it and "
                "download it again"
            ) from error
        found = [f for f in (folder / makes, folder) if (f / marker).exists()]
        if not found:
            raise InputError(f"{path}: holds no {makes}/{marker}, so it is another archive")
        os.replace(found[0], target / makes)
    return target / makes


def _is_damage(error: Exception) -> bool:
    """Whether the archive is to blame, and not the disk: a place before its beginning is asked for,
    its names cannot be or collide, or the decompressor complains, which gives an OSError no
    number."""
    return isinstance(error, _DAMAGED) or error.errno in (
        None,
        errno.EINVAL,
        errno.ENAMETOOLONG,
        errno.EEXIST,
        errno.ENOTDIR,
        errno.EISDIR,
    )


def _obtain(archive: Archive, target: Path, page: str, say: Callable[[str], None]) -> Path:
    path = target / archive.file
    if not path.exists():
        if archive.url is None:
            raise InputError(_by_hand(archive, path, page))
        say(f"downloading {archive.url}")
        _download(archive, path, page)
    elif archive.hash is not None:
        _verify(path, archive.hash)
    if archive.hash is None:
        say(f"{path}: no published hash, so only its format is checked")
    return path


def _download(archive: Archive, path: Path, page: str) -> None:
    """Through a temporary file, so that `path` is whole or not there."""
    import pooch

    try:
        pooch.retrieve(
            archive.url,
            known_hash=archive.hash,
            fname=path.name,
            path=path.parent,
            progressbar=True,
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{archive.url}: {error}\n{_by_hand(archive, path, page)}") from error


def _by_hand(archive: Archive, path: Path, page: str) -> str:
    source = archive.url or f"the link on {page}"
    return (
        f"download it by hand: {source}\nsave it as {path} and run this command again, or unpack "
        f"it so that {path.parent / archive.makes / archive.marker} is there"
    )


def _verify(path: Path, expected: str) -> None:
    algorithm, value = expected.split(":")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if found != value:
        raise InputError(
            f"{path}: damaged or another file: expected {algorithm} {value}, found {found}; "
            "delete it and run this command again"
        )


# name, size in bytes or None for a folder, and how to open it
Member = tuple[str, int | None, Callable[[], BinaryIO]]


def _members(path: Path) -> Iterator[Member]:
    """The files and folders of an archive; InputError for any other kind of member."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise InputError(f"'{info.filename}' is a link or a device")
                size = None if info.is_dir() else info.file_size
                yield info.filename, size, lambda info=info: archive.open(info)
        return
    with tarfile.open(path) as archive:
        for info in archive:
            if not (info.isreg() or info.isdir()):
                raise InputError(f"'{info.name}' is a link or a device")
            size = None if info.isdir() else info.size
            yield info.name, size, lambda info=info: archive.extractfile(info)
        while archive.fileobj.read(2**20):  # to the end, where a compressed stream is checked
            pass


def _write_members(members: Iterator[Member], folder: Path, limit: int) -> None:
    total = 0
    for count, (name, size, opened) in enumerate(tqdm(members, desc="unpacking", disable=None)):
        path = folder / _inside(name)
        total += size or 0
        if total > limit or count >= MAX_MEMBERS:
            raise InputError(f"unpacks to more than {limit} bytes or {MAX_MEMBERS} files")
        if size is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        if path.exists():
            raise InputError(f"'{name}' is in it twice")
        path.parent.mkdir(parents=True, exist_ok=True)
        with opened() as source, path.open("xb") as sink:
            shutil.copyfileobj(source, sink, 2**20)
        if path.stat().st_size != size:
            raise ValueError(f"'{name}' is cut short")


def _inside(name: str) -> Path:
    """The member's name as a relative path that stays where it is put."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    unsafe = name.startswith("/") or ".." in parts or set(name) & set("\\\0")
    if unsafe or any(":" in part for part in parts[:1]):
        raise InputError(f"'{name}' would leave the folder")
    return Path(*parts)
