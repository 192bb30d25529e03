"""What the paper's experiments cost in full: model passes, processor hours, GPU hours, storage.

    python -m xaiutils.cost             # writes figures/bench/cost.csv and cost.md

Nothing is run. Passes follow from the explainers' settings; processor hours from the seconds that
figures/bench/speed.csv and the stored studies hold; GPU hours from an assumed throughput
(`ASSUMED`), since none was measured. A reader with a GPU changes three numbers.
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from xaiutils.explainers import EXPLAINERS, PRESETS, Explainer, make_explainer
from xaiutils.explainers.occlusion import windows
from xaiutils.names import CLASSIFIER_TITLES
from xaiutils.report import FIGURES, output_folder, save_table
from xaiutils.store import read_whole, write_text

# (data set, split, images): the official splits, and the counts of the paper's Table 1 as "all"
SETS = (
    ("voc2012", "val", 1449),
    ("cub200", "test", 5794),
    ("usis10k", "test", 1596),
    ("kvasir-seg", "all", 1000),
    ("cub200", "all", 11788),
    ("usis10k", "all", 10632),
)
SIDE = 224  # of the classifiers' input
CORES = 2  # that speed.csv and the stored studies were measured on
STUDIES = {"resnet50": "voc2012-subset-resnet50", "efficientnet_lite0": "voc2012-subset"}
# a data-centre GPU in half precision, cautiously: not measured
ASSUMED = {
    "passes_per_s": 1000.0,  # forward, images of 224 x 224 through ResNet-50
    "backward": 2.0,  # a backward pass in forward passes
    "masks_per_s": 50.0,  # of SAM2, the image's encoding included
}
# of the demo study's units and of the stored tables of voc2012-subset
BYTES = {"map": 102_456, "evaluation": 827_504, "tables": 13_523}
UNITS = len(EXPLAINERS) * BYTES["map"] + BYTES["evaluation"]  # of an image
DATA = FIGURES.parent / "data"


def passes_of(explainer: Explainer, channels: float) -> tuple[float, float]:
    """(forward, backward) passes of an image; `channels` are those that Score-CAM masks."""
    settings = asdict(explainer)
    if explainer.name in ("gradcam", "gradcam++"):
        return 1, 1
    if explainer.name == "scorecam":
        return channels + 1, 1
    if explainer.name == "fasterscorecam":
        return settings["max_channels"] + 1, 1
    if explainer.name == "ig":
        return settings["steps"], settings["steps"]
    if explainer.name == "vargrad":
        return settings["samples"], settings["samples"]
    if explainer.name == "occlusion":
        return len(windows(SIDE, settings["window"], settings["stride"])) + 1, 0
    if explainer.name == "kernelshap":
        return settings["samples"] + 2, 0  # nothing hidden, and everything
    return settings["samples"], 0


@dataclass(frozen=True)
class Measured:
    """Means over the images of a stored study: channels that Score-CAM masks, masks that point
    segmenters make, seconds of all masks (`masking`) and of all explanations (`explaining`)."""

    channels: float
    masks: float
    masking: float
    explaining: float


def measured(explanations: pd.DataFrame, segmentation: pd.DataFrame) -> Measured:
    """From the tables of those names."""
    images = explanations["sample"].nunique()
    return Measured(
        explanations.loc[explanations["explainer"] == "scorecam", "forward"].mean() - 1,
        segmentation["segmenter"].eq("embedded_sam").sum() / images,
        segmentation["seconds"].sum() / images,
        explanations["seconds"].sum() / images,
    )


def per_image(preset: str, speed: pd.DataFrame, found: Measured) -> pd.DataFrame:
    """A row a part of the work on one image: part, forward, backward, masks, seconds.

    `speed` is one classifier's part of speed.csv: its seconds a forward pass are taken for any
    number of passes.
    """
    speed = speed.set_index("method")
    rows = []
    for name in EXPLAINERS:
        forward, backward = passes_of(make_explainer(name, preset), found.channels)
        rate = speed.loc[name, "ours_s"] / speed.loc[name, "passes"]
        rows.append((name, forward, backward, 0, rate * forward))
    rest = speed.loc["pipeline", "ours_s"] - speed.loc["all nine", "ours_s"]
    rows.append(("masks and measures", 0, 0, found.masks, rest + found.masking))
    return pd.DataFrame(rows, columns=["part", "forward", "backward", "masks", "seconds"])


def cost(image: pd.DataFrame, images: int, assumed: Mapping[str, float] = ASSUMED) -> pd.DataFrame:
    """`per_image` times a number of images, with the row "all".

    Columns part, forward, backward (passes), cpu_hours (of one core), gpu_hours_assumed,
    compact_gb (tables alone) and units_gb (maps and masks too; both for "all" only).
    """
    total = image.drop(columns="seconds").set_index("part") * images
    work = total["forward"] + assumed["backward"] * total["backward"]
    table = total[["forward", "backward"]].assign(
        cpu_hours=image.set_index("part")["seconds"] * images * CORES / 3600,
        gpu_hours_assumed=(work / assumed["passes_per_s"] + total["masks"] / assumed["masks_per_s"])
        / 3600,
    )
    table.loc["all"] = table.sum()
    table.loc["all", "compact_gb"] = images * BYTES["tables"] / 1e9
    table.loc["all", "units_gb"] = images * (BYTES["tables"] + UNITS) / 1e9
    return table.reset_index()


def cost_table(speed: pd.DataFrame, found: Measured) -> pd.DataFrame:
    """Every preset, data set and split for the one classifier of `speed`."""
    parts = []
    for preset in PRESETS:
        image = per_image(preset, speed, found)
        for dataset, split, images in SETS:
            keys = {"preset": preset, "dataset": dataset, "split": split, "images": images}
            table = cost(image, images)
            parts.append(table.assign(**keys)[[*keys, *table.columns]])
    return pd.concat(parts, ignore_index=True)


PAGE = """\
# What the paper's experiments cost in full

