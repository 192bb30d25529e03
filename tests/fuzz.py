"""Random bytes, guided by coverage, for the readers of files: `python tests/fuzz.py image`.

Options: --seconds 20, --seed 0. A reader may refuse a file (InputError, or None where that is
what it documents) and nothing else; the exit status is 0 if it did. What made it do something else
is kept as crash-... in the folder where this runs. Needs atheris: pip install -e ".[fuzz]".
"""

import argparse
import io
import json
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "xaiutils"]):
    from xaiutils.config import StudyConfig
    from xaiutils.datasets.base import read_csv
    from xaiutils.datasets.folder import load_folder
    from xaiutils.errors import InputError
    from xaiutils.images import read_image, read_indices, read_mask
    from xaiutils.run import write_config
    from xaiutils.shards import footer, read_shard
    from xaiutils.store import read_unit, read_whole, write_table, write_unit
    from xaiutils.study import read_config

import numpy as np
import pandas as pd
from corpus import OBJECT, RGB, SUFFIXES, encoded

MEGABYTES = 4096  # above this a reader counts as failed


def image(path: Path) -> None:
    for read in (read_image, read_mask, read_indices):
        with suppress(InputError):
            read(path)


def unit(path: Path) -> None:
    found = read_unit(path)
    assert found is None or (isinstance(found[0], dict) and isinstance(found[1], dict))


def config(path: Path) -> None:
    with suppress(InputError):
        assert isinstance(read_config(path), StudyConfig)


def labels(path: Path) -> None:
    with suppress(InputError):
        read_csv(path, ("file", "label"))
    with suppress(InputError):
        load_folder(path.parent, None, "class", "given")


def table(path: Path) -> None:
    with suppress(InputError):
        assert isinstance(read_whole(path), pd.DataFrame)
    read_shard(path)
    footer(path)


def images_to_start_from() -> list[bytes]:
    small = RGB[:10, :12]
    pictures = [small, small[..., 0], 257 * small[..., 0].astype(np.uint16)]
    pictures += [np.dstack([small, small[..., 0]]), 255 * OBJECT.astype(np.uint8)]
    found = []
    for suffix in SUFFIXES:
        for picture in pictures:
            with suppress(OSError, ValueError):  # JPEG takes no transparency
                found.append(encoded(picture, suffix))
    return [*found, encoded(small[..., 0].astype(np.float32) / 255, "tif")]


def written(write, *content) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "file"), *content)
        return Path(folder, "file").read_bytes()


def units_to_start_from() -> list[bytes]:
    whole = written(lambda path: write_unit(path, {"rows": []}, map=np.ones((3, 4), np.float32)))
    with zipfile.ZipFile(io.BytesIO(whole)) as file:
        members = [file.read(name) for name in file.namelist()]
    return [b"\0" + whole, *(b"\1" + member for member in members)]


def tables_to_start_from() -> list[bytes]:
    frame = pd.DataFrame({"sample": ["a", "b"], "value": [1.0, np.nan], "votes": [1, 2]})
    return [written(write_table, part) for part in (frame, frame.head(0))]


def configs_to_start_from() -> list[bytes]:
    changed = StudyConfig("mine", settings=(("lime", (("samples", 9),)),), limit=3)
    return [written(write_config, each) for each in (StudyConfig(), changed)]


def labels_to_start_from() -> list[bytes]:
    text = "file,label,imagenet_index\na.png,cat,281\nb,dog,\n"
    return [text.encode(), text.encode("utf-8-sig"), b'file,label\n"a.png","x, ""y"""\n']


READERS = {
    "image": (image, images_to_start_from, "image.png"),
    "unit": (unit, units_to_start_from, "unit.npz"),
    "config": (config, configs_to_start_from, "config.json"),
    "labels": (labels, labels_to_start_from, "labels.csv"),
    "table": (table, tables_to_start_from, "table.parquet"),
}


def file_of(reader: str, data: bytes) -> bytes:
    """The file that some bytes stand for: zip's checksums would keep most of them out of a unit,
    so that those that begin with an odd byte become members of a whole one."""
    if reader != "unit" or not data:
        return data
    if data[0] % 2 == 0:
        return data[1:]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        text = np.frombuffer(json.dumps({"rows": []}).encode(), np.uint8)
        with file.open("meta.npy", "w") as member:
            np.save(member, text) if data[0] % 4 == 1 else member.write(data[1:])
        file.writestr("map.npy", data[1:])
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    read, start, name = READERS[args.reader]
    with tempfile.TemporaryDirectory() as home:
        begin, path = Path(home, "begin"), Path(home, "root", name)
        for folder in (begin, path.parent / "images"):
            folder.mkdir(parents=True)
        for stem in "ab":
            (path.parent / "images" / f"{stem}.png").write_bytes(encoded(RGB, "png"))
        for k, content in enumerate(start()):
            (begin / str(k)).write_bytes(content)

        def once(data: bytes) -> None:
            path.write_bytes(file_of(args.reader, data))
            read(path)

        options = [f"-max_total_time={args.seconds}", f"-seed={args.seed + 1}", "-timeout=60"]
        options += [f"-rss_limit_mb={MEGABYTES}", "-max_len=8192", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, str(begin)], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
