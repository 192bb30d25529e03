"""What decides the claims about the maps themselves (sections 1 to 3 and Table 2 of the paper).

Where the paper gives no border ("low", "modestly", "unstable") the border is our reading; it is
printed beside each number as the claimed range.
"""

import numpy as np
import pandas as pd

from xaiutils.claims.finding import Finding, mean_finding, rho_finding, share_finding
from xaiutils.comparison import wide_table
from xaiutils.maps import BAND
from xaiutils.names import title
from xaiutils.sections import cost, published, table2
from xaiutils.sections.correlation import correlations, spearman_rows
from xaiutils.sections.cues import singles
from xaiutils.sections.faithfulness import completeness_error
from xaiutils.statistics import estimate_over, mean_defined
from xaiutils.study import Study


def by_image(study: Study, metric: str, table: str = "localisation") -> pd.DataFrame:
    """A metric of a table, a row an image and a column a cue (an explainer)."""
    found = study.table(table)
    found = found[found["metric"] == metric]
    return wide_table(found, cue="cue" if "cue" in found else "explainer")


def score_cam_iou(study: Study) -> list[Finding]:
    """C01."""
    wide = by_image(study, "iou")
    if "scorecam" not in wide:
        return []
    return [
        mean_finding("IoU of Score-CAM, Otsu", wide["scorecam"], at_least=0.4, at_most=0.6),
    ]


def modest_gains(study: Study) -> list[Finding]:
    """C02; a modest gain is read as one above 0 and at most 0.1."""
    wide = by_image(study, "iou")
    return [
        mean_finding(
            f"IoU of {title(cue)} minus Score-CAM",
            wide[cue] - wide["scorecam"],
            at_least=0,
            at_most=0.1,
        )
        for cue in ("fasterscorecam", "vargrad")
        if {cue, "scorecam"} <= set(wide)
    ]


def against_others(wide: pd.DataFrame, cue: str) -> pd.Series:
    """A cue minus the mean of the other explainers, for each image."""
    others = [other for other in singles(wide.columns) if other != cue]
    return wide[cue] - wide[others].mean(axis=1)


def weak_coverage(study: Study) -> list[Finding]:
    """C03: coverage of Integrated Gradients against the other explainers, and how evenly its mass
    lies: "sparse or diffuse" is read as a clear difference, to whichever side."""
    found = []
    for metric, name, two_sided in (
        ("coverage", "coverage", False),
        ("gini", "Gini index (sparse: higher, diffuse: lower)", True),
        ("entropy", "entropy (sparse: lower, diffuse: higher)", True),
    ):
        wide = by_image(study, metric)
        if "ig" in wide:
            each = against_others(wide, "ig")
            claimed = {"at_least": 0} if two_sided and each.mean() > 0 else {"at_most": 0}
            quantity = f"{name} of Integrated Gradients minus the mean of the others"
            found.append(mean_finding(quantity, each, **claimed))
    return found


def overspread(study: Study) -> list[Finding]:
    """C04: on how many images a third of Grad-CAM's region or more is background (10 %: "can");
    beside it how the spill goes with the size of the object."""
    wide = by_image(study, "spill")
    if "gradcam" not in wide:
        return []
    spilt = (wide["gradcam"].dropna() >= 0.3).astype(float)
    quantity = "share of images on which 30 % or more of Grad-CAM's region is background"
    size = study.table("samples").set_index("sample")["object_share"]
    table = pd.DataFrame({"size": size, "spill": wide["gradcam"]}).dropna().rename_axis("sample")
    table = table.reset_index().assign(cue="gradcam")
    rows = correlations(table, "size", "spill").set_index("level")
    row = rows.loc["across images"]
    by_size = "rank correlation of its spill and the object's share of the image"
    return [share_finding(quantity, spilt, at_least=0.1), rho_finding(by_size, row, row["n"])]


def low_precision(study: Study) -> list[Finding]:
    """C05: precision is 1 - spill; low is read as below the mean of the other explainers. The
    precision itself stands beside it."""
    wide = 1 - by_image(study, "spill")
    cues = [cue for cue in ("lime", "kernelshap") if cue in wide]
    less = "minus the mean of the others"
    return [
        *(
            mean_finding(f"precision of {title(cue)} {less}", against_others(wide, cue), at_most=0)
            for cue in cues
        ),
        *(mean_finding(f"precision of {title(cue)}", wide[cue]) for cue in cues),
    ]


