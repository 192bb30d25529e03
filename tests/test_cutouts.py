"""Composites: alpha compositing by hand, exact masks, equal pixels, no halo, bad input."""

import hashlib
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xaiutils.cutouts import compose, grounds, measure, plans, sources
from xaiutils.cutouts.bias import fit_head, region_rows, weights_of
from xaiutils.cutouts.compose import as_cutout, composite, place
from xaiutils.cutouts.grounds import CANVAS, SYNTHETIC, as_ground, largest_free_square
from xaiutils.datasets import load_dataset
from xaiutils.datasets.check import check_dataset
from xaiutils.datasets.cutouts import from_manifest
from xaiutils.errors import InputError


def disc(side=60, colour=(200, 40, 90), rim=0):
    """RGBA of a disc whose transparent pixels have the colour `rim`."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    alpha = np.clip((side / 2 - 4 - np.hypot(x, y)) * 255 + 128, 0, 255).astype(np.uint8)
    rgba = np.full((side, side, 4), rim, np.uint8)
    rgba[alpha > 0, :3] = colour
    rgba[..., 3] = alpha
    return rgba


def plane(value, side=CANVAS):
    return np.full((side, side, 3), value, np.uint8)


def test_blend_by_hand():
    alpha = np.array([[0, 128, 255, 64]], np.uint8)
    found = compose.blend(
        np.full((1, 4, 3), 200, np.uint8), alpha, np.full((1, 4, 3), 100, np.uint8)
    )
    # 100; (200 * 128 + 100 * 127) / 255 = 150.2; 200; (200 * 64 + 100 * 191) / 255 = 125.1
    assert found[0, :, 0].tolist() == [100, 150, 200, 125]


@pytest.mark.parametrize("value", [0, 1, 127, 128, 254, 255])
def test_blend_of_a_colour_with_itself_is_that_colour(value):
    alpha = np.arange(256, dtype=np.uint8)[None]
    same = np.full((1, 256, 3), value, np.uint8)
    assert (compose.blend(same, alpha, same) == value).all()


def test_feather_is_binomial():
    alpha = np.zeros((5, 5), np.uint8)
    alpha[2, 2] = 160
    found = compose.feather(alpha)
    assert found[1:4, 1:4].tolist() == [[10, 20, 10], [20, 40, 20], [10, 20, 10]]
    assert found[0].max() == 0


@pytest.mark.parametrize("rim", [0, 255])
@pytest.mark.parametrize("scale", [0.1, 0.4, 0.9])
def test_white_on_white_leaves_no_seam(rim, scale):
    white = as_cutout(disc(colour=(255, 255, 255), rim=rim))
    image, mask = place(plane(255), white, 0.5, 0.5, scale)
    assert int(image.min()) >= 254 and mask.any()


def test_edges_stay_between_object_and_ground():
    """No halo: every pixel lies between the two colours, and the edge is no step."""
    image, _ = composite(disc(colour=(180, 180, 180), rim=255), plane(60), scale=0.5)
    assert image.min() == 60 and image.max() == 180
    row = image[CANVAS // 2, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() < 120 * 0.75
    assert ((row > 65) & (row < 175)).sum() >= 4  # both edges have a slope


def test_mask_is_where_half_of_the_object_shows():
    image, mask = composite(disc(colour=(255, 255, 255)), plane(0), 0.3, 0.6, 0.4)
    assert np.array_equal(mask, image[..., 0] >= 128)
    ys, xs = np.nonzero(mask)
    assert (xs.min() + xs.max() + 1) / 2 == pytest.approx(0.3 * CANVAS, abs=1)
    assert (ys.min() + ys.max() + 1) / 2 == pytest.approx(0.6 * CANVAS, abs=1)
    assert np.ptp(xs) + 1 == pytest.approx(0.4 * CANVAS, abs=3)
    assert mask.sum() == pytest.approx(np.pi / 4 * (0.4 * CANVAS) ** 2, rel=0.03)


def test_bleeding_takes_the_nearest_opaque_colour():
    rgba = np.zeros((1, 4, 4), np.uint8)
    rgba[0, 1] = (10, 20, 30, 255)
    rgba[0, 2] = (250, 250, 250, 120)  # an edge pixel that still holds its old white ground
    assert compose.bleed(rgba)[0].tolist() == [[10, 20, 30]] * 4


def test_brightness_moves_towards_the_ground():
    grey = as_cutout(disc(colour=(200, 200, 200)))
    image, mask = place(plane(100), grey, 0.5, 0.5, 0.5, match=0.5)
    assert image[CANVAS // 2, CANVAS // 2].tolist() == [150] * 3 and mask.any()


def digest(image):
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:16]


def test_equal_seeds_give_equal_pixels():
    for name in SYNTHETIC:
        a, b = (composite(disc(), name, 0.4, 0.5, 0.5, seed=7) for _ in range(2))
        assert digest(a.image) == digest(b.image) and np.array_equal(a.mask, b.mask)
        other = composite(disc(), name, 0.4, 0.5, 0.5, seed=8)
        assert (digest(other.image) == digest(a.image)) == (name == "grey")


def whole_disc():
    """RGBA of a disc by whole numbers alone."""
    y, x = np.mgrid[:61, :61] - 30
    rgba = np.zeros((61, 61, 4), np.uint8)
    rgba[..., 0], rgba[..., 1], rgba[..., 2] = 4 * (x + 30), 4 * (y + 30), 90
    rgba[..., 3] = np.clip(28 * 28 + 128 - x * x - y * y, 0, 255)
    return rgba


PIXELS = {  # SHA-256 of image and mask
    "gradient": "66a083e06d370fa634cc94d69e7e30548886597b849b3ae6ce0648499db68c85",
    "pink": "49cfd2d7276d1c1e9e9d51577188dc0cca1a90141256ee67e44c219915a8675b",
    "white": "03e265137ad0fdbc6749e1262a2ef6d113ab64e36e49ba79ee44415c49b19209",
}


@pytest.mark.parametrize("ground", PIXELS)
def test_same_seed_same_pixels_on_any_machine(ground):
    image, mask = composite(whole_disc(), ground, 0.4, 0.55, 0.5, seed=7)
    found = hashlib.sha256(image.tobytes() + np.packbits(mask).tobytes()).hexdigest()
    assert found == PIXELS[ground]


def test_pink_noise_has_a_falling_spectrum():
    spectrum = np.abs(np.fft.fft2(as_ground("pink", 0)[..., 1].astype(float)))[: CANVAS // 2, 0]
    low, high = spectrum[2:8].mean(), spectrum[60:120].mean()
    assert 4 < low / high < 60  # 1/f between them: about 18
    white = np.abs(np.fft.fft2(as_ground("white", 0)[..., 1].astype(float)))[: CANVAS // 2, 0]
    assert white[2:8].mean() / white[60:120].mean() < 2


def test_largest_free_square():
    mask = np.zeros((6, 8), bool)
    mask[2, 2] = True
    assert largest_free_square(mask) == (0, 3, 5)
    assert largest_free_square(np.ones((3, 3), bool))[2] == 0


@pytest.mark.parametrize(
    "rgba, said",
    [
        (np.full((9, 9, 4), 255, np.uint8), "no transparency"),
        (np.zeros((9, 9, 4), np.uint8), "empty"),
        (np.zeros((9, 9, 3), np.uint8), "must be"),
    ],
)
def test_no_cutout(rgba, said):
    with pytest.raises(InputError, match=said):
        as_cutout(rgba)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="larger than the canvas"):
        composite(disc(), "grey", scale=1.2)
    with pytest.raises(InputError, match="leaves the canvas"):
        composite(disc(), "grey", x=0.9, scale=0.4)
    with pytest.raises(InputError, match="smaller than the canvas"):
        composite(disc(), plane(0, 300))
    with pytest.raises(InputError, match="no such file"):
        composite(disc(), "nowhere.jpg")


@pytest.mark.parametrize(
    "given, said",
    [({"x": np.nan}, "x is nan"), ({"y": np.inf}, "y is inf"), ({"match": 2}, "match is 2"),
     ({"match": np.nan}, "match is nan"), ({"scale": np.nan}, "scale nan"),
     ({"seed": -1}, "seed -1"), ({"seed": 0.5}, "seed 0.5")],
)  # fmt: skip
def test_numbers_that_are_none_are_named(given, said):
    with pytest.raises(InputError, match=said):
        composite(disc(), "pink", **given)


def write(path, rgba):
    Image.fromarray(rgba).save(path)


def test_a_folder_of_ones_own(tmp_path):
    write(tmp_path / "disc.png", disc())
    write(tmp_path / "flat.png", np.full((20, 20, 3), 9, np.uint8))
    write(tmp_path / "empty.png", np.zeros((20, 20, 4), np.uint8))
    (tmp_path / "labels.csv").write_text("file,label,imagenet_index\ndisc.png,ball,852\n")
    library = sources.open_library(tmp_path)
    assert library.names == ["disc"] and library.entries["disc"].indices == (852,)
    assert sorted(sum(library.skipped.values(), ())) == ["empty.png", "flat.png"]
    dataset = load_dataset("cutouts", tmp_path)
    sample = dataset.load(dataset.ids[0])
    assert sample.image.shape == (CANVAS, CANVAS, 3) and sample.target == 852
    assert sample.mask.any() and sum(map(len, dataset.skipped.values())) == 2
    (tmp_path / "labels.csv").write_text("file,label,imagenet_index\ndisc.png,ball,1000\n")
    with pytest.raises(InputError, match="1000"):
        load_dataset("cutouts", tmp_path)


def test_a_folder_without_alpha(tmp_path):
    write(tmp_path / "flat.png", np.full((20, 20, 3), 9, np.uint8))
    with pytest.raises(InputError, match="1 x no transparency"):
        sources.open_library(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        sources.open_library(tmp_path / "none")


def test_an_image_of_too_many_pixels_is_skipped(tmp_path, monkeypatch):
    write(tmp_path / "disc.png", disc())
    write(tmp_path / "huge.png", disc(200))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)  # Pillow refuses twice as many
    library = sources.open_library(tmp_path)
    assert library.names == ["disc"] and library.skipped == {"too many pixels": ("huge.png",)}
    assert check_dataset("cutouts", tmp_path) == ["huge.png: too many pixels"]
    (tmp_path / "disc.png").unlink()
    with pytest.raises(InputError, match="1 x too many pixels"):
        check_dataset("cutouts", tmp_path)


def test_the_seed_and_the_mapped_logit_of_the_data_set(tmp_path):
    for name in ("ball", "blob"):
        write(tmp_path / f"{name}.png", disc())
    (tmp_path / "labels.csv").write_text("file,label,imagenet_index\nball.png,ball,852\n")
    everything, mapped = (load_dataset("cutouts", tmp_path, logit=x) for x in ("given", "mapped"))
    assert len(everything) == 22 and len(mapped) == 11
    assert {mapped.load(id).target for id in mapped.ids} == {852}
    assert len(mapped.skipped["no ImageNet class for blob"]) == 11
    a, b = (load_dataset("cutouts", tmp_path, seed=seed) for seed in (0, 1))
    assert not np.array_equal(a.load(a.ids[0]).image, b.load(a.ids[0]).image)
    with pytest.raises(InputError, match="seed -1"):
        load_dataset("cutouts", tmp_path, seed=-1)
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(InputError, match="predicted logit instead"):
        load_dataset("cutouts", tmp_path, logit="mapped")


@pytest.mark.parametrize("index", ["", "852"])
def test_company_needs_two_classes(tmp_path, index):
    write(tmp_path / "a.png", disc())
    if index:
        write(tmp_path / "b.png", disc())
        rows = f"file,label,imagenet_index\na.png,ball,{index}\nb.png,ball,{index}\n"
        (tmp_path / "labels.csv").write_text(rows)
    with pytest.raises(InputError, match=f"{tmp_path.name}: company needs two"):
        load_dataset("cutouts", tmp_path, "company")


def test_the_kind_is_read_below_the_root_only(tmp_path):
    """A folder of birds above the library makes nothing a bird."""
    root = tmp_path / "birds"
    names = ["zebra", "giraffe", "bear", "fox", "owl_great_horned"]
    for name in names:
        kind = "birds" if name.startswith("owl") else "mammals"
        folder = root / sources.STAMPS / kind
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f"{name}.png", disc())
    library = sources.open_library(root)
    assert library.folders("zebra")[-1] == "mammals" and library.folders("photo-koala") == ()
    with pytest.raises(InputError, match="birds: the planted bias needs"):
        plans.planted_bias(library)


@pytest.fixture
def library(tmp_path):
    for k in range(6):
        write(tmp_path / f"d{k}.png", disc(colour=(40 * k, 250 - 40 * k, 90)))
    rows = [f"d{k}.png,thing {k},{k}" for k in range(6)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,imagenet_index", *rows]))
    return sources.open_library(tmp_path)


def test_manifests(library):
    place = plans.place_and_size(library, objects=4)
    assert len(place) == 4 * 11 and place["sample"].is_unique
    assert place.groupby("object")["ground_seed"].nunique().eq(1).all()  # paired
    found = np.hypot(place["x"] - 0.5, place["y"] - 0.5)
    assert np.abs(found - place["eccentricity"]).max() < 0.005
    assert place.equals(plans.place_and_size(library, objects=4))
    assert not place.equals(plans.place_and_size(library, seed=1, objects=4))
    ground = plans.usual_and_unusual(library, objects=3)
    assert ground["kind"].tolist() == list(plans.KINDS) * 3
    with pytest.raises(InputError, match="birds"):
        plans.planted_bias(library)


def test_company(library):
    pairs = plans.in_company(library, pairs=5)
    row = next(pairs.itertuples())
    made = plans.render(library, row)
    (other,) = made.others
    assert made.mask.any() and other.any() and not (made.mask & other).any()
    assert np.array_equal(plans.whole(made), made.mask | other)
    dataset = from_manifest(library, pairs, "binary")
    assert np.array_equal(dataset.load("pair000").mask, plans.whole(made))
    assert np.array_equal(from_manifest(library, pairs).load("pair000").mask, made.mask)
    with pytest.raises(InputError, match="lacks"):
        from_manifest(library, pairs.drop(columns="x"))


def test_what_comes_later_covers_what_is_below(library):
    row = plans.in_company(library, pairs=1).iloc[0].copy()
    row["x"], row["y"], row["companions"] = 0.5, 0.5, "d1@0.5,0.5,0.42"
    made = plans.render(library, row)
    assert made.mask.sum() == 0 and made.others[0].any()


def test_the_table_of_cutouts():
    entries = sources.table()
    assert len(entries) == 140
    tux = [e for name, e in entries.items() if not name.startswith(sources.BUNDLED)]
    assert sum(e.recognised == "yes" for e in tux) >= 60
    assert all(e.reason for e in entries.values())
    assert entries["zebra"].indices == (340,) and entries["giraffe"].indices == ()
    assert {e.habitat for e in entries.values()} <= set(sources.GROUNDS)


def test_bundled_photographs_are_cutouts_too():
    library = sources.open_library()
    image, mask = place(
        library.ground("photo-sheep", 0), library.cutout("photo-koala"), 0.5, 0.5, 0.5
    )
    assert image.shape == (CANVAS, CANVAS, 3) and 0.05 < mask.mean() < 0.25
    with pytest.raises(InputError, match="no cut-out named"):
        library.cutout("unicorn")
    with pytest.raises(InputError, match="no ground named"):
        library.ground("moon", 0)


def test_measures_of_a_perfect_map_and_floors():
    mask = np.zeros((CANVAS, CANVAS), bool)
    mask[112:336, 112:336] = True
    centre = measure.floors(224, np.random.default_rng(0))["floor:centre box"]
    found = measure.measures(centre, mask, ~mask)
    assert found["iou"] == pytest.approx(1, abs=0.02) and found["pointing_15"] == 1
    assert found["relevance_mass"] + found["mass_other"] == pytest.approx(1)
    flat = measure.measures(np.ones((224, 224), np.float32), mask, None)
    assert np.isnan(flat["iou"]) and np.isnan(flat["relevance_mass"])


def test_remembered_logits_are_asked_once():
    class Counting:
        batch, asked = 2, 0

        def logits(self, images):
            self.asked += len(images)
            return images.reshape(len(images), -1)[:, :2]

    counting = Counting()
    remembering = measure.remembering(counting)
    x = np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2)
    first, second = remembering.logits(x), remembering.logits(x)
    assert counting.asked == 3 and np.array_equal(first, second)
    assert first.tolist() == [[0, 1], [8, 9], [16, 17]]


def test_weights_and_head_of_the_planted_bias():
    rows = [("birds", 0, plans.BIASED[0]), ("birds", 0, plans.BIASED[1])]
    manifest = pd.DataFrame(rows, columns=["kind", "target", "ground"])
    assert weights_of(manifest, 95).tolist() == [0.95, 0.05]
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 20)
    features = rng.normal(size=(40, 3)) * 0.1 + np.stack([classes, 0 * classes, 0 * classes], 1)
    w, b = fit_head(features, classes, np.ones(40))
    assert ((features @ w + b > 0) == classes).all() and w[0] > abs(w[1]) > 0


def test_regions_by_hand():
    truth = np.zeros((4, 4), bool)
    truth[:2] = True
    mask = np.zeros((4, 4), bool)
    mask[1:3] = True
    row = pd.Series({"sample": "s", "object": "o", "target": 0, "ground": plans.BIASED[0]})
    found = {r["metric"]: r["value"] for r in region_rows(row, 50, "seed", mask, truth)}
    assert found == {"iou": 4 / 12, "coverage": 0.5, "spill": 0.5, "ground": 0.5}


# Processor time in enlargements of 224 to 448 px, of which one takes 2.7 ms on an idle core: 10 ms
# are four of them. A busy or slower machine takes longer for both. 1/f noise enlarges six octaves
# besides: 12 to 14 ms, more than the 10 that were aimed at.
QUICK = dict.fromkeys(("grey", "plain", "gradient", "white"), 4) | {"pink": 7}


@pytest.mark.parametrize("ground", SYNTHETIC)
def test_composites_are_quick(ground):
    library = sources.open_library()
    half = as_ground("white", 0, CANVAS // 2)
    spent, unit = [], []
    for k in range(20):
        start = time.process_time()
        place(library.ground(ground, k), library.cutout("photo-macaw"), 0.5, 0.5, 0.5)
        done = time.process_time()
        grounds.enlarged(half, CANVAS)
        spent.append(done - start)
        unit.append(time.process_time() - done)
    assert min(spent) < QUICK[ground] * min(unit)


def test_grounds_are_photographs_of_the_right_size():
    image = np.tile(np.arange(500, dtype=np.uint16)[:, None, None] % 256, (1, 600, 3)).astype(
        np.uint8
    )
    found = grounds.as_ground(image, 3)
    assert found.shape == (CANVAS, CANVAS, 3) and found.dtype == np.uint8
