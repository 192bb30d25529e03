"""What is measured of one image once its explanations are there: one list of rows a table."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from xaiutils.config import THRESHOLDS
from xaiutils.datasets import Sample
from xaiutils.errors import InputError
from xaiutils.fusion import FUSIONS
from xaiutils.images import resize_map
from xaiutils.maps import normalise, otsu, threshold
from xaiutils.metrics.agreement import agreement, votes
from xaiutils.metrics.localisation import coverage, dice, iou, localisation, spill
from xaiutils.prompting import CEILINGS, FLOORS, PROMPTINGS, Prompts
from xaiutils.segmenters import Segmenter

NAN = float("nan")
Rng = Callable[[str], np.random.Generator]  # an independent stream for each named purpose


@dataclass
class Evaluation:
    """Rows of every table (each a dict without its sample), masks by (cue, prompting, segmenter),
    fused maps (S, S) by cue."""

    rows: dict[str, list[dict]] = field(default_factory=lambda: defaultdict(list))
    masks: dict[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    fused: dict[str, np.ndarray] = field(default_factory=dict)


def evaluate(
    sample: Sample,
    maps: Mapping[str, np.ndarray],
    fusions: tuple[str, ...],
    promptings: tuple[str, ...],
    segmenters: Mapping[str, Segmenter],
    rng: Rng,
) -> Evaluation:
    """Fuse, localise, compare, prompt and segment one sample.

    `maps` are saliency maps (S, S), non-negative, by explainer. Otsu's threshold leaves void pixels
    out where maps are judged; prompts cannot know them, so the mask of the segmenter "threshold"
    may differ from the one judged, and their mean IoU in the third decimal.
    """
    result = Evaluation()
    fuse(result, maps, fusions, rng)
    cues = at_image_size({**maps, **result.fused}, sample.image.shape[:2])
    seeds = {cue: threshold(map, otsu(map, ~sample.void)) for cue, map in cues.items()}
    for cue, map in cues.items():
        for metric, value in localisation(map, sample.mask, sample.void).items():
            result.rows["localisation"].append({"cue": cue, "metric": metric, "value": value})
        for level, value in threshold_curve(map, sample.mask, sample.void):
            result.rows["thresholds"].append({"cue": cue, "level": level, "iou": value})
    single = {cue: cues[cue] for cue in maps}
    result.rows["votes"] = tally_votes([seeds[cue] for cue in single], sample.mask, sample.void)
    for a, b, metric, value in agreement(single, {cue: seeds[cue] for cue in maps}, sample.void):
        result.rows["agreement"].append({"a": a, "b": b, "metric": metric, "value": value})
    for segmenter in segmenters.values():
        segmenter.set_image(sample.image)
    segment_cues(result, sample, cues, promptings, segmenters, rng)
    segment_references(result, sample, segmenters, rng)
    compare_with_proxy(result, sample, seeds)
    compare_masks(result, list(maps), sample.void)
    return result


def fuse(
    result: Evaluation, maps: Mapping[str, np.ndarray], fusions: tuple[str, ...], rng: Rng
) -> None:
    """Every named fusion of the maps, and its weights."""
    stack = np.stack(list(maps.values()))
    for name in fusions:
        fusion = FUSIONS[name](stack, rng(f"fusion {name}"))
        result.fused[f"fused-{name}"] = fusion.map
        for explainer, weight in zip(maps, fusion.weights, strict=True):
            result.rows["weights"].append(
                {
                    "fusion": name,
                    "explainer": explainer,
                    "weight": float(weight),
                    "rounds": fusion.rounds,
                    "dropped": fusion.dropped,
                }
            )


def at_image_size(maps: Mapping[str, np.ndarray], shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Maps (S, S) as (H, W) in [0, 1]; a flat or undefined map is all NaN."""
    return {cue: to_image(map, shape) for cue, map in maps.items()}


