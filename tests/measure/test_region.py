"""Fast erosion, dilation and closing against SciPy's, and the robust means."""

import numpy as np
import pytest
from scipy import ndimage

from panlesion.measure.region import closed, dilated, eroded, peak, robust_mean, voxels_of


@pytest.mark.parametrize("voxels", [(0, 0, 0), (1, 1, 1), (2, 0, 3)])
def test_erosion_and_dilation_are_those_of_a_box(voxels):
    mask = ndimage.binary_dilation(np.random.default_rng(0).random((24, 20, 28)) > 0.97, iterations=3)
    box = np.ones([2 * n + 1 for n in voxels])
    assert np.array_equal(eroded(mask, voxels), ndimage.binary_erosion(mask, box))
    assert np.array_equal(eroded(mask, voxels, beyond=True), ndimage.binary_erosion(mask, box, border_value=1))
    assert np.array_equal(dilated(mask, voxels), ndimage.binary_dilation(mask, box))


def test_closing_fills_narrow_gaps_only():
    mask = np.ones((30, 30, 30), dtype=bool)
    mask[:, 10:14] = False
    mask[:, :, 18:28] = False
    filled = closed(mask, (2, 2, 2))
    assert filled[:, 10:14, :18].all()
    assert not filled[:, :, 21:25].any()
    assert (filled | ~mask).all()


def test_a_strip_between_the_mask_and_the_border_is_no_gap():
    lung = np.zeros((30, 20, 20), dtype=bool)
    lung[3:25] = True
    assert np.array_equal(closed(lung, (5, 5, 5)), lung)


def test_a_vessel_that_leaves_the_array_is_a_gap():
    lung = np.ones((30, 20, 20), dtype=bool)
    lung[12:16, :, :9] = False
    assert closed(lung, (3, 3, 3)).all()


@pytest.mark.parametrize("cut", [(slice(0, 40), slice(8, 40), slice(12, 30)), (slice(20, 52), slice(0, 48), slice(0, 44))])
def test_a_crop_is_closed_as_the_whole_is_but_near_its_border(cut):
    """Where nothing but the crop's own border tells them apart, within two boxes of it, they may differ."""
    whole = ndimage.binary_dilation(np.random.default_rng(4).random((52, 48, 44)) > 0.998, iterations=4)
    voxels = (2, 1, 3)
    inner = tuple(slice(2 * n, -2 * n) for n in voxels)
    assert np.array_equal(closed(whole[cut], voxels)[inner], closed(whole, voxels)[cut][inner])


def test_lengths_become_whole_voxels():
    assert voxels_of(3.0, (1.0, 0.8, 3.0)) == (3, 4, 1)


def test_robust_mean_does_not_see_a_tenth_of_outliers():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(100, 15, 9000), np.full(1000, 900.0)])
    assert robust_mean(values) == pytest.approx(100, abs=1.0)


def test_peak_finds_the_commoner_of_two_tissues():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(50, 12, 6000), rng.normal(-20, 12, 4000), rng.normal(100, 12, 3000)])
    assert peak(values, 0.0, 120.0) == pytest.approx(50, abs=3.0)
