"""Data sets of images with object masks, behind one `load_dataset(name, root, split)`."""

from collections.abc import Callable
from pathlib import Path

from xaiutils.datasets.base import LOGITS, READINGS, Dataset, Sample, with_probe_logit
from xaiutils.datasets.cub import load_cub200
from xaiutils.datasets.cutouts import load_cutouts
from xaiutils.datasets.folder import load_folder
from xaiutils.datasets.kvasir import load_kvasir_seg, load_kvasir_sessile
from xaiutils.datasets.sample import SAMPLE_ROOT, load_sample
from xaiutils.datasets.usis10k import load_usis10k
from xaiutils.datasets.voc import load_voc2012
from xaiutils.errors import InputError

__all__ = ["DATASETS", "SAMPLE_ROOT", "Dataset", "Sample", "load_dataset"]

DATASETS: dict[str, Callable[[str | Path | None, str | None, str, str], Dataset]] = {
    "sample": load_sample,
    "folder": load_folder,
    "voc2012": load_voc2012,
    "cub200": load_cub200,
    "usis10k": load_usis10k,
    "kvasir-seg": load_kvasir_seg,
    "kvasir-sessile": load_kvasir_sessile,
    "cutouts": load_cutouts,
}


def load_dataset(
    name: str,
    root: str | Path | None = None,
    split: str | None = None,
    *,
    reading: str = "class",
    logit: str = "given",
    seed: int = 0,
) -> Dataset:
    """A data set by name.

    - "sample": the bundled photographs (`data/sample`, described in its manifest.csv), each file
      checked against its SHA-256 at every load. No split.
    - "folder": `root`/images/* with `root`/masks/<same stem>.*, and optionally `root`/labels.csv
      (columns file, label, imagenet_index). Without a masks folder the masks are empty, so that
      every metric against them is NaN, while maps are still compared with each other. No split.
      Files whose names differ in case or suffix alone, or are no UTF-8, are skipped.
    - "voc2012": split train, val (default) or trainval.
    - "cub200": split train, test (default) or all.
    - "usis10k": split train, val or test (default).
    - "kvasir-seg", "kvasir-sessile": all images; split train or val where the authors' lists are.
    - "cutouts": composites with exact masks, made when they are loaded (`xaiutils.cutouts`); split
      place (default), ground, company or bias. root: a folder of RGBA images, or what
      `xaiutils.cutouts fetch` filled; None: the bundled photographs, and Tux Paint's where
      installed.

    The official layouts are in the modules of this package. root is the folder that holds the
    layout or what `fetch_dataset` unpacked.

    reading: "class" gives one sample per image and class (voc2012, usis10k; of cutouts the object
    without its company), all else being background; "binary" one per image, all objects against
    the background. The other data sets have one object class an image, so that both are the same.
    In a binary sample the mapped logit may stand for some of the mask's classes only.

    logit: "given" takes the ImageNet class that the data set itself states (sample, folder,
    cutouts) and None elsewhere; "predicted" is None everywhere, the classifier's top-1; "mapped"
    takes it from the versioned tables (`datasets.mappings`): `Sample.candidates`, and
    `Sample.target` if there is one only; "probe" takes the data set's own classes, as a probe
    knows them that is trained on the split train (`Dataset.train`, `xaiutils.probe`). Samples
    without a mapped class, or whose class the training split cannot teach, are skipped and counted
    in `Dataset.skipped`, as are listed images whose image or mask is missing.

    seed: of what "cutouts" leave to chance; the others leave nothing.

    Raises InputError for an unknown name, reading or logit, a root or split that does not fit, a
    layout that cannot be used, and if no sample is left; what is wrong with one sample only is
    raised when that sample is loaded.
    """
    if name not in DATASETS:
        raise InputError(f"unknown data set '{name}': choose one of {', '.join(DATASETS)}")
    if reading not in READINGS:
        raise InputError(f"unknown reading '{reading}': choose {' or '.join(READINGS)}")
    if logit not in LOGITS:
        raise InputError(f"unknown logit '{logit}': choose one of {', '.join(LOGITS)}")
    if logit == "probe":
        dataset = DATASETS[name](root, split, reading, "predicted")
        if len(dataset.classes) < 2:
            raise InputError(
                f"data set '{name}' has one class only ({', '.join(dataset.classes)}): a probe "
                "needs two classes; explain the predicted logit instead"
            )
        return with_probe_logit(dataset, _load_training(name, root))
    if name == "cutouts":
        return load_cutouts(root, split, reading, logit, seed)
    return DATASETS[name](root, split, reading, logit)


def _load_training(name: str, root: str | Path | None) -> Dataset:
    """What a probe is trained on: the split train, one sample per image."""
    try:
        return load_dataset(name, root, "train", reading="binary", logit="predicted")
    except InputError as error:
        raise InputError(f"a probe needs the split train: {error}") from error
