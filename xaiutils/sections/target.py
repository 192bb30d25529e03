"""Which class the maps of a study explain, and whether the objects of its masks are of that "
"class."""

import pandas as pd

from xaiutils.config import StudyConfig
from xaiutils.datasets.mappings import TAKEN, load_mapping
from xaiutils.datasets.voc import CLASSES
from xaiutils.sections.words import count

RULES = {
    "given": "the ImageNet class that the data set names for the image",
    "mapped": "the likeliest ImageNet class that means an object of the image",
    "probe": "the class of the image, by a probe trained on image labels",
}


def target_sentence(samples: pd.DataFrame, config: StudyConfig) -> str:
    """The explained class; for VOC's top-1 class also on how many images it names an object.

    samples: the study's table of that name.
    """
    if config.logit != "predicted":
        return f"Explained is {RULES[config.logit]}."
    text = "Explained is the classifier's first choice among ImageNet's classes"
    if config.dataset != "voc2012":
        return f"{text}, whatever the masks hold."
    mapping = load_mapping("voc2012", CLASSES)
    names = [[mapping[label] for label in text.split(", ")] for text in samples["label"]]
    hits = [
        {match.match in TAKEN for match in matches if target in match.indices}
        for matches, target in zip(names, samples["target"])
    ]
    own, near = sum(True in hit for hit in hits), sum(hit == {False} for hit in hits)
    n = len(samples)
    return (
        f"{text}. On {count(own, n, 'images')} it names an object that the mask holds, on {near} "
        f"more a related one (an ox for a cow); on the other {n - own - near} it is something "
        "else, and such a map cannot be expected to find the object."
    )