def to_image(map: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """One map (S, S) resized to the image and normalised, (H, W) float32."""
    if not np.isfinite(map).all():
        return np.full(shape, np.nan, np.float32)
    return normalise(resize_map(map, shape))


def threshold_curve(map: np.ndarray, mask: np.ndarray, void: np.ndarray) -> list[tuple]:
    """(level, IoU) of a map (H, W) in [0, 1] cut at each of `THRESHOLDS`; NaN for a flat map."""
    if not np.isfinite(map).all():
        return [(level, NAN) for level in THRESHOLDS]
    return [(level, iou(threshold(map, level), mask, void)) for level in THRESHOLDS]


def tally_votes(seeds: list[np.ndarray], mask: np.ndarray, void: np.ndarray) -> list[dict]:
    """Votes of the thresholded maps against the object, a row for each number of votes 0 to K.

    pixels (that have exactly so many votes), precision (the share of them on the object, NaN
    without pixels), coverage (the share of the object with at least so many votes).
    """
    count, inside = votes(np.stack(seeds))[~void], mask[~void]
    size = np.bincount(count, minlength=len(seeds) + 1)
    hits = np.bincount(count[inside], minlength=len(seeds) + 1)
    at_least = hits[::-1].cumsum()[::-1]
    return [
        {
            "votes": v,
            "pixels": int(size[v]),
            "precision": hits[v] / size[v] if size[v] else NAN,
            "coverage": at_least[v] / at_least[0] if at_least[0] else NAN,
        }
        for v in range(len(seeds) + 1)
    ]


def segment_cues(result, sample, cues, promptings, segmenters, rng: Rng) -> None:
    """Each cue's prompts through each segmenter; segmenters without points take `dual` regions."""
    for cue, map in cues.items():
        names = dict.fromkeys([*promptings, "dual"])  # the regions of `dual` are always wanted
        prompts = {name: PROMPTINGS[name](map, rng(f"{cue} {name}")) for name in names}
        for name, segmenter in segmenters.items():
            if name == "threshold":
                wanted = {"otsu": prompts["dual"]}
            elif takes_regions(segmenter):
                wanted = {"dual": prompts["dual"]}
            else:
                wanted = {prompting: prompts[prompting] for prompting in promptings}
            for prompting, prompt in wanted.items():
                segment(result, sample, cue, prompting, name, segmenter, prompt)


def takes_regions(segmenter: Segmenter) -> bool:
    """True for segmenters that grow the dual-threshold regions (GrabCut, random walker)."""
    return any("foreground" in fields or "seed" in fields for fields in segmenter.needs)


def segment_references(result, sample, segmenters, rng: Rng) -> None:
    """Floors (no explanation) and ceilings (the ground truth) through the point segmenters."""
    for name, segmenter in segmenters.items():
        if takes_regions(segmenter):
            continue
        for floor, make in FLOORS.items():
            prompt = make(sample.image.shape[:2], rng(f"floor {floor}"))
            segment(result, sample, f"floor:{floor}", floor, name, segmenter, prompt)
        for ceiling, make in CEILINGS.items():
            try:
                prompt = make(sample.mask & ~sample.void, rng(f"ceiling {ceiling}"))
            except InputError:  # an empty mask has no click: undefined, not zero
                prompt = None
            segment(result, sample, f"ceiling:{ceiling}", ceiling, name, segmenter, prompt)


def segment(
    result: Evaluation,
    sample: Sample,
    cue: str,
    prompting: str,
    name: str,
    segmenter: Segmenter,
    prompts: Prompts | None,
) -> None:
    """One mask and its row; prompts that say nothing give NaN, not an empty mask."""
    row = {"cue": cue, "prompting": prompting, "segmenter": name}
    found = {"iou": NAN, "dice": NAN, "score": NAN, "seconds": NAN}
    try:
        if prompts is not None and not prompts.empty:
            start = time.perf_counter()
            prediction = segmenter.predict(prompts)
            found = {
                "iou": iou(prediction.mask, sample.mask, sample.void),
                "dice": dice(prediction.mask, sample.mask, sample.void),
                "score": float(prediction.score),
                "seconds": time.perf_counter() - start,
            }
            result.masks[cue, prompting, name] = prediction.mask
    except InputError as error:  # prompts that this segmenter cannot use: undefined, and told
        result.rows["errors"].append(
            {
                "stage": f"{name} from {prompting}",
                "cue": cue,
                "error": type(error).__name__,
                "message": str(error),
            }
        )
    result.rows["segmentation"].append(row | found)


PROXIES = ("embedded_sam", "sam2")  # the segmenters that stand in for ground truth (section 4)


def compare_with_proxy(result: Evaluation, sample: Sample, seeds: Mapping[str, np.ndarray]) -> None:
    """Coverage and spill of each thresholded map against the truth and against SAM's masks.

    "own proxy" is the mask that the map itself prompted: circular, and named so that it shows.
    """
    name = next((p for p in PROXIES if any(key[2] == p for key in result.masks)), None)
    fused = result.masks.get(("fused-weighted", "dual", name))
    for cue, seed in seeds.items():
        own = result.masks.get((cue, "dual", name))
        references = {"truth": sample.mask, "fused proxy": fused, "own proxy": own}
        for reference, mask in references.items():
            defined = mask is not None and seed.any()
            result.rows["proxy"].append(
                {
                    "cue": cue,
                    "reference": reference,
                    "coverage": coverage(seed, mask, sample.void) if defined else NAN,
                    "spill": spill(seed, mask, sample.void) if defined else NAN,
                }
            )


def compare_masks(result: Evaluation, explainers: list[str], void: np.ndarray) -> None:
    """Pairwise IoU of the masks that each segmenter makes of the explainers' dual cues (Figure 4).

    NaN where one of the two is undefined (a flat map prompts nothing).
    """
    for segmenter in dict.fromkeys(key[2] for key in result.masks if key[1] == "dual"):
        masks = {cue: result.masks.get((cue, "dual", segmenter)) for cue in explainers}
        for a, b in combinations(explainers, 2):
            defined = masks[a] is not None and masks[b] is not None
            value = iou(masks[a], masks[b], void) if defined else NAN
            result.rows["mask_agreement"].append(
                {"a": a, "b": b, "segmenter": segmenter, "value": value}
            )
