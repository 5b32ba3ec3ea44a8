import numpy as np
import pytest
from scipy import ndimage

from panlesion.train.separable import along_axis, box, coarse, gaussian


@pytest.mark.parametrize(
    "matrix", [gaussian(20, 0.3), gaussian(20, 8.0), box(20, 1.0), box(20, 2.4), coarse(20, 0.5), coarse(20, 1.0)]
)
def test_a_flat_image_stays_flat_and_no_weight_is_negative(matrix):
    assert np.allclose(matrix.sum(axis=1), 1.0, atol=1e-6)
    assert (matrix >= 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_gaussian_is_scipys(axis):
    x = np.random.default_rng(0).random((14, 15, 16), dtype=np.float32)
    ours = along_axis(x, gaussian(x.shape[axis], 0.8), axis)
    assert np.allclose(ours, ndimage.gaussian_filter1d(x, 0.8, axis=axis, mode="nearest", truncate=4.0), atol=1e-3)


def test_whole_and_unit_windows():
    line = np.arange(9, dtype=np.float32) ** 2
    assert np.allclose(box(9, 1.0) @ line, line)
    assert np.allclose((box(9, 3.0) @ line)[1:-1], ndimage.uniform_filter1d(line, 3)[1:-1])
    assert np.allclose(coarse(9, 1.0) @ line, line)


def test_coarse_voxels_lose_detail_but_not_place():
    ramp = np.arange(24, dtype=np.float32)
    assert np.abs((coarse(24, 0.5) @ ramp - ramp)[3:-3]).max() <= 1.0
    stripes = ramp % 2
    assert (coarse(24, 0.5) @ stripes)[3:-3].std() < 0.1
