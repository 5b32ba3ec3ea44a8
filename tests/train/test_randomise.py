import numpy as np
import pytest

from panlesion.train.chance import Chance
from panlesion.train.randomise import (
    KNOTS_HU,
    Circle,
    Cut,
    HostChange,
    HostRange,
    NoiseField,
    Slab,
    draw_host_change,
    render_host_change,
    render_noise,
)


def body(n=24):
    """Muscle with air on both sides along j, and a target over all of it."""
    hu = np.full((n, n, n), -1000, np.int16)
    hu[:, 6:-7] = 50
    return hu, np.where(hu > 0, 3, 0).astype(np.uint8)[None]


def drawn(n=1200):
    rng = np.random.default_rng(0)
    return [draw_host_change(HostRange(), rng) for _ in range(n)]


def test_no_change_is_no_change():
    hu, targets = body()
    image, cut = render_host_change(HostChange(), hu, targets.copy())
    assert np.array_equal(image, hu) and np.array_equal(cut, targets)


def test_every_change_is_as_frequent_as_its_chance():
    changes, ranges = drawn(), HostRange()
    for name, chance in {
        "soften_voxels": ranges.soften_voxels,
        "slice_voxels": ranges.slice_voxels,
        "noise": ranges.noise_hu,
        "slab": ranges.slab_voxels,
        "circle": ranges.circle_part,
        "cut": ranges.cut_part,
    }.items():
        share = np.mean([getattr(change, name) is not None for change in changes])
        assert abs(share - chance.p) < 4 * np.sqrt(chance.p * (1 - chance.p) / len(changes)), name
    curved = 1 - np.prod([1 - chance.p for chance in (ranges.offset_hu, ranges.scale, ranges.stretch, ranges.bias)])
    assert abs(np.mean([change.curve_hu is not None for change in changes]) - curved) < 4 * 0.5 / np.sqrt(len(changes))


def test_curves_never_fall_keep_air_and_stay_near_the_anatomy():
    curves = np.array([change.curve_hu for change in drawn() if change.curve_hu is not None])
    assert (np.diff(curves, axis=1) >= 0).all()
    assert (curves[:, 0] == -1000).all()
    muscle = curves[:, KNOTS_HU.index(50.0)]
    assert abs(muscle.mean() - 50) < 2 and muscle.std() < 15 and np.abs(muscle - 50).max() < 70


def test_a_curve_moves_its_knots_to_where_it_says():
    curve = tuple(0.9 * hu if hu > -1000 else hu for hu in KNOTS_HU)
    hu = np.resize(np.array(KNOTS_HU, np.int16), (12, 12, 12))
    for given in (hu, hu.astype(np.float32)):
        image, _ = render_host_change(HostChange(curve_hu=curve), given, np.zeros((1, 12, 12, 12), np.uint8))
        assert np.abs(image - np.resize(curve, (12, 12, 12))).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_thick_slices_blur_one_axis_only(axis):
    hu = np.zeros((15, 15, 15), np.int16)
    hu[7, 7, 7] = 900
    image, _ = render_host_change(HostChange(slice_axis=axis, slice_voxels=3.0), hu, np.zeros((1, 15, 15, 15), np.uint8))
    assert image.max() == 300 and (image == 300).sum() == 3
    assert np.ptp(np.argwhere(image), axis=0).tolist() == [2 if a == axis else 0 for a in range(3)]


def test_noise_has_its_deviation_and_its_grain():
    def neighbours(field, axis):
        line = np.moveaxis(field, axis, 0)
        return float((line[1:] * line[:-1]).mean() / field.var())

    for sigma, sharp, signs in (((0, 0, 0), False, (0, 0, 0)), ((1, 1, 0), False, (1, 1, 0)), ((1, 1, 0), True, (-1, -1, 0))):
        field = render_noise(NoiseField(sd_hu=12.0, sigma_voxels=sigma, sharp=sharp, seed=5), 32)
        assert abs(field.std() - 12) < 0.01 and abs(field.mean()) < 2
        for axis, sign in enumerate(signs):
            grain = neighbours(field, axis)
            assert grain * sign > 0.02 if sign else abs(grain) < 0.05, (sigma, sharp, axis, grain)
    streaks = render_noise(NoiseField(sd_hu=12.0, sigma_voxels=(8.0, 0.5, 0.0), sharp=False, seed=5), 32)
    assert neighbours(streaks, 0) > 0.9 > 2 * neighbours(streaks, 1)
    assert 0.7 < streaks[[0, -1]].std() / streaks[12:20].std() < 1.4


@pytest.mark.parametrize("high_side", [False, True])
def test_a_slab_lies_beside_the_body_and_never_in_it(high_side):
    hu, targets = body()
    slab = Slab(high_side=high_side, gap_voxels=2, thickness_voxels=2, hu=120.0)
    image, cut = render_host_change(HostChange(slab=slab), hu, targets.copy())
    rows = np.flatnonzero((image != hu).all(axis=(0, 2)))
    assert rows.tolist() == ([19, 20] if high_side else [2, 3])
    assert (image[:, rows] == 120).all() and np.array_equal(cut, targets)
    full = np.full_like(hu, 50)
    assert np.array_equal(render_host_change(HostChange(slab=slab), full, targets.copy())[0], full)


def test_out_of_the_field_of_view_lies_air_without_targets():
    for change in (
        HostChange(cut=Cut(axis=2, high_side=True, part=0.25)),
        HostChange(circle=Circle(edge_part=0.2, radius_part=0.7, angle_deg=0.0)),
    ):
        hu, targets = np.full((24, 24, 24), 40, np.int16), np.full((2, 24, 24, 24), 255, np.uint8)
        image, cut = render_host_change(change, hu, targets)
        gone = image == -1000
        assert 0.05 < gone.mean() < 0.6 and (image[~gone] == 40).all()
        assert not cut[:, gone].any() and (cut[:, ~gone] == 255).all()
        assert not gone[12, 12, 12]
    assert gone[20:].all() and not gone[8:16, 12].any()


def test_no_drawn_field_of_view_hides_the_middle_of_the_patch():
    ranges = HostRange(circle_part=Chance(p=1, low=0.2, high=0.6), cut_part=Chance(p=1, low=0.05, high=0.35))
    hu = np.full((16, 16, 16), 40, np.int16)
    for seed in range(60):
        drawn_change = draw_host_change(ranges, np.random.default_rng(seed))
        change = HostChange(circle=drawn_change.circle, cut=drawn_change.cut)
        image, _ = render_host_change(change, hu, np.zeros((1, 16, 16, 16), np.uint8))
        assert image[8, 8, 8] == 40
