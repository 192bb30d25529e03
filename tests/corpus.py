"""A folder of images and masks as they should not be, and maps as well: equal at every call.

    cases = build(folder)      # folder/images, folder/masks; one Case for each image file
    maps = odd_maps((12, 16))  # name -> (map, whether it is flat)

A case says what must become of its file: the very image and mask (`image`, `mask`, `void`), or a
`reason` that has to stand in the errors table. A file with a flipped bit may become either.
"""

import io
import os
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

H, W = 30, 40
SUFFIXES = ("png", "jpg", "tif", "webp", "bmp", "gif")
LOSSLESS = {"webp": {"lossless": True}, "jpg": {"quality": 98, "subsampling": 0}}
NOISE = {"jpg": 12, "gif": 0, "png": 0, "tif": 0, "webp": 0, "bmp": 0}  # of 255, at the most
OBJECT = np.zeros((H, W), bool)
OBJECT[8:20, 10:30] = True
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * (252 * 3) + [224, 224, 192]


@dataclass(frozen=True)
class Case:
    """What must become of the image `id`: see above; atol is what a lossy format may change."""

    id: str
    reason: str = ""
    image: np.ndarray | None = None
    mask: np.ndarray | None = None
    void: np.ndarray | None = None
    atol: int = 0
    either: bool = False


