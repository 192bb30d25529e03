import errno
import gzip
import hashlib
import io
import tarfile
import threading
import zipfile
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from xaiutils import fetch
from xaiutils.datasets.facts import FACTS
from xaiutils.errors import InputError
from xaiutils.fetch import ARCHIVES, Archive, fetch_dataset, unpack

FILES = {"Set/images/a.jpg": b"an image", "Set/masks/a.png": b"a mask", "notes.txt": b"a note"}


def make_tar(path, files, mode="w:gz", links=()):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, kind in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return path


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def only(path, target):
    """Nothing but the archive lies in the target: no folder, no temporary file."""
    return [p.name for p in target.iterdir()] == [path.name]


# ---- unpacking


def test_a_member_without_a_name_and_one_before_the_beginning_are_damage(tmp_path):
    """Found by the fuzzer: zipfile raises IndexError for the one, OSError for the other."""
    path = make_zip(tmp_path / "archive", {"Set": b"1"})
    whole = path.read_bytes()
    at = whole.index(b"PK\1\2")
    nameless = whole[: at + 28] + b"\0\0" + whole[at + 30 :]
    before = whole[: at + 42] + b"\xff\xff\xff\xff" + whole[at + 46 :]
    for content in (nameless, before):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"archive: (damaged or no archive|refused)"):
            unpack(path, tmp_path, "Set", "masks")
        assert only(path, tmp_path)


def test_a_disk_without_room_is_no_damage(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(make_zip(tmp_path / "archive", FILES), tmp_path, "Set", "masks")


@pytest.mark.parametrize("make", [make_tar, partial(make_tar, mode="w"), make_zip])
def test_unpacks_the_one_folder(tmp_path, make):
    made = unpack(make(tmp_path / "archive", FILES), tmp_path, "Set", "masks")
    assert (made / "images" / "a.jpg").read_bytes() == b"an image"
    assert (made / "masks" / "a.png").read_bytes() == b"a mask"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Set", "archive"]


def test_an_archive_without_a_top_folder_gets_one(tmp_path):
    files = {name.removeprefix("Set/"): content for name, content in FILES.items()}
    made = unpack(make_zip(tmp_path / "archive", files), tmp_path, "Set", "masks")
    assert (made / "masks" / "a.png").exists()


UNSAFE = ["../evil", "Set/../../evil", "/evil", "C:/evil", "Set\\..\\..\\evil", ".."]


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", UNSAFE)
def test_no_member_leaves_the_target(tmp_path, make, name):
    target = tmp_path / "target"
    target.mkdir()
    path = make(target / "archive", FILES | {name: b"evil"})
    with pytest.raises(InputError, match=r"archive: refused: .*would leave.*nothing was unpacked"):
        unpack(path, target, "Set", "masks")
    assert only(path, target) and not list(tmp_path.rglob("evil"))


KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]


@pytest.mark.parametrize("kind", KINDS)
def test_links_and_devices_are_refused(tmp_path, kind):
    path = make_tar(tmp_path / "archive", FILES, links=[("Set/link", kind)])
    with pytest.raises(InputError, match="'Set/link' is a link or a device"):
        unpack(path, tmp_path, "Set", "masks")
    assert only(path, tmp_path)


def test_links_in_zip_files_are_refused(tmp_path):
    path = make_zip(tmp_path / "archive", FILES)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("Set/link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="'Set/link' is a link or a device"):
        unpack(path, tmp_path, "Set", "masks")
    assert only(path, tmp_path)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_bombs_are_refused(tmp_path, make):
    path = make(tmp_path / "archive", FILES | {"Set/big": bytes(2**20)})
    with pytest.raises(InputError, match="unpacks to more than 1000000 bytes"):
        unpack(path, tmp_path, "Set", "masks", limit=10**6)
    assert only(path, tmp_path)


def test_twice_the_same_member_is_refused(tmp_path):
    path = make_tar(tmp_path / "archive", FILES)
    with tarfile.open(tmp_path / "two", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("Set/masks/a.png"))
    path.unlink()
    with pytest.raises(InputError, match="is in it twice"):
        unpack(tmp_path / "two", tmp_path, "Set", "masks")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-300],
        lambda data: b"<html>Too many requests</html>",
        lambda data: b"",
        lambda data: data[:200] + bytes(100) + data[300:],
    ],
    ids=["half", "short", "page", "empty", "zeros"],
)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_damaged_archives_leave_nothing(tmp_path, make, damage):
    noise = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(200))
    path = make(tmp_path / "archive", {"Set/masks/a.png": noise, "Set/images/b": noise[::-1]})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="archive: "):
        unpack(path, tmp_path, "Set", "masks")
    assert only(path, tmp_path)