`python -m xaiutils.cost` writes this page and [cost.csv](cost.csv), which has every explainer by
itself. **Nothing here was run in full**: it is arithmetic on what was measured on a few images.

{table}

The four evaluation splits together, {classifier}, full preset: {images:,} images, {passes:,.0f}
million model passes, {cpu:,.0f} processor hours, {gpu:,.1f} GPU hours (assumed), {compact:.2f} GB
of tables, {units_gb:.0f} GB with maps and masks.

- **Images**: the official splits of the four data sets; the rows `all` of CUB-200 and USIS10K are
  what the paper's Table 1 counts. One sample an image (the reading `binary`).
- **Model passes** follow from the settings of each explainer. Score-CAM masks the channels that
  are not constant, {found.channels:,.0f} on average over the images of the stored study `{study}`.
- **Processor hours** are hours of one core: the seconds of a pass in [speed.csv](speed.csv),
  measured on {cores} cores with as many threads, times the passes; and for each image {rest:.1f} s
  for all its masks and measures (speed.csv, and `{study}`). speed.csv was measured on a processor
  with bfloat16; without it ResNet-50 is many times slower: that study, on one core and with the
  fast preset, took {found.explaining:.0f} s an image for its explanations.
- **GPU hours are an estimate from an assumed throughput, not measured**: {forward:,.0f} forward
  passes a second, a backward pass as {backward:.0f} forward ones, {sam:.0f} masks of SAM2 a second
  ({found.masks:.0f} masks an image).
- **Storage**: {tables:.1f} kB of tables an image (`--compact` keeps these alone), and {units:.1f}
  MB of maps and masks at the size of the bundled photographs (measured on the demo).
- Not counted: further analyses (faithfulness, stability, randomised networks, training) and
  downloads.
"""


def page(classifier: str, table: pd.DataFrame, found: Measured, rest: float) -> str:
    """The page beside cost.csv; `rest` is what an image's masks and measures take, in seconds."""
    total = table[table["part"] == "all"]
    whole = total[total["preset"] == "full"].drop_duplicates("dataset")  # the evaluation splits
    return PAGE.format(
        table=markdown(total),
        classifier=CLASSIFIER_TITLES[classifier],
        study=STUDIES[classifier],
        images=whole["images"].sum(),
        passes=(whole["forward"] + whole["backward"]).sum() / 1e6,
        cpu=whole["cpu_hours"].sum(),
        gpu=whole["gpu_hours_assumed"].sum(),
        compact=whole["compact_gb"].sum(),
        units_gb=whole["units_gb"].sum(),
        found=found,
        rest=rest,
        cores=CORES,
        forward=ASSUMED["passes_per_s"],
        backward=ASSUMED["backward"],
        sam=ASSUMED["masks_per_s"],
        tables=BYTES["tables"] / 1e3,
        units=UNITS / 1e6,
    )


def markdown(total: pd.DataFrame) -> str:
    """The rows "all" as a table."""
    lines = [
        "| preset | data set | split | images | forward passes | backward passes | processor hours "
        "| GPU hours (assumed) | tables alone (GB) | with maps and masks (GB) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in total.itertuples():
        lines.append(
            f"| {row.preset} | {row.dataset} | {row.split} | {row.images:,} "
            f"| {row.forward / 1e6:,.2f} M | {row.backward / 1e6:,.2f} M | {row.cpu_hours:,.0f} "
            f"| {row.gpu_hours_assumed:,.1f} | {row.compact_gb:.2f} | {row.units_gb:.1f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m xaiutils.cost", description=__doc__)
    parser.add_argument("--classifier", choices=STUDIES, default="resnet50")
    parser.add_argument("--folder", default="", help="default: figures/bench of the repository")
    options = parser.parse_args(arguments)
    folder = output_folder("bench", options.folder)
    study = DATA / "studies" / STUDIES[options.classifier]
    tables = [read_whole(study / f"{name}.parquet") for name in ("explanations", "segmentation")]
    found = measured(*tables)
    speed = pd.read_csv(FIGURES / "bench" / "speed.csv")
    speed = speed[speed["classifier"] == options.classifier]
    table = save_table(cost_table(speed, found), folder, "cost")
    rest = per_image("full", speed, found).set_index("part").loc["masks and measures", "seconds"]
    write_text(folder / "cost.md", page(options.classifier, table, found, rest))
    print(markdown(table[table["part"] == "all"]))


if __name__ == "__main__":
    main()
