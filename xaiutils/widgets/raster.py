"""Pictures for a browser in a few milliseconds: arrays at display size, drawn by OpenCV.

The colours are those of `figures.style`; matplotlib itself would take a tenth of a second for each.
Numbers are never computed from these reduced arrays.
"""

import base64
from functools import cache
from html import escape

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from xaiutils.figures.style import MAP
from xaiutils.images import resize_map
from xaiutils.segmenters.working_size import mostly, shrink

SIDE = 440  # pixels, the longest side of a picture
QUALITY = 90
GAP = 6  # pixels between two pictures


def small_photo(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (h, w, 3) uint8 of at most `SIDE` pixels a side."""
    return shrink(image, SIDE)


def small_mask(mask: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(H, W) bool -> (h, w) bool, as large as the small photograph."""
    return mostly(mask, photo.shape[:2])


def small_map(map: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """(H, W) float -> (h, w) float32; all NaN stays all NaN."""
    if not np.isfinite(map).all():
        return np.full(photo.shape[:2], np.nan, np.float32)
    return resize_map(map, photo.shape[:2])


def heat(photo: np.ndarray, map: np.ndarray, alpha: float = 0.6) -> np.ndarray:
    """(h, w, 3) uint8: a map (h, w) in [0, 1] over its photograph in grey, which is all of a map
    that is not finite."""
    grey = np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2)
    if not np.isfinite(map).all():
        return grey.astype(np.uint8)
    colours = _colours()[(np.clip(map, 0, 1) * 255).astype(np.uint8)]
    return (alpha * colours + (1 - alpha) * grey).astype(np.uint8)


@cache
def _colours() -> np.ndarray:
    """(256, 3) float: the colours of maps."""
    return plt.get_cmap(MAP)(np.arange(256))[:, :3] * 255


def outlined(picture: np.ndarray, mask: np.ndarray, colour: str) -> np.ndarray:
    """A copy of a picture (h, w, 3 or 4) uint8 with the border of a mask (h, w) bool."""
    drawn = picture.copy()
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, found, -1, _ink(colour, picture.shape[2]), 2, cv2.LINE_AA)
    return drawn


def veil(mask: np.ndarray, colour: str, alpha: float = 0.4) -> np.ndarray:
    """(h, w, 4) uint8: a mask (h, w) bool as a translucent colour with its border, else clear."""
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    rgba[mask] = (*_ink(colour, 3), round(255 * alpha))
    return outlined(rgba, mask, colour)


def _ink(colour: str, channels: int) -> tuple[int, ...]:
    return (*(round(255 * value) for value in to_rgb(colour)), 255)[:channels]


def data_url(picture: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 as JPEG, one with transparency (h, w, 4) as PNG, in a data URL."""
    if picture.shape[2] == 4:
        kind, options = "png", []
        picture = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
    else:
        kind, options = "jpeg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, code = cv2.imencode(f".{kind}", picture, options)
    return f"data:image/{kind};base64,{base64.b64encode(code).decode()}"


def side_by_side(panels: list[np.ndarray]) -> np.ndarray:
    """Pictures (h, w, 3) uint8 of one size in a row, with white between them."""
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    row = [part for panel in panels for part in (panel, gap)]
    return np.concatenate(row[:-1], axis=1)


def tag(picture: np.ndarray, alt: str) -> str:
    """The picture as an HTML element with its description."""
    return (
        f'<img src="{data_url(picture)}" alt="{escape(alt, quote=True)}" '
        f'width="{picture.shape[1]}" style="max-width: 100%; height: auto">'
    )
