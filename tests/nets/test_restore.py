import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from panlesion.ct.standardise import standard_target, standardise
from panlesion.ct.volume import Grid, Volume, standard_grid
from panlesion.errors import GeometryError
from panlesion.nets.classes import Classes, ClassGroup
from panlesion.nets.restore import SMALL_PART, Restorer, restore_parts

CLASSES = Classes(
    groups=(
        ClassGroup(name="anatomy", classes=("background", "liver", "bone")),
        ClassGroup(name="lesions", classes=("none", "cyst", "tumour", "mass")),
    )
)
TURN = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])


def logits_on(shape, seed=0, smooth=1.0):
    noise = np.random.default_rng(seed).normal(size=(len(CLASSES), *shape))
    return ndimage.gaussian_filter(noise, (0, smooth, smooth, smooth)).astype(np.float32) * 5


def restored(logits, source, target, step=3, **given):
    made = Restorer(CLASSES, source, target, **given)
    for first in range(0, source.shape[0], step):
        made.add(first, torch.from_numpy(logits[:, first : first + step]))
    return made


def interpolated(logits, source, target):
    """All classes on the target, by SciPy: ends replicated one voxel, and where there is nothing beyond."""
    where = source.to_ijk(target.to_xyz(np.stack(np.meshgrid(*map(np.arange, target.shape), indexing="ij"), axis=-1)))
    last = np.array(source.shape) - 1
    inside = ((where >= -1 - 1e-9) & (where <= last + 1 + 1e-9)).all(axis=-1)
    at = np.moveaxis(where.clip(0, last), -1, 0)
    return np.stack([ndimage.map_coordinates(one, at, order=1, mode="nearest") for one in logits]), inside


def assert_same(made, logits, source, target):
    every, inside = interpolated(logits.astype(np.float64), source, target)
    for group in CLASSES.groups:
        mine = every[CLASSES.channels(group.name)]
        best = np.take_along_axis(mine, made.maps[group.name][None].astype(int), axis=0)[0]
        # The class that was taken is as good as the best: equal up to ties in float32.
        assert (np.where(inside, mine.max(axis=0) - best, 0) < 1e-4).all()
        assert not made.maps[group.name][~inside].any()
    lesions = logits[CLASSES.channels("lesions")].astype(np.float64)
    any_lesion = np.log(np.exp(lesions[1:]).sum(axis=0)) - lesions[0]
    expected = 1 / (1 + np.exp(-interpolated(any_lesion[None], source, target)[0][0]))
    np.testing.assert_allclose(made.probability, np.where(inside, expected, 0), atol=1e-3)


def turned(grid, angle):
    """The grid turned around two axes: an oblique scan."""
    c, s = np.cos(angle), np.sin(angle)
    affine = grid.affine.copy()
    affine[:3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ affine[:3]
    return Grid(shape=grid.shape, affine=affine)


SCANS = {
    "finer": Grid(shape=(31, 25, 20), affine=np.diag([-0.8, -0.8, 1.5, 1.0])),
    "thick slices": Grid(shape=(30, 30, 6), affine=np.diag([-0.9, -0.9, 5.0, 1.0])),
    "flipped": Grid(shape=(22, 25, 20), affine=np.diag([0.9, 0.8, -1.5, 1.0])),
    "sagittal": Grid(shape=(20, 24, 15), affine=np.array([[0, 0, 1.5, -7], [-1.1, 0, 0, 9], [0, -1, 0, 30], [0, 0, 0, 1.0]])),
    "oblique": turned(Grid(shape=(21, 25, 20), affine=np.diag([-0.8, -1.1, 1.5, 1.0])), 0.3),
    "flat": Grid(shape=(21, 25, 1), affine=np.diag([-0.8, -1.1, 1.5, 1.0])),
}


@pytest.mark.parametrize("name", SCANS)
def test_it_is_what_interpolating_all_logits_gives(name):
    target = SCANS[name]
    source = standard_target(target, 2.5)
    logits = logits_on(source.shape)
    assert_same(restored(logits, source, target), logits, source, target)


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 6.0)] * 3),
    start=st.tuples(*[st.floats(-6.0, 6.0)] * 3),
    order=st.permutations(range(3)),
    flip=st.tuples(*[st.sampled_from([1, -1])] * 3),
    step=st.integers(1, 9),
)
def test_it_is_for_any_parallel_grid(shape, spacing, start, order, flip, step):
    source = standard_grid(shape, 2.5)
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) * flip)[:, order] * spacing
    affine[:3, 3] = source.to_xyz((np.array(shape) - 1) / 2) - affine[:3, :3] @ [3, 3.5, 4] + start
    target = Grid(shape=(7, 8, 9), affine=affine)
    logits = logits_on(shape, seed=1, smooth=0.5)
    assert_same(restored(logits, source, target, step), logits, source, target)


