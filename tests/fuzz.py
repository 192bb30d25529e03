"""Random bytes, guided by coverage, for the readers of files: `python tests/fuzz.py image`.

Options: --seconds 20, --seed 0. A reader may refuse a file (InputError, or None where that is
what it documents) and nothing else; the exit status is 0 if it did. What made it do something else
is kept as crash-... in the folder where this runs. Needs atheris: pip install -e ".[fuzz]".
"""

import argparse
import io
import json
import shutil
import sys
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["PIL", "xaiutils"]):
    from xaiutils import learned
    from xaiutils.config import StudyConfig
    from xaiutils.datasets.base import read_csv
    from xaiutils.datasets.cub import CLASSES, TABLES, load_cub200
    from xaiutils.datasets.folder import load_folder
    from xaiutils.datasets.usis10k import load_usis10k, read_annotations
    from xaiutils.datasets.voc import load_voc2012, read_split
    from xaiutils.errors import InputError
    from xaiutils.fetch import unpack
    from xaiutils.images import read_image, read_indices, read_mask
    from xaiutils.probe import Probe, load_probe, save_probe
    from xaiutils.run import write_config
    from xaiutils.shards import Plan, footer, read_plan, read_shard, write_plan
    from xaiutils.store import (
        read_json,
        read_unit,
        read_whole,
        write_json,
        write_table,
        write_unit,
    )
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


def archive(path: Path) -> None:
    """Nothing but the archive and its one folder may be there afterwards."""
    place = path.parent / "target"
    place.mkdir()
    around = set(path.parent.iterdir())
    try:
        with suppress(InputError):
            unpack(path, place, "data", "a.txt", limit=2**20)
        assert {p.name for p in place.iterdir()} <= {"data"}
        assert set(path.parent.iterdir()) == around and not Path("outside.txt").exists()
        assert not any(p.is_symlink() for p in place.rglob("*"))
    finally:
        shutil.rmtree(place)


def probe(path: Path) -> None:
    """The description; its weights are a unit, beside it as it should be."""
    shutil.copyfile(path.parent / "kept.npz", path.with_suffix(".npz"))
    with suppress(InputError):
        assert isinstance(load_probe(path), Probe)


def stored_json(path: Path) -> None:
    with suppress(InputError):
        read_json(path)
    for name in learned.CHECKS:
        shutil.copyfile(path, path.parent / f"{name}.json")
        with suppress(InputError):
            assert isinstance(learned.read(name, path.parent), dict)


def plan(path: Path) -> None:
    """Both files of a plan in turn, the other one as it should be."""
    kept = path.parent / "kept"
    for name in ("plan.json", "plan.parquet"):
        shutil.copytree(kept, path.parent / "study", dirs_exist_ok=True)
        shutil.copyfile(path, path.parent / "study" / name)
        with suppress(InputError):
            found = read_plan(path.parent / "study")
            assert isinstance(found, Plan)
            assert all("/" not in id for part in found.shards for id in part)


def coco(path: Path) -> None:
    with suppress(InputError):
        read_annotations(path)
    with suppress(InputError):
        dataset = load_usis10k(path.parents[1], "val", "class", "given")
        for id in dataset.ids[:3]:
            with suppress(InputError):
                dataset.load(id)


def lists(path: Path) -> None:
    """The text as VOC's list, and as each of CUB's tables beside the others."""
    base = path.parent / "ImageSets" / "Segmentation"
    base.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, base / "val.txt")
    with suppress(InputError):
        assert all("/" not in id for id in read_split(path.parent, "val"))
    with suppress(InputError):
        load_voc2012(path.parent, "val", "class", "given")
    for name in TABLES:
        for other in TABLES:
            source = path if other == name else path.parent / f"kept-{other}"
            shutil.copyfile(source, path.parent / other)
        with suppress(InputError):
            load_cub200(path.parent, "all", "class", "given")


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


