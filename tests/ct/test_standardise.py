"""Standard orientation and spacing, and the way back."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panlesion.ct.standardise import restore, standard_target, standardise, standardise_labels
from panlesion.ct.volume import Box, Grid, LabelMap, Volume
from panlesion.errors import GeometryError

AXES = ["".join(letters) for order in itertools.permutations(("LR", "PA", "SI")) for letters in itertools.product(*order)]


def grid_of(axes: str, spacing_mm=(0.8, 0.9, 2.5), extent_mm=(44.0, 51.0, 60.0), turn_degrees=0.0) -> Grid:
    """A grid whose array axes point as `axes` says, covering about `extent_mm` along x, y, z."""
    along = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
    affine, shape = np.eye(4), []
    for axis, letter in enumerate(axes):
        world = along[letter]
        affine[:3, axis] = 0.0
        affine[world, axis] = spacing_mm[axis] * (1 if letter in "RAS" else -1)
        shape.append(round(extent_mm[world] / spacing_mm[axis]))
    a = np.radians(turn_degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2 + (11.0, -37.0, 102.5)
    return Grid(shape=tuple(shape), affine=affine)


def coordinates(grid: Grid) -> np.ndarray:
    return grid.to_xyz(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))


def asymmetric_labels(grid: Grid) -> LabelMap:
    """A 20 mm ball (2) off centre in a slab (1) that has no symmetry, and a thin plate (7) elsewhere."""
    x, y, z = np.moveaxis(coordinates(grid) - (11.0, -37.0, 102.5), -1, 0)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[(x > -18) & (y < 14) & (z + 0.3 * x < 16)] = 1
    labels[(x + 3) ** 2 + (y + 5) ** 2 + (z - 4) ** 2 <= 10**2] = 2
    labels[(x < -10) & (y > 16) & (z > -5)] = 7
    return LabelMap(labels=labels, grid=grid)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def centroid(mask, grid):
    return grid.to_xyz(np.argwhere(mask)).mean(axis=0)


@pytest.mark.parametrize("axes", AXES)
def test_labels_come_back_unshifted_from_every_orientation(axes):
    labelmap = asymmetric_labels(grid_of(axes))
    there = standardise_labels(labelmap, 1.0)
    back = restore(there, labelmap.grid)
    assert there.grid.axes == "LPS"
    assert there.grid.spacing_mm == pytest.approx((1, 1, 1))
    for label in (1, 2, 7):
        old, new, standard = labelmap.labels == label, back.labels == label, there.labels == label
        assert dice(old, new) >= (0.98 if label == 2 else 0.95)
        for found, grid in ((new, labelmap.grid), (standard, there.grid)):
            shift = np.abs(centroid(found, grid) - centroid(old, labelmap.grid))
            assert shift.max() < 0.5 * min(labelmap.grid.spacing_mm)


@pytest.mark.parametrize("spacing_mm", [(0.6, 0.6, 0.6), (0.7, 0.7, 5.0), (1.0, 1.0, 1.0), (1.5, 1.5, 3.0), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("standard_mm", [0.8, 1.0, 1.5])
def test_a_20_mm_lesion_survives_the_round_trip(spacing_mm, standard_mm):
    labelmap = asymmetric_labels(grid_of("RAS", spacing_mm))
    back = restore(standardise_labels(labelmap, standard_mm), labelmap.grid)
    # A standard grid much coarser than the scan keeps less of a mask than the scan had.
    assert dice(labelmap.labels == 2, back.labels == 2) >= (0.98 if standard_mm <= 1 else 0.96)


@given(
    axes=st.sampled_from(AXES),
    spacing_mm=st.tuples(*[st.floats(0.6, 5.0)] * 3),
    turn_degrees=st.floats(-30.0, 30.0),
    standard_mm=st.floats(0.6, 1.5),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_mask_comes_back_in_place_from_any_scan(axes, spacing_mm, turn_degrees, standard_mm):
    """There and back no label is lost or moved by half a voxel of the coarser grid, however the scan lies."""
    labelmap = asymmetric_labels(grid_of(axes, spacing_mm, turn_degrees=turn_degrees))
    back = restore(standardise_labels(labelmap, standard_mm), labelmap.grid)
    half = 0.5 * max(*spacing_mm, standard_mm)
    for label in np.unique(labelmap.labels[labelmap.labels > 0]):
        old, new = labelmap.labels == label, back.labels == label
        assert dice(old, new) >= 0.9
        assert np.abs(centroid(new, labelmap.grid) - centroid(old, labelmap.grid)).max() < half


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SPL", "AIR"])
@pytest.mark.parametrize("turn_degrees", [0.0, 20.0])
def test_a_blob_stays_where_it_is_in_the_world(axes, turn_degrees):
    grid = grid_of(axes, turn_degrees=turn_degrees)
    centre = np.array([7.0, -31.0, 110.0])
    blob = 2000 * np.exp(-np.square(coordinates(grid) - centre).sum(axis=-1) / (2 * 5.0**2))
    standard = standardise(Volume(hu=np.rint(blob).astype(np.int16), grid=grid))
    weights = standard.hu.astype(float)
    found = (coordinates(standard.grid) * weights[..., None]).sum(axis=(0, 1, 2)) / weights.sum()
    np.testing.assert_allclose(found, centre, atol=0.1)


def test_an_oblique_scan_keeps_its_rotation_and_is_not_sheared():
    grid = grid_of("RAS", turn_degrees=20.0)
    target = standard_target(grid, 1.0)
    directions = target.affine[:3, :3]
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.abs(directions), np.abs(grid.affine[:3, :3] / grid.spacing_mm), atol=1e-12)


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    spacing_mm=st.tuples(*[st.floats(0.3, 6.0)] * 3),
    standard_mm=st.floats(0.5, 4.0),
    value=st.integers(-1024, 3071),
    axes=st.sampled_from(AXES),
)
@settings(max_examples=60, deadline=None)
def test_constant_in_constant_out_and_extent_kept(shape, spacing_mm, standard_mm, value, axes):
    affine = grid_of(axes, spacing_mm).affine
    volume = Volume(hu=np.full(shape, value, np.int16), grid=Grid(shape=shape, affine=affine))
    standard = standardise(volume, standard_mm)
    assert (standard.hu == value).all()
    back = restore(LabelMap(labels=np.ones(standard.hu.shape, np.uint8), grid=standard.grid), volume.grid)
    assert back.labels.all()
    old = np.sort(np.array(shape) * volume.grid.spacing_mm)
    new = np.sort(np.array(standard.hu.shape) * standard_mm)
    assert (np.abs(old - new) <= np.maximum(standard_mm / 2, standard_mm - old) + 1e-9).all()


@given(seed=st.integers(0, 999), standard_mm=st.floats(0.5, 3.0))
@settings(max_examples=20, deadline=None)
def test_values_never_leave_the_range_of_the_input(seed, standard_mm):
    hu = np.random.default_rng(seed).choice(np.array([-1000, 40, 3000], np.int16), (9, 8, 7))
    standard = standardise(Volume(hu=hu, grid=Grid(shape=hu.shape, affine=np.diag([-1.3, 0.7, 2.0, 1]))), standard_mm)
    assert standard.hu.min() >= hu.min()
    assert standard.hu.max() <= hu.max()


def test_noise_is_not_aliased_when_the_grid_gets_coarser():
    stripes = np.zeros((40, 8, 8), np.int16)
    stripes[::2] = 1000
    standard = standardise(Volume(hu=stripes, grid=Grid(shape=stripes.shape, affine=np.diag([-0.5, -2, 2, 1]))), 2.0)
    assert np.abs(standard.hu[1:-1].astype(int) - 500).max() <= 1


def test_a_standard_volume_is_returned_unchanged():
    hu = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 7)).astype(np.int16)
    volume = Volume(hu=hu, grid=Grid(shape=hu.shape, affine=np.diag([-1.0, -1.0, 1.0, 1.0])))
    np.testing.assert_array_equal(standardise(volume).hu, hu)


def test_pure_reorientation_moves_every_voxel_exactly():
    hu = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    affine = np.array([[0, 0, 1.0, 3], [1.0, 0, 0, -2], [0, -1.0, 0, 9], [0, 0, 0, 1]])
    volume = Volume(hu=hu, grid=Grid(shape=hu.shape, affine=affine))
    wanted = nib.Nifti1Image(hu, affine).as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt("LPS"))
    )
    standard = standardise(volume, 1.0)
    np.testing.assert_array_equal(standard.hu, wanted.dataobj)
    np.testing.assert_allclose(standard.grid.affine, wanted.affine)


def test_restoring_onto_a_larger_grid_leaves_background_outside():
    grid = grid_of("LPS", (1, 1, 1), (20, 20, 20))
    labelmap = LabelMap(labels=np.full(grid.shape, 3, np.uint8), grid=grid)
    larger = grid.crop(Box(start=(0, 0, 0), stop=grid.shape).grown(4))
    back = restore(labelmap, larger)
    np.testing.assert_array_equal(back.labels[4:-4, 4:-4, 4:-4], 3)
    assert np.count_nonzero(back.labels) == labelmap.labels.size


def test_restoring_a_crop_gives_the_crop_of_the_whole():
    labelmap = asymmetric_labels(grid_of("RAS"))
    box = Box(start=(5, 6, 2), stop=(30, 40, 20))
    there = standardise_labels(labelmap, 1.0)
    whole = restore(there, labelmap.grid)
    np.testing.assert_array_equal(restore(there, labelmap.grid.crop(box)).labels, whole.crop(box).labels)


def test_single_slice_becomes_a_slab_and_comes_back():
    labels = np.zeros((30, 30, 1), np.uint8)
    labels[8:20, 10:25] = 4
    labelmap = LabelMap(labels=labels, grid=Grid(shape=labels.shape, affine=np.diag([-1, -1, 5, 1.0])))
    there = standardise_labels(labelmap, 1.0)
    assert there.labels.shape == (30, 30, 5)
    np.testing.assert_array_equal(restore(there, labelmap.grid).labels, labels)


def test_grids_that_are_not_parallel_are_refused():
    labelmap = asymmetric_labels(grid_of("RAS"))
    with pytest.raises(GeometryError, match="not parallel"):
        restore(labelmap, grid_of("RAS", turn_degrees=10))


@pytest.mark.parametrize("spacing_mm", [0.0, -1.0, float("nan")])
def test_spacing_must_be_positive(spacing_mm):
    with pytest.raises(ValueError, match="spacing_mm"):
        standard_target(grid_of("RAS"), spacing_mm)
