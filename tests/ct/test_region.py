import numpy as np
import pytest

from panlesion.ct.region import Framing, Region, cube_grid, frame
from panlesion.ct.standardise import resampled_to, share_on, standardise
from panlesion.ct.volume import Box, Grid, LabelMap, Volume, standard_grid
from panlesion.errors import GeometryError, OrganMapError

OBLONG = Grid(shape=(30, 20, 25), affine=np.array([[0, -2.0, 0, 5], [1.5, 0, 0, 6], [0, 0, 3.0, 7], [0, 0, 0, 1]]))


def noise(grid, seed=0):
    return Volume(hu=np.random.default_rng(seed).integers(-900, 900, grid.shape).astype(np.int16), grid=grid)


def labelled(grid, *parts, value=1):
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for part in parts:
        labels[part] = value
    return LabelMap(labels=labels, grid=grid)


def test_a_cube_is_what_standardising_and_cropping_gives():
    ct = noise(OBLONG)
    whole = standardise(ct, 2.5)
    box = Box(start=(-5, 3, 2), stop=(9, 17, 14))
    cut = resampled_to(ct, whole.grid.crop(box)).hu.astype(int)
    # rounding is one operation apart
    assert np.abs(cut - whole.crop(box).hu).max() <= 1
    assert (cut[:4] == Volume.AIR_HU).all()


def test_far_outside_an_image_lies_air():
    far = standard_grid((4, 4, 4), 2.0, (900.0, 900.0, 900.0))
    assert (resampled_to(noise(OBLONG), far).hu == Volume.AIR_HU).all()
    assert not share_on(np.ones(OBLONG.shape, dtype=bool), OBLONG, far).any()


def test_what_an_image_holds_beyond_hu_does_not_wrap_around():
    grid = standard_grid((6, 6, 6), 2.0)
    bright = Volume(hu=np.full(grid.shape, 32767, dtype=np.int16), grid=grid)
    assert resampled_to(bright, grid.crop(Box(start=(1, 1, 1), stop=(4, 4, 4)))).hu.min() > 30000


def test_a_lesion_lies_in_the_middle_and_a_second_image_on_the_first_ones_grid():
    label = labelled(OBLONG, np.s_[4:8, 9:11, 12:14])
    ct = noise(OBLONG)
    turned = Volume(hu=ct.hu.transpose(2, 0, 1)[:, ::-1], grid=_turned(OBLONG))
    framing = Framing(region=Region.LESION, side=8, spacing_mm=2.5)
    framed = frame([ct, turned], label, framing)
    assert framed.hu.shape == (2, 8, 8, 8)
    assert np.abs(framed.hu[0].astype(int) - framed.hu[1]).max() <= 1
    middle = framed.grid.to_ijk(OBLONG.to_xyz((5.5, 9.5, 12.5)))
    assert np.abs(middle - 4).max() <= 0.51
    spared = frame([ct], label, framing, spare=3)
    assert (spared.hu[0, 3:-3, 3:-3, 3:-3] == framed.hu[0]).all()
    assert (spared.mask[3:-3, 3:-3, 3:-3] == framed.mask).all()


def _turned(grid):
    affine = grid.affine[:, [2, 0, 1, 3]].copy()
    affine[:3, 3] = grid.to_xyz((grid.shape[0] - 1, 0, 0))
    affine[:3, 1] *= -1
    i, j, k = grid.shape
    return Grid(shape=(k, i, j), affine=affine)


def test_a_lesion_below_half_a_voxel_is_not_voted_away():
    label = labelled(OBLONG, np.s_[10, 10, 10])
    framed = frame([noise(OBLONG)], label, Framing(region=Region.LESION, side=8, spacing_mm=6.0))
    assert framed.mask.sum() >= 1


def test_an_organ_is_shown_whole_with_its_margin_and_a_small_one_at_the_spacing_asked_for():
    grid = standard_grid((100, 60, 60), 2.0)
    wide = labelled(grid, np.s_[5:95, 20:30, 20:30], value=7)
    framing = Framing(region=Region.ORGAN, side=32, spacing_mm=2.5, margin_mm=10.0, values=(7,))
    framed = frame([noise(grid)], wide, framing)
    ends = framed.grid.to_ijk(grid.to_xyz([(5, 25, 25), (94, 25, 25)]))
    assert framed.grid.spacing_mm == pytest.approx((200 / 32,) * 3)
    assert ends.min() >= 0
    assert ends.max() <= 31
    small = labelled(grid, np.s_[50:55, 20:30, 20:30], value=7)
    assert cube_grid(grid, framing.mask(small), framing).spacing_mm == pytest.approx((2.5,) * 3)


def test_only_the_values_asked_for_count():
    label = LabelMap(labels=np.where(np.indices(OBLONG.shape)[0] < 10, 1, 2).astype(np.uint8), grid=OBLONG)
    one = Framing(region=Region.LESION, side=8, spacing_mm=2.5, values=(2,))
    assert one.mask(label).sum() == 20 * 20 * 25
    with pytest.raises(OrganMapError, match="no label voxel of value 3"):
        frame([noise(OBLONG)], label, Framing(region=Region.LESION, side=8, spacing_mm=2.5, values=(3,)))
    with pytest.raises(OrganMapError, match="no label voxel above 0"):
        frame([noise(OBLONG)], None, Framing(region=Region.ORGAN, side=8, spacing_mm=2.5))


def test_the_middle_of_an_image_needs_no_label():
    framed = frame([noise(OBLONG)], None, Framing(region=Region.IMAGE, side=8, spacing_mm=2.5))
    assert not framed.mask.any()
    assert np.abs(framed.grid.to_ijk(OBLONG.to_xyz((14.5, 9.5, 12))) - 4).max() <= 0.51


def test_an_image_turned_askew_is_refused():
    askew = OBLONG.affine.copy()
    angle = np.deg2rad(10)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    askew[:3, :3] = turn @ askew[:3, :3]
    other = Volume(hu=noise(OBLONG).hu, grid=Grid(shape=OBLONG.shape, affine=askew))
    with pytest.raises(GeometryError, match="not parallel"):
        frame([noise(OBLONG), other], None, Framing(region=Region.IMAGE, side=8, spacing_mm=2.5))
