import numpy as np
import pytest

from panlesion.ct.body import body_mask
from panlesion.ct.volume import Grid, Volume, standard_grid

AIR, LUNG, TISSUE = -1000, -850, 40


def volume(hu, spacing_mm=2.5):
    return Volume(hu=hu.astype(np.int16), grid=standard_grid(hu.shape, spacing_mm))


def chest(shape=(60, 48, 20)):
    """A chest wall around two lungs without any tissue in them, air around it."""
    i, j, _ = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    across, deep = (i - shape[0] / 2) / 20, (j - shape[1] / 2) / 14
    hu = np.full(shape, AIR)
    hu[across**2 + deep**2 < 1] = TISSUE
    lungs = ((np.abs(across) - 0.45) / 0.35) ** 2 + (deep / 0.7) ** 2 < 1
    hu[lungs] = LUNG
    return hu, lungs


def test_lungs_are_in_and_air_around_the_body_is_out():
    hu, lungs = chest()
    mask = body_mask(volume(hu))
    assert mask[lungs].all()
    assert mask[hu > -500].all()
    assert not mask[:4].any()
    assert not mask[:, -4:].any()


def test_lungs_are_in_where_the_wall_is_open():
    hu, lungs = chest()
    hu[28:32, :12] = AIR
    assert body_mask(volume(hu))[lungs].all()


@pytest.mark.parametrize("cut", [np.s_[14:], np.s_[:46], np.s_[:, 15:], np.s_[:, :32], np.s_[:, :, 9:11]])
def test_lungs_that_the_field_of_view_cuts_are_in(cut):
    hu, lungs = chest()
    assert lungs[cut].any()
    assert body_mask(volume(hu[cut]), margin_mm=0.0)[lungs[cut]].all()


@pytest.mark.parametrize("spacing_mm", [1.0, 2.5])
def test_the_margin_is_in_millimetres(spacing_mm):
    hu = np.full((40, 40, 40), AIR)
    hu[18:22, 18:22, 18:22] = TISSUE
    mask = body_mask(volume(hu, spacing_mm), margin_mm=10.0)
    reach = round(10 / spacing_mm)
    expected = np.zeros(hu.shape, dtype=bool)
    expected[(slice(18 - reach, 22 + reach),) * 3] = True
    np.testing.assert_array_equal(mask, expected)


def test_air_alone_has_no_body():
    assert not body_mask(volume(np.full((9, 9, 9), AIR))).any()


def test_the_axial_plane_is_that_of_the_grid():
    hu, lungs = chest()
    turned = Grid(shape=(20, 60, 48), affine=np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]))
    found = body_mask(Volume(hu=np.moveaxis(hu, 2, 0).astype(np.int16), grid=turned), margin_mm=3.0)
    np.testing.assert_array_equal(np.moveaxis(found, 0, 2), body_mask(volume(hu, 1.0), margin_mm=3.0))
    assert found[np.moveaxis(lungs, 2, 0)].all()
