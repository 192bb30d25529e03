"""python -m xaiutils.cutouts fetch | recognise | run | gather

fetch --root FOLDER       Tux Paint's photographs (Debian, GPL-2) into a folder
recognise --root FOLDER   which cut-outs the classifier knows: the table's last column
run --root FOLDER         the four experiments, resumed where they were left
gather --root FOLDER      tables of what is there so far
"""

import argparse
import sys
import time

from xaiutils.errors import InputError, exit_status


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 bad input (one line on stderr), 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m xaiutils.cutouts",
        description="The controlled benchmark: objects moved, resized, set on other grounds.",
    )
    parser.add_argument("command", choices=("fetch", "recognise", "run", "gather"))
    parser.add_argument("--root", help="folder of cut-outs (default: bundled, and installed ones)")
    parser.add_argument("--name", default="cutouts", help="name of the study (cutouts)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after")
    args = parser.parse_args(argv)
    commands = {"fetch": fetch, "recognise": ask, "run": run, "gather": collect}
    return exit_status(lambda: commands[args.command](args))


def fetch(args) -> int:
    from xaiutils.cutouts.fetch import fetch_cutouts

    if not args.root:
        raise InputError("fetch needs --root: the folder to unpack into")
    print(f"cut-outs are in {fetch_cutouts(args.root)}")
    return 0


def ask(args) -> int:
    from xaiutils.classifiers import load_classifier
    from xaiutils.cutouts.recognise import recognise
    from xaiutils.cutouts.sources import open_library, write_recognised

    table = recognise(open_library(args.root), load_classifier("efficientnet_lite0"))
    write_recognised(dict(zip(table["object"], table["recognised"], strict=True)))
    mapped = int((table["target"] >= 0).sum())
    print(
        f"{len(table)} cut-outs, {mapped} with an ImageNet class, "
        f"{int(table['recognised'].sum())} recognised"
    )
    return 0


def run(args) -> int:
    from xaiutils.cutouts.study import run_cutouts

    deadline = time.monotonic() + 60 * args.minutes
    done = run_cutouts(args.name, args.root, lambda: time.monotonic() < deadline)
    print("complete" if done else "not complete (time limit, or see above): run again to go on")
    return collect(args)


def collect(args) -> int:
    from xaiutils.cutouts.study import gather

    folder = gather(args.name, args.root)
    print(f"tables in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
