"""The figure of the segmenter's own explanations: what SAM's mask depends on."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xaiutils.analyses.sam_occlusion import SEGMENTER, cue_of
from xaiutils.figures.panels import nothing
from xaiutils.figures.photos import below, grid, headline, not_stored, row_label
from xaiutils.figures.style import MASK, PEAK, fill, outline, picture, style
from xaiutils.maps import peak
from xaiutils.names import title
from xaiutils.sections.explain_sam import as_grid, mask_title
from xaiutils.study import Study


def segmenter_maps(study: Study, table: pd.DataFrame) -> Figure:
    """A row a photograph: SAM's mask of one point, what hiding changes, what moving the point does.

    table: the analysis "sam_occlusion" of this study.
    """
    if table.empty:
        return nothing("The segmenter has not been explained in this study.")
    if not study.has_arrays:
        return not_stored(study, "What SAM's mask depends on")
    samples = [study.sample(id) for id in table["sample"].unique()]
    with style():
        figure, axes = grid([s.image.shape[:2] for s in samples], 3, head=0.3, feet=(0.08,))
        for row, sample in zip(axes, samples):
            _row(row, study, sample, table[table["sample"] == sample.id])
        heads = ["mask of one point", "change when hidden", "IoU when the point moves"]
        for ax, head in zip(axes[0], heads):
            ax.set_title(head)
        headline(figure, mask_title(table))
        below(
            figure,
            "Middle: 1 − IoU of the mask with itself when the patch is blurred. Right: IoU of the "
            "mask with that of a point in the patch. Dark is 0, light is 1; yellow: the mask; red: "
            f"its point, the maximum of the {title(cue_of(study))} map. {study.caption()}",
        )
    return figure


def _row(row: np.ndarray, study: Study, sample, part: pd.DataFrame) -> None:
    cue = cue_of(study)
    mask = study.mask(sample.id, cue, "peak", SEGMENTER)
    x, y = peak(study.saliency(sample.id, cue))
    height, width = sample.image.shape[:2]
    picture(row[0], sample.image)
    fill(row[0], mask, MASK)
    row_label(row[0], sample.label)
    grey = np.repeat(sample.image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    for ax, kind in zip(row[1:], ("occlusion", "prompt")):
        picture(ax, grey)
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        ax.imshow(as_grid(part, kind), cmap="magma", vmin=0, vmax=1, alpha=0.7, extent=extent,
                  interpolation="nearest")  # fmt: skip
        outline(ax, mask, MASK)
    for ax in row:
        ax.plot(x, y, "o", color=PEAK, markeredgecolor="white", markersize=5)
