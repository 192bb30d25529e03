"""GrabCut (Rother et al. 2004, OpenCV's): colour models of object and ground, and a graph cut."""

import cv2
import numpy as np

from xaiutils.errors import InputError
from xaiutils.prompting import Prompts
from xaiutils.segmenters import Prediction, Segmenter, check_option
from xaiutils.segmenters.working_size import enlarge, mostly, shrink, touched

COMPONENTS = 5  # Gaussians in each of OpenCV's colour models: fewer pixels cannot start one
POINT_RADIUS = 0.03  # of the working image's longest side


class GrabCut(Segmenter):
    """GrabCut from the dual-threshold regions, the seed, a box, or points.

    side: longest side of the image that is worked on (cost grows with its area).
    iterations: of colour models and cut in turn.
    What the prompts mean is `trimap`'s matter. Deterministic: OpenCV's own generator (neither
    Python's nor numpy's) starts k-means, and can only be seeded for the whole thread, so it is
    set to 0 before each call.
    """

    needs = (("seed",), ("box",), ("foreground", "background"), ("points",))

    def __init__(self, side: int = 300, iterations: int = 3):
        check_option("side", side, 8)
        check_option("iterations", iterations, 1)
        self._side, self._iterations = side, iterations

    def _prepare(self, image: np.ndarray) -> None:
        self._image = shrink(image, self._side)

    def predict(self, prompts: Prompts) -> Prediction:
        """The object's mask; InputError also where object or ground has too few pixels to model."""
        self._check(prompts)
        labels = trimap(prompts, self.size, self._image.shape[:2])
        object_pixels = int((labels & 1).sum())  # both object labels are odd
        for name, count in (("object", object_pixels), ("ground", labels.size - object_pixels)):
            if count < COMPONENTS:
                raise InputError(
                    f"GrabCut: the prompts leave {count} pixels of {name} at working size, "
                    f"at least {COMPONENTS} are needed; give other regions, seed, box or points"
                )
        cv2.setRNGSeed(0)
        mode, models = cv2.GC_INIT_WITH_MASK, (np.zeros((1, 65)), np.zeros((1, 65)))
        labels, *_ = cv2.grabCut(self._image, labels, None, *models, self._iterations, mode)
        return Prediction(enlarge(labels & 1, self.size))


def trimap(prompts: Prompts, size: tuple[int, int], working: tuple[int, int]) -> np.ndarray:
    """OpenCV's four labels, (h, w) uint8 at working size, from prompts for an image of `size`.

    Our reading: the seed is probable object and the rest probable ground; without a seed, the box
    is probable object and the rest sure ground (the classical start). Over that the foreground
    and background regions are sure; without regions, discs around the points are. A cell that
    both regions touch stays probable.
    """
    labels = np.full(working, cv2.GC_PR_BGD, np.uint8)
    if prompts.seed is not None:
        labels[mostly(prompts.seed, working)] = cv2.GC_PR_FGD
    elif prompts.box is not None:
        labels[:] = cv2.GC_BGD
        labels[_box(prompts.box, size, working)] = cv2.GC_PR_FGD
    if prompts.foreground is None and prompts.background is None:
        return _draw_points(labels, prompts, size)
    nothing = np.zeros(size, bool)
    foreground = touched(nothing if prompts.foreground is None else prompts.foreground, working)
    background = touched(nothing if prompts.background is None else prompts.background, working)
    labels[foreground & ~background] = cv2.GC_FGD
    labels[background & ~foreground] = cv2.GC_BGD
    return labels


def _box(box: np.ndarray, size: tuple[int, int], working: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the cells that the box, inclusive of its corners, touches."""
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    (height, width), (h, w) = size, working
    return (
        slice(y0 * h // height, y1 * h // height + 1),
        slice(x0 * w // width, x1 * w // width + 1),
    )


def _draw_points(labels: np.ndarray, prompts: Prompts, size: tuple[int, int]) -> np.ndarray:
    """Sure discs around the points, first the ground's, then the object's over them."""
    h, w = labels.shape
    radius = max(1, round(POINT_RADIUS * max(h, w)))
    for kind, label in ((0, cv2.GC_BGD), (1, cv2.GC_FGD)):
        for x, y in np.asarray(prompts.points).reshape(-1, 2)[np.asarray(prompts.labels) == kind]:
            centre = int(x * w / size[1]), int(y * h / size[0])
            cv2.circle(labels, centre, radius, int(label), thickness=-1)
    return labels