def test_on_its_own_grid_it_is_the_argmax():
    source = standard_grid((7, 8, 9), 2.5)
    logits = logits_on(source.shape, smooth=0.3)
    made = restored(logits, source, source)
    np.testing.assert_array_equal(made.maps["anatomy"], logits[:3].argmax(0))
    np.testing.assert_array_equal(made.maps["lesions"], logits[3:].argmax(0))


def test_a_constant_stays_constant_up_to_the_last_voxel():
    target = SCANS["finer"]
    source = standard_target(target, 2.5)
    logits = np.zeros((len(CLASSES), *source.shape), dtype=np.float32)
    logits[[1, 5]] = 3.0
    made = restored(logits, source, target)
    assert (made.maps["anatomy"] == 1).all()
    assert (made.maps["lesions"] == 2).all()
    np.testing.assert_allclose(made.probability, (np.exp(3) + 2) / (np.exp(3) + 3), atol=1e-3)


def test_what_the_source_does_not_reach_is_background():
    target = standard_grid((30, 30, 30), 1.0)
    source = Grid(shape=(4, 4, 4), affine=standard_grid((4, 4, 4), 2.0, (-10.0, -10.0, 10.0)).affine)
    logits = np.zeros((len(CLASSES), 4, 4, 4), dtype=np.float32)
    logits[[2, 6]] = 9.0
    made = restored(logits, source, target)
    reached = np.zeros(target.shape, dtype=bool)
    reached[8:19, 8:19, 8:19] = True
    np.testing.assert_array_equal(made.maps["anatomy"], np.where(reached, 2, 0))
    np.testing.assert_array_equal(made.probability > 0, reached)


def test_the_probability_is_one_half_or_more_where_a_lesion_class_comes_first():
    target = SCANS["finer"]
    source = standard_target(target, 2.5)
    made = restored(logits_on(source.shape, smooth=0.5), source, target)
    assert (made.probability[made.maps["lesions"] > 0] >= 0.5).all()
    assert restored(logits_on(source.shape), source, target, probability=False).probability is None


def ball(diameter_mm, target):
    """Where a ball is on a grid, and logits on the 2.5 mm grid as a network that knows partial volumes would give them."""
    middle = target.to_xyz((np.array(target.shape) - 1) / 2) + np.array([0.4, -0.3, 0.2])
    at = target.to_xyz(np.stack(np.meshgrid(*map(np.arange, target.shape), indexing="ij"), axis=-1))
    truth = np.linalg.norm(at - middle, axis=-1) <= diameter_mm / 2
    standard = standardise(Volume(hu=(truth * 1000).astype(np.int16), grid=target), 2.5)
    share = (standard.hu / 1000.0).clip(1e-3, 1 - 1e-3)
    logits = np.zeros((len(CLASSES), *standard.grid.shape), dtype=np.float32)
    logits[4] = np.log(share / (1 - share))
    logits[5:] = -10.0
    return truth, logits, standard.grid


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("diameter_mm", [12.0, 20.0])
def test_borders_are_truer_than_those_of_the_nearest_voxel(diameter_mm):
    target = Grid(shape=(40, 40, 22), affine=np.diag([-0.8, -0.8, 1.5, 1.0]))
    truth, logits, source = ball(diameter_mm, target)
    smooth = restored(logits, source, target).maps["lesions"] > 0
    at = np.rint(source.to_ijk(target.to_xyz(np.argwhere(np.ones(target.shape))))).astype(int)
    at = at.clip(0, np.array(source.shape) - 1)
    staircase = (logits[4] > 0)[tuple(at.T)].reshape(target.shape)
    assert dice(smooth, truth) > 0.92
    assert 1 - dice(smooth, truth) < 0.6 * (1 - dice(staircase, truth))


