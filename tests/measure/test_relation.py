"""Gaps, breaches and contact on blocks whose distances are known."""

import numpy as np
import pytest
from lesions_made import SPACINGS, grid_of

from panlesion.ct.volume import LabelMap, Volume
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.relation import BREACH_SHARE, measure_relation, surface_contact
from panlesion.measure.scene import cut_scene

LIVER, STOMACH, COLON, AORTA, RIB, RIGHT_LUNG = 5, 6, 57, 7, 62, 17


def scene_of(labels, lesion, type, spacing_mm=(1.0, 1.0, 1.0)):
    grid = grid_of(labels.shape, spacing_mm)
    return cut_scene(
        Volume(hu=np.zeros(labels.shape, dtype=np.int16), grid=grid),
        lesion,
        LabelMap(labels=labels.astype(np.uint8), grid=grid),
        type,
    )


def slabs(gap_voxels, spacing_mm=(1.0, 1.0, 1.0), organ=LIVER, other=STOMACH, between=LIVER):
    """A lesion in an organ, and `gap_voxels` further along i another structure."""
    labels = np.full((60, 24, 24), between)
    labels[:20] = organ
    labels[20 + gap_voxels :] = other
    lesion = np.zeros(labels.shape, dtype=bool)
    lesion[10:20, 8:16, 8:16] = True
    return labels, lesion, spacing_mm


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("gap_voxels", [0, 1, 2, 3, 5])
def test_the_gap_counts_the_voxels_between(spacing_mm, gap_voxels):
    labels, lesion, spacing = slabs(gap_voxels, spacing_mm)
    found = measure_relation(scene_of(labels, lesion, LesionType.LIVER_TUMOR, spacing))
    gap_mm = gap_voxels * spacing_mm[0]
    if gap_mm <= 10:
        assert found.gap_mm == pytest.approx(gap_mm, abs=1e-4)
        assert found.neighbour == "stomach"
    assert found.close is (gap_mm < 3.0 - 1e-6)


def test_far_neighbours_are_not_looked_for():
    labels, lesion, spacing = slabs(20)
    found = measure_relation(scene_of(labels, lesion, LesionType.LIVER_TUMOR, spacing))
    assert (found.gap_mm, found.neighbour, found.close) == (None, None, False)


def test_a_lesion_that_grows_into_its_neighbour_has_no_gap():
    labels, lesion, _ = slabs(2, other=COLON)
    lesion[20:26, 10:14, 10:14] = True
    found = measure_relation(scene_of(labels, lesion, LesionType.LIVER_TUMOR))
    assert (found.gap_mm, found.neighbour, found.close) == (0.0, "colon", True)
    assert found.outside_share == pytest.approx(4 * 16 / np.count_nonzero(lesion))


def test_the_other_kidney_and_other_bones_are_no_neighbours():
    labels, lesion, _ = slabs(0, organ=2, other=3, between=0)
    assert not measure_relation(scene_of(labels, lesion, LesionType.KIDNEY_TUMOR)).close


def test_a_lung_lesion_is_close_to_pleura_but_not_to_the_vessels_inside():
    labels = np.full((60, 30, 30), RIGHT_LUNG)
    labels[:, 8:12, 8:12] = 0
    lesion = np.zeros(labels.shape, dtype=bool)
    lesion[25:33, 12:20, 12:20] = True
    assert not measure_relation(scene_of(labels, lesion, LesionType.LUNG_TUMOR)).close
    labels[34:] = 0
    found = measure_relation(scene_of(labels, lesion, LesionType.LUNG_TUMOR))
    assert (found.neighbour, found.close) == ("pleura", True)
    assert found.gap_mm == pytest.approx(1.0)
    labels[34:] = AORTA
    assert measure_relation(scene_of(labels, lesion, LesionType.LUNG_TUMOR)).neighbour == "aorta"


def test_a_bone_lesion_is_close_when_it_breaks_through():
    labels = np.zeros((40, 30, 30))
    labels[:20] = RIB
    lesion = np.zeros(labels.shape, dtype=bool)
    lesion[8:20, 8:20, 8:20] = True
    assert not measure_relation(scene_of(labels, lesion, LesionType.BONE_METASTASIS)).close
    lesion[20, 8:20, 8:20] = True
    found = measure_relation(scene_of(labels, lesion, LesionType.BONE_METASTASIS))
    assert found.close
    assert found.outside_share == pytest.approx(1 / 13)
    assert found.outside_share > BREACH_SHARE


def test_stones_have_no_neighbours():
    labels, lesion, _ = slabs(0, organ=4, other=LIVER)
    found = measure_relation(scene_of(labels, lesion, LesionType.GALLSTONE))
    assert (found.gap_mm, found.close) == (None, False)


def test_flips_change_nothing():
    labels, lesion, spacing = slabs(2, (1.0, 1.0, 2.0))
    one = measure_relation(scene_of(labels, lesion, LesionType.LIVER_TUMOR, spacing))
    two = measure_relation(scene_of(labels[::-1, ::-1], lesion[::-1, ::-1], LesionType.LIVER_TUMOR, spacing))
    assert one == two


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0)])
def test_contact_tells_a_plaque_on_the_wall_from_a_polyp(spacing_mm):
    size = [int(90 / s) for s in spacing_mm]
    x, y, z = np.meshgrid(*[(np.arange(n) - n / 2) * s for n, s in zip(size, spacing_mm, strict=True)], indexing="ij")
    radius = np.hypot(x, y)
    labels = np.where(radius < 25, STOMACH, 0)
    plaque = (radius < 25) & (radius > 17) & (np.abs(z) < 18) & (x > 5)
    polyp = (x - 13) ** 2 + y**2 + z**2 < 10**2
    contact = [surface_contact(scene_of(labels, one, LesionType.GASTRIC_CANCER, spacing_mm)) for one in (plaque, polyp)]
    assert contact[0] > 0.40
    assert contact[1] < 0.20
