"""Distances around digitised balls, and the cut."""

import numpy as np
import pytest
from lesions_made import SPACINGS, grid_of, make, signed_distance

from panlesion.ct.volume import LabelMap, Volume
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.scene import REACH_MM, cut_scene


def scene_of(made, type=LesionType.LIVER_TUMOR):
    return cut_scene(made.ct, made.lesion, made.organs, type)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_distances_to_the_boundary_are_those_of_the_ball(spacing_mm):
    rng = np.random.default_rng(0)
    shape = [int(64 / s) for s in spacing_mm]
    centre = [(n / 2 + rng.uniform(-0.5, 0.5)) * s for n, s in zip(shape, spacing_mm, strict=True)]
    truth = signed_distance(shape, spacing_mm, centre, (14.0,) * 3)
    grid = grid_of(shape, spacing_mm)
    scene = cut_scene(
        Volume(hu=np.zeros(shape, dtype=np.int16), grid=grid),
        truth < 0,
        LabelMap(labels=np.full(shape, 5, dtype=np.uint8), grid=grid),
        LesionType.LIVER_TUMOR,
    )
    truth = truth[scene.box.slices]
    outside = ~scene.lesion & (scene.away_mm < 8)
    error_out = scene.to_boundary_mm(scene.away_mm[outside]) - truth[outside]
    error_in = scene.below_mm + truth[scene.lesion]
    for error in (error_out, error_in):
        assert abs(error.mean()) < 0.1 * max(spacing_mm)
        assert error.std() < 0.4 * max(spacing_mm)


def test_the_cut_holds_the_lesion_and_what_lies_within_reach():
    made = make(np.random.default_rng(1), radii_mm=(8, 8, 8), pad_mm=30)
    scene = scene_of(made)
    assert np.count_nonzero(scene.lesion) == np.count_nonzero(made.lesion)
    assert all(n >= 16 + 2 * REACH_MM - 1 for n in scene.lesion.shape)
    assert np.array_equal(scene.hu, made.ct.hu[scene.box.slices])


def test_gaps_between_boundaries_are_zero_for_neighbours_and_count_voxels_between():
    shape, spacing = (20, 20, 20), (1.0, 1.0, 3.0)
    grid = grid_of(shape, spacing)
    lesion = np.zeros(shape, dtype=bool)
    lesion[5:10, 5:10, 5:10] = True
    scene = cut_scene(
        Volume(hu=np.zeros(shape, dtype=np.int16), grid=grid),
        lesion,
        LabelMap(labels=np.zeros(shape, dtype=np.uint8), grid=grid),
        LesionType.LIVER_TUMOR,
    )
    a, b, c = (np.array(one) - np.array(scene.box.start) for one in ((10, 7, 7), (7, 7, 11), (13, 13, 7)))
    gaps = scene.gap_mm(tuple(np.stack([a, b, c]).T))
    assert gaps == pytest.approx([0.0, 3.0, np.hypot(3, 3)])


def test_a_lesion_cut_by_the_scan_is_deep_there():
    shape = (20, 20, 20)
    grid = grid_of(shape, (1, 1, 1))
    lesion = np.zeros(shape, dtype=bool)
    lesion[:8, 4:16, 4:16] = True
    scene = cut_scene(
        Volume(hu=np.zeros(shape, dtype=np.int16), grid=grid),
        lesion,
        LabelMap(labels=np.zeros(shape, dtype=np.uint8), grid=grid),
        LesionType.LIVER_TUMOR,
    )
    assert scene.depth_mm[0, 10, 10] == pytest.approx(6.0)


def test_very_large_lesions_are_seen_through_every_second_voxel():
    made = make(np.random.default_rng(2), radii_mm=(50, 50, 50), pad_mm=16, sd_hu=0.1)
    scene = scene_of(made)
    assert scene.stride == 2
    assert scene.spacing_mm == (2.0, 2.0, 2.0)
    assert np.count_nonzero(scene.lesion) * 8 == pytest.approx(np.count_nonzero(made.lesion), rel=0.01)


def test_vessels_inside_the_lung_belong_to_it():
    made = make(np.random.default_rng(3), radii_mm=(6, 6, 6), label=14)
    labels = made.organs.labels.copy()
    labels[:, 4:10, 4:10] = 0
    scene = cut_scene(made.ct, made.lesion, LabelMap(labels=labels, grid=made.organs.grid), LesionType.LUNG_TUMOR)
    assert scene.own.all()


def test_shapes_that_differ_and_empty_lesions_are_refused():
    made = make(np.random.default_rng(4), radii_mm=(6, 6, 6))
    with pytest.raises(ValueError, match="they must be equal"):
        cut_scene(made.ct, made.lesion[1:], made.organs, LesionType.LIVER_TUMOR)
    with pytest.raises(ValueError, match="no voxel"):
        cut_scene(made.ct, np.zeros_like(made.lesion), made.organs, LesionType.LIVER_TUMOR)