def speed(study: Study) -> list[Finding]:
    """C08: about ten times is read as five to twenty."""
    found = cost.speed_ratio(study.table("explanations"))
    quantity = "seconds of Score-CAM over those of Faster-Score-CAM"
    return [Finding(quantity, *found, at_least=5, at_most=20)]


def disagreement(study: Study) -> list[Finding]:
    """C09: Grad-CAM with LIME, the mean over all other pairs, and how many of these are not low:
    similarly low is read as no more than one pair in ten above 0.4."""
    table = study.table("agreement")
    table = table[table["metric"] == "iou"]
    named = table[["a", "b"]].apply(frozenset, axis=1) == frozenset(("gradcam", "lime"))
    others = table[~named]
    each = {
        "IoU of Grad-CAM and LIME, both thresholded": table[named],
        "mean IoU of the other pairs": others,
    }
    found = [
        mean_finding(quantity, part.groupby("sample")["value"].mean(), at_most=0.4)
        for quantity, part in each.items()
        if len(part)
    ]
    wide = others.pivot(index="sample", columns=["a", "b"], values="value").to_numpy(float)
    if not wide.size:
        return found

    def above(draws: np.ndarray) -> np.ndarray:
        return (mean_defined(wide[draws], axis=1) > 0.4).mean(axis=1)

    n, pairs = wide.shape
    quantity = f"share of these {pairs} pairs with a mean above 0.4"
    return [*found, Finding(quantity, *estimate_over(n, above), n, at_most=0.1)]


def printed_cells(study: Study) -> list[Finding]:
    """C24: are our numbers the printed ones, and does our order of the methods follow theirs?

    The column of the paper's data set that the study is of; VOC's where it is of none. The numbers
    by the mean over the methods of ours minus the printed; within five points is read as the same.
    """
    printed = published.data_name(study.config.dataset)
    localisation = study.table("localisation")
    rows = table2.order(localisation)
    known = rows["dataset"] == printed
    rows = rows[known if known.any() else rows["dataset"] == "Pascal VOC 2012"]
    rows = rows.drop_duplicates("measure")
    differences = [
        mean_finding(
            f"{table2.MEASURES[row.measure]} minus the printed one ({row.dataset}), mean of "
            f"{row.methods} methods",
            ours_minus_printed(localisation, row),
            at_least=-0.05,
            at_most=0.05,
        )
        for row in rows.itertuples()
    ]
    return differences + [
        rho_finding(
            f"rank correlation with the printed {table2.MEASURES[row.measure]} ({row.dataset}), "
            f"{row.methods} methods",
            row,
            row.images,
            at_least=0.5,
        )
        for row in rows.itertuples()
    ]


def ours_minus_printed(localisation: pd.DataFrame, row) -> pd.Series:
    """By image: the mean over the methods of our value minus the printed one, of a row of
    `table2.order`."""
    printed = published.published("table2")
    printed = printed[printed["dataset"] == row.dataset].set_index("method")[row.measure]
    printed = printed.rename(published.METHODS)
    ours = localisation[localisation["metric"] == row.metric]
    ours = ours.pivot(index="sample", columns="cue", values="value")
    return (ours[[cue for cue in printed.index if cue in ours]] - printed).mean(axis=1)


def cost_order(study: Study) -> list[Finding]:
    """C31: rank correlation of the printed Cost with what an explanation costs, over the
    explainers: passes through the network, and seconds of this engine."""
    table = study.table("explanations").assign(passes=lambda t: t["forward"] + t["backward"])
    printed = cost.cost(table).set_index("explainer")["printed"]
    place = printed[printed != ""].map(cost.COSTS.index)
    found = []
    for column in ("passes", "seconds"):
        wide = table.pivot(index="sample", columns="explainer", values=column)[place.index]
        rho = pd.Series(
            spearman_rows(wide.to_numpy(float), place.to_numpy(float)[None]), wide.index
        )
        quantity = f"rank correlation of {column} with the Cost column, a photograph at a time"
        found.append(mean_finding(quantity, rho, at_least=0.7))
    return found


