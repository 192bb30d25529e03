import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xaiutils.errors import InputError
from xaiutils.maps import is_flat
from xaiutils.prompting import (
    CEILINGS,
    FLOORS,
    PROMPTINGS,
    box_from_mask,
    centre_box,
    centre_point,
    click,
    core,
    dual_threshold,
    five_clicks,
    largest_component,
    points_from_map,
    random_points,
    spread,
    true_box,
)

SHAPE = (9, 13)
# coarse values make plateaus, as superpixel maps do
maps = hnp.arrays(np.float32, SHAPE, elements=st.integers(0, 6).map(float)) | hnp.arrays(
    np.float32, SHAPE, elements=st.floats(0, 1, width=32, allow_subnormal=False)
)
masks = hnp.arrays(bool, SHAPE).filter(np.any)
seeds = st.integers(0, 1000)


def rng(seed=0):
    return np.random.default_rng(seed)


def inside(points, region):
    return [bool(region[int(y), int(x)]) for x, y in points]


def bright(shape=(30, 50), at=(7, 41)):
    map = np.zeros(shape)
    map[at] = 1
    return map


def test_points_are_x_then_y():
    for name in ("peak", "points", "dual", "dual+box", "literal"):
        assert PROMPTINGS[name](bright(), rng()).points[0].tolist() == [41, 7], name
    assert PROMPTINGS["box"](bright(), rng()).box.tolist() == [41, 7, 41, 7]
    assert click(bright() > 0).points.tolist() == [[41, 7]]


def test_dual_threshold_takes_the_top_15_and_the_bottom_10_per_cent():
    map = rng().permutation(np.arange(100.0)).reshape(10, 10)
    above, below = dual_threshold(map)
    np.testing.assert_array_equal(above, map >= 85)
    np.testing.assert_array_equal(below, map <= 9)
    literal, _ = dual_threshold(map, literal=True)
    np.testing.assert_array_equal(literal, map >= 15)


def test_dual_threshold_of_plateaus():
    sparse = bright()  # more than 85 % are the minimum: all else is foreground
    above, below = dual_threshold(sparse)
    np.testing.assert_array_equal(above, sparse > 0)
    np.testing.assert_array_equal(below, sparse == 0)
    half = np.repeat([0.0, 1.0, 2.0], [50, 40, 10]).reshape(10, 10)
    above, below = dual_threshold(half)
    np.testing.assert_array_equal(above, half >= 1)
    np.testing.assert_array_equal(below, half == 0)


@settings(deadline=None)
@given(maps, st.booleans())
def test_foreground_and_background_are_disjoint(map, literal):
    above, below = dual_threshold(map, literal=literal)
    assert not (above & below).any()
    if is_flat(map):
        assert not above.any() and not below.any()
    else:
        assert above[map == map.max()].all() and below[map == map.min()].all()


@settings(deadline=None)
@given(maps, seeds)
@pytest.mark.parametrize("name", PROMPTINGS)
def test_every_prompt_is_where_it_belongs(name, map, seed):
    prompts = PROMPTINGS[name](map, rng(seed))
    assert prompts.points.dtype == np.float32 and prompts.labels.dtype == np.int32
    assert prompts.points.shape == (len(prompts.labels), 2)
    for region in (prompts.foreground, prompts.background, prompts.seed):
        assert region.shape == SHAPE and region.dtype == bool
    assert prompts.empty == is_flat(map)
    points, labels = prompts.points, prompts.labels
    assert all(inside(points[labels == 1], prompts.foreground))
    assert all(inside(points[labels == 0], prompts.background))
    assert len(np.unique(points, axis=0)) == len(points)
    if len(points):
        x, y = points[0].astype(int)
        assert map[y, x] == map.max() and labels[0] == 1
    if prompts.box is not None:
        x0, y0, x1, y1 = prompts.box
        assert 0 <= x0 <= x1 < SHAPE[1] and 0 <= y0 <= y1 < SHAPE[0]


