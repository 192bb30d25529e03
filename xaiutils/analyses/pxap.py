"""Pixel average precision of every cue over the whole split (`metrics.pxap`).

Its interval is an online bootstrap over images (Oza and Russell 2001): each resample takes each
image a Poisson(1) number of times, so that no image's histogram has to be kept.
"""

import numpy as np

from xaiutils.metrics.pxap import STEPS, pxap, score_histogram
from xaiutils.statistics import LEVEL
from xaiutils.study import Study

COLUMNS = ["cue", "pxap", "low", "high", "n", "undefined", "object_share"]
VERSION = 1
RESAMPLES = 500


def units(study: Study) -> list[str]:
    """The cues: average precision is of the split, not of an image."""
    return study.cues


def measure(study: Study, unit: str) -> list[dict]:
    """One row: PxAP with its interval (NaN below two images), n images, undefined (flat maps, left
    out), and the object's share of the pixels, which is the PxAP of a map that says nothing."""
    rng, n, undefined = np.random.default_rng(0), 0, 0
    totals = np.zeros((RESAMPLES + 1, 2, STEPS + 1))
    for id in study.sample_ids:
        sample = study.sample(id)
        histogram = score_histogram(study.saliency(id, unit), sample.mask, sample.void)
        if not histogram.any():
            undefined += 1
            continue
        n += 1
        totals += np.append(1, rng.poisson(1, RESAMPLES))[:, None, None] * histogram
    found = {"cue": unit, **interval(totals), "n": n, "undefined": undefined}
    pixels = totals[0].sum()
    share = float(totals[0, 1].sum() / pixels) if pixels else float("nan")
    low_high = {} if n > 1 else {"low": float("nan"), "high": float("nan")}
    return [found | low_high | {"object_share": share}]


def interval(totals: np.ndarray) -> dict[str, float]:
    """pxap, low, high of summed histograms (R + 1, 2, bins), the sample's own first."""
    value, *drawn = pxap(totals)
    tail = (1 - LEVEL) / 2
    drawn = np.array(drawn)[np.isfinite(drawn)]  # a resample without any object has none
    low, high = np.quantile(drawn, [tail, 1 - tail]) if drawn.size else (np.nan, np.nan)
    return {"pxap": float(value), "low": float(low), "high": float(high)}
