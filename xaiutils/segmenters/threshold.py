"""The thresholded map itself: what every other segmenter has to beat."""

import numpy as np

from xaiutils.prompting import Prompts
from xaiutils.segmenters import Prediction, Segmenter


class Threshold(Segmenter):
    """Returns a copy of `prompts.seed`; the image only fixes the size."""

    needs = (("seed",),)

    def _prepare(self, image: np.ndarray) -> None:
        pass

    def predict(self, prompts: Prompts) -> Prediction:
        """The seed (H, W) bool as it is."""
        self._check(prompts)
        return Prediction(prompts.seed.copy())
