"""python -m xaiutils COMMAND: `--help` lists them.

Heavy imports stand inside the commands, so that --help answers at once.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from xaiutils import sharded
from xaiutils.describe import add_parser as add_describe
from xaiutils.errors import InputError, exit_status

# options of `run` that are fields of StudyConfig, by their own names
OVERRIDES = (
    "name",
    "dataset",
    "root",
    "split",
    "reading",
    "logit",
    "limit",
    "classifier",
    "preset",
    "explainers",
    "segmenters",
    "sam2_model",
    "sam2_checkpoint",
    "sam2_postprocessing",
    "device",
    "seed",
)


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 a notebook failed, 2 bad input (one line on stderr), 130 Ctrl-C."""
    args = parser().parse_args(argv)
    return exit_status(lambda: args.command(args))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m xaiutils",
        description="Can a saliency map be trusted as a segmentation cue?",
    )
    commands = top.add_subparsers(required=True, metavar="command")
    _add_weights(commands)
    _add_data(commands)
    _add_run(commands)
    _add_analyse(commands)
    _add_export(commands)
    _add_figures(commands)
    _add_site(commands)
    listing = commands.add_parser("list", help="every name that the other commands take")
    listing.set_defaults(command=list_names)
    return top


def _add_weights(commands) -> None:
    weights = commands.add_parser("weights", help="fetch and verify the embedded weights")
    weights.add_argument("names", nargs="*", help="default: all of them")
    weights.set_defaults(command=fetch_weights)


def _add_data(commands) -> None:
    data = commands.add_parser("data", help="fetch a data set, or say what is missing of it")
    steps = data.add_subparsers(required=True, metavar="step")
    fetch = steps.add_parser("fetch", help="download, verify, unpack; prints the terms of use")
    fetch.add_argument("name")
    fetch.add_argument("--root", type=_absolute, required=True, help="where to put it")
    fetch.set_defaults(command=fetch_data)
    check = steps.add_parser("check", help="missing or damaged files; exit status 1 if any")
    check.add_argument("name")
    check.add_argument("--root", type=_absolute, required=True, help="folder of the data set")
    check.add_argument("--full", action="store_true", help="decode every file (slow)")
    check.set_defaults(command=check_data)
    add_describe(steps)


def _add_run(commands) -> None:
    run = commands.add_parser(
        "run",
        help="run a study: explanations, masks, tables",
        description="Run a study, or a variant of it under a --name of its own. What an "
        "earlier run has computed is not computed again.",
    )
    run.add_argument("--study", default="demo", help="the study to run or to start from (demo)")
    run.add_argument("--name", help="the variant's name: its folder, and --study for `figures`")
    run.add_argument("--dataset", help='"folder" for your own images')
    run.add_argument("--root", type=_absolute, help="folder of the data set (images/, masks/)")
    run.add_argument("--split", help="split of the data set")
    run.add_argument("--reading", help="class: a sample an image and class; binary: one an image")
    run.add_argument("--logit", help="which class is explained: given, predicted, mapped or probe")
    run.add_argument("--limit", type=int, help="only the first images")
    run.add_argument("--classifier")
    run.add_argument("--preset", help="fast or full: how many samples the explainers take")
    run.add_argument("--explainers", type=_names, help="names with commas between")
    run.add_argument("--segmenters", type=_names, help="names with commas between")
    run.add_argument("--sam2-model", help="sam2_hiera_SIZE or sam2.1_hiera_SIZE")
    run.add_argument("--sam2-checkpoint", type=_absolute, help="its .pt file (default: the hub)")
    run.add_argument(
        "--sam2-postprocessing",
        action=argparse.BooleanOptionalAction,
        help="upstream's fallback of unstable single masks; recorded in the study (on)",
    )
    run.add_argument("--device", help="of SAM2: cpu, cuda or mps")
    run.add_argument("--seed", type=int)
    sharded.add_options(run)
    run.set_defaults(command=run_study)
    sharded.add_commands(commands)


def _add_analyse(commands) -> None:
    analyse = commands.add_parser("analyse", help="measure more of a finished study")
    analyse.add_argument("--study", required=True)
    analyse.add_argument("names", nargs="+", help="analyses; `list` prints them")
    analyse.set_defaults(command=analyse_study)
    claims = commands.add_parser("claims", help="the paper's claims and what a study says of them")
    claims.add_argument("--study", required=True)
    claims.set_defaults(command=judge_claims)
    publish = commands.add_parser("publish", help="a study's tables without images or paths")
    publish.add_argument("--study", required=True)
    publish.add_argument("--to", type=Path, required=True, help="folder of stored studies")
    publish.set_defaults(command=publish_study)


def _add_export(commands) -> None:
    export = commands.add_parser("export", help="pseudo-labels of a study as VOC PNG or COCO JSON")
    export.add_argument("--study", default="demo")
    export.add_argument("--to", required=True, help="a new or empty folder")
    export.add_argument("--cue", default="fused-weighted", help="an explainer or a fusion")
    export.add_argument("--segmenter", default="embedded_sam", help='or "map": the map itself')
    export.add_argument("--prompting", default="dual", help="how the segmenter was prompted")
    export.add_argument("--level", type=float, help="where maps are cut, 0 to 1 (default: Otsu)")
    export.add_argument("--format", default="voc", help="voc or coco")
    export.add_argument("--void", action="store_true", help="mark the truth's void pixels as 255")
    export.set_defaults(command=export_labels)


