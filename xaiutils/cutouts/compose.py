"""One object on one ground: alpha compositing in whole numbers, with the exact mask.

Everything between the decoded files and the composite is integer arithmetic (Pillow's 8-bit
resampling included), so that equal inputs give equal pixels on any machine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from xaiutils.cutouts.grounds import CANVAS, as_ground
from xaiutils.errors import InputError
from xaiutils.images import FORMATS

OPAQUE = 250  # below it a pixel's colour may hold some of its old background
INSIDE = 128  # alpha from which a pixel belongs to the object: it shows at least half of it


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object without its ground: rgb (h, w, 3) uint8, alpha (h, w) uint8.

    The longest side of the object (alpha >= 128) is `extent` pixels; the arrays have a transparent
    margin around it. Colours under transparent pixels are those of the nearest opaque ones.
    """

    name: str
    rgb: np.ndarray
    alpha: np.ndarray

    @property
    def extent(self) -> int:
        ys, xs = inside(self.alpha)
        return int(max(np.ptp(ys), np.ptp(xs))) + 1


class Composite(NamedTuple):
    """image (S, S, 3) uint8; mask (S, S) bool, where the object's alpha is at least one half."""

    image: np.ndarray
    mask: np.ndarray


def as_cutout(source: "Cutout | np.ndarray | str | Path", name: str = "cut-out") -> Cutout:
    """A cut-out from an (h, w, 4) uint8 RGBA array or an image file with transparency.

    InputError, naming the source, where it cannot be read, has no transparency, or is empty (no
    alpha of 128 or more).
    """
    if isinstance(source, Cutout):
        return source
    if not isinstance(source, np.ndarray):
        name, source = str(source), _read_rgba(Path(source))
    if source.ndim != 3 or source.shape[2] != 4 or source.dtype != np.uint8:
        raise InputError(f"{name}: must be (h, w, 4) uint8 RGBA, got {source.shape} {source.dtype}")
    alpha = source[..., 3]
    if alpha.min() == 255:
        raise InputError(f"{name}: no transparency, so nothing is cut out; save it with alpha")
    ys, xs = inside(alpha)
    if ys.size == 0:
        raise InputError(f"{name}: empty, no pixel is opaque by half")
    box = np.s_[max(ys.min() - 2, 0) : ys.max() + 3, max(xs.min() - 2, 0) : xs.max() + 3]
    rgba = np.pad(source[box], ((2, 2), (2, 2), (0, 0)))
    return Cutout(Path(name).stem, bleed(rgba), rgba[..., 3].copy())


