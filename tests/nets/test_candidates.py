from dataclasses import replace

import numpy as np
import pytest
import torch

from panlesion.ct.volume import Volume, standard_grid
from panlesion.errors import GeometryError
from panlesion.nets.candidates import LEAST_VOXELS, candidate_probabilities, candidate_vectors, detection_look, looked_at
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import ATTRIBUTE_HEAD, DETECTION_HEAD, attribute_head, detection_head
from panlesion.nets.look import Look, Pooling
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset

PRESET = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)
LOOK = Look(spacing_mm=2.5, crop_voxels=16, pooling=(Pooling.LESION, Pooling.DECODED, Pooling.FORM), levels=(0, 1))


@pytest.fixture
def model():
    torch.manual_seed(0)
    info = ModelInfo(preset=PRESET, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)
    return Model(info, {DETECTION_HEAD: detection_head(PRESET, LOOK)}).eval()


@pytest.fixture
def scan():
    hu = np.random.default_rng(0).normal(40, 30, (30, 26, 22)).astype(np.int16)
    labels = np.zeros(hu.shape, dtype=np.int32)
    labels[0:4, 2:5, 3:6] = 1  # at the border: its crop leaves the scan
    labels[15, 15, 15:17] = 2  # too small
    labels[20:25, 18:24, 8:12] = 3
    return Volume(hu=hu, grid=standard_grid(hu.shape, 2.5)), labels


def test_parts_that_are_large_enough_are_looked_at_and_the_others_are_no_lesions(model, scan):
    ct, labels = scan
    assert looked_at(labels).tolist() == [1, 3]
    sure = candidate_probabilities(model, ct, labels)
    assert sure.shape == (3,) and sure[1] == 0 and (sure[[0, 2]] > 0).all() and (sure < 1).all()
    assert (labels == 2).sum() < LEAST_VOXELS


def test_a_vector_is_what_the_look_makes_of_the_crop(model, scan):
    ct, labels = scan
    found = candidate_vectors(model, ct, labels, LOOK)
    middle = (22, 21, 10)
    where = tuple(slice(m - 8, m + 8) for m in middle)
    hu = np.pad(ct.hu, 16, constant_values=-1024)[tuple(slice(s.start + 16, s.stop + 16) for s in where)]
    mask = np.pad(labels == 3, 16)[tuple(slice(s.start + 16, s.stop + 16) for s in where)]
    from panlesion.nets.sliding import network_input

    x = torch.from_numpy(np.stack([network_input(hu, model.intensity), mask.astype(np.float32)]))[None]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = LOOK.vector(model.unet, x)[0].float()
    assert torch.allclose(torch.from_numpy(found[1]), expected, atol=2e-2, rtol=2e-2)


def test_other_parts_do_not_change_what_is_said_of_one(model, scan):
    ct, labels = scan
    alone = np.where(labels == 1, 1, 0).astype(np.int32)
    assert candidate_probabilities(model, ct, alone)[0] == pytest.approx(
        candidate_probabilities(model, ct, labels)[0], abs=1e-3
    )


def test_nothing_marked_is_nothing_said(model, scan):
    ct, labels = scan
    assert candidate_probabilities(model, ct, np.zeros_like(labels)).shape == (0,)


def test_without_a_head_nothing_is_said(model, scan):
    plain = Model(model.info, {ATTRIBUTE_HEAD: attribute_head(PRESET)})
    assert detection_look(plain) is None and candidate_probabilities(plain, *scan) is None


def test_a_head_comes_back_from_its_file(model, scan, tmp_path):
    save_checkpoint(tmp_path / "one.safetensors", model)
    again = load_checkpoint(tmp_path / "one.safetensors").eval()
    assert detection_look(again) == LOOK
    assert np.array_equal(candidate_probabilities(again, *scan), candidate_probabilities(model, *scan))


def test_another_grid_or_spacing_is_refused(model, scan):
    ct, labels = scan
    with pytest.raises(GeometryError, match="the model wants"):
        candidate_vectors(model, Volume(hu=ct.hu, grid=standard_grid(ct.hu.shape, 3.0)), labels, LOOK)
    with pytest.raises(ValueError, match="look is at 1 mm"):
        candidate_vectors(model, ct, labels, replace(LOOK, spacing_mm=1.0))
