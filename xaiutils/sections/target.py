"""Which class the maps of a study explain, and on how many images an object is of that class."""

import pandas as pd

from xaiutils.config import StudyConfig, explained
from xaiutils.datasets.mappings import TAKEN, load_mapping
from xaiutils.datasets.voc import CLASSES
from xaiutils.sections.words import count

RULES = {
    "given": "the ImageNet class that the data set names for the image",
    "listed": "the ImageNet class that labels.csv names for an image, elsewhere the classifier's "
    "first choice",
    "mapped": "the likeliest ImageNet class that means an object of the image",
    "probe": "the class of the image, by a probe trained on image labels",
}


def target_sentence(samples: pd.DataFrame, config: StudyConfig) -> str:
    """The explained class; for VOC's top-1 class also for how many samples it names an object.

    samples: the study's table of that name.
    """
    rule = explained(config)
    if rule != "predicted":
        return f"Explained is {RULES[rule]}."
    text = "Explained is the classifier's first choice among ImageNet's classes"
    if config.dataset != "voc2012":
        return f"{text}, whatever the masks hold."
    mapping = load_mapping("voc2012", CLASSES)
    own = near = 0
    for labels, target in zip(samples["label"], samples["target"]):
        matches = [mapping[label] for label in labels.split(", ")]
        named = [match.match in TAKEN for match in matches if target in match.indices]
        own, near = own + any(named), near + (named != [] and not any(named))
    n = len(samples)
    other = n - own - near
    text = (
        f"{text}. On {count(own, n, 'samples')} it names an object that the mask holds, on {near} "
        "more a related one (an ox for a cow)"
    )
    if not other:
        return f"{text}."
    return (
        f"{text}; on the other {other} it is something else, and such a map cannot be expected to "
        "find the object."
    )
