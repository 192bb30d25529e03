"""Reading images and masks from files, and resizing maps."""

import stat
import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from xaiutils.errors import InputError

MIN_SIDE = 8  # pixels
LOSSY = ("JPEG", "MPO", "WEBP")
# Whatever a file's name says, Pillow tries no other: PostScript would start Ghostscript. MPO comes
# with JPEG.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
NOISE = 16  # of 255: what JPEG adds to a grey value or takes from it
FEW = 20  # the highest grey value that may be a class index, as VOC's
# What Pillow's readers raise on damaged files (its UnidentifiedImageError is an OSError).
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, struct.error)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_image(path: str | Path) -> np.ndarray:
    """The image as (H, W, 3) uint8 RGB.

    EXIF rotation is applied, the first frame of an animation is taken, transparency is composited
    on white, CMYK and the like are converted without their colour profile. 16-bit grey is divided
    by 257. 32-bit grey is read as 16-bit grey if it is integer within 0..65535, as 0..1 if it is
    float within 0..1, and is stretched from its minimum..maximum otherwise (our choice: these
    files have no agreed range).

    Raises InputError, with the file's name, if it is missing, a folder, empty, truncated, no
    image, larger than Pillow's limit, not finite, or has a side below 8 px.
    """
    image, _ = _open(path)
    if min(image.size) < MIN_SIDE:
        raise InputError(f"{path}: {_size(image)} px; both sides must be at least {MIN_SIDE} px")
    if image.mode == "F" or image.mode.startswith("I"):
        grey = _grey_to_uint8(np.asarray(image), path)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    return np.array(image.convert("RGB"))


def read_mask(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """A binary mask: (mask, void), both (H, W) bool; the object is grey above half of full scale.

    Full scale is the first of 1, 255 and 65535 that no value exceeds: grey > 127, but 0/1 masks
    work too (not in JPEG and WebP, whose noise would pass for one). If the transparency varies, it
    is the mask, whatever the colours.
    A palette with colours is an index mask in the manner of VOC: index 0 background, 255 void,
    all others object; only there void is not all False.

    Raises InputError, with the file's name, as `read_image` does (except for the smallest side),
    and for what could only be read as an empty mask by mistake: colours without a palette, grey
    class indices, negative values, and an object that is nowhere above half of full scale.
    """
    image, lossy = _open(path)
    if image.mode == "P" and not image.has_transparency_data and _coloured(image):
        indices = _palette_indices(image, path)
        return (indices > 0) & (indices < 255), indices == 255
    grey = _mask_values(image, lossy, path)
    top = grey.max()
    if grey.min() < 0:
        raise InputError(f"{path}: holds negative values; save the object as white on black")
    scale = 1 if top <= 1 and not lossy else 255 if top <= 255 else 65535
    mask = grey > scale / 2
    if top > (NOISE if lossy else 0) and not mask.any():
        raise InputError(
            f"{path}: the largest grey value is {top}, so it is neither a 0/1 nor a 0/255 "
            "mask; save the object as white on black"
        )
    if scale > 1 and not lossy and _indices(grey, mask):
        raise InputError(
            f"{path}: grey class indices with one high value (void?), which would be read as the "
            "object; save the object as white on black, or the indices with a palette"
        )
    return mask, np.zeros_like(mask)


def _indices(grey: np.ndarray, mask: np.ndarray) -> bool:
    """Whether what is no object has several values, all at most `FEW`, and the object a single one:
    class indices with void. Antialiased masks and copies of JPEGs hold more values."""
    low, high = grey[~mask], grey[mask]
    several = low.size and low.min() < low.max() <= FEW
    return bool(several and high.size and np.ptp(high) == 0)


def read_indices(path: str | Path) -> np.ndarray:
    """The class indices of a palette or 8-bit grey mask (VOC: 255 is void), (H, W) uint8."""
    image, lossy = _open(path)
    if image.mode not in ("P", "L") or lossy:
        raise InputError(
            f"{path}: mode {image.mode} is no index mask; it must be a palette or grey 8-bit PNG"
        )
    return np.array(image)


def resize_map(map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The map at `size` = (H, W), float32: bilinear, half-pixel centres, edges replicated.

    Where a side shrinks, the kernel widens with it (antialiasing, as PIL and torch do).
    Raises InputError if the map is not 2-D, is empty or holds NaN or infinity: such a map is
    undefined and to be counted as such before it is resized.
    """
    with np.errstate(over="ignore"):  # what overflows is refused as infinite
        array = np.asarray(map, dtype=np.float32)
    if array.ndim != 2 or 0 in array.shape or min(size) < 1:
        raise InputError(f"map: shape {array.shape} cannot be resized to {tuple(size)}")
    if not np.isfinite(array).all():
        raise InputError("map: holds NaN or infinity and cannot be resized")
    height, width = size
    image = Image.fromarray(np.ascontiguousarray(array))
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


def _open(path: str | Path) -> tuple[Image.Image, bool]:
    """The first frame, decoded and upright, and whether its format is lossy."""
    path = Path(path)
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # loops of links and names that cannot be, too
        raise InputError(f"{path}: no such file ({error})") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: not a file")
    if found.st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                image.load()
                upright, lossy = ImageOps.exif_transpose(image), image.format in LOSSY
    except _BOMBS as error:
        raise InputError(f"{path}: too large ({error}); scale it down") from error
    except _DAMAGED as error:
        raise InputError(
            f"{path}: truncated or not an image ({error}); replace or remove it"
        ) from error
    if upright.mode == "LAB":
        raise InputError(f"{path}: colour space LAB is not read; save it as RGB")
    return upright, lossy


def _size(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"


def _grey_to_uint8(grey: np.ndarray, path: str | Path) -> np.ndarray:
    values = _finite(grey, path).astype(np.float64)
    low, high = values.min(), values.max()
    if low < 0 or high > (1 if grey.dtype.kind == "f" else 65535):
        values = (values - low) / max(high - low, np.finfo(np.float64).tiny)
    elif grey.dtype.kind != "f":
        values = values / 65535
    return np.rint(255 * values).astype(np.uint8)


def _finite(values: np.ndarray, path: str | Path) -> np.ndarray:
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds NaN or infinite values")
    return values


def _mask_values(image: Image.Image, lossy: bool, path: str | Path) -> np.ndarray:
    """The mask's grey values, (H, W), or its transparency where that is not constant."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _finite(np.asarray(image), path)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"))
        if np.ptp(alpha) > 0:
            return alpha
        image = rgba.convert("RGB")
    if not lossy and _coloured(image):
        raise InputError(f"{path}: a coloured mask; save the object as white on black")
    return np.asarray(image.convert("L"))


def _coloured(image: Image.Image) -> bool:
    """Whether a used colour is no grey; JPEG noise in a copied mask does not count."""
    return bool((np.ptp(np.asarray(image.convert("RGB")), axis=2) > NOISE).any())


def _palette_indices(image: Image.Image, path: str | Path) -> np.ndarray:
    if image.getpalette()[:3] != [0, 0, 0]:
        raise InputError(
            f"{path}: a coloured palette whose index 0 is not black is no index mask; "
            "save the object as white on black"
        )
    return np.array(image)
