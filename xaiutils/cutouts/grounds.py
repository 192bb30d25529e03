"""What objects stand on: synthetic grounds, and crops of photographs without an object."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from xaiutils.errors import InputError
from xaiutils.images import read_image

CANVAS = 448  # pixels a side


def grey(rng: np.random.Generator, side: int) -> np.ndarray:
    """Middle grey, the zero of EfficientNet-Lite0's input."""
    return np.full((side, side, 3), 128, np.uint8)


def plain(rng: np.random.Generator, side: int) -> np.ndarray:
    """One colour."""
    return np.tile(rng.integers(40, 216, 3, dtype=np.uint8), (side, side, 1))


def gradient(rng: np.random.Generator, side: int) -> np.ndarray:
    """A smooth course between four corner colours."""
    return enlarged(rng.integers(20, 236, (2, 2, 3), dtype=np.uint8), side)


def white(rng: np.random.Generator, side: int) -> np.ndarray:
    """White noise: every value on its own."""
    return rng.integers(0, 256, (side, side, 3), dtype=np.uint8)


def pink(rng: np.random.Generator, side: int) -> np.ndarray:
    """1/f noise, the amplitude spectrum of natural images: octaves of equal variance.

    Octaves of noise, each of half the wavelength of the last, are added at half size; the finest is
    added at full size. Colour varies with a third of the brightness's amplitude.
    """
    half = side // 2
    total = np.zeros((half, half, 3), np.int16)
    cells = 4
    while cells < half:
        noise = rng.integers(0, 256, (cells, cells, 1)) * 3 + rng.integers(
            0, 256, (cells, cells, 3)
        )
        total += enlarged((noise // 4).astype(np.uint8), half).astype(np.int16) - 128
        cells *= 2
    coarse = enlarged(np.clip(128 + total * 2 // 5, 0, 255).astype(np.uint8), side)
    fine = rng.integers(-24, 25, (side, side, 1), dtype=np.int16)
    image = coarse + fine
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


SYNTHETIC = {f.__name__: f for f in (grey, plain, gradient, pink, white)}


def enlarged(image: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) uint8 -> (side, side, 3), Pillow's bicubic in fixed point."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def whole_seed(seed: int) -> int:
    """The seed; InputError if it is no whole number from 0 on."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed {seed!r}: give a whole number from 0 on")
    return int(seed)


def as_ground(source: np.ndarray | str | Path, seed: int, side: int = CANVAS) -> np.ndarray:
    """(side, side, 3) uint8: a synthetic ground by name, or a part of an image file or array."""
    rng = np.random.default_rng(whole_seed(seed))
    if isinstance(source, str) and source in SYNTHETIC:
        return SYNTHETIC[source](rng, side)
    if isinstance(source, np.ndarray):
        return crop(source, rng, side, "ground")
    if not Path(source).is_file():
        raise InputError(
            f"ground {str(source)!r}: no such file, and none of {', '.join(SYNTHETIC)}"
        )
    return crop(_photograph(str(source)), rng, side, str(source))


@lru_cache(maxsize=32)
def _photograph(path: str) -> np.ndarray:
    return read_image(path)


def crop(image: np.ndarray, rng: np.random.Generator, side: int, name: str) -> np.ndarray:
    """A square part of (H, W, 3) uint8, of at least `side` px, brought to `side`; some mirrored.

    InputError if the image is smaller: enlarged, it would be blurred where the object is sharp.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"{name}: a ground must be (H, W, 3) uint8, got {image.shape}")
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise InputError(
            f"{name}: {width} x {height} px is smaller than the canvas of {side} x {side} px"
        )
    size = int(rng.integers(side, min(height, width) + 1))
    y, x = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
    part = np.ascontiguousarray(image[y : y + size, x : x + size])
    part = part if size == side else enlarged(part, side)
    return part[:, ::-1] if rng.integers(2) else part


def largest_free_square(mask: np.ndarray) -> tuple[int, int, int]:
    """(y, x, size) of the largest square without a mask pixel; size 0 if there is none."""
    best = (0, 0, 0)
    above = np.zeros(mask.shape[1] + 1, int)
    for y, row in enumerate(mask):
        here = np.zeros_like(above)
        for x in np.flatnonzero(~row):
            here[x + 1] = 1 + min(here[x], above[x + 1], above[x])
        k = int(here.argmax())
        if here[k] > best[2]:
            size = int(here[k])
            best = (y - size + 1, k - size, size)
        above = here
    return best
