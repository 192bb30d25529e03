"""A study's gallery: every image with all maps, prompts and masks, or with its numbers alone.

Pictures are shown where the study's maps are here and its images may be shown (`SHOWN`); else the
page is a table with the same filters and the same order.
"""

from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from xaiutils.datasets.base import read_csv
from xaiutils.datasets.sample import SAMPLE_ROOT
from xaiutils.names import SEGMENTER_TITLES
from xaiutils.site.numbers import NUMBERS, as_values, by_cue, by_image
from xaiutils.site.pictures import Pictures, Reading, draw, route
from xaiutils.site.shell import Shell
from xaiutils.study import Study

# the data sets whose images a page may hold; all others belong to those who took the photographs
SHOWN = {
    "sample": "",  # credited one by one
    "folder": "These are your own images: pass this page on only if you may pass on them.",
}
MOST = 200  # images with pictures; a page with more of them is slow to open
# name of an order -> the number, and whether the highest is first
ORDERS = {
    "disagreement, most first": ("disagreement", True),
    "failure of the mask, lowest IoU first": ("mask_iou", False),
    "failure of the map, lowest IoU first": ("map_iou", False),
    "trust, least first": ("trust", False),
    "trust, most first": ("trust", True),
    "name": ("name", False),
}


def has_pictures(study: Study) -> bool:
    """Whether the gallery of a study shows its images."""
    return study.has_arrays and study.config.dataset in SHOWN


def write_gallery(study: Study, folder: Path, shell: Shell) -> None:
    """gallery.html in `folder`, which is the study's, and its pictures beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    table = by_cue(study)
    pictures = draw_all(study, folder, table) if has_pictures(study) else {}
    way = route(study)
    page = shell.page(
        "gallery.html.jinja2",
        f"{study.name}/gallery.html",
        study=study,
        items=items(study, table),
        pictures=pictures,
        credits=credits(study) if pictures else [],
        note=SHOWN.get(study.config.dataset, ""),
        why_none=why_no_pictures(study),
        segmenter=SEGMENTER_TITLES[way.segmenter] if way else "",
        classes=class_names(study),
        numbers=NUMBERS,
        orders=orders(table),
        most=MOST,
    )
    (folder / "gallery.html").write_text(page, encoding="utf-8")


def draw_all(study: Study, folder: Path, table: pd.DataFrame) -> dict[str, Pictures]:
    """The pictures by sample: of all images, or of the `MOST` that the explainers disagree on."""
    order = by_image(table)["disagreement"].sort_values(ascending=False, kind="stable").index
    chosen = [id for id in order if id in set(study.sample_ids)][:MOST]
    ids = [id for id in study.sample_ids if id in chosen]
    reading, way = Reading(study), route(study)
    numbered = enumerate(tqdm(ids, desc=f"{study.name}: pictures", delay=2), start=1)
    return {id: draw(reading, id, folder, number, way) for number, id in numbered}


def items(study: Study, table: pd.DataFrame) -> list[dict]:
    """A dict an image: sample, label, target_name, probability, classes, values."""
    values = as_values(table)
    rows = study.table("samples").to_dict("records")
    return [
        row
        | {
            "classes": split_label(row["label"]),
            "values": {
                cue: {"name": row["sample"], **numbers}
                for cue, numbers in values.get(row["sample"], {}).items()
            },
        }
        for row in rows
    ]


def split_label(label: str) -> list[str]:
    """The classes of an image; one that holds several names them with commas."""
    return [part for part in str(label).split(", ") if part]


def class_names(study: Study) -> list[str]:
    """All classes of a study by name."""
    labels = study.table("samples")["label"]
    return sorted({name for label in labels for name in split_label(label)})


def orders(table: pd.DataFrame) -> dict[str, str]:
    """The orders that the page offers, name -> "number:down" or ":up"; without those of numbers
    that the study has not."""
    return {
        name: f"{number}:{'down' if down else 'up'}"
        for name, (number, down) in ORDERS.items()
        if number == "name" or table[number].notna().any()
    }


def why_no_pictures(study: Study) -> str:
    """Why a gallery is without pictures; "" if it has them."""
    if has_pictures(study):
        return ""
    if study.has_arrays:
        return f"The images of {study.config.dataset} are not ours to share: numbers alone."
    return "This study holds tables only, without images, maps and masks: numbers alone."


def credits(study: Study) -> list[dict]:
    """Author, licence and changes of every bundled photograph; none for one's own images."""
    if study.config.dataset != "sample":
        return []
    rows = read_csv(Path(study.config.root or SAMPLE_ROOT) / "manifest.csv", ("id", "licence"))
    return [row for row in rows if row["id"] in set(study.sample_ids)]
