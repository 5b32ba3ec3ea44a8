import numpy as np
import pytest

from panlesion.train.chance import Chance
from panlesion.train.warp import AIR_HU, Warp, WarpRange, draw_warp, render_warp

TURNS = [
    Warp(rotation_deg=(25.0, -18.0, 30.0)),
    Warp(scale=0.7),
    Warp(scale=1.4),
    Warp(rotation_deg=(-30.0, 10.0, 5.0), scale=1.2, mirror=(True, False, True)),
    Warp(scale=0.8, mirror=(False, True, False)),
]


def ball(shape=(40, 38, 36), centre=(22, 17, 19), radius=7):
    at = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    inside = np.linalg.norm(at - np.array(centre), axis=-1) <= radius
    return np.where(inside, 300, 0).astype(np.int16), inside[None].astype(np.uint8) * 9


@pytest.mark.parametrize("warp", TURNS)
def test_labels_move_with_the_image(warp):
    hu, targets = ball()
    image, cut = render_warp(warp, hu, targets, 28, (20, 18, 18))
    bright, marked = image > 150, cut[0] == 9
    assert 2 * (bright & marked).sum() / (bright.sum() + marked.sum()) >= 0.9
    assert abs(marked.sum() * warp.scale**3 / targets.astype(bool).sum() - 1) < 0.1
    assert set(np.unique(cut)) <= {0, 9}


def test_the_untouched_patch_is_a_slice_and_beyond_the_cube_is_air():
    rng = np.random.default_rng(0)
    hu, targets = rng.integers(0, 99, (20, 21, 22)).astype(np.int16), rng.integers(1, 5, (2, 20, 21, 22)).astype(np.uint8)
    image, cut = render_warp(Warp(), hu, targets, 10, (9, 10, 11))
    assert np.array_equal(image, hu[4:14, 5:15, 6:16]) and np.array_equal(cut, targets[:, 4:14, 5:15, 6:16])
    image, cut = render_warp(Warp(), hu, targets, 10, (2, 20, 11))
    assert np.array_equal(image[3:, :6], hu[:7, 15:, 6:16])
    assert (image[:3] == AIR_HU).all() and (image[:, 6:] == AIR_HU).all() and not cut[:, :3].any() and not cut[:, :, 6:].any()
    image, cut = render_warp(Warp(), hu, targets, 10, (99, 10, -40))
    assert (image == AIR_HU).all() and not cut.any()


@pytest.mark.parametrize("size", [11, 12])
def test_a_resampling_that_changes_nothing_is_the_slice(size):
    """Both resampling paths agree with slicing to a thousandth of a HU, so they share its frame."""
    rng = np.random.default_rng(0)
    hu, targets = rng.integers(-900, 99, (20, 21, 22)).astype(np.int16), rng.integers(1, 5, (2, 20, 21, 22)).astype(np.uint8)
    for centre in ((10, 10, 10), (3, 18, 10)):
        plain, cut = render_warp(Warp(), hu, targets, size, centre)
        for warp in (Warp(scale=1.0 + 1e-7), Warp(rotation_deg=(1e-6, 0.0, 0.0))):
            image, turned = render_warp(warp, hu, targets, size, centre)
            assert np.allclose(image, plain, atol=0.05) and np.array_equal(turned, cut)


def test_turning_without_scale_and_scaling_without_turn_agree():
    hu, targets = ball()
    scaled, cut = render_warp(Warp(scale=1.3, mirror=(True, False, False)), hu, targets, 32, (20, 18, 18))
    turned, also = render_warp(
        Warp(scale=1.3, mirror=(True, False, False), rotation_deg=(1e-6, 0, 0)), hu, targets, 32, (20, 18, 18)
    )
    assert np.allclose(scaled, turned, atol=0.05) and (cut == also).mean() > 0.999


def test_mirrored_twice_is_once_more_the_original():
    hu, targets = ball()
    warp = Warp(mirror=(True, False, True))
    once, cut = render_warp(warp, hu, targets, 20, (20, 19, 18))
    twice, back = render_warp(warp, once, cut, 20, (10, 10, 10))
    assert np.array_equal(twice, render_warp(Warp(), hu, targets, 20, (20, 19, 18))[0])
    assert not np.array_equal(twice, once) and back.sum() == cut.sum()


def test_mirrored_and_turned_commute_with_flipping_the_result():
    hu, targets = ball()
    plain, _ = render_warp(Warp(scale=0.9), hu, targets, 20, (20, 19, 18))
    flipped, _ = render_warp(Warp(scale=0.9, mirror=(False, True, False)), hu, targets, 20, (20, 19, 18))
    assert np.allclose(flipped, plain[:, ::-1], atol=0.05)


@pytest.mark.parametrize("warp", [*TURNS, Warp()])
def test_ignored_voxels_stay_ignored(warp):
    hu, targets = ball()
    targets[targets == 9] = 255
    assert set(np.unique(render_warp(warp, hu, targets, 28, (20, 18, 18))[1])) == {0, 255}


def test_probabilities_and_ranges_are_honoured():
    rng = np.random.default_rng(0)
    drawn = [draw_warp(WarpRange(), rng) for _ in range(3000)]
    angles = np.array([warp.rotation_deg for warp in drawn])
    turned = angles.any(axis=1)
    assert abs(turned.mean() - 0.2) < 4 * np.sqrt(0.16 / 3000) and angles[turned].all() and 27 < np.abs(angles).max() <= 30
    scales = np.array([warp.scale for warp in drawn])
    assert abs((scales != 1).mean() - 0.2) < 4 * np.sqrt(0.16 / 3000) and scales.min() >= 0.7 and scales.max() <= 1.4
    assert np.allclose(np.mean([warp.mirror for warp in drawn], axis=0), 0.5, atol=4 * 0.5 / np.sqrt(3000))
    never = WarpRange(rotation_deg=Chance(p=0), scale=Chance(p=0), mirror_p=0)
    assert {draw_warp(never, rng) for _ in range(20)} == {Warp()}
