"""What decides the claims about fusion and about a SAM that refines the maps (sections 3 and 4)."""

import pandas as pd

from xaiutils.claims.finding import Finding, mean_finding, rho_finding
from xaiutils.claims.maps import by_image
from xaiutils.comparison import paired_tests
from xaiutils.evaluation import PROXIES
from xaiutils.names import title
from xaiutils.sections.correlation import LEVELS, correlations
from xaiutils.sections.cues import FUSED, best_of, prompted, ranked, singles, thresholded
from xaiutils.sections.disagreement import trust_table
from xaiutils.sections.miou import field_miou
from xaiutils.sections.pitfalls import mask_agreement
from xaiutils.sections.thresholds import at_levels, training_levels
from xaiutils.sections.votes import vote_trend
from xaiutils.study import Study


def masks_by_image(study: Study, route=prompted) -> pd.DataFrame:
    """IoU of the masks, a row an image and a column a cue; SAM's unless another route is given."""
    return route(study.table("segmentation")).pivot(index="sample", columns="cue", values="iou")


def best_single(wide: pd.DataFrame) -> str:
    """The explainer with the highest mean: chosen on the same images, which favours it."""
    return wide[singles(wide.columns)].mean().idxmax()


def fused_maps(study: Study) -> list[Finding]:
    """C10: the maps alone, against the best single explainer; by six points "sometimes"."""
    wide = by_image(study, "iou")
    if FUSED not in wide:
        return []
    best = best_single(wide)
    gain = wide[FUSED] - wide[best]
    quantity = f"IoU of the fused map minus {title(best)}, the best single on these images"
    return [
        mean_finding(quantity, gain, at_least=0),
        mean_finding(f"{quantity}, six points", gain, at_least=0.06),
    ]


def weighted_against_mean(study: Study) -> list[Finding]:
    """C11."""
    wide = by_image(study, "iou")
    if not {FUSED, "fused-mean"} <= set(wide):
        return []
    quantity = "IoU of the weighted fusion minus the plain average"
    return [mean_finding(quantity, wide[FUSED] - wide["fused-mean"], at_least=0)]


def places(study: Study, measure: str, cue: str, reference: str) -> pd.Series:
    """Coverage or spill of a cue against a reference, by image."""
    table = study.table("proxy")
    part = table[(table["cue"] == cue) & (table["reference"] == reference)]
    return part.set_index("sample")[measure]


def gradcam_coverage(study: Study) -> list[Finding]:
    """C12, against ground truth and against the fused proxy mask."""
    return [
        mean_finding(
            f"coverage of Grad-CAM against the {name}",
            places(study, "coverage", "gradcam", reference),
            at_least=0.5,
            at_most=0.6,
        )
        for reference, name in {"truth": "ground truth", "fused proxy": "fused proxy mask"}.items()
    ]


def surrogate_spill(study: Study) -> list[Finding]:
    """C13, against ground truth and, as the paper defines spill, against the fused proxy mask."""
    return [
        mean_finding(
            f"spill of {title(cue)} against the {name}",
            places(study, "spill", cue, reference),
            at_least=0.3,
        )
        for reference, name in {"truth": "ground truth", "fused proxy": "fused proxy mask"}.items()
        for cue in ("lime", "kernelshap")
    ]


def at_tuned_levels(study: Study) -> pd.DataFrame | None:
    """IoU of the maps, each cut at the level tuned for its cue on training images, a row an image
    and a column a cue; None without training images."""
    levels = training_levels(study)
    if levels.empty:
        return None
    cut = at_levels(study.table("thresholds"), levels)
    return cut.pivot(index="sample", columns="cue", values="iou")


def best_method(study: Study) -> list[Finding]:
    """C14: the better of Score-CAM and Grad-CAM against the best other, and the best's coverage.

    Every map is cut at the level tuned for its explainer on training images ("a tuned Grad-CAM"),
    where there are some; else at Otsu's.
    """
    tuned = at_tuned_levels(study)
    wide = by_image(study, "iou") if tuned is None else tuned
    cut = "Otsu's levels" if tuned is None else "levels tuned on training images"
    means = wide[singles(wide.columns)].mean().sort_values(ascending=False)
    named = [cue for cue in means.index if cue in ("scorecam", "gradcam")]
    others = [cue for cue in means.index if cue not in named]
    if not named or not others:
        return []
    quantity = f"IoU of {title(named[0])} minus {title(others[0])}, the best other, at {cut}"
    found = [mean_finding(quantity, wide[named[0]] - wide[others[0]], at_least=0)]
    coverage, best = by_image(study, "coverage"), means.index[0]
    if best in coverage:
        quantity = f"coverage of {title(best)}, the best, at Otsu's level"
        found.append(mean_finding(quantity, coverage[best], at_most=0.9))
    return found


