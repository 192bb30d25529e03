import hashlib
import io
import os
import re
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import EpsImagePlugin, Image

from xaiutils.errors import InputError
from xaiutils.images import FORMATS, read_image, read_indices, read_mask, resize_map

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
OBJECT = np.zeros((20, 30), bool)
OBJECT[5:12, 8:25] = True
VOC_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * (252 * 3) + [224, 224, 192]


def save(path, array, mode=None, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


# ---- images


def test_rgb_is_read_as_it_is(tmp_path):
    image = read_image(save(tmp_path / "a.png", RGB))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, RGB)
    image[0] = 0  # the array is the caller's own, and writable


def test_greyscale_is_repeated(tmp_path):
    image = read_image(save(tmp_path / "a.png", RGB[..., 0]))
    np.testing.assert_array_equal(image, np.repeat(RGB[..., :1], 3, axis=2))


def test_one_bit_is_black_and_white(tmp_path):
    image = read_image(save(tmp_path / "a.png", Image.fromarray(OBJECT)))
    np.testing.assert_array_equal(image[..., 1], 255 * OBJECT.astype(np.uint8))


def test_transparency_is_composited_on_white(tmp_path):
    alpha = np.full((20, 30, 1), 255, np.uint8)
    alpha[:10], alpha[10] = 0, 51
    image = read_image(save(tmp_path / "a.png", np.concatenate([RGB, alpha], axis=2)))
    assert (image[:10] == 255).all()
    np.testing.assert_array_equal(image[11:], RGB[11:])
    np.testing.assert_allclose(image[10], 0.2 * RGB[10] + 0.8 * 255, atol=1)


def test_palette_with_and_without_transparency(tmp_path):
    indices = Image.fromarray(OBJECT.astype(np.uint8))
    indices = Image.frombytes("P", indices.size, indices.tobytes())
    indices.putpalette([10, 20, 30, 200, 100, 50])
    plain = read_image(save(tmp_path / "a.png", indices))
    clear = read_image(save(tmp_path / "b.png", indices, transparency=0))
    assert plain[0, 0].tolist() == [10, 20, 30]
    assert clear[0, 0].tolist() == [255, 255, 255]
    assert plain[6, 10].tolist() == clear[6, 10].tolist() == [200, 100, 50]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    grey = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    image = read_image(save(tmp_path / f"a.{suffix}", grey))
    np.testing.assert_array_equal(image[..., 0], np.rint(grey / 257))
    assert image.max() == 255 and len(np.unique(image)) == 256


def test_float_tiff_within_0_to_1_and_outside(tmp_path):
    unit = np.linspace(0.2, 0.6, 600, dtype=np.float32).reshape(20, 30)
    image = read_image(save(tmp_path / "a.tif", unit))
    assert (image[0, 0, 0], image[-1, -1, 0]) == (51, 153)
    image = read_image(save(tmp_path / "b.tif", 1000 * unit - 300))
    assert (image.min(), image.max()) == (0, 255)


def test_float_tiff_with_nan_is_refused(tmp_path):
    path = save(tmp_path / "a.tif", np.full((20, 30), np.nan, np.float32))
    with pytest.raises(InputError, match=r"a\.tif: holds NaN"):
        read_image(path)


def test_cmyk(tmp_path):
    cmyk = Image.new("CMYK", (30, 20), (0, 255, 255, 0))
    image = read_image(save(tmp_path / "a.tif", cmyk))
    assert image.shape == (20, 30, 3)
    assert (image == [255, 0, 0]).all()
    jpeg = read_image(save(tmp_path / "a.jpg", cmyk))
    np.testing.assert_allclose(jpeg, image, atol=3)


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by 90 degrees
    path = save(tmp_path / "a.png", RGB, exif=exif)
    np.testing.assert_array_equal(read_image(path), np.rot90(RGB, -1))


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp", "gif"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_file_is_refused_by_name(tmp_path, suffix, kept):
    path = save(tmp_path / f"a.{suffix}", np.tile(RGB, (5, 5, 1)))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=rf"a\.{suffix}: truncated or not an image"):
        read_image(path)


@given(content=st.binary(min_size=1, max_size=200), kept=st.floats(0.1, 0.95))
def test_damaged_bytes_never_raise_anything_else(tmp_path_factory, content, kept):
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    good = stream.getvalue()
    cut = int(kept * len(good))
    name = hashlib.sha256(content + bytes([cut % 256])).hexdigest()[:12]
    path = tmp_path_factory.mktemp(name) / "a.png"
    for damaged in (content, good[:cut] + content + good[cut + len(content) :]):
        path.write_bytes(damaged)
        try:
            assert read_image(path).dtype == np.uint8
        except InputError as error:
            assert "a.png" in str(error)