def picture() -> np.ndarray:
    """(30, 40, 3): a smooth ground and a bright object, below 256 colours, without symmetry."""
    y, x = np.indices((H, W))
    image = np.stack([x // 5 * 16, y // 5 * 24, (x // 5 + y // 5) % 3 * 60], axis=2)
    image[OBJECT] = (230, 200, 90)
    return image.astype(np.uint8)


RGB = picture()


class Corpus:
    """The folder while it is being filled."""

    def __init__(self, root: Path):
        self.images, self.masks = root / "images", root / "masks"
        self.cases: list[Case] = []
        for folder in (self.images, self.masks):
            folder.mkdir(parents=True)

    def add(self, name: str, content, reason: str = "", image=None, **expected) -> None:
        """An image file of some content, and a good mask of its size."""
        write(self.images / name, content)
        height, width = (H, W) if image is None else image.shape[:2]
        mask = np.zeros((height, width), bool)
        mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
        write(self.masks / f"{Path(name).stem}.png", 255 * mask.astype(np.uint8))
        self.cases.append(Case(Path(name).stem, reason, image, mask, **expected))


def write(path: Path, content) -> None:
    """Bytes as they are, arrays and pictures in the format of the suffix."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_bytes(encoded(content, path.suffix[1:].lower()))


def encoded(picture, suffix: str, **options) -> bytes:
    stream = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    format = {"jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    image.save(stream, format, **{**LOSSLESS.get(suffix, {}), **options})
    return stream.getvalue()


def build(root: Path) -> list[Case]:
    """Write the corpus into a new folder: its cases, one an image file."""
    corpus = Corpus(root)
    for part in (plain, damaged, misnamed, sizes, modes, animated, rotated, masks, names, links):
        part(corpus)
    bombs(corpus)
    return corpus.cases


def plain(corpus: Corpus) -> None:
    for suffix in SUFFIXES:
        corpus.add(f"plain-{suffix}.{suffix}", RGB, image=RGB, atol=NOISE[suffix])
    corpus.add("upper.PNG", RGB, image=RGB)
    corpus.add("mixed.TiFf", encoded(RGB, "tif"), image=RGB)
    corpus.add("white.png", np.full_like(RGB, 255), image=np.full_like(RGB, 255))
    corpus.add("black.png", np.zeros_like(RGB), image=np.zeros_like(RGB))


def damaged(corpus: Corpus) -> None:
    for suffix in SUFFIXES:
        whole = encoded(np.tile(RGB, (3, 3, 1)), suffix)
        for share in (2, 50, 90):
            cut = whole[: len(whole) * share // 100]
            corpus.add(f"cut-{share}-{suffix}.{suffix}", cut, "truncated or not an image")
        corpus.add(f"empty-{suffix}.{suffix}", b"", r"empty \(0 bytes\)")
        rng = np.random.default_rng(len(suffix))
        small = encoded(RGB, suffix)
        for k in range(8):
            at = int(rng.integers(len(small)))
            flipped = bytearray(small)
            flipped[at] ^= 1 << int(rng.integers(8))
            corpus.add(f"flip-{k}-{suffix}.{suffix}", bytes(flipped), either=True)


def misnamed(corpus: Corpus) -> None:
    for suffix, other in zip(SUFFIXES, SUFFIXES[1:] + SUFFIXES[:1]):
        content = encoded(RGB, suffix)
        corpus.add(f"is-{suffix}.{other}", content, image=RGB, atol=NOISE[suffix])
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("a.txt"), "a")  # without a date of its own
    others = {
        "text.png": b"not an image" * 9,
        "page.jpg": b"<!doctype html><title>404</title>",
        "zip.png": archive.getvalue(),
        "document.png": b"%PDF-1.4\n%%EOF\n",
        "script.png": b"#!/bin/sh\ntouch executed\n",
        "pickle.png": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "zeros.png": bytes(4096),
        "svg.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\nshowpage\n%%EOF\n",
    }
    for name, content in others.items():
        corpus.add(name, content, "truncated or not an image")
    (corpus.images / "folder.png").mkdir()
    corpus.add("folder.png", None, "not a file")


def sizes(corpus: Corpus) -> None:
    for height, width in ((1, 1), (1, 40), (40, 1), (7, 40), (40, 7), (1, 20_000)):
        small = np.resize(RGB, (height, width, 3))
        name, reason = f"size-{width}x{height}.png", "both sides must be at least 8 px"
        corpus.add(name, small, reason, image=small)
    for height, width in ((8, 8), (8, 300), (20, 20_000), (20_000, 20)):
        image = np.tile(RGB, (-(-height // H), -(-width // W), 1))[:height, :width]
        corpus.add(f"size-{width}x{height}.png", image, image=image)


def modes(corpus: Corpus) -> None:
    grey = RGB[..., 0].copy()
    rgb_of = lambda grey: np.repeat(np.asarray(grey)[..., None], 3, axis=2).astype(np.uint8)  # noqa: E731
    corpus.add("grey.png", grey, image=rgb_of(grey))
    corpus.add("grey-tif.tif", grey, image=rgb_of(grey))
    corpus.add("bits.png", Image.fromarray(OBJECT), image=rgb_of(255 * OBJECT))
    corpus.add("bits-tif.tif", Image.fromarray(OBJECT), image=rgb_of(255 * OBJECT))

    alpha = np.where(OBJECT, 255, 0).astype(np.uint8)
    on_white = np.where(OBJECT[..., None], RGB, np.uint8(255))
    corpus.add("rgba.png", np.dstack([RGB, alpha]), image=on_white)
    corpus.add("rgba-webp.webp", np.dstack([RGB, alpha]), image=on_white)
    corpus.add("rgba-tif.tif", np.dstack([RGB, alpha]), image=on_white)
    half = np.dstack([RGB, np.full((H, W), 51, np.uint8)])
    blend = np.rint(0.2 * RGB + 0.8 * 255).astype(np.uint8)
    corpus.add("rgba-half.png", half, image=blend, atol=1)
    clear = np.dstack([RGB, np.zeros((H, W), np.uint8)])
    corpus.add("rgba-clear.png", clear, image=np.full_like(RGB, 255))
    opaque = np.dstack([RGB, np.full((H, W), 255, np.uint8)])
    corpus.add("rgba-opaque.png", opaque, image=RGB)
    la = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    corpus.add("la.png", la, image=np.where(OBJECT[..., None], rgb_of(grey), np.uint8(255)))
    keyed = encoded(RGB, "png", transparency=(230, 200, 90))
    corpus.add("keyed.png", keyed, image=np.where(OBJECT[..., None], np.uint8(255), RGB))

    indices = Image.frombytes("P", (W, H), OBJECT.astype(np.uint8).tobytes())
    indices.putpalette([10, 20, 30, 200, 100, 50])
    colours = np.where(OBJECT[..., None], (200, 100, 50), (10, 20, 30)).astype(np.uint8)
    corpus.add("palette.png", indices, image=colours)
    corpus.add("palette-gif.gif", indices, image=colours)
    shown = np.where(OBJECT[..., None], colours, np.uint8(255))
    corpus.add("palette-clear.png", encoded(indices, "png", transparency=0), image=shown)
    corpus.add("palette-gif-clear.gif", encoded(indices, "gif", transparency=0), image=shown)
    soft = np.where(OBJECT[..., None], colours, 0.2 * colours + 0.8 * 255)
    partly = encoded(indices, "png", transparency=bytes([51, 255]))
    corpus.add("palette-partly.png", partly, image=np.rint(soft).astype(np.uint8), atol=1)

    deep = (257 * grey.astype(np.uint32)).astype(np.uint16)
    corpus.add("grey16.png", deep, image=rgb_of(grey))
    corpus.add("grey16-tif.tif", deep, image=rgb_of(grey))
    corpus.add("grey16-big-endian.tif", big_endian_tiff(deep), image=rgb_of(grey))
    corpus.add("grey16-dark.png", deep // 257 // 2, image=rgb_of(np.rint(grey // 2 / 257)))
    corpus.add("grey32.tif", deep.astype(np.int32), image=rgb_of(grey))
    stretched = np.rint((grey.astype(float) - grey.min()) / np.ptp(grey) * 255)
    corpus.add("grey32-wide.tif", 100_000 * grey.astype(np.int32), image=rgb_of(stretched))
    corpus.add("grey32-negative.tif", grey.astype(np.int32) - 300, image=rgb_of(stretched))
    deep_colour = cv2.imencode(".png", 257 * RGB[..., ::-1].astype(np.uint16))[1].tobytes()
    corpus.add("rgb16.png", deep_colour, image=RGB)
    deep_colour = cv2.imencode(".tif", 257 * RGB[..., ::-1].astype(np.uint16))[1].tobytes()
    corpus.add("rgb16-tif.tif", deep_colour, image=RGB)

    unit = (grey / 255).astype(np.float32)
    corpus.add("float.tif", unit, image=rgb_of(grey))
    corpus.add("float-wide.tif", 9000 * unit - 4000, image=rgb_of(stretched), atol=1)
    corpus.add("float-constant.tif", np.full((H, W), 0.2, np.float32), image=np.full_like(RGB, 51))
    flat = np.full((H, W), 7, np.float32)
    corpus.add("float-constant-wide.tif", flat, image=np.zeros_like(RGB))
    for name, value in (("nan", np.nan), ("inf", np.inf), ("minus-inf", -np.inf)):
        wrong = unit.copy()
        wrong[3, 4] = value
        corpus.add(f"float-{name}.tif", wrong, "holds NaN or infinite values")

    cmyk = Image.fromarray(RGB).convert("CMYK")
    corpus.add("cmyk.tif", cmyk, image=RGB, atol=2)
    corpus.add("cmyk-jpg.jpg", cmyk, image=RGB, atol=60)
    ycbcr = Image.fromarray(RGB).convert("YCbCr")
    corpus.add("ycbcr.tif", ycbcr, image=RGB, atol=4)
    lab = Image.frombytes("LAB", (W, H), RGB.tobytes())
    corpus.add("lab.tif", lab, "colour space LAB")


def big_endian_tiff(grey: np.ndarray) -> bytes:
    """16-bit grey as the other byte order has it, which Pillow reads but does not write."""
    data = grey.astype(">u2").tobytes()
    tags = ((256, W), (257, H), (258, 16), (259, 1), (262, 1), (277, 1), (278, H))
    entries = [struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags]
    entries += [struct.pack(">HHII", 273, 4, 1, 8), struct.pack(">HHII", 279, 4, 1, len(data))]
    entries.sort(key=lambda entry: struct.unpack(">H", entry[:2]))
    head = b"MM\x00*" + struct.pack(">I", 8 + len(data))
    return head + data + struct.pack(">H", len(entries)) + b"".join(entries) + bytes(4)


def animated(corpus: Corpus) -> None:
    frames = [Image.fromarray(RGB), Image.new("RGB", (W, H), "blue")]
    for suffix in ("gif", "png", "webp", "tif"):
        more = {} if suffix == "tif" else {"duration": 100}
        content = encoded(frames[0], suffix, save_all=True, append_images=frames[1:], **more)
        corpus.add(f"animated-{suffix}.{suffix}", content, image=RGB)


# what a viewer does with a picture of each EXIF orientation; the file holds the inverse
UPRIGHT = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def rotated(corpus: Corpus) -> None:
    for orientation, turn in UPRIGHT.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying = Image.fromarray(RGB)
        lying = lying if turn is None else lying.transpose(turn)
        for suffix in ("png", "jpg", "webp"):
            content = encoded(lying, suffix, exif=exif)
            name = f"exif-{orientation}-{suffix}.{suffix}"
            corpus.add(name, content, image=RGB, atol=NOISE[suffix])
    exif = Image.Exif()
    exif[0x0112] = 77
    corpus.add("exif-unknown.png", encoded(RGB, "png", exif=exif), image=RGB)
    corpus.add("exif-damaged.png", encoded(RGB, "png", exif=b"Exif\0\0MM\0*\xff"), either=True)
    exif[0x0112] = 6  # a mask that lies as its image does
    white = Image.fromarray(255 * OBJECT.astype(np.uint8))
    for folder, upright in ((corpus.images, Image.fromarray(RGB)), (corpus.masks, white)):
        write(folder / "exif-both.png", encoded(upright.transpose(UPRIGHT[6]), "png", exif=exif))
    corpus.cases.append(Case("exif-both", image=RGB, mask=OBJECT))


def masks(corpus: Corpus) -> None:
    """Good images, masks of every kind."""
    nothing, everything = np.zeros((H, W), bool), np.ones((H, W), bool)
    white = 255 * OBJECT.astype(np.uint8)

    def add(name, mask, reason="", truth=OBJECT, void=None, suffix="png", atol=0):
        expected = {} if reason else {"image": RGB, "void": void}
        write(corpus.images / f"mask-{name}.png", RGB)
        if mask is not None:
            write(corpus.masks / f"mask-{name}.{suffix}", mask)
        corpus.cases.append(Case(f"mask-{name}", reason, mask=truth, **expected))

    def palette(indices):
        image = Image.frombytes("P", (W, H), indices.astype(np.uint8).tobytes())
        image.putpalette(VOC)
        return image

    add("empty", np.zeros((H, W), np.uint8), truth=nothing)
    add("full", np.full((H, W), 255, np.uint8), truth=everything)
    add("full-1", np.ones((H, W), np.uint8), truth=everything)
    add("0-1", OBJECT.astype(np.uint8))
    add("bits", Image.fromarray(OBJECT))
    add("16-bit", 65535 * OBJECT.astype(np.uint16))
    add("32-bit", 65535 * OBJECT.astype(np.int32), suffix="tif")
    add("float", OBJECT.astype(np.float32), suffix="tif")
    add("rgb", np.repeat(white[..., None], 3, axis=2))
    add("alpha", np.dstack([np.zeros_like(RGB), white]))
    add("jpg", white, suffix="jpg")
    add("gif", white, suffix="gif")
    add("upper", encoded(white, "png"), suffix="PNG")
    add("void-only", palette(np.full((H, W), 255)), truth=nothing, void=everything)
    edge = np.where(OBJECT, 1, 0)
    edge[0] = 255
    add("void-edge", palette(edge), void=edge == 255)
    add("object-and-void", palette(np.where(OBJECT, 2, 255)), void=~OBJECT)
    add("half-size", white[::2, ::2], "but its image")
    add("one-pixel", white[:1, :1], "but its image")
    add("turned", white.T.copy(), "but its image")
    add("large", np.tile(white, (9, 9)), "but its image")
    add("one-row-more", np.pad(white, ((0, 1), (0, 0))), "but its image")
    add("coloured", RGB, "a coloured mask")
    add("classes", (7 * OBJECT).astype(np.uint8), "the largest grey value is 7")
    add("nan", np.full((H, W), np.nan, np.float32), "holds NaN", suffix="tif")
    add("inf", np.full((H, W), np.inf, np.float32), "holds NaN", suffix="tif")
    add("cut", encoded(RGB, "png")[:90], "truncated or not an image")
    add("0-bytes", b"", r"empty \(0 bytes\)")
    add("text", b"no mask", "truncated or not an image")
    add("missing", None, "no such mask")
    add("bomb", png_header(60_000, 60_000), "too large")
    add("lab", Image.new("LAB", (W, H)), "colour space LAB", suffix="tif")
    swapped = Image.frombytes("P", (W, H), OBJECT.astype(np.uint8).tobytes())
    swapped.putpalette([255, 0, 0, 0, 0, 0])
    add("palette-swapped", swapped, "index 0 is not black")
    add("two", white, "two masks of one image")
    write(corpus.masks / "mask-two.bmp", white)
    (corpus.masks / "mask-folder.png").mkdir()
    add("folder", None, "not a file")
    (corpus.masks / "mask-loop.png").symlink_to("mask-loop.png")
    add("loop", None, "no such file")
    write(corpus.masks / "of-no-image.png", white)


def names(corpus: Corpus) -> None:
    good = (
        *("Käfer", "cafe\u0301", "図書館", "кот", "😀", "عربي", "a b  c", " space", "a.b.c"),
        *("-rf", "~", "$HOME", "%s{}", "CON", "a\tb", "a\nb", "a'b", 'a"b', "a;b", "a&b", "#a?b"),
        *("<b>x<b>", "{{ 7 * 7 }}", "=1+1", "a\\b", "*", "a|b", "a:b", "index", "nan", "None"),
        *("x" * 251, "é" * 125, "図" * 83, "1e5", "007"),
    )
    for name in good:
        corpus.add(f"{name}.png", RGB, image=RGB)
    raw = os.fsencode(corpus.images) + b"/caf\xe9.png"  # Latin-1: no text in UTF-8
    with open(raw, "wb") as stream:
        stream.write(encoded(RGB, "png"))
    corpus.cases.append(Case(r"caf\udce9", "name is not UTF-8"))
    corpus.add("index.json.png", RGB, "a study has a file of that name")
    for name in ("twin.png", "TWIN.png"):
        corpus.add(name, RGB, "the same name")


def links(corpus: Corpus) -> None:
    write(corpus.images.parent / "outside.png", RGB)
    for name, to, reason in (
        ("link-good.png", "../outside.png", ""),
        ("link-self.png", "link-self.png", "no such file"),
        ("link-a.png", "link-b.png", "no such file"),
        ("link-b.png", "link-a.png", "no such file"),
        ("link-nowhere.png", "nothing.png", "no such file"),
        ("link-folder.png", "..", "not a file"),
        ("link-device.png", os.devnull, "not a file"),
    ):
        (corpus.images / name).symlink_to(to)
        corpus.add(name, None, reason, image=None if reason else RGB)
    os.mkfifo(corpus.images / "pipe.png")
    corpus.add("pipe.png", None, "not a file")


def png_header(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that says how large it is and holds `data`, if anything."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + checksum(kind + content)

    def checksum(content: bytes) -> bytes:
        return struct.pack(">I", zlib.crc32(content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    body = chunk(b"IDAT", data) if data else b""
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def bombs(corpus: Corpus) -> None:
    rows = zlib.compress(bytes(20_000 * (20_000 // 8 + 1)), 9)
    corpus.add("bomb.png", png_header(20_000, 20_000, rows), "too large")
    corpus.add("bomb-header.png", png_header(2**31 - 1, 2**31 - 1), "too large")
    warned = zlib.compress(bytes(10_000 * (10_000 // 8 + 1)), 9)
    corpus.add("bomb-warned.png", png_header(10_000, 10_000, warned), "too large")
    gif = b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + encoded(RGB, "gif")[13:]
    corpus.add("bomb-gif.gif", gif, "too large")
    bmp = bytearray(encoded(RGB, "bmp"))
    bmp[18:26] = struct.pack("<ii", 100_000, 100_000)
    corpus.add("bomb-bmp.bmp", bytes(bmp), "too large")
    jpg = bytearray(encoded(RGB, "jpg"))
    at = jpg.index(b"\xff\xc0") + 5
    jpg[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    corpus.add("bomb-jpg.jpg", bytes(jpg), "too large")
    tif = bytearray(encoded(RGB, "tif"))
    for tag in (256, 257):
        at = re.search(struct.pack("<H", tag) + rb"[\3\4]\x00\x01\x00{3}", tif).start()
        tif[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 2**30)
    corpus.add("bomb-tif.tif", bytes(tif), "too large")
    text = b"zTXt" + b"Comment\0\0" + zlib.compress(bytes(2**27), 9)
    whole = encoded(RGB, "png")
    note = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    corpus.add("bomb-text.png", whole[:33] + note + whole[33:], either=True)


def odd_maps(shape: tuple[int, int]) -> dict[str, tuple[np.ndarray, bool]]:
    """Maps (H, W) float32 by name, and whether nothing can be read from them (`maps.is_flat`)."""
    ramp = np.linspace(0, 1, shape[0] * shape[1], dtype=np.float32).reshape(shape)

    def but(value, map=ramp):
        map = map.copy()
        map[shape[0] // 2, shape[1] // 2] = value
        return map

    full = lambda value: np.full(shape, value, np.float32)  # noqa: E731
    return {
        "NaN": (full(np.nan), True),
        "infinite": (full(np.inf), True),
        "one NaN": (but(np.nan), True),
        "one infinite": (but(np.inf), True),
        "one minus infinite": (but(-np.inf), True),
        "zero": (full(0), True),
        "minus zero": (full(-0.0), True),
        "one": (full(1), True),
        "constant but for rounding": (but(1 + 1e-7, full(1)), True),
        "range beyond float32": (but(-3e38, full(3e38)), True),
        "ramp": (ramp, False),
        "one pixel": (but(1, full(0)), False),
        "negative": (ramp - 2, False),
        "tiny": (ramp * np.float32(1e-30), False),
        "huge": (ramp * np.float32(1e30), False),
    }
