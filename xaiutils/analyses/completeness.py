"""Is Integrated Gradients complete? Its error against the number of steps of the integral.

The axiom (Sundararajan et al. 2017) holds of the integral; what is computed is a sum over `STEPS`
nodes, and with few of them its error says more of the sum than of the method. Rows sample, steps,
attribution_sum, score_difference, on the first `SAMPLES` images, as few as decide a claim:

- attribution_sum: of the raw map with so many Gauss-Legendre nodes;
- score_difference: the logit of the image minus that of the zero input.
"""

import numpy as np

from xaiutils.analyses.faithfulness import query_of, score_difference
from xaiutils.explainers.gradients import IntegratedGradients
from xaiutils.statistics import FEWEST
from xaiutils.study import Study

COLUMNS = ["sample", "steps", "attribution_sum", "score_difference"]
VERSION = 1
SAMPLES = FEWEST
STEPS = (32, 256)


def units(study: Study) -> list[str]:
    return study.sample_ids[:SAMPLES]


def measure(study: Study, unit: str) -> list[dict]:
    query = query_of(study, unit)
    difference = score_difference(query.classifier, query.image, query.target)
    rng = np.random.default_rng(study.config.seed)  # nothing is drawn
    rows = []
    for steps in STEPS:
        total = IntegratedGradients(steps=steps).attribute(query, rng).astype(np.float64).sum()
        rows.append([unit, steps, float(total), difference])
    return [dict(zip(COLUMNS, row)) for row in rows]