def unstable(study: Study) -> list[Finding]:
    """C07: a map that moves by a tenth of its norm for a change that nobody sees, and maps of two
    seeds that correlate below 0.9, are read as unstable."""
    found = []
    for metric, quantity, claimed in (
        ("max_sensitivity", "max-sensitivity (radius 0.02)", {"at_least": 0.1}),
        ("seed_correlation", "rank correlation of two seeds' maps", {"at_most": 0.9}),
    ):
        wide = by_image(study, metric, "stability")
        if metric == "seed_correlation":  # methods that draw nothing say nothing of the claim
            wide = wide.loc[:, wide.mean() < 1 - 1e-6]
        found += [mean_finding(f"{quantity}, {title(cue)}", wide[cue], **claimed) for cue in wide]
    return found


def complete_gradients(study: Study) -> list[Finding]:
    """C30: |sum of the attributions - difference of the scores| over that difference. The most
    steps decide, since the axiom is the integral's; fewer show what the sum adds."""
    error = completeness_error(study.table("completeness"))
    quantity = "relative completeness error of Integrated Gradients, {} steps"
    most = max(error, default=None)
    return [
        mean_finding(quantity.format(n), error[n], **({"at_most": 0.05} if n == most else {}))
        for n in sorted(error, reverse=True)
    ]


def texture(study: Study, metric: str, cue: str, quantity: str) -> list[Finding]:
    """A texture metric of one explainer against the mean of the others."""
    wide = by_image(study, metric, "texture")
    if cue not in wide:
        return []
    return [mean_finding(quantity, against_others(wide, cue), at_least=0)]


def grid(study: Study) -> list[Finding]:
    """C06: noisy is read as a total variation above the others' mean."""
    less = "minus the mean of the others"
    return [
        *texture(study, "grid_edges", "occlusion", f"Occlusion's edges on its grid {less}"),
        *texture(study, "total_variation", "occlusion", f"total variation of Occlusion {less}"),
    ]


def borders(study: Study) -> list[Finding]:
    """C33: sometimes is read as on 5 % of the images or more; the band has 19 % of the area."""
    wide = by_image(study, "border_share", "texture")
    if "scorecam" not in wide:
        return []
    heavy = (wide["scorecam"].dropna() > BAND).astype(float)
    quantity = "share of images on which Score-CAM's border band holds more than its area's share"
    return [share_finding(quantity, heavy, at_least=0.05)]


def over_smooth(study: Study) -> list[Finding]:
    """C34: high-frequency energy of VarGrad minus Integrated Gradients, the other gradient map."""
    wide = by_image(study, "high_frequency", "texture")
    if not {"vargrad", "ig"} <= set(wide):
        return []
    quantity = "high-frequency energy of VarGrad minus Integrated Gradients"
    return [mean_finding(quantity, wide["vargrad"] - wide["ig"], at_most=0)]


def straddling(study: Study) -> list[Finding]:
    """C32: boundary recall below 0.9 and under-segmentation above 0.05 are read as straddling."""
    found = []
    for metric, quantity, claimed in (
        ("boundary_recall", "boundary recall of the superpixels (2 px)", {"at_most": 0.9}),
        (
            "undersegmentation",
            "superpixels' area across the border, over the object's",
            {"at_least": 0.05},
        ),
    ):
        wide = by_image(study, metric, "texture")
        if "superpixels" in wide:
            found.append(mean_finding(quantity, wide["superpixels"], **claimed))
    return found


EVIDENCE = {
    "C01": (score_cam_iou, ()),
    "C02": (modest_gains, ()),
    "C03": (weak_coverage, ()),
    "C04": (overspread, ()),
    "C05": (low_precision, ()),
    "C06": (grid, ("texture",)),
    "C07": (unstable, ("stability",)),
    "C08": (speed, ()),
    "C09": (disagreement, ()),
    "C24": (printed_cells, ()),
    "C30": (complete_gradients, ("completeness",)),
    "C31": (cost_order, ()),
    "C32": (straddling, ("texture",)),
    "C33": (borders, ("texture",)),
    "C34": (over_smooth, ("texture",)),
}
