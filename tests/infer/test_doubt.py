import numpy as np
import pytest

from panlesion.ct.standardise import standardise
from panlesion.ct.volume import Grid, Volume, standard_grid
from panlesion.infer.doubt import doubts_of, voxel_noise_hu
from panlesion.infer.findings import Prediction
from panlesion.nets.classes import ANATOMY, pan_tumour_classes
from panlesion.phantom.phantom import make_phantom

NAMES = pan_tumour_classes().group(ANATOMY).classes


@pytest.fixture(scope="module")
def adult():
    return make_phantom(5, spacing_mm=4.0).ct


def seen(standard, organs_ml=3000.0):
    """A prediction in which so many ml of liver are recognised."""
    anatomy = np.zeros(standard.hu.shape, dtype=np.uint8)
    flat = anatomy.reshape(-1)
    flat[: int(organs_ml / standard.grid.voxel_ml)] = NAMES.index("liver")
    return Prediction(
        grid=standard.grid, types=np.zeros_like(anatomy), probability=np.zeros(anatomy.shape, np.float32), anatomy=anatomy,
        lesion_names=("none",), anatomy_names=NAMES,
    )  # fmt: skip


def codes(ct, standard=None, **told):
    standard = standard or standardise(ct, 4.0)
    return [doubt.code for doubt in doubts_of(ct, standard, seen(standard, **told))]


def test_an_adult_torso_raises_no_doubt(adult):
    assert codes(adult) == []


def test_several_bodies_raise_no_doubt():
    for seed in (11, 12, 13):
        assert codes(make_phantom(seed, spacing_mm=4.0).ct) == [], seed


def test_thick_slices_are_told_with_their_thickness(adult):
    affine = adult.grid.affine.copy()
    hu = adult.hu[:, :, ::2]
    affine[:3, 2] *= 2
    thick = Volume(hu=np.ascontiguousarray(hu), grid=Grid(shape=hu.shape, affine=affine))
    found = doubts_of(thick, standardise(thick, 4.0), seen(standardise(thick, 4.0)))
    assert [doubt.code for doubt in found] == ["thick_slices"]
    assert "8.0 mm" in found[0].words


def test_a_small_view_and_a_body_cut_at_its_sides(adult):
    i, j, k = (n // 2 for n in adult.hu.shape)
    hu = np.ascontiguousarray(adult.hu[i - 10 : i + 10, j - 10 : j + 10, k - 10 : k + 10])
    found = codes(Volume(hu=hu, grid=standard_grid(hu.shape, 4.0)))
    assert {"small_view", "cut_off"} <= set(found)


def test_metal(adult):
    hu = adult.hu.copy()
    i, j, k = (n // 2 for n in hu.shape)
    hu[i : i + 3, j : j + 3, k : k + 3] = 3071
    assert codes(Volume(hu=hu, grid=adult.grid)) == ["metal"]


def test_shifted_hu(adult):
    hu = np.where(adult.hu > -900, adult.hu + 90, adult.hu).astype(np.int16)
    assert "uncalibrated" in codes(Volume(hu=hu, grid=adult.grid))


def test_noise_is_measured_and_told(adult):
    hu = adult.hu.astype(float) + np.random.default_rng(0).normal(0, 90, adult.hu.shape)
    noisy = Volume(hu=np.clip(np.rint(hu), -1024, 3000).astype(np.int16), grid=adult.grid)
    assert "noisy" in codes(noisy, standard=adult)


@pytest.mark.parametrize("sd", [5.0, 20.0, 60.0])
def test_the_noise_of_even_tissue_is_its_sd(sd):
    hu = np.random.default_rng(1).normal(50, sd, (60, 60, 30)).round().astype(np.int16)
    found = voxel_noise_hu(Volume(hu=hu, grid=standard_grid(hu.shape, 1.0)))
    # voxels are chosen by the mean of two neighbours, which does not depend on their difference
    assert found == pytest.approx(sd, rel=0.1)


def test_a_limb_or_head_is_told_from_a_trunk(adult):
    assert codes(adult, organs_ml=10.0) == ["no_trunk"]


def test_a_narrow_body(adult):
    narrow = Volume(hu=adult.hu, grid=standard_grid(adult.hu.shape, 2.0))
    assert "small_body" in codes(narrow, standard=narrow)


def test_nothing_but_air():
    air = Volume(hu=np.full((40, 40, 40), -1000, np.int16), grid=standard_grid((40, 40, 40), 4.0))
    assert "no_body" in codes(air)
