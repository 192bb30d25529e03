"""Random walker (Grady 2006, scikit-image's): which region a walk from each pixel meets first."""

import numpy as np
from skimage.segmentation import random_walker

from xaiutils.errors import InputError
from xaiutils.prompting import Prompts
from xaiutils.segmenters import Prediction, Segmenter, check_option
from xaiutils.segmenters.working_size import enlarge, shrink, touched


class RandomWalker(Segmenter):
    """Random walk between the dual-threshold regions; the mask is where foreground is likelier.

    side: longest side of the image that is worked on. beta: how strongly edges hold the walker
    (130, scikit-image's default; higher follows edges more). The linear system is solved directly
    ("bf"): at this size faster than conjugate gradients, exact and deterministic. Every pixel of
    a region is a marker, also a single one; a cell that both regions touch is left to the walk.
    """

    needs = (("foreground", "background"),)

    def __init__(self, side: int = 256, beta: float = 130):
        check_option("side", side, 8)
        check_option("beta", beta, 0)
        self._side, self._beta = side, beta

    def _prepare(self, image: np.ndarray) -> None:
        self._image = shrink(image, self._side)
        if np.ptp(self._image) == 0:  # scikit-image divides by the contrast of all channels
            self._image[:] = 0, 128, 255  # another single colour: no edge either

    def predict(self, prompts: Prompts) -> Prediction:
        """The mask (H, W) bool; InputError also where a region holds no pixel."""
        self._check(prompts)
        markers = _markers(prompts, self._image.shape[:2])
        if (markers > 0).all():  # nothing left to decide, which scikit-image would warn about
            return Prediction(enlarge(markers == 1, self.size))
        options = {"beta": self._beta, "mode": "bf", "channel_axis": -1}
        chances = random_walker(self._image, markers, return_full_prob=True, **options)
        return Prediction(enlarge(chances[0], self.size))


def _markers(prompts: Prompts, working: tuple[int, int]) -> np.ndarray:
    """(h, w) int: 1 foreground, 2 background, 0 undecided."""
    foreground = touched(prompts.foreground, working)
    background = touched(prompts.background, working)
    markers = np.zeros(working, np.int32)
    markers[foreground & ~background] = 1
    markers[background & ~foreground] = 2
    for label, name in ((1, "foreground"), (2, "background")):
        if not (markers == label).any():
            raise InputError(f"RandomWalker: prompts.{name} marks no pixel at working size")
    return markers
