"""Facts of a made patient: means, noise, reference tissues, phase; and clear errors where something is missing."""

import numpy as np
import pytest
from lesions_made import grid_of, noise_field
from scipy import ndimage

from panlesion.ct.phase import Phase
from panlesion.ct.volume import LabelMap, Volume
from panlesion.errors import OrganMapError
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.host import measure_host

HU = {0: -100, 1: 120, 2: 170, 4: 8, 5: 105, 6: 18, 7: 155, 9: 165, 14: -850, 22: 180, 102: 62, 104: 6}
BOXES = {
    1: np.s_[4:20, 4:20, 4:40],
    2: np.s_[4:20, 22:40, 4:40],
    4: np.s_[24:38, 4:18, 4:20],
    5: np.s_[24:50, 22:50, 4:40],
    6: np.s_[54:76, 4:30, 4:40],
    7: np.s_[54:64, 32:42, 4:40],
    9: np.s_[66:76, 32:42, 4:40],
    14: np.s_[4:76, 4:50, 44:66],
    22: np.s_[54:76, 44:60, 4:40],
    102: np.s_[4:30, 52:70, 4:40],
    104: np.s_[34:50, 52:70, 4:40],
}


def patient(psf_mm=0.8, sd_hu=12.0, change=None, spacing_mm=1.0, seed=0):
    """Blocks of tissue in fat, in air; a gastric wall of 45 HU; a vessel through the liver."""
    shape = (80, 76, 70)
    labels = np.zeros(shape, dtype=np.uint8)
    hu = np.full(shape, -1000.0)
    hu[2:78, 2:74] = HU[0]
    for label, box in BOXES.items():
        labels[box] = label
        hu[box] = (HU | (change or {}))[label]
    hu[(labels == 6) & ~ndimage.binary_erosion(labels == 6, iterations=3)] = 45
    hu[34:37, 22:50, 20:23] = 190
    rng = np.random.default_rng(seed)
    hu = ndimage.gaussian_filter(hu, psf_mm) + noise_field(shape, sd_hu, 0.6, rng)
    grid = grid_of(shape, (spacing_mm,) * 3)
    return Volume(hu=np.round(hu).astype(np.int16), grid=grid), LabelMap(labels=labels, grid=grid)


@pytest.fixture(scope="module")
def host():
    return measure_host(*patient())


@pytest.mark.parametrize("label", [1, 2, 5, 7, 14, 22, 102])
def test_the_mean_of_an_organ_is_that_of_its_tissue(host, label):
    assert host.organ_mean_hu(label) == pytest.approx(HU[label], abs=3.0)


def test_the_mean_of_a_hollow_organ_is_that_of_its_wall_and_its_fluid_is_the_content(host):
    assert host.organ_mean_hu(6) == pytest.approx(45, abs=15)
    assert host.fluid_hu(6) == pytest.approx(18, abs=4)
    assert host.fluid_hu(4) == pytest.approx(8, abs=4)
    assert host.fluid_hu(104) == pytest.approx(6, abs=4)


def test_references_follow_the_type(host):
    assert host.reference_hu(LesionType.LIVER_TUMOR, 5) == host.organ_mean_hu(5)
    assert host.reference_hu(LesionType.GASTRIC_CANCER, 6) == pytest.approx(62, abs=4)
    assert host.reference_hu(LesionType.LUNG_TUMOR, 14) == host.soft_tissue_hu
    assert host.reference_hu(LesionType.GALLSTONE, 4) == host.fluid_hu(4)


@pytest.mark.parametrize("label", [1, 5, 6, 14, 22])
def test_noise_is_found_in_even_organs_and_borrowed_for_uneven_ones(host, label):
    assert host.noise(label).sd_hu == pytest.approx(12, rel=0.08)


def test_the_point_spread_is_found(host):
    assert host.psf_mm == pytest.approx((0.8,) * 3, rel=0.15)


def test_the_phase_is_guessed_or_taken_as_given(host):
    assert host.phase is Phase.PORTAL
    plain = {1: 48, 2: 32, 5: 58, 7: 40, 9: 40}
    assert measure_host(*patient(change=plain)).phase is Phase.NON_CONTRAST
    assert measure_host(*patient(), phase=Phase.DELAYED).phase is Phase.DELAYED


def test_a_known_lesion_is_left_out():
    ct, organs = patient()
    hu = ct.hu.copy()
    lesion = np.zeros(hu.shape, dtype=bool)
    lesion[28:48, 26:46, 8:36] = True
    hu[lesion] -= 90
    found = measure_host(Volume(hu=hu, grid=ct.grid), organs, exclude=lesion)
    assert found.organ_mean_hu(5) == pytest.approx(105, abs=3)


def test_without_muscle_the_bodys_soft_tissue_is_the_reference():
    ct, organs = patient()
    labels = np.where(organs.labels == 102, 0, organs.labels).astype(np.uint8)
    found = measure_host(ct, LabelMap(labels=labels, grid=organs.grid))
    assert 45 < found.soft_tissue_hu < 65


def test_facts_are_measured_once(host):
    assert host.noise(5) is host.noise(5)
    assert host.atlas is host.atlas


@pytest.mark.parametrize("fact", ["organ_mean_hu", "fluid_hu", "noise"])
def test_a_missing_organ_is_named(host, fact):
    with pytest.raises(OrganMapError, match=r"label 10 \(pancreas\)"):
        getattr(host, fact)(10)


def test_an_organ_without_its_own_tissue_is_named():
    with pytest.raises(OrganMapError, match=r"label 1 \(spleen\) has no voxel between"):
        measure_host(*patient(change={1: -900})).organ_mean_hu(1)


def test_a_map_on_another_grid_is_refused():
    ct, organs = patient()
    moved = LabelMap(labels=organs.labels, grid=grid_of(organs.grid.shape, (1.0, 1.0, 1.1)))
    with pytest.raises(OrganMapError, match="share one grid"):
        measure_host(ct, moved)
    with pytest.raises(ValueError, match="exclude has shape"):
        measure_host(ct, organs, exclude=np.zeros((2, 2, 2), dtype=bool))


def test_a_phase_that_cannot_be_guessed_is_asked_for():
    ct, organs = patient()
    lung = np.where(organs.labels == 14, 14, 0).astype(np.uint8)
    with pytest.raises(OrganMapError, match="give it"):
        _ = measure_host(ct, LabelMap(labels=lung, grid=organs.grid)).phase


@pytest.mark.realdata
def test_a_real_plain_ct_is_plain(shared_data):
    import nibabel as nib

    from panlesion.ct.organs import v2_to_v1_table
    from panlesion.ct.volume import Grid

    image, seg = (nib.load(shared_data / "totalseg" / name) for name in ("ct.nii.gz", "organs_v2.nii.gz"))
    grid = Grid(shape=image.shape, affine=image.affine)
    found = measure_host(
        Volume(hu=np.round(image.get_fdata()).astype(np.int16), grid=grid),
        LabelMap(labels=v2_to_v1_table()[np.asarray(seg.dataobj).astype(np.uint8)], grid=grid),
    )
    assert found.phase is Phase.NON_CONTRAST
    assert 35 < found.organ_mean_hu(5) < 65
    assert 30 < found.soft_tissue_hu < 65
    assert 5 < found.noise(5).sd_hu < 20
