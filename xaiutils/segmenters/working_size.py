"""Working at a smaller size: the image and its regions down, the answer up again."""

import cv2
import numpy as np


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """(H, W, 3) uint8 by area averaging to a longest side of at most `side`; always a copy."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image.copy()
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def touched(region: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool -> (h, w) bool: cells that hold any pixel of the region, so none gets lost."""
    rows, columns = np.nonzero(region)
    cells = np.zeros(size, bool)
    cells[rows * size[0] // region.shape[0], columns * size[1] // region.shape[1]] = True
    return cells


def mostly(region: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool -> (h, w) bool: cells of which at least half lies in the region."""
    share = cv2.resize(region.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return share >= 0.5


def enlarge(share: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) in [0, 1] -> (H, W) bool: above one half after bilinear interpolation."""
    values = share.astype(np.float32)
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
