import numpy as np
import pytest
import torch

from panlesion.ct.intensity import to_network
from panlesion.ct.volume import Box, Grid, LabelMap, Volume, standard_grid
from panlesion.errors import GeometryError, NotCTError, OrganMapError
from panlesion.nets.classes import Classes, ClassGroup
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset
from panlesion.nets.vectors import _tiles, lesion_vectors, volume_vector

SIDE = 16


class Means(Model):
    """A model whose features are the mean and the largest value of its crop."""

    def __init__(self):
        preset = Preset(name="tiny", channels=(2, 2), features_from=1)
        classes = Classes(groups=(ClassGroup(name="a", classes=("none",)),))
        super().__init__(ModelInfo(preset=preset, classes=classes, spacing_mm=2.0, patch_voxels=SIDE))
        self.crops = []

    def features(self, x):
        self.crops.append(x[0, 0].numpy())
        return torch.stack([x.mean(dim=(1, 2, 3, 4)), x.amax(dim=(1, 2, 3, 4))], dim=1)


def ct_of(hu, spacing_mm=2.0):
    return Volume(hu=hu, grid=standard_grid(hu.shape, spacing_mm))


@pytest.mark.parametrize(("start", "stop"), [(0, 16), (3, 10), (0, 17), (5, 60), (0, 1)])
def test_tiles_cover_the_box_with_as_few_as_possible(start, stop):
    firsts = _tiles(start, stop, SIDE)
    assert len(firsts) == -(-(stop - start) // SIDE)
    assert set(range(start, stop)) <= {n for first in firsts for n in range(first, first + SIDE)}


def test_a_volumes_vector_is_the_mean_of_its_tiles_by_their_tissue():
    hu = np.full((32, 16, 16), -1000, dtype=np.int16)
    hu[:16] = 40  # a tile full of tissue and one with a single plane of it
    hu[31] = 200
    vector = volume_vector(Means(), ct_of(hu))
    full, thin = to_network(np.int16(40)), to_network(np.int16(200))
    np.testing.assert_allclose(vector, [(full * 16 + thin / 16) / 17, (full * 16 + thin) / 17], rtol=1e-5)
    assert vector.dtype == np.float32


def test_air_around_the_body_changes_nothing():
    body = np.random.default_rng(0).integers(-100, 300, (20, 18, 23), dtype=np.int16)
    wide = np.full((60, 50, 40), -1000, dtype=np.int16)
    wide[11:31, 9:27, 7:30] = body
    np.testing.assert_allclose(volume_vector(Means(), ct_of(body)), volume_vector(Means(), ct_of(wide)), rtol=1e-5)


def test_a_ct_without_a_body_or_on_another_grid_is_refused():
    with pytest.raises(NotCTError, match="no body"):
        volume_vector(Means(), ct_of(np.full((8, 8, 8), -1000, dtype=np.int16)))
    with pytest.raises(GeometryError, match="standardise"):
        volume_vector(Means(), ct_of(np.zeros((8, 8, 8), dtype=np.int16), 1.0))


@pytest.fixture
def two_lesions():
    """A CT at 1 mm with i to the right, a large lesion of 100 HU and a small one of 500 HU that touches only at a corner."""
    grid = Grid(shape=(60, 50, 40), affine=np.array([[1.0, 0, 0, -20], [0, 1, 0, 5], [0, 0, 1, 100], [0, 0, 0, 1]]))
    hu = np.full(grid.shape, 40, dtype=np.int16)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for part, value in ((np.s_[40:50, 10:20, 20:30], 100), (np.s_[4:7, 30:34, 8:10], 500), (np.s_[7:8, 34:35, 10:11], 500)):
        hu[part], labels[part] = value, 1
    return Volume(hu=hu, grid=grid), LabelMap(labels=labels, grid=grid)


def test_every_lesion_has_a_vector_of_the_crop_around_its_middle(two_lesions):
    ct, mask = two_lesions
    seen = []
    model = Means()
    large, small = lesion_vectors(model, ct, mask, progress=lambda *n: seen.append(n))
    assert (large.number, small.number) == (1, 2)
    assert large.centre_xyz == (24.5, 19.5, 124.5)
    assert large.volume_ml == pytest.approx(1.0)
    assert small.volume_ml == pytest.approx(0.025)
    assert seen == [(1, 2), (2, 2)]
    # 10 mm are 5 voxels of 2 mm: the brightest part of the large lesion's crop lies in its middle
    bright = Box.of(model.crops[0] > to_network(np.int16(70)))
    assert bright.shape == (5, 5, 5)
    assert all(abs((a + b) / 2 - SIDE / 2) <= 1 for a, b in zip(bright.start, bright.stop, strict=True))
    # a crop that leaves the scan is filled with the network's air
    assert model.crops[1].min() == 0.0


def test_the_crop_can_be_chosen_in_strides_of_the_network(two_lesions):
    model = Means()
    lesion_vectors(model, *two_lesions, crop_voxels=10)
    assert model.crops[0].shape == (10, 10, 10)
    with pytest.raises(ValueError, match="divisible by 2"):
        lesion_vectors(model, *two_lesions, crop_voxels=9)


def test_a_mask_that_is_empty_or_elsewhere_is_refused(two_lesions):
    ct, mask = two_lesions
    with pytest.raises(OrganMapError, match="empty"):
        lesion_vectors(Means(), ct, LabelMap(labels=np.zeros(ct.grid.shape, dtype=np.uint8), grid=ct.grid))
    with pytest.raises(OrganMapError, match="on its CT's grid"):
        lesion_vectors(Means(), ct, mask.crop(Box(start=(0, 0, 0), stop=(50, 50, 40))))