def test_plain_tar_cut_in_a_member(tmp_path):
    path = make_tar(tmp_path / "archive", FILES | {"Set/images/b": bytes(5000)}, mode="w")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged or no archive"):
        unpack(path, tmp_path, "Set", "masks")
    assert only(path, tmp_path)


def test_wrong_checksum_inside(tmp_path):
    path = make_tar(tmp_path / "archive", FILES)
    data = bytearray(path.read_bytes())
    data[-8] ^= 1  # gzip's CRC
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged or no archive"):
        unpack(path, tmp_path, "Set", "masks")
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(data)


def test_another_archive(tmp_path):
    path = make_zip(tmp_path / "archive", {"readme.txt": b""})
    with pytest.raises(InputError, match="holds no Set/masks, so it is another archive"):
        unpack(path, tmp_path, "Set", "masks")
    assert only(path, tmp_path)


# ---- fetching


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local web server; the set "kvasir-seg" is downloaded from it."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    http = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    def offer(hash):
        url = f"http://127.0.0.1:{http.server_port}/set.zip"
        archive = Archive(url, "set.zip", hash, makes="Set", marker="masks")
        monkeypatch.setitem(ARCHIVES, "kvasir-seg", (archive,))
        return folder

    yield offer
    http.shutdown()
    http.server_close()


def sha256(path):
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def test_downloads_verifies_unpacks_and_says_the_terms(server, tmp_path):
    path = make_zip(tmp_path / "set.zip", FILES)
    web = server(sha256(path))
    path.rename(web / "set.zip")
    said = []
    assert fetch_dataset("kvasir-seg", tmp_path / "new" / "data", said.append) == (
        tmp_path / "new" / "data"
    )
    assert (tmp_path / "new" / "data" / "Set" / "masks" / "a.png").exists()
    assert FACTS["kvasir-seg"].licence in said[0] and FACTS["kvasir-seg"].citation in said[0]
    (web / "set.zip").unlink()
    fetch_dataset("kvasir-seg", tmp_path / "new" / "data", said.append)  # nothing to do
    assert "there already" in said[-1]


def test_download_of_another_hash_leaves_nothing(server, tmp_path):
    web = server("sha256:" + 64 * "0")
    make_zip(web / "set.zip", FILES)
    target = tmp_path / "data"
    with pytest.raises(InputError, match=r"set\.zip.*0000[\s\S]*download it by hand"):
        fetch_dataset("kvasir-seg", target, print)
    assert not list(target.iterdir())


def test_failed_download_says_what_goes_where(server, tmp_path):
    server(None)
    with pytest.raises(
        InputError, match=r"404[\s\S]*by hand: http://.*[\s\S]*save it as .*set\.zip"
    ):
        fetch_dataset("kvasir-seg", tmp_path / "data", print)


def test_archive_put_there_by_hand_is_verified_and_used(server, tmp_path):
    target = tmp_path / "data"
    target.mkdir()
    path = make_zip(target / "set.zip", FILES)
    server(sha256(path))
    good = path.read_bytes()
    path.write_bytes(good + b"x")
    with pytest.raises(InputError, match=r"set\.zip: damaged or another file: expected sha256"):
        fetch_dataset("kvasir-seg", target, print)
    assert only(path, target)
    path.write_bytes(good)
    fetch_dataset("kvasir-seg", target, print)
    assert (target / "Set").is_dir()


def test_usis10k_needs_a_click(tmp_path):
    with pytest.raises(InputError) as error:
        fetch_dataset("usis10k", tmp_path, print)
    assert FACTS["usis10k"].page in str(error.value)
    assert str(tmp_path / "USIS10K.zip") in str(error.value)
    assert str(tmp_path / "USIS10K" / "multi_class_annotations") in str(error.value)
    said = []
    files = {"data/x": b"", "multi_class_annotations/a.json": b"{}", "val/val_00001.jpg": b""}
    make_zip(tmp_path / "USIS10K.zip", files)
    fetch_dataset("usis10k", tmp_path, said.append)
    assert (tmp_path / "USIS10K" / "val" / "val_00001.jpg").exists()
    assert any("no published hash" in line for line in said)


def test_unknown_data_set(tmp_path):
    with pytest.raises(InputError, match="no download for 'sample': choose one of voc2012, cub200"):
        fetch_dataset("sample", tmp_path)


def test_target_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written or read"):
        fetch_dataset("voc2012", tmp_path / "file" / "data", print)


def test_hashes_are_whole():
    for archives in ARCHIVES.values():
        for archive in archives:
            if archive.hash is not None:
                algorithm, value = archive.hash.split(":")
                assert algorithm == "sha256" and len(value) == 64 and int(value, 16)
    assert set(ARCHIVES) == set(FACTS) and fetch.MAX_RATIO >= 2