def test_what_is_no_image_is_refused_by_name(tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    for name, message in {
        "text.png": "truncated or not an image",
        "empty.png": "the file is empty",
        "folder.png": "not a file",
        "missing.png": "no such file",
    }.items():
        with pytest.raises(InputError, match=f"{name}: {message}"):
            read_image(tmp_path / name)


def test_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", RGB)
    for limit in (400, 200):  # Pillow warns above its limit and refuses above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(InputError, match=r"a\.png: too large"):
            read_image(path)


def test_sides_below_8_px_are_refused(tmp_path):
    assert read_image(save(tmp_path / "a.png", RGB[:8, :8])).shape == (8, 8, 3)
    with pytest.raises(InputError, match=r"b\.png: 30 x 7 px"):
        read_image(save(tmp_path / "b.png", RGB[:7]))


# ---- masks


def assert_is_object(path):
    mask, void = read_mask(path)
    assert mask.dtype == void.dtype == bool
    np.testing.assert_array_equal(mask, OBJECT)
    assert not void.any()


@pytest.mark.parametrize("top", [1, 255])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_masks_of_0_and_1_and_of_0_and_255(tmp_path, top, dtype):
    assert_is_object(save(tmp_path / "a.tif", top * OBJECT.astype(dtype)))


def test_mask_formats(tmp_path):
    grey = 255 * OBJECT.astype(np.uint8)
    assert_is_object(save(tmp_path / "bits.png", Image.fromarray(OBJECT)))
    assert_is_object(save(tmp_path / "rgb.png", Image.fromarray(grey), "RGB"))
    assert_is_object(save(tmp_path / "palette.png", Image.fromarray(grey), "P"))
    assert_is_object(save(tmp_path / "rgb.jpg", Image.fromarray(grey), "RGB", quality=95))
    assert_is_object(save(tmp_path / "16.png", 65535 * OBJECT.astype(np.uint16)))


def test_grey_above_127_is_object(tmp_path):
    grey = np.tile(np.array([0, 127, 128, 255], np.uint8), (8, 3))
    mask, _ = read_mask(save(tmp_path / "a.png", grey))
    np.testing.assert_array_equal(mask, grey > 127)


@pytest.mark.parametrize("colour", [0, 255])
def test_varying_transparency_is_the_mask(tmp_path, colour):
    rgba = np.full((20, 30, 4), colour, np.uint8)
    rgba[..., 3] = 255 * OBJECT
    assert_is_object(save(tmp_path / "a.png", rgba))


def test_coloured_palette_is_an_index_mask_with_void(tmp_path):
    indices = np.zeros((20, 30), np.uint8)
    indices[OBJECT], indices[0] = 2, 255
    image = Image.frombytes("P", (30, 20), indices.tobytes())
    image.putpalette(VOC_PALETTE)
    path = save(tmp_path / "a.png", image)
    mask, void = read_mask(path)
    np.testing.assert_array_equal(mask, OBJECT)
    np.testing.assert_array_equal(void, indices == 255)
    np.testing.assert_array_equal(read_indices(path), indices)


def test_empty_masks_are_loaded(tmp_path):
    empty = np.zeros((20, 30), np.uint8)
    for name in ("a.png", "a.jpg"):
        mask, _ = read_mask(save(tmp_path / name, empty))
        assert not mask.any()
    noise = save(tmp_path / "noise.jpg", RGB[..., 0] % 2, quality=100)
    assert not read_mask(noise)[0].any()


def test_masks_that_would_be_misread_are_refused(tmp_path):
    red = np.where(OBJECT[..., None], np.array([255, 0, 0], np.uint8), np.uint8(0))
    with pytest.raises(InputError, match=r"red\.png: a coloured mask"):
        read_mask(save(tmp_path / "red.png", red))
    with pytest.raises(InputError, match=r"index\.png: the largest grey value is 20"):
        read_mask(save(tmp_path / "index.png", 20 * OBJECT.astype(np.uint8)))
    swapped = Image.frombytes("P", (30, 20), (~OBJECT).astype(np.uint8).tobytes())
    swapped.putpalette([255, 0, 0, 0, 0, 0])
    with pytest.raises(InputError, match=r"swapped\.png: .*index 0 is not black"):
        read_mask(save(tmp_path / "swapped.png", swapped))
    with pytest.raises(InputError, match=r"nan\.tif: holds NaN"):
        read_mask(save(tmp_path / "nan.tif", np.full((20, 30), np.nan, np.float32)))


@pytest.mark.parametrize("values", [(0, 12, 255), (0, 2, 200), (0, 1, 15, 255), (0, 1, 65535)])
def test_grey_class_indices_with_void_are_refused(tmp_path, values):
    grey = np.zeros((20, 30), np.uint16 if max(values) > 255 else np.uint8)
    for row, value in enumerate(values):
        grey[row] = value
    with pytest.raises(InputError, match=r"indices\.png: grey class indices"):
        read_mask(save(tmp_path / "indices.png", grey))


@pytest.mark.parametrize(
    "values", [(0, 255), (3, 255), (0, 51, 102, 153, 204, 255), (0, 4, 250, 255), (0, 9, 90, 255)]
)
def test_masks_with_grey_borders_or_noise_are_read(tmp_path, values):
    grey = np.zeros((20, 30), np.uint8)
    grey[:] = values[0]
    for row, value in enumerate(values):
        grey[row] = value
    np.testing.assert_array_equal(read_mask(save(tmp_path / "mask.png", grey))[0], grey > 127)


@pytest.mark.parametrize(
    "name, values, reason",
    [
        ("dim.jpg", 100 * OBJECT.astype(np.uint8), "the largest grey value is 1[0-9]{2}"),
        ("dim.webp", 90 * OBJECT.astype(np.uint8), "the largest grey value is"),
        ("half.tif", 0.5 * OBJECT.astype(np.float32), "the largest grey value is 0.5"),
        ("tiny.tif", 1e-9 * OBJECT.astype(np.float32), "the largest grey value is"),
        ("minus.tif", -OBJECT.astype(np.float32), "holds negative values"),
        ("minus-int.tif", np.where(OBJECT, 255, -1).astype(np.int32), "holds negative values"),
        ("alpha.png", np.dstack([RGB, 90 * OBJECT.astype(np.uint8)]), "the largest grey value"),
    ],
)
def test_an_object_that_would_vanish_is_refused(tmp_path, name, values, reason):
    """None of these is empty: to read it so would give numbers that nobody questions."""
    with pytest.raises(InputError, match=rf"{re.escape(name)}: {reason}"):
        read_mask(save(tmp_path / name, values))


def test_postscript_in_whatever_name_starts_no_program(tmp_path, monkeypatch):
    done = tmp_path / "executed"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {done}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # looked for anew
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\n%%EndComments\nshowpage\n%%EOF\n"
    for name in ("x.png", "x.jpg", "x.eps"):
        (tmp_path / name).write_bytes(text)
        for read in (read_image, read_mask, read_indices):
            with pytest.raises(InputError, match=rf"{name}: truncated or not an image"):
                read(tmp_path / name)
    assert not done.exists()
    with suppress(OSError), Image.open(tmp_path / "x.png") as image:  # it would have
        image.load()
    assert done.exists()


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_that_is_read(tmp_path, format):
    Image.fromarray(RGB).save(tmp_path / "a.png", format)
    assert read_image(tmp_path / "a.png").shape == RGB.shape


def test_two_pictures_in_one_jpeg_are_the_first(tmp_path):
    red, black = (Image.new("RGB", (30, 20), colour) for colour in ("red", "black"))
    red.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[black])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    np.testing.assert_allclose(read_image(tmp_path / "a.jpg"), np.asarray(red), atol=3)


