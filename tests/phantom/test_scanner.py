import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import ndimage

from panlesion.ct.volume import standard_grid
from panlesion.phantom.scanner import Kernel, draw_scanner, render_scan, rendered_sigma_mm

WATER, AIR = 0.0, -1000.0


def scanner(**changes):
    plain = draw_scanner(np.random.default_rng(0), kernel=Kernel.SOFT, slice_mm=2.0, noise_sd_hu=12.0)
    return replace(plain, **({"table": None, "field_of_view_mm": None, "streak": 0.0} | changes))


def water(shape, paths_mm=(300.0, 220.0), spacing_mm=2.0):
    """A block of water the rays cross on those lengths, in air."""
    hu = np.full(shape, AIR, dtype=np.float32)
    half = [round(p / spacing_mm / 2) for p in paths_mm]
    i, j = shape[0] // 2, shape[1] // 2
    hu[i - half[0] : i + half[0], j - half[1] : j + half[1]] = WATER
    return hu, standard_grid(shape, spacing_mm)


@pytest.fixture(scope="module")
def noise():
    """Noise of every kernel at the centre of the reference body, 1 mm, as (I, J, K)."""
    ideal = np.zeros((128, 96, 40), dtype=np.float32)
    grid = standard_grid(ideal.shape, 1.0)
    return {
        kernel: render_scan(ideal, scanner(kernel=kernel, psf_sigma_mm=sigma, slice_mm=3.0), grid).astype(float)
        for kernel, sigma in ((Kernel.SOFT, 0.75), (Kernel.SHARP, 0.45))
    }


def test_noise_sd_is_the_one_asked_for_at_the_reference_centre():
    ideal, grid = water((170, 130, 24))
    hu = render_scan(ideal, scanner(noise_sd_hu=15.0), grid)
    assert hu[75:95, 58:72].std() == pytest.approx(15.0, rel=0.08)


def test_noise_is_higher_in_the_centre_and_in_larger_bodies():
    shape = (170, 130, 24)
    i, j = np.ogrid[:170, :130]
    ellipse = np.hypot((i - 85) / 75, (j - 65) / 55) < 1
    ideal = np.repeat(np.where(ellipse, WATER, AIR)[:, :, None], 24, axis=2).astype(np.float32)
    grid = standard_grid(shape, 2.0)
    hu = render_scan(ideal, scanner(), grid)
    assert hu[75:95, 55:75].std() > 1.25 * hu[78:92, 13:17].std()
    assert hu[75:95, 55:75].std() > 1.1 * hu[14:20, 58:72].std()
    large, grid = water((220, 170, 24), (400.0, 300.0))
    assert render_scan(large, scanner(), grid)[100:120, 75:95].std() > 1.2 * hu[75:95, 55:75].std()


def correlation(noise, axis, lag):
    a = np.moveaxis(noise - noise.mean(), axis, 0)
    return float((a[lag:] * a[:-lag]).mean() / (a**2).mean())


@pytest.mark.parametrize("kernel", [Kernel.SOFT, Kernel.SHARP])
def test_noise_in_the_plane_swings_and_along_the_slices_only_decays(noise, kernel):
    in_plane = [min(correlation(noise[kernel], axis, lag) for lag in range(1, 8)) for axis in (0, 1)]
    assert max(in_plane) < -0.02
    along = [correlation(noise[kernel], 2, lag) for lag in (1, 2, 3)]
    assert along[0] > along[1] > along[2] > -0.03
    # A Gaussian slice profile of sigma s correlates slices as one of sigma s√2.
    assert along[0] == pytest.approx(np.exp(-0.25 / (3.0 / 2.3548) ** 2), abs=0.06)


def test_a_sharper_kernel_has_finer_noise(noise):
    assert correlation(noise[Kernel.SOFT], 0, 1) > correlation(noise[Kernel.SHARP], 0, 1) + 0.1


@pytest.mark.parametrize(("spacing_mm", "sigma_mm", "slice_mm"), [(1.0, 0.7, 3.0), (0.5, 0.6, 1.5), (1.5, 0.9, 5.0)])
def test_edges_are_as_wide_as_asked_for(spacing_mm, sigma_mm, slice_mm):
    shape = (40, 40, 40)
    machine = scanner(psf_sigma_mm=sigma_mm, slice_mm=slice_mm, noise_sd_hu=0.0)
    for axis, expected in ((0, sigma_mm), (2, slice_mm / 2.3548)):
        ideal = np.zeros(shape, dtype=np.float32)
        np.moveaxis(ideal, axis, 0)[20:] = 1000.0
        hu = render_scan(ideal, machine, standard_grid(shape, spacing_mm)).astype(float)
        spread = np.diff(np.moveaxis(hu, axis, 0)[:, 20, 20])
        at = np.arange(len(spread)) * spacing_mm
        mean = np.average(at, weights=spread)
        assert np.sqrt(np.average((at - mean) ** 2, weights=spread)) == pytest.approx(expected, rel=0.06)


def test_an_edge_is_never_sharper_than_a_voxel():
    assert rendered_sigma_mm(scanner(psf_sigma_mm=0.4, slice_mm=0.5), 3.0) == pytest.approx((1.35, 1.35))


def test_scan_is_decided_by_its_record_and_clipped():
    ideal, grid = water((60, 50, 12), (80.0, 60.0))
    ideal[30, 25, 6] = 9000.0
    machine = scanner()
    hu = render_scan(ideal, machine, grid)
    assert hu.dtype == np.int16
    assert hu.min() >= -1024
    assert hu.max() <= 3071
    assert np.array_equal(hu, render_scan(ideal, machine, grid))
    assert not np.array_equal(hu, render_scan(ideal, replace(machine, noise_seed=machine.noise_seed + 1), grid))


def test_table_lies_below_the_patient_and_does_not_touch_him():
    drawn = draw_scanner(np.random.default_rng(1), noise_sd_hu=0.0)
    ideal, grid = water((200, 150, 6), (260.0, 160.0))
    hu = render_scan(ideal, replace(drawn, field_of_view_mm=None), grid)
    without = render_scan(ideal, replace(drawn, field_of_view_mm=None, table=None), grid)
    changed = np.argwhere((hu != without).any(axis=2))
    assert len(changed) > 100
    assert changed[:, 1].min() > 75 + 40 - 25  # its curved rims rise beside the back
    assert changed[np.abs(changed[:, 0] - 100) < 20, 1].min() >= 75 + 40 - 1  # blur reaches one voxel into the back
    body, _ = ndimage.label(hu[:, :, 3] > -300)
    assert (body[40:160, 40:110] == body[100, 75]).all()


def test_outside_the_field_of_view_is_nothing():
    ideal, grid = water((100, 100, 5), (120.0, 120.0))
    hu = render_scan(ideal, scanner(field_of_view_mm=180.0), grid)
    assert (hu[:8, :8] == -1024).all()
    assert hu[50, 50, 2] > -200


def test_drawn_scanners_are_json_and_within_their_ranges():
    for seed in range(50):
        drawn = draw_scanner(np.random.default_rng(seed))
        assert 6 <= drawn.noise_sd_hu <= 30
        assert 0.4 <= drawn.psf_sigma_mm <= 0.8
        json.dumps(asdict(drawn))


@pytest.mark.parametrize("argument", [{"slice_mm": 0.0}, {"slice_mm": 40.0}, {"noise_sd_hu": -1.0}])
def test_impossible_settings_are_refused(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        draw_scanner(np.random.default_rng(0), **argument)
