import numpy as np
import pytest

from panlesion.aid.reads.sizes import box_of, size_of
from panlesion.ct.volume import Box, Grid, Volume
from panlesion.measure.size import measure_size

GRID = Grid(shape=(30, 24, 12), affine=np.diag([0.7, 0.9, 2.0, 1.0]))


@pytest.fixture
def scene():
    rng = np.random.default_rng(5)
    labels = np.zeros(GRID.shape, dtype=np.uint8, order="F")
    labels[4:9, 6:15, 3:6] = 2
    labels[20:29, 1:4, 0:12] = 255
    return Volume(hu=rng.integers(-50, 90, GRID.shape).astype(np.int16), grid=GRID), labels


@pytest.mark.parametrize("number", [2, 255])
def test_a_size_is_that_of_the_whole_mask_measured_at_once(scene, number):
    ct, labels = scene
    size, whole = size_of(ct, labels, number), measure_size(labels == number, GRID)
    assert size.volume_ml == pytest.approx(whole.volume_ml)
    assert size.long.length_mm == pytest.approx(whole.axial_long.length_mm) and size.long.ends_ijk == whole.axial_long.ends_ijk
    assert size.short.ends_ijk == whole.axial_short.ends_ijk and size.extent_mm == pytest.approx(whole.extent_mm)
    assert size.centre_xyz == pytest.approx(whole.centre_xyz)
    assert labels[size.centre_ijk] == number
    hu = ct.hu[labels == number].astype(float)
    assert (size.mean_hu, size.sd_hu) == pytest.approx((hu.mean(), hu.std()))


def test_what_has_no_voxel_has_no_size_and_a_box_is_the_tightest(scene):
    ct, labels = scene
    assert size_of(ct, labels, 3) is None and box_of(labels, 3) is None
    assert box_of(labels, 2) == Box.of(labels == 2)
