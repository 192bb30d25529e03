"""curves: what a training run sees (the loss on pseudo-labels) beside what it does not (the truth).

For each of `SOURCES` and each way of weighting its labels (`teachers.VARIANTS`) a head is trained
for `EPOCHS` epochs on four fifths of the training images, those that have a label; every fifth is
held out. At each of `CHECKPOINTS`, a row a validation image: the loss on the training
pseudo-labels and on the held-out ones (both without weights, so that variants can be compared; the
same for all samples of an epoch), and the IoU of the head's mask with the true one.
"""

import numpy as np

from xaiutils.analyses import trained
from xaiutils.metrics.localisation import iou
from xaiutils.study import Study
from xaiutils.teachers import (
    PLAIN,
    TRUTH,
    VARIANTS,
    Labelled,
    features_of,
    labelled,
    train_on,
)
from xaiutils.training import Head, evaluate_loss, logits_of, mask_from_logits

VERSION = 1
COMPANION = True
COLUMNS = ["sample", "source", "variant", "epoch", "pseudo_loss", "held_out_loss", "iou"]
# one of each family of explainers (a head takes a minute or two of 27 epochs), their fusion, truth
SOURCES = ("gradcam", "ig", "lime", "fused-weighted", TRUTH)
EPOCHS = 27
CHECKPOINTS = (1, 2, 3, 5, 8, 12, 18, 27)
FOLD = 5


def units(study: Study) -> list[str]:
    """Those of `SOURCES` that both studies have."""
    return [source for source in trained.units(study) if source in SOURCES]


def measure(study: Study, unit: str) -> list[dict]:
    """One row a variant, checkpoint and sample; the true masks are weighted plainly alone."""
    rows = []
    for variant in (PLAIN,) if unit == TRUTH else VARIANTS:
        data = labelled(study.companion, unit, variant)
        rows += curve(study, data, unit, variant)
    return rows


def split(data: Labelled, fold: int = FOLD) -> tuple[Labelled, Labelled]:
    """Every `fold`-th image is held out, from the first; (training, held out)."""
    places = np.arange(len(data.ids))
    return data.take(places[places % fold != 0]), data.take(places[places % fold == 0])


def curve(study: Study, data: Labelled, source: str, variant: str) -> list[dict]:
    """Train, and look at every checkpoint."""
    training, held_out = split(data)
    samples = [study.sample(id) for id in study.sample_ids]
    rows = []

    def watch(epoch: int, head: Head) -> None:
        if epoch not in CHECKPOINTS:
            return
        losses = [evaluate_loss(head, part.features, part.labels) for part in (training, held_out)]
        found = dict(zip(["pseudo_loss", "held_out_loss"], losses))
        row = {"source": source, "variant": variant, "epoch": epoch, **found}
        for sample, logits in zip(samples, logits_of(head, features_of(study)), strict=True):
            mask = mask_from_logits(logits, sample.mask.shape)
            score = iou(mask, sample.mask, sample.void)
            rows.append({"sample": sample.id, **row, "iou": score})

    train_on(training, study, source, epochs=EPOCHS, watch=watch)
    return rows