def inside(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the columns of (h, w) alpha that hold some of the object."""
    opaque = alpha >= INSIDE
    return np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))


def _read_rgba(path: Path) -> np.ndarray:
    try:
        with Image.open(path, formats=FORMATS) as image:
            if not image.has_transparency_data:
                raise InputError(f"{path}: no transparency, so nothing is cut out")
            return np.array(image.convert("RGBA"))
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too many pixels, more than Pillow reads ({error})") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a readable image ({error})") from error


def bleed(rgba: np.ndarray) -> np.ndarray:
    """(h, w, 3) colours in which every pixel that is not opaque takes its nearest opaque colour.

    Half-transparent edge pixels keep some of the ground they were cut from, and transparent ones
    are often black or white: resampled, either would be a halo.
    """
    solid = rgba[..., 3] >= OPAQUE
    if not solid.any():
        solid = rgba[..., 3] >= INSIDE
    y, x = distance_transform_edt(~solid, return_distances=False, return_indices=True)
    return np.ascontiguousarray(rgba[..., :3][y, x])


def resized(cutout: Cutout, extent: int) -> tuple[np.ndarray, np.ndarray]:
    """rgb and alpha at the size at which the object's longest side is `extent` px.

    Colour (already bled) and alpha are resampled apart; alpha then gets a binomial blur of one
    pixel, so that no edge is harder than a lens would draw it.
    """
    height, width = cutout.alpha.shape
    whole = cutout.extent
    # integer division, rounded half up
    size = [max(1, (2 * side * extent + whole) // (2 * whole)) for side in (width, height)]
    rgb = Image.fromarray(cutout.rgb).resize(size, Image.Resampling.BICUBIC)
    alpha = Image.fromarray(cutout.alpha).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(rgb), feather(np.asarray(alpha))


def feather(alpha: np.ndarray) -> np.ndarray:
    """(h, w) uint8 blurred by [1 2 1]/4 along both axes, rounded half up; outside is 0."""
    a = np.pad(alpha.astype(np.uint16), 1)
    a = a[:-2] + 2 * a[1:-1] + a[2:]
    a = a[:, :-2] + 2 * a[:, 1:-1] + a[:, 2:]
    return ((a + 8) >> 4).astype(np.uint8)


def blend(rgb: np.ndarray, alpha: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """(rgb * alpha + ground * (255 - alpha)) / 255 of uint8 arrays, rounded, in 16 bits."""
    a = alpha[..., None].astype(np.uint16)
    return ((rgb * a + ground * (255 - a) + 127) // 255).astype(np.uint8)


def place(
    image: np.ndarray, cutout: Cutout, x: float, y: float, scale: float, match: float = 0.0
) -> Composite:
    """The cut-out set onto a square image (S, S, 3) uint8, which stays as it is.

    x, y: centre of the object's bounding box, as shares of the side; scale: its longest side, as
    a share of the side. match: share (0 to 1) of the difference in mean brightness between ground
    and object that is taken off the object. InputError if the object does not fit, or a number is
    none or out of range.
    """
    side = image.shape[0]
    for name, value in (("x", x), ("y", y)):
        if not np.isfinite(value):
            raise InputError(f"{cutout.name}: {name} is {value}; give a share of the side, 0 to 1")
    if not 0 <= match <= 1:
        raise InputError(f"{cutout.name}: match is {match}; give a share, 0 to 1")
    if not 0 < scale <= 1:
        raise InputError(
            f"{cutout.name}: scale {scale} makes it larger than the canvas or nothing; "
            "give a share of its side, above 0 and at most 1"
        )
    rgb, alpha = resized(cutout, int(np.floor(scale * side + 0.5)))
    ys, xs = inside(alpha)
    if ys.size == 0:
        raise InputError(f"{cutout.name}: scale {scale} leaves no pixel of it on {side} px")
    top = int(np.floor(y * side - (ys.min() + ys.max() + 1) / 2 + 0.5))
    left = int(np.floor(x * side - (xs.min() + xs.max() + 1) / 2 + 0.5))
    if min(top + ys.min(), left + xs.min()) < 0 or max(top + ys.max(), left + xs.max()) >= side:
        raise InputError(
            f"{cutout.name}: at ({x}, {y}) with scale {scale} it leaves the canvas of {side} px; "
            "keep x and y at least scale / 2 from 0 and 1"
        )
    # the transparent margin may hang over the border
    y0, x0, y1, x1 = max(top, 0), max(left, 0), top + alpha.shape[0], left + alpha.shape[1]
    window = np.s_[y0 : min(y1, side), x0 : min(x1, side)]
    part = np.s_[y0 - top : min(y1, side) - top, x0 - left : min(x1, side) - left]
    rgb, alpha = rgb[part], alpha[part]
    if match:
        rgb = brightened(rgb, alpha, image[window], match)
    out, mask = image.copy(), np.zeros(image.shape[:2], bool)
    out[window] = blend(rgb, alpha, image[window])
    mask[window] = alpha >= INSIDE
    return Composite(out, mask)


def brightened(rgb: np.ndarray, alpha: np.ndarray, ground: np.ndarray, share: float) -> np.ndarray:
    """The object's colours shifted by `share` of what its mean differs from the ground's."""
    inside = alpha >= INSIDE
    here, there = (int(a[inside].astype(np.int64).mean()) for a in (rgb, ground))
    shift = int(np.floor(share * (there - here) + 0.5))
    return np.clip(rgb.astype(np.int16) + shift, 0, 255).astype(np.uint8)


def composite(
    cutout: Cutout | np.ndarray | str | Path,
    ground: np.ndarray | str | Path = "pink",
    x: float = 0.5,
    y: float = 0.5,
    scale: float = 0.5,
    seed: int = 0,
    match: float = 0.0,
) -> Composite:
    """Your own cut-out on a ground of 448 x 448 px, with its exact mask.

        image, mask = composite("cat.png", "beach.jpg", x=0.3, y=0.6, scale=0.4)

    cutout: an RGBA file or array; ground: "grey", "plain", "gradient", "pink", "white" (see
    `grounds.SYNTHETIC`), an image file or an (H, W, 3) uint8 array of at least 448 px a side, of
    which `seed` chooses a part. The rest is `place`'s.
    """
    return place(as_ground(ground, seed, CANVAS), as_cutout(cutout), x, y, scale, match)