def test_indices_need_a_palette_or_grey_image(tmp_path):
    with pytest.raises(InputError, match=r"a\.png: mode RGB"):
        read_indices(save(tmp_path / "a.png", RGB))
    with pytest.raises(InputError, match=r"a\.jpg: mode L"):
        read_indices(save(tmp_path / "a.jpg", RGB[..., 0]))
    np.testing.assert_array_equal(read_indices(save(tmp_path / "b.png", RGB[..., 0])), RGB[..., 0])


# ---- maps


def test_enlarged_map_by_hand():
    # half-pixel centres: the new centres lie at -0.25, 0.25, 0.75, 1.25 of the old ones
    np.testing.assert_allclose(resize_map([[0.0, 4.0]], (1, 4)), [[0, 1, 3, 4]])


@pytest.mark.parametrize("size", [(448, 500), (224, 224), (60, 51), (300, 100)])
def test_resize_agrees_with_torch(size):
    map = np.random.default_rng(0).normal(size=(224, 224)).astype(np.float32)
    tensor = torch.from_numpy(map).double()[None, None]  # torch's float32 weights are rounder
    reference = F.interpolate(tensor, size, mode="bilinear", antialias=True)[0, 0]
    np.testing.assert_allclose(resize_map(map, size), reference, atol=2e-6)
    if min(size) >= 224:  # nothing shrinks: antialiasing changes nothing
        plain = F.interpolate(tensor, size, mode="bilinear", align_corners=False)[0, 0]
        np.testing.assert_allclose(resize_map(map, size), plain, atol=2e-6)


@given(
    map=arrays(np.float64, (5, 7), elements=st.floats(-1e3, 1e3)),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)
def test_resized_map_stays_within_its_range(map, height, width):
    before = map.copy()
    resized = resize_map(map, (height, width))
    assert resized.shape == (height, width) and resized.dtype == np.float32
    assert resized.min() >= map.min() - 1e-2 and resized.max() <= map.max() + 1e-2
    np.testing.assert_array_equal(map, before)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_undefined_maps_are_refused(value):
    map = np.ones((4, 4))
    map[1, 2] = value
    with pytest.raises(InputError, match="map: holds NaN or infinity"):
        resize_map(map, (8, 8))


@pytest.mark.parametrize("shape, size", [((4,), (8, 8)), ((1, 4, 4), (8, 8)), ((4, 4), (0, 8))])
def test_shapes_that_cannot_be_resized_are_refused(shape, size):
    with pytest.raises(InputError, match="cannot be resized"):
        resize_map(np.ones(shape), size)
