"""The segmenters' protocol, GrabCut, random walker, threshold, and SAM 2 against its upstream."""

import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaiutils.errors import InputError
from xaiutils.prompting import Prompts
from xaiutils.segmenters import REGISTRY, Prediction, load_segmenter
from xaiutils.segmenters.grabcut import GrabCut, trimap
from xaiutils.segmenters.random_walker import RandomWalker
from xaiutils.segmenters.threshold import Threshold
from xaiutils.segmenters.working_size import enlarge, mostly, shrink, touched

CLASSIC = {"grabcut": GrabCut, "random_walker": RandomWalker, "threshold": Threshold}


def prompts(points=(), labels=None, **rest) -> Prompts:
    points = np.array(points, np.float32).reshape(-1, 2)
    labels = [1] * len(points) if labels is None else labels
    return Prompts(points, np.array(labels, np.int32), **rest)


def rectangle(size, x0, y0, x1, y1) -> np.ndarray:
    """(H, W) bool, corners inclusive."""
    mask = np.zeros(size, bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


def two_tone(mask: np.ndarray) -> np.ndarray:
    """An orange object on blue ground with a little noise: (H, W, 3) uint8."""
    noise = np.random.default_rng(0).integers(-12, 13, (*mask.shape, 3))
    colours = np.where(mask[..., None], (220, 140, 40), (30, 60, 120))
    return (colours + noise).clip(0, 255).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


SIZE = (240, 360)
OBJECT = rectangle(SIZE, 60, 50, 180, 190)
IMAGE = two_tone(OBJECT)
REGIONS = {
    "foreground": rectangle(SIZE, 90, 80, 130, 120),
    "background": rectangle(SIZE, 250, 10, 350, 60) | rectangle(SIZE, 5, 220, 350, 235),
}
SEED = rectangle(SIZE, 80, 70, 220, 210)  # overlaps the object with IoU 0.56


@pytest.fixture(params=CLASSIC)
def segmenter(request):
    return CLASSIC[request.param]()


def test_every_name_is_loaded_with_its_options():
    assert set(REGISTRY) == {"embedded_sam", "sam2", "grabcut", "random_walker", "threshold"}
    for name, cls in CLASSIC.items():
        assert type(load_segmenter(name)) is cls
    assert load_segmenter("grabcut", side=100)._side == 100
    with pytest.raises(InputError, match=r"unknown segmenter 'sam3'.*embedded_sam"):
        load_segmenter("sam3")
    with pytest.raises(InputError, match=r"'grabcut' has no option 'sides'.*side, iterations"):
        load_segmenter("grabcut", sides=100)
    with pytest.raises(InputError, match="'threshold' has no option 'side'"):
        load_segmenter("threshold", side=100)
    for name, option in (
        ("grabcut", "side"),
        ("grabcut", "iterations"),
        ("random_walker", "beta"),
        ("embedded_sam", "threads"),
    ):
        with pytest.raises(InputError, match=f"{option} is -1: it must be at least"):
            load_segmenter(name, **{option: -1})


def test_same_mask_each_time_in_order_and_nothing_is_changed(segmenter):
    image, seed = IMAGE.copy(), SEED.copy()
    given = [prompts(seed=seed, **REGIONS), prompts(seed=seed.copy() & OBJECT, **REGIONS)]
    segmenter.set_image(image)
    both = segmenter.predict_many(given)
    for one, each in zip(both, given, strict=True):
        again = segmenter.predict(each)
        assert isinstance(again, Prediction)
        assert again.mask.shape == SIZE and again.mask.dtype == bool
        assert np.array_equal(one.mask, again.mask)
        assert np.isnan(one.score) and one.logits is None
    assert np.array_equal(image, IMAGE) and np.array_equal(seed, SEED)
    both[0].mask[:] = True
    assert np.array_equal(seed, SEED)


def test_later_changes_to_the_image_do_not_matter(segmenter):
    image = IMAGE.copy()
    segmenter.set_image(image)
    image[:] = 0
    fresh = type(segmenter)()
    fresh.set_image(IMAGE)
    asked = prompts(seed=SEED, **REGIONS)
    assert np.array_equal(segmenter.predict(asked).mask, fresh.predict(asked).mask)


@pytest.mark.parametrize(
    "image", [IMAGE[..., 0], IMAGE.astype(np.float32), IMAGE[:0], np.zeros((4, 4, 4), np.uint8)]
)
def test_what_is_not_an_image_is_refused_and_forgets_the_former(segmenter, image):
    segmenter.set_image(IMAGE)
    with pytest.raises(InputError, match=r"image: expected \(H, W, 3\) uint8"):
        segmenter.set_image(image)
    with pytest.raises(InputError, match="has no image: call set_image first"):
        segmenter.predict(prompts(seed=SEED, **REGIONS))


BAD = {
    r"points: \(360.0, 10.0\) is outside the 360 x 240 image": {"points": [[5, 5], [360, 10]]},
    r"points: \(10.0, 240.0\) is outside": {"points": [[10, 240]]},
    r"points: \(-1.0, 3.0\) is outside": {"points": [[-1, 3]]},
    r"points: \(nan, 3.0\) is outside": {"points": [[np.nan, 3]]},
    "with N labels": {"points": [[5, 5]], "labels": [1, 0]},
    "each 0 or 1": {"points": [[5, 5]], "labels": [2]},
    r"box: \(400.0, 20.0\) is outside": {"box": np.array([5, 5, 400, 20], np.float32)},
    "box: expected x0 <= x1": {"box": np.array([50, 5, 40, 20], np.float32)},
    r"seed: expected \(240, 360\) bool, got \(3, 3\)": {"seed": np.zeros((3, 3), bool)},
    "seed: expected .* uint8": {"seed": SEED.astype(np.uint8)},
    "foreground and background overlap": {"foreground": OBJECT, "background": OBJECT},
}


@pytest.mark.parametrize("message", BAD)
def test_prompts_that_do_not_fit_are_refused(segmenter, message):
    segmenter.set_image(IMAGE)
    with pytest.raises(InputError, match=message):
        segmenter.predict(prompts(**({"seed": SEED, **REGIONS} | BAD[message])))


def test_missing_prompts_are_named(segmenter):
    segmenter.set_image(IMAGE)
    missing = {
        "GrabCut": "seed, or box, or foreground and background, or a foreground point",
        "RandomWalker": "foreground and background",
        "Threshold": "seed",
    }[type(segmenter).__name__]
    with pytest.raises(InputError, match=f"needs prompts with {missing}$"):
        segmenter.predict(prompts([[5, 5]], [0]))


def test_corner_pixels_are_inside():
    segmenter = GrabCut()
    segmenter.set_image(IMAGE)
    segmenter.predict(prompts([[359, 239], [0, 0]], [1, 0]))


def test_threshold_is_the_seed():
    segmenter = Threshold()
    segmenter.set_image(IMAGE)
    mask = segmenter.predict(prompts(seed=SEED)).mask
    assert np.array_equal(mask, SEED) and mask is not SEED


GRABCUT = {
    "seed and regions": prompts(seed=SEED, **REGIONS),
    "regions": prompts(**REGIONS),
    "seed": prompts(seed=SEED),
    "box": prompts(box=np.array([40, 30, 200, 210], np.float32)),
    "points": prompts([[120, 120], [300, 40]], [1, 0]),
    "one point": prompts([[120, 120]]),
    "box and point": prompts([[120, 120]], box=np.array([40, 30, 200, 210], np.float32)),
}


@pytest.mark.parametrize("name", GRABCUT)
def test_grabcut_finds_a_two_tone_object(name):
    segmenter = GrabCut()
    segmenter.set_image(IMAGE)
    assert iou(segmenter.predict(GRABCUT[name]).mask, OBJECT) > 0.95


def test_grabcut_at_full_size_is_opencvs():
    segmenter = GrabCut(side=1000, iterations=2)
    segmenter.set_image(IMAGE)
    box = np.array([40, 30, 200, 210], np.float32)
    labels, models = np.zeros(SIZE, np.uint8), (np.zeros((1, 65)), np.zeros((1, 65)))
    cv2.setRNGSeed(0)
    cv2.grabCut(IMAGE, labels, (40, 30, 161, 181), *models, 2, cv2.GC_INIT_WITH_RECT)
    assert np.array_equal(segmenter.predict(prompts(box=box)).mask, (labels & 1) == 1)


def test_grabcut_ignores_the_state_of_opencvs_generator():
    segmenter = GrabCut()
    segmenter.set_image(np.random.default_rng(1).integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    masks = []
    for state in (1, 2):
        cv2.setRNGSeed(state)
        masks.append(segmenter.predict(prompts(seed=SEED)).mask)
    assert np.array_equal(*masks)


def test_trimap_labels():
    fg, bg, maybe_fg, maybe_bg = cv2.GC_FGD, cv2.GC_BGD, cv2.GC_PR_FGD, cv2.GC_PR_BGD
    labels = trimap(prompts(seed=SEED, **REGIONS), SIZE, SIZE)
    assert (labels[REGIONS["foreground"]] == fg).all()
    assert (labels[REGIONS["background"]] == bg).all()
    assert (labels[SEED & ~REGIONS["foreground"]] == maybe_fg).all()
    assert (labels[~SEED & ~REGIONS["background"]] == maybe_bg).all()
    half = SIZE[0] // 2, SIZE[1] // 2
    labels = trimap(prompts(box=np.array([40, 30, 199, 209], np.float32)), SIZE, half)
    assert np.array_equal(labels == maybe_fg, rectangle(half, 20, 15, 99, 104))
    assert (labels[~rectangle(half, 20, 15, 99, 104)] == bg).all()
    labels = trimap(prompts([[120, 60], [300, 200]], [1, 0]), SIZE, SIZE)
    assert np.argwhere(labels == fg).mean(axis=0).tolist() == [60, 120]
    assert np.argwhere(labels == bg).mean(axis=0).tolist() == [200, 300]


@pytest.mark.parametrize(
    "asked, reason",
    [
        (prompts(seed=np.zeros(SIZE, bool)), "0 pixels of object"),
        (prompts(seed=np.ones(SIZE, bool)), "0 pixels of ground"),
        (prompts(box=np.array([0, 0, 359, 239], np.float32)), "0 pixels of ground"),
        (prompts(seed=rectangle(SIZE, 5, 5, 6, 6)), "pixels of object"),
    ],
)
def test_grabcut_without_object_or_ground_says_why(asked, reason):
    segmenter = GrabCut()
    segmenter.set_image(IMAGE)
    with pytest.raises(InputError, match=reason):
        segmenter.predict(asked)


@pytest.mark.parametrize("name, side", [("grabcut", 300), ("random_walker", 256)])
def test_constant_and_tiny_images_do_not_crash(name, side):
    segmenter = load_segmenter(name, side=side)
    for size in ((40, 40), (1, 600), (600, 2)):
        segmenter.set_image(np.full((*size, 3), 90, np.uint8))
        foreground = np.zeros(size, bool)
        foreground[: max(1, size[0] // 4), : max(1, size[1] // 4)] = True
        asked = prompts(foreground=foreground, background=foreground[::-1, ::-1])
        assert segmenter.predict(asked).mask.shape == size


def test_random_walker_finds_a_two_tone_object():
    segmenter = RandomWalker(beta=1000)
    segmenter.set_image(IMAGE)
    mask = segmenter.predict(prompts(**REGIONS)).mask
    assert iou(mask, OBJECT) > 0.95
    mirrored = RandomWalker(beta=1000)
    mirrored.set_image(IMAGE[:, ::-1].copy())
    flipped = {name: region[:, ::-1] for name, region in REGIONS.items()}
    assert iou(mirrored.predict(prompts(**flipped)).mask[:, ::-1], mask) > 0.98


def test_random_walker_on_a_flat_image_meets_the_nearer_marker():
    """On a flat image the walk's chance falls linearly from one edge to the other: half way."""
    size = (8, 41)
    segmenter = RandomWalker()
    segmenter.set_image(np.full((*size, 3), 100, np.uint8))
    left, right = rectangle(size, 0, 0, 0, 7), rectangle(size, 40, 0, 40, 7)
    mask = segmenter.predict(prompts(foreground=left, background=right)).mask
    assert mask[:, :20].all() and not mask[:, 21:].any()


def test_random_walker_with_everything_marked_or_nothing():
    segmenter = RandomWalker()
    segmenter.set_image(IMAGE)
    assert (
        iou(segmenter.predict(prompts(foreground=OBJECT, background=~OBJECT)).mask, OBJECT) > 0.95
    )
    with pytest.raises(InputError, match=r"prompts.background marks no pixel"):
        segmenter.predict(prompts(foreground=OBJECT, background=np.zeros(SIZE, bool)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(0, 2**31))
def test_working_size(height, width, side, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    small = shrink(image, side)
    assert max(small.shape[:2]) == min(side, max(height, width))
    assert not np.shares_memory(small, image)
    region = np.zeros((height, width), bool)
    y, x = rng.integers(height), rng.integers(width)
    region[y, x] = True
    cells = touched(region, small.shape[:2])
    assert cells.sum() == 1  # one pixel stays one cell, where it was
    row, column = np.argwhere(cells)[0]
    assert abs((row + 0.5) / small.shape[0] - (y + 0.5) / height) <= 1 / small.shape[0]
    assert abs((column + 0.5) / small.shape[1] - (x + 0.5) / width) <= 1 / small.shape[1]
    for value in (False, True):
        full = np.full((height, width), value)
        assert (mostly(full, small.shape[:2]) == value).all()
        assert (enlarge(mostly(full, small.shape[:2]), (height, width)) == value).all()


# SAM 2, with random weights: shapes, coordinates, and equality with the upstream predictor.


@pytest.fixture(scope="module")
def sam2_checkpoint(tmp_path_factory):
    """The smallest SAM 2.1 with random weights, as a checkpoint file."""
    pytest.importorskip("sam2", reason="the sam2 extra is not installed")
    import torch
    from sam2.build_sam import build_sam2

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", None, device="cpu")
    path = tmp_path_factory.mktemp("sam2") / "sam2.1_hiera_tiny.pt"
    torch.save({"model": network.state_dict()}, path)
    return path


BOX = np.array([60, 50, 180, 190], np.float32)
CLICKS = {"point_coords": [[120, 100], [300, 20]], "point_labels": [1, 0]}
CASES = [  # ours, and the same for upstream's predictor
    (prompts([[120, 100]]), {"point_coords": [[120, 100]], "point_labels": [1]}),
    (prompts(box=BOX), {"box": BOX}),
    (prompts([[120, 100], [300, 20]], [1, 0], box=BOX), {**CLICKS, "box": BOX}),
]


@pytest.fixture(scope="module", params=[True, False], ids=["post-processed", "raw"])
def sam2_pair(request, sam2_checkpoint):
    """Ours and upstream's predictor on the same image, with post-processing and without."""
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    config, switch = "configs/sam2.1/sam2.1_hiera_t.yaml", {"apply_postprocessing": request.param}
    network = build_sam2(config, str(sam2_checkpoint), device="cpu", **switch)
    upstream = SAM2ImagePredictor(network)
    segmenter = load_segmenter("sam2", checkpoint=sam2_checkpoint, **switch)
    assert segmenter._predictor.model.sam_mask_decoder.dynamic_multimask_via_stability is (
        request.param
    )
    words = {True: "on", False: "off"}
    assert segmenter.title == f"SAM2 (sam2.1_hiera_tiny, post-processing {words[request.param]})"
    for each in (upstream, segmenter):
        each.set_image(IMAGE)
    return segmenter, upstream


def agree(found: Prediction, masks, scores, low) -> bool:
    """Whether ours is the one of upstream's masks that has the highest score."""
    best = scores.argmax()
    assert found.mask.shape == SIZE and found.mask.dtype == bool
    assert low[best].shape == (256, 256)
    return (
        np.array_equal(found.mask, masks[best] > 0)
        and np.array_equal(found.logits, low[best])
        and found.score == pytest.approx(scores[best])
    )


@pytest.mark.slow
@pytest.mark.parametrize("multimask", [True, False])
def test_sam2_is_upstreams_predictor(sam2_pair, multimask, monkeypatch):
    segmenter, upstream = sam2_pair
    monkeypatch.setattr(segmenter, "_multimask", multimask)
    predictions = segmenter.predict_many([asked for asked, _ in CASES])
    for found, (_, arguments) in zip(predictions, CASES, strict=True):
        expected = upstream.predict(**arguments, multimask_output=multimask)
        assert len(expected[0]) == (3 if multimask else 1)
        assert agree(found, *expected)
    feedback = predictions[-1].logits
    refined = segmenter.predict(CASES[0][0], logits=feedback)
    expected = upstream.predict(
        **CASES[0][1], mask_input=feedback[None], multimask_output=multimask
    )
    assert agree(refined, *expected)
    assert not np.array_equal(refined.logits, predictions[0].logits)


def recorded(network, method, monkeypatch) -> list:
    """The arguments of every call of a module of the network."""
    calls, module = [], getattr(network, method)
    real = module.forward

    def forward(*arguments, **named):
        calls.append(named or arguments)
        return real(*arguments, **named)

    monkeypatch.setattr(module, "forward", forward)
    return calls


@pytest.mark.slow
def test_sam2_embeds_an_image_once_for_all_prompts(sam2_pair, monkeypatch):
    segmenter, _ = sam2_pair
    embedded = recorded(segmenter._predictor.model, "image_encoder", monkeypatch)
    segmenter.set_image(IMAGE)
    segmenter.predict_many([asked for asked, _ in CASES] * 2)
    assert len(embedded) == 1
    segmenter.set_image(IMAGE)
    assert len(embedded) == 2


@pytest.mark.slow
def test_sam2_prompts_that_move_in_x_move_in_x(sam2_pair, monkeypatch):
    """What the network is given: (x / W, y / H) of 1024, box corners first, labelled 2 and 3."""
    segmenter, _ = sam2_pair
    calls = recorded(segmenter._predictor.model, "sam_prompt_encoder", monkeypatch)
    segmenter.predict_many(
        [prompts([[120, 60]]), prompts([[156, 60]]), prompts([[120, 84]]), CASES[2][0]]
    )
    points = [call["points"][0][0].numpy() for call in calls]
    height, width = SIZE
    np.testing.assert_allclose(points[0], [[120 * 1024 / width, 60 * 1024 / height]], rtol=1e-6)
    np.testing.assert_allclose(points[1] - points[0], [[36 * 1024 / width, 0]], atol=1e-3)
    np.testing.assert_allclose(points[2] - points[0], [[0, 24 * 1024 / height]], atol=1e-3)
    inside = np.array([[60, 50], [180, 190], [120, 100], [300, 20]]) * 1024 / [width, height]
    np.testing.assert_allclose(points[3], inside, rtol=1e-6)
    assert calls[3]["points"][1][0].tolist() == [2, 3, 1, 0]


@pytest.mark.slow
def test_sam2_refuses_what_it_cannot_load(sam2_checkpoint, tmp_path):
    for other, reason in (("sam2.1_hiera_small", "Missing key"), ("sam2_hiera_tiny", "Unexpected")):
        with pytest.raises(InputError, match=rf"not one of {other} \(.*{reason}") as caught:
            load_segmenter("sam2", model=other, checkpoint=sam2_checkpoint)
        assert len(str(caught.value)) < 600
    torn = tmp_path / "torn.pt"
    torn.write_bytes(sam2_checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"torn.pt: not one of sam2.1_hiera_tiny"):
        load_segmenter("sam2", checkpoint=torn)
    with pytest.raises(InputError, match=r"absent.pt: no such file"):
        load_segmenter("sam2", checkpoint=tmp_path / "absent.pt")


def test_sam2_refuses_unknown_names_and_devices(monkeypatch):
    with pytest.raises(InputError, match=r"unknown SAM 2 model 'tiny'.*sam2_hiera_base_plus"):
        load_segmenter("sam2", model="tiny")
    with pytest.raises(InputError, match="device 'tpu' is not available"):
        load_segmenter("sam2", device="tpu")
    monkeypatch.setitem(sys.modules, "sam2.build_sam", None)
    with pytest.raises(InputError, match=r"needs the sam2 package: run .*pip install"):
        load_segmenter("sam2")


def test_sam2_configurations_exist():
    sam2 = pytest.importorskip("sam2.build_sam", reason="the sam2 extra is not installed")
    from xaiutils.segmenters.sam2 import CONFIGS

    upstream = {
        hub: (config, file) for hub, (config, file) in sam2.HF_MODEL_ID_TO_FILENAMES.items()
    }
    ours = {
        "facebook/" + name.replace("_", "-"): (config, f"{name}.pt")
        for name, config in CONFIGS.items()
    }
    assert ours == {hub.replace("_", "-"): value for hub, value in upstream.items()}
    assert len(ours) == 8
