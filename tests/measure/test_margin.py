"""The margin's width is found beyond the point spread, at any spacing, and only where there is an edge."""

import numpy as np
import pytest
from lesions_made import grid_of, make

from panlesion.ct.volume import LabelMap, Volume
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.margin import ILL_DEFINED_SIGMA_MM, fit_edge, ill_defined_from_mm, measure_margin
from panlesion.measure.scene import cut_scene


def margin_of(made, type=LesionType.LIVER_TUMOR):
    return measure_margin(cut_scene(made.ct, made.lesion, made.organs, type), made.facts.psf_mm)


def mean_sigma(count=4, **what):
    return float(np.mean([margin_of(make(np.random.default_rng(seed), **what)).sigma_mm for seed in range(count)]))


@pytest.mark.parametrize(
    ("spacing_mm", "tolerance_mm"),
    [((0.8, 0.8, 0.8), 0.25), ((1.0, 1.0, 1.0), 0.25), ((1.0, 1.0, 3.0), 0.6), ((3.0, 3.0, 3.0), 0.6)],
)
@pytest.mark.parametrize("margin_mm", [2.0, 3.0])
def test_the_width_of_a_blurred_margin_is_found(spacing_mm, tolerance_mm, margin_mm):
    found = mean_sigma(spacing_mm=spacing_mm, radii_mm=(13, 13, 13), margin_mm=margin_mm, sd_hu=6.0, step_hu=-60.0)
    assert found == pytest.approx(margin_mm, abs=tolerance_mm)


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8, 0.8), (1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (3.0, 3.0, 3.0)])
@pytest.mark.parametrize("radius_mm", [8.0, 14.0])
def test_a_sharp_margin_is_well_defined_at_any_spacing(spacing_mm, radius_mm):
    for seed in range(3):
        made = make(np.random.default_rng(seed), spacing_mm, (radius_mm,) * 3, step_hu=-60.0, sd_hu=10.0)
        assert margin_of(made).well_defined


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8, 0.8), (1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (3.0, 3.0, 3.0)])
def test_a_margin_of_3_mm_is_ill_defined_at_any_spacing(spacing_mm):
    for seed in range(3):
        made = make(np.random.default_rng(seed), spacing_mm, (14.0,) * 3, step_hu=-60.0, sd_hu=10.0, margin_mm=3.0)
        assert not margin_of(made).well_defined


def test_wider_margins_read_wider():
    found = [mean_sigma(radii_mm=(12, 12, 12), margin_mm=m, sd_hu=6.0, step_hu=80.0) for m in (0.0, 1.0, 2.0, 3.0, 4.0)]
    assert found == sorted(found)


def test_the_scanners_blur_is_not_the_lesions():
    for psf_mm in (0.6, 1.2, 2.0):
        assert mean_sigma(radii_mm=(12, 12, 12), psf_mm=psf_mm, sd_hu=4.0, step_hu=-80.0) < 0.6


def test_noise_of_40_hu_moves_the_width_of_a_25_mm_lesion_by_less_than_half_a_millimetre():
    what = {"radii_mm": (12.5, 12.5, 12.5), "margin_mm": 2.5, "step_hu": -70.0}
    assert mean_sigma(6, sd_hu=40.0, **what) == pytest.approx(mean_sigma(2, sd_hu=1.0, **what), abs=0.5)


def test_the_step_is_that_of_the_lesion_whatever_its_sign():
    for step_hu in (-60.0, 80.0):
        assert margin_of(make(np.random.default_rng(5), step_hu=step_hu)).contrast_hu == pytest.approx(step_hu, rel=0.1)


def test_flips_change_nothing():
    made = make(np.random.default_rng(6), (1.0, 1.0, 2.0), (9, 9, 9), margin_mm=1.5)
    one = margin_of(made)
    flip = (slice(None, None, -1), slice(None), slice(None, None, -1))
    made.ct = Volume(hu=made.ct.hu[flip], grid=made.ct.grid)
    made.lesion = made.lesion[flip]
    assert margin_of(made).sigma_mm == pytest.approx(one.sigma_mm, rel=1e-6)


def test_without_contrast_there_is_no_edge():
    found = margin_of(make(np.random.default_rng(7), step_hu=-2.0, sd_hu=5.0, radii_mm=(12, 12, 12)))
    assert not found.visible
    assert not found.well_defined
    assert found.sigma_mm is None


def test_a_lesion_of_a_few_voxels_is_judged_by_contrast_alone():
    for step_hu, well in ((-80.0, True), (0.0, False)):
        made = make(np.random.default_rng(8), (3.0, 3.0, 3.0), (3.0, 3.0, 3.0), step_hu=step_hu, sd_hu=2.0)
        found = margin_of(made)
        assert found.sigma_mm is None
        assert found.well_defined is well


def protruding(margin_mm=0.0):
    """A lesion half in its organ (100 HU), half in fat (-100 HU)."""
    made = make(np.random.default_rng(9), radii_mm=(11, 11, 11), step_hu=-50.0, margin_mm=margin_mm, sd_hu=6.0)
    hu, labels = made.ct.hu.copy(), made.organs.labels.copy()
    half = hu.shape[0] // 2
    fat = np.zeros_like(made.lesion)
    fat[half:] = True
    labels[fat] = 0
    hu[fat & ~made.lesion] = -100
    made.ct, made.organs = Volume(hu=hu, grid=made.ct.grid), LabelMap(labels=labels, grid=made.organs.grid)
    return made


@pytest.mark.parametrize(("margin_mm", "well"), [(0.0, True), (3.0, False)])
def test_a_protruding_lesion_of_a_solid_organ_is_judged_within_the_organ(margin_mm, well):
    found = margin_of(protruding(margin_mm))
    assert found.contrast_hu == pytest.approx(-50, abs=12)
    assert found.well_defined is well


def test_a_lesion_of_a_hollow_organ_is_judged_against_the_strongest_contrast():
    made = protruding()
    labels = np.where(made.organs.labels == 5, 6, 0).astype(np.uint8)
    made.organs = LabelMap(labels=labels, grid=made.organs.grid)
    found = margin_of(made, LesionType.GASTRIC_CANCER)
    assert found.contrast_hu == pytest.approx(150, abs=20)


def test_the_limit_grows_with_the_voxel():
    assert ill_defined_from_mm((1.0, 1.0, 1.0)) == ILL_DEFINED_SIGMA_MM
    assert ill_defined_from_mm((3.0, 3.0, 3.0)) == pytest.approx(1.8)


def test_an_error_function_is_fitted_exactly():
    from scipy.special import erfc

    distance = np.linspace(-5, 6, 24)
    for sigma in (0.5, 1.3, 2.9):
        hu = 40 + 70 * 0.5 * erfc((distance - 0.25) / (np.sqrt(2) * sigma))
        found, step = fit_edge(distance, hu, np.full(24, 50))
        assert found == pytest.approx(sigma, rel=0.05)
        assert step == pytest.approx(70, rel=0.05)


def test_a_lesion_that_fills_the_scan_has_no_edge():
    shape = (12, 12, 12)
    grid = grid_of(shape, (1, 1, 1))
    scene = cut_scene(
        Volume(hu=np.zeros(shape, dtype=np.int16), grid=grid),
        np.ones(shape, dtype=bool),
        LabelMap(labels=np.full(shape, 5, dtype=np.uint8), grid=grid),
        LesionType.LIVER_TUMOR,
    )
    assert not measure_margin(scene, (0.7, 0.7, 0.7)).visible
