"""Table 1 for one data set: what is on disk beside what the paper prints.

python -m xaiutils data describe NAME --root FOLDER
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line asks this module for its options: pandas can wait
    import pandas as pd


def beside_published(name: str, root: str | Path | None) -> "pd.DataFrame":
    """Rows "on disk", "official release" and "printed": data set, domain, classes, images, remark.

    classes on disk are those with at least one object; images those of the split in the remark.
    InputError for a data set that is not in Table 1, or a root without its layout.
    """
    import pandas as pd

    from xaiutils.datasets.check import describe_dataset
    from xaiutils.datasets.facts import FACTS
    from xaiutils.sections.published import ALSO_PRINTED_AS, PRINTED_AS, REMARKS, published

    here = describe_dataset(name, root)
    facts = FACTS[name]
    title = PRINTED_AS.get(name) or ALSO_PRINTED_AS[name]
    printed = published("table1").set_index("dataset").loc[title]
    columns = ["", "data set", "domain", "classes", "images", "remark"]
    disk = [here[key] for key in ("dataset", "domain", "classes", "images")]
    official = [facts.title, facts.domain, facts.classes, facts.images, "all splits"]
    paper = [title, *(printed[key] for key in ("domain", "classes", "images"))]
    rows = [
        ["on disk", *disk, f"split: {here['split']}"],
        ["official release", *official],
        ["printed", *paper, REMARKS.get(title, "")],
    ]
    return pd.DataFrame(rows, columns=columns).astype({"classes": "Int64", "images": "Int64"})


def add_parser(steps) -> None:
    """The step `describe`, for the subparsers of `python -m xaiutils data`."""
    step = steps.add_parser("describe", help="the row of Table 1 from disk, beside the printed one")
    step.add_argument("name")
    step.add_argument("--root", required=True, help="folder of the data set")
    step.set_defaults(command=describe)


def describe(args: argparse.Namespace) -> int:
    """Run the step: print the table."""
    from xaiutils.sections.words import as_markdown

    table = beside_published(args.name, args.root)
    print(as_markdown(table.astype(object)))
    return 0
