import numpy as np
import pytest
import torch

from panlesion.ct.volume import Grid, Volume, standard_grid
from panlesion.errors import CheckpointError, OrganMapError
from panlesion.lesion.vocabulary import READINGS
from panlesion.nets.attributes import describe_lesion, lesion_crop, look_of
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import ATTRIBUTE_HEAD, Head, attribute_head
from panlesion.nets.look import Look, Pooling
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset

PRESET = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)
LOOK = Look(spacing_mm=1.5, crop_voxels=16, pooling=(Pooling.CROP, Pooling.LESION, Pooling.FORM), levels=(0, 1))


def model(heads=None):
    torch.manual_seed(1)
    info = ModelInfo(preset=PRESET, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)
    return Model(info, {ATTRIBUTE_HEAD: attribute_head(PRESET, LOOK)} if heads is None else heads).eval()


def scan(spacing_mm=1.5, side=40, at=(18, 20, 22), radius=4):
    rng = np.random.default_rng(0)
    grid = standard_grid((side,) * 3, spacing_mm)
    away = np.linalg.norm(np.indices(grid.shape).transpose(1, 2, 3, 0) - at, axis=-1)
    lesion = away < radius
    return Volume(hu=(50 + 60 * lesion + rng.normal(0, 5, grid.shape)).astype(np.int16), grid=grid), lesion


def test_every_attribute_has_a_probability_for_every_class():
    found = describe_lesion(model(), *scan())
    assert {name: len(p) for name, p in found.items()} == {name: len(classes) for name, classes in READINGS.items()}
    for p in found.values():
        assert p.dtype == np.float32
        assert p.sum() == pytest.approx(1, abs=1e-5)


def test_the_crop_is_the_ct_around_the_lesions_middle_where_the_spacing_is_the_looks():
    ct, lesion = scan()
    hu, share = lesion_crop(ct, lesion, LOOK)
    assert np.array_equal(hu, ct.hu[10:26, 12:28, 14:30])
    assert np.array_equal(share > 0, lesion[10:26, 12:28, 14:30])


def test_how_the_scan_was_stored_does_not_matter():
    ct, lesion = scan()
    turned = np.diag([-1.0, 1.0, 1.0, 1.0]) @ np.eye(4)
    turned[0, 3] = ct.grid.shape[0] - 1
    flipped = Volume(hu=ct.hu[::-1], grid=Grid(shape=ct.grid.shape, affine=ct.grid.affine @ turned))
    here, there = describe_lesion(model(), ct, lesion), describe_lesion(model(), flipped, lesion[::-1])
    for name in here:
        assert np.allclose(here[name], there[name], atol=1e-5)


def test_a_lesion_smaller_than_a_voxel_of_the_look_is_still_there():
    ct, lesion = scan(spacing_mm=0.5, radius=1)
    _, share = lesion_crop(ct, lesion, LOOK)
    assert 0 < share.max() < 1
    assert share.sum() == pytest.approx(lesion.sum() / 27, rel=0.02)


def test_a_lesion_in_the_corner_of_a_scan_has_air_beside_it():
    ct, lesion = scan(at=(0, 0, 0))
    hu, share = lesion_crop(ct, lesion, LOOK)
    assert hu.shape == share.shape == (16, 16, 16)
    assert (hu[:6, :6, :6] == Volume.AIR_HU).all()
    assert share[:6].sum() == 0


def test_a_plain_head_reads_the_models_patch():
    plain = model({ATTRIBUTE_HEAD: attribute_head(PRESET)})
    assert look_of(plain) == Look(spacing_mm=2.5, crop_voxels=16)
    assert set(describe_lesion(plain, *scan())) == set(READINGS)


@pytest.mark.parametrize("heads", [{}, {ATTRIBUTE_HEAD: Head(8, 2)}, {"detection": Head(8, 1)}])
def test_a_model_without_the_head_says_how_to_get_one(heads):
    with pytest.raises(CheckpointError, match="--stage 2"):
        describe_lesion(model(heads), *scan())


def test_masks_that_say_nothing_are_refused():
    ct, lesion = scan()
    with pytest.raises(OrganMapError, match="empty"):
        describe_lesion(model(), ct, lesion & False)
    with pytest.raises(OrganMapError, match="has shape"):
        describe_lesion(model(), ct, lesion[1:])
