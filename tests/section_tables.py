"""Small synthetic tables in the study's format, with IoUs that are known by construction."""

import numpy as np
import pandas as pd

SAMPLES = [f"s{i}" for i in range(6)]
BUMP = np.array([-0.02, -0.01, 0.0, 0.0, 0.01, 0.02])  # each image's own difficulty; mean 0

# cue: (IoU of the thresholded map, IoU of the SAM mask from dual cues)
CUES = {
    "gradcam": (0.50, 0.70),
    "scorecam": (0.45, 0.60),
    "ig": (0.10, 0.40),
    "lime": (0.30, 0.28),
    "fused-weighted": (0.52, 0.72),
    "fused-mean": (0.55, 0.65),
}
REFERENCES = {
    "floor:centre point": 0.45,
    "floor:random points": 0.2,
    "ceiling:click": 0.6,
    "ceiling:true box": 0.9,
}
EXPLAINERS = [cue for cue in CUES if not cue.startswith("fused")]


def _row(sample, cue, prompting, segmenter, iou, score=np.nan):
    return {
        "sample": sample,
        "cue": cue,
        "prompting": prompting,
        "segmenter": segmenter,
        "iou": iou,
        "dice": np.nan,
        "score": score,
        "seconds": 0.1,
    }


def segmentation() -> pd.DataFrame:
    rows = []
    for sample, bump in zip(SAMPLES, BUMP):
        for cue, (seed, mask) in CUES.items():
            rows.append(_row(sample, cue, "otsu", "threshold", seed + bump))
            rows.append(_row(sample, cue, "dual", "embedded_sam", mask + bump, 0.9 + bump))
            rows.append(_row(sample, cue, "peak", "embedded_sam", mask + bump - 0.2, 0.8))
            rows.append(_row(sample, cue, "dual", "grabcut", seed + bump + 0.1))
            rows.append(_row(sample, cue, "dual", "random_walker", seed + bump - 0.1))
        for cue, iou in REFERENCES.items():
            rows.append(_row(sample, cue, cue.split(":")[1], "embedded_sam", iou + bump))
    return pd.DataFrame(rows)


def localisation() -> pd.DataFrame:
    rows = [
        (sample, cue, metric, seed + bump + extra)
        for sample, bump in zip(SAMPLES, BUMP)
        for cue, (seed, _) in CUES.items()
        for metric, extra in (("iou", 0.0), ("iou_oracle", 0.15))
    ]
    return pd.DataFrame(rows, columns=["sample", "cue", "metric", "value"])


def proxy() -> pd.DataFrame:
    """Coverage 0.55 for Grad-CAM; spill 0.40 for LIME, 0.10 else; proxies shift coverage by 0.1."""
    rows = [
        (sample, cue, reference, 0.55 + 0.05 * k + shift + bump, 0.4 if cue == "lime" else 0.1)
        for sample, bump in zip(SAMPLES, BUMP)
        for k, cue in enumerate(CUES)
        for reference, shift in (("truth", 0.0), ("fused proxy", 0.1), ("own proxy", 0.2))
    ]
    return pd.DataFrame(rows, columns=["sample", "cue", "reference", "coverage", "spill"])


def samples() -> pd.DataFrame:
    share = [0.01, 0.02, 0.05, 0.1, 0.3, 0.6]
    return pd.DataFrame({"sample": SAMPLES, "object_share": share})


def agreement() -> pd.DataFrame:
    rows = [
        (sample, a, b, metric, 0.3)
        for sample in SAMPLES
        for i, a in enumerate(EXPLAINERS)
        for b in EXPLAINERS[i + 1 :]
        for metric in ("iou", "spearman")
    ]
    return pd.DataFrame(rows, columns=["sample", "a", "b", "metric", "value"])


def masks() -> pd.DataFrame:
    """As `pitfalls.mask_agreement` gives them: 0.8 for Grad-CAM with Score-CAM, 0.5 else."""
    table = agreement()
    table = table[table["metric"] == "iou"].drop(columns="metric").reset_index(drop=True)
    pair = (table["a"] == "gradcam") & (table["b"] == "scorecam")
    return table.assign(value=np.where(pair, 0.8, 0.5))
