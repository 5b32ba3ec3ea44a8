"""A survey knows where in a host a lesion could grow."""

import numpy as np
import pytest
from terrain_made import KIDNEY, LIVER, SPLEEN, blocks_host, liver_host

from panlesion.ct.volume import Volume
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.synth.place import METAL_HU, survey


def test_every_place_lies_in_the_organ_with_its_depth() -> None:
    host = liver_host()
    found = survey(host.ct, host.organs, LesionType.LIVER_TUMOR)
    ijk = np.rint(host.ct.grid.to_ijk(found.xyz)).astype(int)
    assert np.all(host.organs.labels[tuple(ijk.T)] == LIVER)
    assert np.all(found.label == LIVER)
    x, y, z = found.xyz.T
    from_face = np.min([x + 36.5, 26.5 - x, 32.5 - np.abs(y), 28.5 - np.abs(z)], axis=0)
    assert np.abs(found.depth_mm - from_face).max() < 2 * max(found.spacing_mm)
    assert np.median(found.hu) == pytest.approx(100, abs=3)


def test_the_gap_to_the_next_organ_is_known() -> None:
    blocks = {KIDNEY: ((-30.0, -25.0, -20.0), (0.0, 25.0, 20.0)), SPLEEN: ((6.0, -25.0, -20.0), (30.0, 25.0, 20.0))}
    host = blocks_host(blocks)
    found = survey(host.ct, host.organs, LesionType.KIDNEY_TUMOR)
    inner = np.abs(found.xyz[:, 1:]).max(axis=1) < 16
    assert np.abs(found.gap_mm - (6.0 - found.xyz[:, 0]))[inner].max() < 2 * max(found.spacing_mm)


def test_an_absent_organ_is_named_with_its_labels() -> None:
    host = liver_host()
    with pytest.raises(PlacementError, match=r"Pancreas.*\[10\].*pancreas_tumor"):
        survey(host.ct, host.organs, LesionType.PANCREAS_TUMOR)


def test_metal_and_what_lies_beside_it_is_no_place() -> None:
    host = liver_host()
    hu = host.ct.hu.copy()
    middle = tuple(n // 2 for n in hu.shape)
    hu[middle[0] - 2 : middle[0] + 3, middle[1] - 2 : middle[1] + 3, middle[2] - 2 : middle[2] + 3] = METAL_HU + 800
    found = survey(Volume(hu=hu, grid=host.ct.grid), host.organs, LesionType.LIVER_TUMOR)
    away = np.linalg.norm(found.xyz - host.ct.grid.to_xyz(middle), axis=1)
    assert away.min() > 6
    assert len(found.xyz) < len(survey(host.ct, host.organs, LesionType.LIVER_TUMOR).xyz)


def test_a_pick_fits_and_nothing_fitting_is_an_error_that_says_what() -> None:
    host = liver_host()
    found = survey(host.ct, host.organs, LesionType.LIVER_TUMOR)
    deep = found.depth_mm > 15
    for seed in range(20):
        assert deep[found.pick(deep, np.random.default_rng(seed), "a tumour")]
    with pytest.raises(PlacementError, match="no place for a whale"):
        found.pick(found.depth_mm > 500, np.random.default_rng(0), "a whale")


def test_every_bone_has_a_depth_of_its_own() -> None:
    host = blocks_host(
        {30: ((-20.0, -20.0, -20.0), (0.0, 20.0, 20.0)), 31: ((0.0, -20.0, -20.0), (20.0, 20.0, 20.0))},
        tissue_hu={30: 300.0, 31: 300.0},
    )
    found = survey(host.ct, host.organs, LesionType.BONE_METASTASIS)
    between = np.abs(found.xyz[:, 0]) < 2
    assert found.depth_mm[between].max() < 4
    assert set(np.unique(found.label)) == {30, 31} <= TYPES[LesionType.BONE_METASTASIS].organ_labels