def _add_figures(commands) -> None:
    figures = commands.add_parser("figures", help="run a study, then the notebooks, headless")
    figures.add_argument("--study", default="demo")
    figures.add_argument("--notebooks", type=_names, help="names or beginnings: 01,03 (all)")
    figures.add_argument("--figures", help="output folder (figures/<study>)")
    figures.add_argument("--timeout", type=float, default=1800, help="seconds a notebook (1800)")
    figures.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="another parameter of the notebooks (a JSON value, else text)",
    )
    figures.set_defaults(command=draw_figures)


def _add_site(commands) -> None:
    site = commands.add_parser("site", help="notebooks, galleries, claims and reference as a site")
    site.add_argument("--study", type=_names, help="names with commas (demo,voc2012-subset)")
    site.add_argument("--to", default="build/site", help="a new or empty folder, or an older site")
    site.set_defaults(command=build_site)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _absolute(text: str) -> str:
    """Notebooks run in another folder than this command: relative paths would not find it."""
    return str(Path(text).expanduser().absolute())


def fetch_weights(args: argparse.Namespace) -> int:
    from xaiutils.weights import prepare

    prepare(args.names or None)
    return 0


def fetch_data(args: argparse.Namespace) -> int:
    from xaiutils.cutouts.fetch import fetch_cutouts
    from xaiutils.fetch import fetch_dataset

    if args.name == "cutouts":
        print(f"cutouts are in {fetch_cutouts(args.root)}")
        return 0
    print(f"{args.name} is in {fetch_dataset(args.name, args.root)}")
    return 0


def check_data(args: argparse.Namespace) -> int:
    from xaiutils.datasets.check import check_dataset

    problems = check_dataset(args.name, args.root, args.full)
    print("\n".join(problems) if problems else f"{args.name}: complete")
    return 1 if problems else 0


def run_study(args: argparse.Namespace) -> int:
    from xaiutils import study as studies

    given = {key: getattr(args, key) for key in OVERRIDES if getattr(args, key) is not None}
    if args.executor:
        return sharded.run_sharded(variant(args.study, given), args)
    if given:
        study = studies.run_study(variant(args.study, given))
    elif args.study in studies.STUDIES:  # every unit is checked, finished or not
        study = studies.run_study(studies.STUDIES[args.study])
    else:
        study = studies.open_study(args.study)
    print(f"{study.name}: {study.caption()}; tables in {study.folder}")
    errors = study.table("errors")
    for row in errors.head(5).itertuples():
        print(f"  {row.sample} {row.stage} {row.cue}: {row.message}", file=sys.stderr)
    if len(errors):
        print(f"  {len(errors)} failures in all: table 'errors'", file=sys.stderr)
    return 0


def analyse_study(args: argparse.Namespace) -> int:
    from xaiutils.analyses import analyse, find
    from xaiutils.study import open_study

    for name in args.names:  # an unknown name must not cost what stands before it
        find(name)
    study = open_study(args.study)
    for name in args.names:
        table = analyse(study, name)
        print(f"{study.name}: {name}, {len(table)} rows in {study.folder}")
    return 0


def judge_claims(args: argparse.Namespace) -> int:
    from xaiutils.claims import ledger, write_ledger
    from xaiutils.sections.words import quote
    from xaiutils.study import open_study

    study = open_study(args.study)
    for row in ledger(study).itertuples():
        number = quote(row.estimate, row.low, row.high, row.n) if row.n else ""
        print(f"{row.id}  {row.verdict:16}  {row.claim}\n     {row.quantity} {number}")
    print(f"\n{study.caption()}\n{write_ledger(study)}")
    return 0


def publish_study(args: argparse.Namespace) -> int:
    from xaiutils.publish import publish

    print(publish(args.study, args.to))
    return 0


def export_labels(args: argparse.Namespace) -> int:
    from xaiutils.export import export

    return export(args)


def variant(study: str, given: dict[str, object]):
    """The configuration of a named study with some fields replaced, under another name."""
    from xaiutils.study import STUDIES

    if study not in STUDIES:
        raise InputError(f"--study {study!r}: a variant starts from one of {', '.join(STUDIES)}")
    if given.get("name", study) in STUDIES:
        raise InputError("a study with settings of its own needs a --name of its own")
    return replace(STUDIES[study], **given)


def draw_figures(args: argparse.Namespace) -> int:
    from xaiutils.batch import find_notebooks, run_notebooks

    outcomes = run_notebooks(
        args.study,
        find_notebooks(args.notebooks),
        args.figures,
        args.timeout,
        {name: _value(text) for name, text in args.parameters},
    )
    return 1 if any(outcome.reason for outcome in outcomes) else 0


def build_site(args: argparse.Namespace) -> int:
    from xaiutils.site import STUDIES, build

    print(build(STUDIES if args.study is None else args.study, args.to))
    return 0


def _value(text: str) -> object:
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def list_names(args: argparse.Namespace) -> int:
    from xaiutils.analyses import ANALYSES
    from xaiutils.classifiers import CLASSIFIERS
    from xaiutils.datasets import DATASETS
    from xaiutils.explainers import EXPLAINERS, PRESETS
    from xaiutils.segmenters import REGISTRY
    from xaiutils.study import STUDIES, studies_dir
    from xaiutils.weights import WEIGHTS

    stored = sorted(path.parent.name for path in studies_dir().glob("*/config.json"))
    rooms = {
        "explainers": EXPLAINERS,
        "presets": PRESETS,
        "classifiers": CLASSIFIERS,
        "segmenters": REGISTRY,
        "data sets": DATASETS,
        "analyses": ANALYSES,
        "studies": dict.fromkeys([*STUDIES, *stored]),
        "weights": WEIGHTS,
    }
    for room, names in rooms.items():
        print(f"{room:12} {', '.join(names)}")
    return 0
