"""The paper's tables as printed, whether ours may be held against them, and Table 1.

Printed numbers are read from data/published; ours from a study's tidy tables. Where images,
classifier or settings are not the paper's, the table itself says so.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from xaiutils.config import StudyConfig, is_stand_in
from xaiutils.datasets.facts import FACTS
from xaiutils.errors import InputError
from xaiutils.export import PER_CLASS, image_of
from xaiutils.names import CLASSIFIER_TITLES, title
from xaiutils.statistics import FEWEST

PUBLISHED = Path(__file__).resolve().parents[2] / "data" / "published"
# The rows of Table 2 by the name of our cue.
METHODS = {
    "Grad-CAM": "gradcam",
    "Grad-CAM++": "gradcam++",
    "Score-CAM": "scorecam",
    "FasterScore-CAM": "fasterscorecam",
    "Integrated Gradients": "ig",
    "VarGrad": "vargrad",
    "Occlusion": "occlusion",
    "KernelSHAP": "kernelshap",
    "LIME": "lime",
    "Fused-Weighted": "fused-weighted",
}
# Our data sets by the name that the paper prints in its Tables 1 and 2.
PRINTED_AS = {
    "cub200": "CUB-200-2011",
    "voc2012": "Pascal VOC 2012",
    "usis10k": "USIS10K",
    "kvasir-sessile": "Sessile-Kvasir-SEG",
}
# The printed "Sessile-Kvasir-SEG, 1,000 images" has the count of Kvasir-SEG.
ALSO_PRINTED_AS = {"kvasir-seg": "Sessile-Kvasir-SEG"}
VOC_VAL = 1449  # images of the segmentation task's val split
# What the paper's tables may be measured on, by split: official images. Table 1 counts all of a
# data set, of VOC its val split; the official test split is where others evaluate.
EVALUATED = {name: {"all": facts.images} for name, facts in FACTS.items()}
EVALUATED["voc2012"] = {"val": VOC_VAL}
EVALUATED["cub200"]["test"] = 5794
EVALUATED["usis10k"]["test"] = 1596
DEFAULT_SPLITS = {"voc2012": "val", "cub200": "test", "usis10k": "test"}  # of the loaders; or all
ALMOST_ALL = 0.99  # a file that is missing or damaged makes no other data set
REMARKS = {
    "Pascal VOC 2012": f"the val split has {VOC_VAL:,} images; the table prints 1,450",
    "Sessile-Kvasir-SEG": "1,000 images are all of Kvasir-SEG, its sessile subset has 196; "
    "the paper prints no result for it",
}
NOT_COMPARABLE = "not comparable"


def published(name: str) -> pd.DataFrame:
    """A table of the paper as printed: "table1", "table2" or "table3"."""
    path = PUBLISHED / f"{name}.csv"
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in PUBLISHED.glob("*.csv"))) or "none"
        raise InputError(f"no published table {name!r} in {PUBLISHED}; there are: {known}")
    table = pd.read_csv(path)
    # Table 1 writes one data set without the space that Table 2 writes
    if "dataset" in table:
        table["dataset"] = table["dataset"].replace("Pascal VOC2012", "Pascal VOC 2012")
    return table


def data_name(dataset: str) -> str:
    """How a data set of ours is called in print."""
    return PRINTED_AS.get(dataset, "bundled photographs" if dataset == "sample" else dataset)


def printed_name(dataset: str) -> str:
    """The row of Table 1 that a data set of ours is held against; `data_name` where there is none.

    It differs from `data_name` for Kvasir-SEG, whose count is printed as its sessile subset's.
    """
    return ALSO_PRINTED_AS.get(dataset, data_name(dataset))


def other_images(printed: str, config: StudyConfig, images: int) -> list[str]:
    """How a study's images are not all those of a printed data set; empty if they are.

    printed: the data set's name in print; images: how many the study holds (`images_of`).
    """
    if is_stand_in(config, images):
        return ["other images (a stand-in for USIS10K)"]
    if config.dataset not in EVALUATED or printed_name(config.dataset) != printed:
        return [f"other images ({data_name(config.dataset)})"]
    split = config.split or DEFAULT_SPLITS.get(config.dataset, "all")
    official = EVALUATED[config.dataset].get(split)
    if official is None:
        return [f"split {split} ({images:,} images)"]
    if images < ALMOST_ALL * official:
        of = "" if split == "all" else f"{split} "
        return [f"{images:,} of the {official:,} {of}images"]
    return []


def other_settings(config: StudyConfig) -> list[str]:
    """How a study's classifier and explainers are not what the paper may have used.

    The paper states ResNet-50, not whose weights, and no settings: an explainer's defaults are
    taken for them, of which the fast preset takes fewer samples.
    """
    probe = " with a probe" if config.logit == "probe" else ""
    reasons = []
    if probe or not config.classifier.startswith("resnet50"):
        name = CLASSIFIER_TITLES.get(config.classifier, config.classifier)
        reasons.append(f"other classifier ({name}{probe})")
    if config.preset != "full":
        reasons.append(f"{config.preset} preset")
    if config.settings:
        reasons.append(
            f"changed settings ({', '.join(title(name) for name, _ in config.settings)})"
        )
    return reasons


def not_comparable(printed: str, config: StudyConfig, images: int) -> str:
    """Every reason why our numbers cannot be held against a printed column; "" if they can.

    printed: the column's data set; images: how many the study holds (`images_of`).
    """
    return _marked([*other_images(printed, config, images), *other_settings(config)])


def _marked(reasons: list[str]) -> str:
    return f"{NOT_COMPARABLE}: {', '.join(reasons)}" if reasons else ""


def scope(samples: pd.DataFrame, config: StudyConfig) -> str:
    """What numbers of this study may be used for, in one sentence.

    samples: the study's table of that name.
    """
    n, printed = len(images_of(samples, config.dataset)), printed_name(config.dataset)
    reasons = [*other_images(printed, config, n), *other_settings(config)]
    if config.dataset in EVALUATED and printed not in set(published("table2")["dataset"]):
        reasons.append("the paper prints no result for this data set")
    why = f"; {_marked(reasons)}" if reasons else ""
    if n < FEWEST:
        return (
            f"**A direction only**: n = {n} images{why}. These numbers neither confirm nor refute "
            "what the paper measured."
        )
    if reasons:
        return (
            f"**Not the paper's setting**: n = {n} images{why}. A number here is not its number "
            "measured again; the verdicts at the end say which claims hold on these images."
        )
    return (
        f"With n = {n} images of {printed} and ResNet-50 the numbers can be held against the "
        "paper, as far as its conditions are known: it states no settings."
    )


def classes_of(samples: pd.DataFrame, dataset: str) -> set[str]:
    """The classes of a study's samples, each by itself where a sample unites several."""
    labels = samples["label"]
    return set(labels.str.split(", ").explode() if dataset in PER_CLASS else labels)