def test_parts_keep_their_numbers_and_get_the_borders_of_the_mask():
    target = Grid(shape=(60, 40, 22), affine=np.diag([-0.8, -0.8, 1.5, 1.0]))
    source = standard_target(target, 2.5)
    logits = np.zeros((len(CLASSES), *source.shape), dtype=np.float32)
    logits[3] = 4.0
    logits[5, 3:7, 4:9, 4:9] = logits[4, 11:16, 4:9, 4:9] = 9.0
    made = restored(logits, source, target)
    parts, count = ndimage.label(logits[3:].argmax(0) > 0)
    marked = made.maps["lesions"] > 0
    numbers = restore_parts(parts.astype(np.int32), source, marked, target)
    assert count == 2
    np.testing.assert_array_equal(numbers > 0, marked)
    np.testing.assert_array_equal(numbers == 1, made.maps["lesions"] == 2)
    np.testing.assert_array_equal(numbers == 2, made.maps["lesions"] == 1)


def test_a_small_part_is_not_shrunk_away():
    target = Grid(shape=(30, 30, 16), affine=np.diag([-0.8, -0.8, 1.5, 1.0]))
    truth, logits, source = ball(6.0, target)
    smooth = restored(logits, source, target).maps["lesions"] > 0
    parts = (logits[4] > 0).astype(np.int32)
    found = restore_parts(parts, source, smooth, target) > 0
    assert 0 < parts.sum() < SMALL_PART
    assert smooth.sum() < 0.7 * truth.sum() < found.sum() < 1.3 * truth.sum()
    assert dice(found, truth) > dice(smooth, truth)
    assert found[smooth].all()


def test_a_small_part_takes_no_voxel_of_another():
    source = standard_grid((12, 12, 12), 2.5)
    target = standard_grid((40, 40, 40), 0.8)
    parts = np.zeros(source.shape, dtype=np.int32)
    parts[2:8, 2:8, 2:8], parts[8, 4, 4] = 1, 2
    marked = np.zeros(target.shape, dtype=bool)
    marked[5:27, 5:24, 5:24] = True
    found = restore_parts(parts, source, marked, target)
    assert (found[marked] > 0).all()
    assert (found == 2).any()
    assert (found[5:23, 5:24, 5:24] == 1).all()


@pytest.mark.parametrize("spacing_mm", [0.8, 9.0])
def test_no_part_is_lost_and_what_belongs_to_none_stays_unnumbered(spacing_mm):
    source = standard_grid((12, 12, 12), 2.5)
    target = standard_grid((40, 40, 40) if spacing_mm < 1 else (4, 4, 4), spacing_mm)
    parts = np.zeros(source.shape, dtype=np.int32)
    parts[2, 2, 2], parts[9, 9, 9] = 1, 2
    nothing = np.zeros(target.shape, dtype=bool)
    found = restore_parts(parts, source, nothing, target)
    for n, middle in ((1, (2, 2, 2)), (2, (9, 9, 9))):
        where = target.to_xyz(np.argwhere(found == n))
        assert len(where) == (1 if spacing_mm > 1 else 27)
        assert np.abs(where - source.to_xyz(middle)).max() <= max(spacing_mm, 2.5) / 2 + 1e-6
    assert not restore_parts(np.zeros_like(parts), source, ~nothing, target).any()


def test_grids_and_planes_that_do_not_fit_are_refused():
    source = standard_grid((6, 5, 4), 2.5)
    with pytest.raises(GeometryError, match="not parallel"):
        Restorer(CLASSES, source, turned(source, 0.3))
    made = Restorer(CLASSES, source, source)
    made.add(0, torch.zeros(7, 2, 5, 4))
    with pytest.raises(ValueError, match="from 2 on"):
        made.add(3, torch.zeros(7, 1, 5, 4))
    with pytest.raises(ValueError, match=r"\(7, n, 5, 4\)"):
        made.add(2, torch.zeros(6, 1, 5, 4))
    many = Classes(groups=(ClassGroup(name="a", classes=tuple(str(n) for n in range(256))),))
    with pytest.raises(ValueError, match="256 classes"):
        Restorer(many, source, source)
    with pytest.raises(ValueError, match="70000 parts"):
        restore_parts(np.full((1, 1, 1), 70000, dtype=np.int32), source, np.zeros((6, 5, 4), dtype=bool), source)
