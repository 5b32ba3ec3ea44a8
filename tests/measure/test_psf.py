"""A blurred block of tissue tells the sigma it was blurred with."""

import numpy as np
import pytest
from scipy import ndimage

from panlesion.measure.psf import SIGMA_MM_MOST, SIGMA_VOXELS_LEAST, UNSEEN_VOXELS, axis_sigma_mm, measure_psf


def torso(spacing_mm, psf_mm, sd_hu=15, seed=0, fine=3):
    """A rounded block with two lungs, drawn on a finer grid, blurred, sampled."""
    rng = np.random.default_rng(seed)
    size_mm = (90, 80, 114)
    count = [int(a / b) for a, b in zip(size_mm, spacing_mm, strict=True)]
    x, y, z = (((np.arange(n * fine) + 0.5) / fine - n / 2) * s for n, s in zip(count, spacing_mm, strict=True))
    x, y = x[:, None, None], y[:, None]
    hu = np.full([n * fine for n in count], -1000, dtype=np.float32)
    hu[(x / 38) ** 4 + (y / 30) ** 4 + (z / 42) ** 10 < 1] = 40
    for side in (-18, 18):
        hu[((x - side) / 13) ** 2 + (y / 18) ** 2 + (z / 25) ** 2 < 1] = -850
    hu = ndimage.gaussian_filter(hu, [p / s * fine for p, s in zip(psf_mm, spacing_mm, strict=True)], truncate=3.0)
    hu = hu[fine // 2 :: fine, fine // 2 :: fine, fine // 2 :: fine]
    return np.round(hu + rng.standard_normal(hu.shape) * sd_hu).astype(np.int16)


@pytest.mark.parametrize(
    ("spacing_mm", "psf_mm"),
    [
        ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5)),
        ((1.0, 1.0, 1.0), (0.8, 0.8, 1.6)),
        ((1.5, 1.5, 1.5), (1.0, 1.0, 1.0)),
        ((1.0, 1.0, 3.0), (0.7, 0.7, 1.5)),
        ((2.0, 2.0, 2.0), (2.5, 2.5, 2.5)),
    ],
)
def test_sigma_is_found_within_15_per_cent_along_every_axis(spacing_mm, psf_mm):
    assert measure_psf(torso(spacing_mm, psf_mm), spacing_mm) == pytest.approx(psf_mm, rel=0.15)


def test_noise_of_50_hu_does_not_move_it():
    spacing_mm = (1.0, 1.0, 1.0)
    assert measure_psf(torso(spacing_mm, (0.8, 0.8, 0.8), sd_hu=50), spacing_mm) == pytest.approx((0.8,) * 3, rel=0.15)


def test_more_blur_is_a_wider_spread():
    found = [measure_psf(torso((1.5, 1.5, 1.5), (p, p, p)), (1.5, 1.5, 1.5))[0] for p in (0.8, 1.2, 1.8, 2.6)]
    assert found == sorted(found)


def test_flips_change_nothing_and_a_transposed_image_transposes_it():
    hu = torso((1.0, 1.0, 1.0), (0.6, 0.9, 1.4))
    one = measure_psf(hu, (1.0, 1.0, 1.0))
    assert measure_psf(hu[::-1, :, ::-1], (1.0, 1.0, 1.0)) == pytest.approx(one, rel=0.05)
    assert measure_psf(hu.transpose(2, 0, 1), (1.0, 1.0, 1.0)) == pytest.approx((one[2], one[0], one[1]), rel=0.05)


def test_an_unresolved_edge_reads_the_least_sigma():
    hu = np.zeros((60, 60, 60), dtype=np.int16)
    hu[:, 30:] = 1000
    assert axis_sigma_mm(hu, (2.0, 2.0, 2.0), 1) == pytest.approx(2.0 * SIGMA_VOXELS_LEAST, rel=0.35)


def test_axes_without_edges_borrow_from_the_others_or_from_the_voxel():
    hu = np.zeros((60, 60, 60), dtype=np.int16)
    hu[:, 30:] = 1000
    blurred = ndimage.gaussian_filter(hu.astype(float), (0, 1.0, 0)).astype(np.int16)
    i, j, k = measure_psf(blurred, (1.0, 1.0, 2.0))
    assert (i, k) == pytest.approx((j, 2 * j))
    assert measure_psf(np.zeros((30, 30, 30), dtype=np.int16), (1.0, 1.0, 2.0)) == (
        UNSEEN_VOXELS,
        UNSEEN_VOXELS,
        2 * UNSEEN_VOXELS,
    )


def test_a_volume_thinner_than_a_profile_has_no_edges():
    assert axis_sigma_mm(np.zeros((30, 30, 6), dtype=np.int16), (1.0, 1.0, 5.0), 2) is None


def test_sigma_is_bounded():
    assert max(measure_psf(torso((2.0, 2.0, 2.0), (5.0, 5.0, 5.0)), (2.0, 2.0, 2.0))) <= SIGMA_MM_MOST
