"""Explaining the segmenter: what its mask depends on, in the image and in the prompt.

Both maps are grids (rows, columns), row 0 at the top of the image. They explain one mask by what
changes it; they do not say whether it is right.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from xaiutils.errors import InputError
from xaiutils.metrics.localisation import iou
from xaiutils.prompting import Prompts
from xaiutils.segmenters import Segmenter

BLUR = 0.1  # standard deviation of the blur, as a share of the longest side


def edges(side: int, n: int) -> np.ndarray:
    """The n + 1 borders of n patches, as equal as whole pixels allow."""
    if not 1 <= n <= side:
        raise InputError(f"{n} patches on {side} pixels: give 1 to {side}")
    return np.linspace(0, side, n + 1).round().astype(int)


def blurred(image: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) uint8 without detail: what a hidden patch shows."""
    sigma = BLUR * max(image.shape[:2])
    soft = gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="nearest")
    return np.clip(np.rint(soft), 0, 255).astype(np.uint8)


def occlusion_map(
    segmenter: Segmenter,
    image: np.ndarray,
    prompts: Prompts,
    grid: tuple[int, int] = (8, 8),
    hidden: np.ndarray | None = None,
) -> np.ndarray:
    """1 - IoU of the mask with itself when a patch is hidden: (rows, columns) float64 in [0, 1].

    The prompts stay. `hidden` (H, W, 3) uint8 is shown in the patch's place; default the blurred
    image (a grey patch has borders of its own, which SAM takes for objects). Every patch costs an
    embedding. All NaN if the mask of the whole image is empty. Leaves `image` set.
    """
    hidden = blurred(image) if hidden is None else hidden
    segmenter.set_image(image)
    before = segmenter.predict(prompts).mask
    ys, xs = edges(image.shape[0], grid[0]), edges(image.shape[1], grid[1])
    change = np.full(grid, np.nan)
    if not before.any():
        return change
    for row, column in np.ndindex(*grid):
        patch = np.s_[ys[row] : ys[row + 1], xs[column] : xs[column + 1]]
        shown = image.copy()
        shown[patch] = hidden[patch]
        segmenter.set_image(shown)
        change[row, column] = 1 - iou(segmenter.predict(prompts).mask, before)
    segmenter.set_image(image)
    return change


def grid_points(shape: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """The centres (x, y) of the patches of an image of `shape` (H, W): (rows, columns, 2)."""
    ys, xs = edges(shape[0], grid[0]), edges(shape[1], grid[1])
    y, x = (ys[:-1] + ys[1:] - 1) / 2, (xs[:-1] + xs[1:] - 1) / 2
    return np.stack(np.meshgrid(x, y), axis=-1)


def prompt_map(
    segmenter: Segmenter, mask: np.ndarray, grid: tuple[int, int] = (16, 16)
) -> np.ndarray:
    """IoU of `mask` (H, W) with the mask from one point, by where the point lies: (rows, columns).

    The image must be set. A point costs a decoder call, no embedding. All NaN for an empty mask.
    """
    points = grid_points(mask.shape, grid)
    found = np.full(grid, np.nan)
    for row, column in np.ndindex(*grid):
        point = points[row, column].astype(np.float32)[None]
        prediction = segmenter.predict(Prompts(point, np.ones(1, np.int32)))
        found[row, column] = iou(prediction.mask, mask)
    return found
