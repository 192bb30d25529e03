"""What a reader can touch in JupyterLab; where nobody can, the same as a still figure.

    threshold_explorer(study)   # cut a map at any level
    fusion_blend(study)         # weights by hand against the computed ones
    click_to_prompt(study)      # click on the image, SAM answers

Each reads what the study has stored, takes `headless=True` (default: whether XAIUTILS_HEADLESS is
set, as it is for notebooks that run without a reader) for a matplotlib figure of the same defaults,
and raises InputError for a study of tables alone. The figure stays open as all others do: assign
it (`fig = ...`), and a notebook shows it once. Nothing is requested from another host.
"""

from xaiutils.widgets.blend import fusion_blend
from xaiutils.widgets.clicking import click_to_prompt
from xaiutils.widgets.threshold import threshold_explorer

__all__ = ["click_to_prompt", "fusion_blend", "threshold_explorer"]
