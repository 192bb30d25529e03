"""The paper's tables as printed, whether ours may be held against them, and Table 1.

Printed numbers are read from data/published; ours from a study's tidy tables. Where data set or
classifier is not the paper's, the table itself says so.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from xaiutils.errors import InputError
from xaiutils.export import PER_CLASS, suffix
from xaiutils.names import CLASSIFIER_TITLES
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
REMARKS = {
    "Pascal VOC 2012": "the val split has 1,449 images; the table prints 1,450",
    "Sessile-Kvasir-SEG": "1,000 images are all of Kvasir-SEG, its sessile subset has 196; "
    "the paper prints no result for it",
}


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


def not_comparable(printed: str, dataset: str, classifier: str) -> str:
    """Why our numbers cannot be held against a printed column; "" if they can.

    printed: the column's data set; dataset, classifier: names of the study's configuration.
    """
    reasons = []
    if data_name(dataset) != printed:
        reasons.append(f"other images ({data_name(dataset)})")
    if classifier != "resnet50":
        reasons.append(f"other classifier ({CLASSIFIER_TITLES.get(classifier, classifier)})")
    return "not comparable: " + ", ".join(reasons) if reasons else ""


def scope(n: int, dataset: str, classifier: str) -> str:
    """What numbers of this study may be used for, in one sentence."""
    data = data_name(dataset)
    printed = [PRINTED_AS[d] for d in PRINTED_AS if PRINTED_AS[d] == data]
    reason = not_comparable(*(printed or ["the paper's"]), dataset, classifier)
    why = f"; {reason}" if reason else ""
    if n < FEWEST:
        return (
            f"**A direction only**: n = {n}{why}. These numbers neither confirm nor refute what "
            "the paper measured."
        )
    if reason or n < 100:
        return (
            f"**Not the paper's setting**: n = {n}{why}. A number here is not its number measured "
            "again; the verdicts at the end say which claims hold on these images."
        )
    return f"With n = {n} images of {data} and ResNet-50 the numbers can be held against the paper."


def classes_of(samples: pd.DataFrame, dataset: str) -> set[str]:
    """The classes of a study's samples, each by itself where a sample unites several."""
    labels = samples["label"]
    return set(labels.str.split(", ").explode() if dataset in PER_CLASS else labels)


def images_of(samples: pd.DataFrame, dataset: str) -> set[str]:
    """The images of a study's samples, of which one may give a sample for each of its classes."""
    if dataset not in PER_CLASS:
        return set(samples["sample"])
    pairs = zip(samples["sample"], samples["label"])
    return {sample.removesuffix(suffix(label)) for sample, label in pairs}


def table1(samples: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Table 1 as printed, beside what this study holds of each data set; a row more for its own.

    samples: the study's table of that name. Columns ending in "here" are empty where the study
    holds nothing of the data set. Images and classes are counted, not samples and their labels: a
    sample may be one class of an image, or unite several ("horse, person").
    """
    table = published("table1").rename(
        columns={"dataset": "data set", "classes": "classes, printed", "images": "images, printed"}
    )
    table = table.drop(columns="classes_as_printed")
    name = ALSO_PRINTED_AS.get(dataset, data_name(dataset))
    if name not in set(table["data set"]):
        own = {"data set": name, "domain": "this study, not in the paper"}
        table = pd.concat([table, pd.DataFrame([own])], ignore_index=True)
    here = table["data set"] == name
    table["classes here"] = np.where(here, len(classes_of(samples, dataset)), np.nan)
    table["images here"] = np.where(here, len(images_of(samples, dataset)), np.nan)
    table["object's share of the image, median here"] = np.where(
        here, samples["object_share"].median(), np.nan
    )
    table["remark"] = table["data set"].map(REMARKS).fillna("")
    counts = [name for name in table if name.startswith(("classes", "images"))]
    return table.astype(dict.fromkeys(counts, "Int64"))