def prompted_against_threshold(study: Study) -> list[Finding]:
    """C15: by far is read as ten points or more; a finding an explainer."""
    sam, otsu = masks_by_image(study), masks_by_image(study, thresholded)
    return [
        mean_finding(f"SAM mask minus Otsu's, {title(cue)}", sam[cue] - otsu[cue], at_least=0.1)
        for cue in singles(sam.columns)
        if cue in otsu
    ]


def fused_mask(study: Study) -> list[Finding]:
    """C16 and C29: the 21-class mIoU of SAM's masks from the fused cues, where it is measured,
    beside 78.4; elsewhere their IoU per image, which is another measure and decides nothing."""
    if "confusion" in study.tables:
        rows = field_miou(study)
        rows = rows[(rows["cue"] == FUSED) & rows["route"].isin(PROXIES)]
        return [
            Finding(
                f"{row.measure} of SAM's masks from the fused cues, the image's classes known",
                row.miou,
                row.low,
                row.high,
                row.n,
                at_least=0.784,
            )
            for row in rows.itertuples()
        ]
    sam = masks_by_image(study)
    if FUSED not in sam:
        return []
    quantity = "per-image IoU of SAM's mask from the fused cues"
    return [mean_finding(quantity, sam[FUSED])]


def single_against_fused(study: Study) -> list[Finding]:
    """C17: fused minus single, SAM masks; significantly is read as Wilcoxon's test, Holm's
    correction over the explainers, and an interval above zero."""
    sam = masks_by_image(study)
    if FUSED not in sam:
        return []
    tests = paired_tests(sam, [(FUSED, cue) for cue in singles(sam.columns)])
    return [
        Finding(
            f"SAM mask of the fused cues minus {title(row.b)} (Wilcoxon, Holm)",
            row.mean,
            row.low,
            row.high,
            row.n,
            at_least=0,
            p=row.p_holm,
        )
        for row in tests.itertuples()
    ]


def fusion_gain(study: Study) -> list[Finding]:
    """C18: against the best single explainer, and against the best floor."""
    sam = masks_by_image(study)
    if FUSED not in sam:
        return []
    found = []
    table = ranked(prompted(study.table("segmentation")), ["explainer", "floor"])
    for kind, least in (("explainer", 0.05), ("floor", 0.0)):
        rival = best_of(table, kind)
        if rival:
            quantity = f"SAM mask of the fused cues minus {title(rival)}"
            found.append(mean_finding(quantity, sam[FUSED] - sam[rival], at_least=least))
    return found


def ceilings(study: Study) -> list[Finding]:
    """C19."""
    sam = masks_by_image(study)
    return [
        mean_finding(f"SAM mask, {title(cue)}", sam[cue], at_least=0.7, at_most=0.9)
        for cue in ("ceiling:click", "ceiling:five clicks", "ceiling:true box")
        if cue in sam
    ]


def disagreeing_masks(study: Study) -> list[Finding]:
    """C25: clear disagreement is read as a pairwise IoU below 0.8."""
    table = mask_agreement(study.table("mask_agreement"), study.table("segmentation"))
    each = table.groupby("sample")["value"].mean()
    return [mean_finding("mean pairwise IoU of the SAM masks", each, at_most=0.8)]


def agreeing_regions(study: Study) -> list[Finding]:
    """C26."""
    rho = pd.Series(vote_trend(study.table("votes")))
    quantity = "rank correlation of votes and precision, within an image"
    return [mean_finding(quantity, rho, at_least=0)]


def trustworthy(study: Study) -> list[Finding]:
    """C27: does low entropy, or agreement, go with a high IoU, from image to image?"""
    tables = (study.table(name) for name in ("localisation", "agreement", "samples"))
    table = trust_table(*tables).assign(confidence=lambda t: -t["effective_area"])
    found = []
    for quantity, x in (
        ("rank correlation of low entropy and IoU", "confidence"),
        ("rank correlation of agreement and IoU", "agreement"),
    ):
        rows = correlations(table, x, "iou").set_index("level")
        for level in ("across images", "across explainers"):
            row = rows.loc[level]
            name = f"{quantity}, {LEVELS[level]}"
            found.append(rho_finding(name, row, row["n"], at_least=0))
    return found


MAPS_ALONE = ("C10", "C11", "C14", "C26", "C27")  # no segmenter bears on these
EVIDENCE = {
    "C10": (fused_maps, ()),
    "C11": (weighted_against_mean, ()),
    "C12": (gradcam_coverage, ()),
    "C13": (surrogate_spill, ()),
    "C14": (best_method, ()),
    "C15": (prompted_against_threshold, ()),
    "C16": (fused_mask, ()),
    "C17": (single_against_fused, ()),
    "C18": (fusion_gain, ()),
    "C19": (ceilings, ()),
    "C25": (disagreeing_masks, ()),
    "C26": (agreeing_regions, ()),
    "C27": (trustworthy, ()),
    "C29": (fused_mask, ()),
}