def images_of(samples: pd.DataFrame, dataset: str) -> set[str]:
    """The images of a study's samples, of which one may give a sample for each of its classes."""
    pairs = zip(samples["sample"], samples["label"])
    return {image_of(sample, label, dataset) for sample, label in pairs}


def table1(samples: pd.DataFrame, config: StudyConfig) -> pd.DataFrame:
    """Table 1 as printed, beside what this study holds of each data set; a row more for its own.

    samples: the study's table of that name. Columns with "here" are empty where the study holds
    nothing of the data set; "here − printed" are differences, and the remark says "not comparable"
    and why. Images and classes are counted, not samples and their labels: a sample may be one class
    of an image, or unite several ("horse, person").
    """
    table = published("table1").rename(
        columns={"dataset": "data set", "classes": "classes, printed", "images": "images, printed"}
    )
    table = table.drop(columns="classes_as_printed")
    name = printed_name(config.dataset)
    if name not in set(table["data set"]):
        own = {"data set": name, "domain": "this study, not in the paper"}
        table = pd.concat([table, pd.DataFrame([own])], ignore_index=True)
    here = table["data set"] == name
    images = len(images_of(samples, config.dataset))
    held = {"classes": len(classes_of(samples, config.dataset)), "images": images}
    for kind, count in held.items():
        table[f"{kind} here"] = np.where(here, count, np.nan)
        table[f"{kind}, here − printed"] = table[f"{kind} here"] - table[f"{kind}, printed"]
    table["object's share of the image, median here"] = np.where(
        here, samples["object_share"].median(), np.nan
    )
    table["remark"] = [
        "; ".join(filter(None, [_marked(_apart(row, name, config, images)), REMARKS.get(row)]))
        for row in table["data set"]
    ]
    counts = [name for name in table if name.startswith(("classes", "images"))]
    return table.astype(dict.fromkeys(counts, "Int64"))


def _apart(row: str, name: str, config: StudyConfig, images: int) -> list[str]:
    """Why the counts in a row of Table 1 are not of the same images; name: the study's own row."""
    if row != name:
        return ["not in this study"]
    return other_images(row, config, images) if config.dataset in EVALUATED else ["not printed"]