def archives_to_start_from() -> list[bytes]:
    found = []
    for name in ("data/a.txt", "../outside.txt", "a.txt"):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            file.writestr(name, "a" * 40)
        found.append(stream.getvalue())
        for mode in ("w", "w:gz"):
            stream = io.BytesIO()
            with tarfile.open(fileobj=stream, mode=mode) as file:
                member = tarfile.TarInfo(name)
                member.size = 4
                file.addfile(member, io.BytesIO(b"text"))
                link = tarfile.TarInfo("data/link")
                link.type, link.linkname = tarfile.SYMTYPE, "/etc"
                file.addfile(link if name == "a.txt" else tarfile.TarInfo("data/empty"))
            found.append(stream.getvalue())
    return found


def probes_to_start_from() -> list[bytes]:
    return [written(lambda path: save_probe(PROBE, path))]


def json_to_start_from() -> list[bytes]:
    index = {"cat": {"explanations": {"ig": "ig.0.npz"}, "evaluation": "evaluation.0.npz"}}
    learnt = [(learned.FOLDER / f"{name}.json").read_bytes() for name in learned.CHECKS]
    return [written(write_json, index), *learnt]


def plans_to_start_from() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_plan(Path(folder), *PLAN)
        return [Path(folder, name).read_bytes() for name in ("plan.json", "plan.parquet")]


def coco_to_start_from() -> list[bytes]:
    shape = [2.0, 3.0, 8.0, 3.0, 8.0, 7.0]
    content = {
        "categories": [{"id": 2, "name": "fish"}, {"id": 1, "name": "wrecks/ruins"}],
        "images": [{"id": 3, "file_name": "a.jpg", "width": 40, "height": 30}],
        "annotations": [{"image_id": 3, "category_id": 2, "segmentation": [shape]}],
    }
    return [json.dumps(content).encode()]


def lists_to_start_from() -> list[bytes]:
    return [b"2007_000001\n2007_000002\n", *(text.encode() for text in CUB.values())]


PROBE = Probe(np.ones((2, 3), "f4"), np.zeros(2, "f4"), ("a", "b"), {}, {"C": 0.01})
PLAN = StudyConfig("mine"), ["cat", "dog", "koala"], 2, True
CUB = dict(zip(TABLES, (f"1 {CLASSES[0]}/a.jpg\n", f"1 {CLASSES[0]}\n", "1 1\n", "1 0\n")))


def prepare(root: Path) -> None:
    """What stands beside the file that is read."""
    for stem in "ab":
        (root / "images" / f"{stem}.png").write_bytes(encoded(RGB, "png"))
    save_probe(PROBE, root / "kept.json")
    write_plan(root / "kept", *PLAN)
    (root.parent / "val").mkdir()
    (root.parent / "val" / "a.jpg").write_bytes(encoded(RGB, "jpg"))
    for name, text in CUB.items():
        (root / f"kept-{name}").write_text(text)


READERS = {
    "image": (image, images_to_start_from, "image.png"),
    "unit": (unit, units_to_start_from, "unit.npz"),
    "config": (config, configs_to_start_from, "config.json"),
    "labels": (labels, labels_to_start_from, "labels.csv"),
    "table": (table, tables_to_start_from, "table.parquet"),
    "archive": (archive, archives_to_start_from, "archive"),
    "probe": (probe, probes_to_start_from, "probe.json"),
    "json": (stored_json, json_to_start_from, "index.json"),
    "plan": (plan, plans_to_start_from, "plan"),
    "coco": (coco, coco_to_start_from, "multi_class_val_annotations.json"),
    "lists": (lists, lists_to_start_from, "list.txt"),
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
        # named as USIS10K's folder of annotations is
        begin, path = Path(home, "begin"), Path(home, "multi_class_annotations", name)
        for folder in (begin, path.parent / "images"):
            folder.mkdir(parents=True)
        prepare(path.parent)
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
