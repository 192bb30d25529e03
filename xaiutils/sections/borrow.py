"""What a study lacks is read from another one, and said so.

Stored studies keep tables without photographs, and a small study has not measured everything: a
notebook then shows the bundled photographs, or the stored study's numbers, under their own name.
"""

import pandas as pd

from xaiutils.analyses import analyse
from xaiutils.study import Study, open_study

PICTURES = "demo"  # its photographs are bundled
STORED = "voc2012-subset"  # every analysis was made of it but that of single classes
CLASSES = "voc2012-subset-classes"  # a map for each class of an image


def with_pictures(study: Study) -> Study:
    """The study itself where its maps and masks are here, else the demo."""
    return study if study.has_arrays else open_study(PICTURES)


def with_table(study: Study, name: str, stored: str = STORED) -> Study:
    """The study itself where it has the table, else the stored study."""
    return study if name in study.tables else open_study(stored)


def measured(study: Study, name: str) -> pd.DataFrame:
    """The table of an analysis; made first where the study has its maps and lacks the table."""
    return study.table(name) if name in study.tables else analyse(study, name, progress=False)


def borrowed(study: Study, source: Study) -> str:
    """A sentence on where pictures or numbers come from; "" when they are the study's own."""
    if source.name == study.name:
        return ""
    return (
        f"**From study {source.name}** ({source.caption()}): study {study.name} does not hold this."
    )