@pytest.mark.parametrize(
    "name, n_fg, n_bg, box",
    [
        ("peak", 1, 0, False),
        ("points", 3, 0, False),
        ("dual", 3, 2, False),
        ("box", 0, 0, True),
        ("dual+box", 3, 2, True),
        ("literal", 3, 2, False),
    ],
)
def test_what_each_prompting_gives(name, n_fg, n_bg, box):
    y, x = np.mgrid[:60, :80]
    map = np.exp(-((x - 50) ** 2 + (y - 20) ** 2) / 200)
    prompts = PROMPTINGS[name](map, rng())
    assert prompts.labels.tolist() == [1] * n_fg + [0] * n_bg
    assert (prompts.box is not None) == box
    again = PROMPTINGS[name](map, rng())
    np.testing.assert_array_equal(prompts.points, again.points)
    if n_fg:
        assert prompts.points[0].tolist() == [50, 20]
    share = prompts.foreground.mean()
    assert share == pytest.approx(0.85 if name == "literal" else 0.15, abs=0.01)


def test_points_are_spread_and_the_seed_decides():
    y, x = np.mgrid[:60, :80]
    map = np.exp(-((x - 50) ** 2 + (y - 20) ** 2) / 200)
    points = points_from_map(map, rng(), n_foreground=5, n_background=0).points
    gaps = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert gaps[np.triu_indices(5, 1)].min() > 6
    other = points_from_map(map, rng(1), n_foreground=5, n_background=3).points
    third = points_from_map(map, rng(2), n_foreground=5, n_background=3).points
    assert not np.array_equal(other, third)


def test_core_and_largest_component():
    region = np.zeros((40, 60), bool)
    region[5:16, 5:16] = True
    region[20:31, 30:41] = True
    region[35, 55] = True
    inner = core(region)
    assert not inner[35, 55] and inner[10, 10] and inner[25, 35] and not inner[5, 5]
    assert (inner <= region).all()
    region[20, 41] = True
    assert largest_component(region).sum() == 122
    assert not core(0 * region > 0).any() and not largest_component(0 * region > 0).any()


@settings(deadline=None)
@given(hnp.arrays(bool, SHAPE))
def test_core_is_empty_only_if_the_region_is(region):
    inner = core(region)
    assert (inner <= region).all() and inner.any() == region.any()


def test_spread_is_farthest_first_and_never_repeats():
    line = np.ones((1, 11), bool)
    assert [p.tolist() for p in spread(line, 2, rng(), [(0, 0)])] == [[10, 0], [5, 0]]
    assert len(spread(line, 50, rng())) == 11
    assert spread(~line, 3, rng()) == []


def test_floors_by_hand_and_blind():
    assert centre_point((5, 9)).points.tolist() == [[4, 2]]
    assert centre_box((100, 200)).box.tolist() == [50, 25, 149, 74]
    assert centre_box((100, 200), share=1).box.tolist() == [0, 0, 199, 99]
    for floor in FLOORS.values():
        assert list(inspect.signature(floor).parameters)[:2] == ["shape", "rng"]
        assert not floor((30, 50), rng()).empty
    points = random_points((3, 500), rng(), n=200).points
    assert points[:, 1].max() == 2 and points[:, 0].max() > 400 and points.min() >= 0
    np.testing.assert_array_equal(points, random_points((3, 500), rng(), n=200).points)


def test_ceilings_by_hand():
    mask = np.zeros((40, 60), bool)
    mask[10:21, 30:51] = True
    assert click(mask).points.tolist() == [[35, 15]]
    assert true_box(mask).box.tolist() == box_from_mask(mask).tolist() == [30, 10, 50, 20]
    clicks = five_clicks(mask, rng()).points
    assert clicks[0].tolist() == [35, 15] and len(clicks) == 5 and all(inside(clicks, mask))


@settings(deadline=None)
@given(masks, seeds)
def test_ceilings_stay_on_the_object(mask, seed):
    for ceiling in CEILINGS.values():
        prompts = ceiling(mask, rng(seed))
        assert all(inside(prompts.points, mask)) and not prompts.empty
        assert (prompts.labels == 1).all()


def test_inputs_are_refused_and_left_alone():
    empty = np.zeros(SHAPE, bool)
    for ceiling in CEILINGS.values():
        with pytest.raises(InputError, match="empty"):
            ceiling(empty, rng())
        with pytest.raises(InputError, match="boolean"):
            ceiling(np.ones(SHAPE), rng())
    with pytest.raises(InputError, match="empty"):
        box_from_mask(empty)
    with pytest.raises(InputError, match="percentiles"):
        dual_threshold(bright(), 10, 85)
    with pytest.raises(InputError, match="at least 1"):
        points_from_map(bright(), rng(), 0)
    with pytest.raises(InputError, match="shape"):
        centre_point((3, 4, 3))
    map = bright()
    map.flags.writeable = False
    for prompting in PROMPTINGS.values():
        prompting(map, rng())
