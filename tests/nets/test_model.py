from dataclasses import replace

import pytest
import torch

from panlesion.ct.intensity import HU_KNOTS
from panlesion.nets.model import new_model


@pytest.fixture(scope="module")
def nano():
    return new_model("nano", spacing_mm=2.5, patch_voxels=64)


def test_the_public_face(nano):
    x = torch.rand(1, 1, 16, 32, 16)
    with torch.no_grad():
        assert nano(x).shape == (1, len(nano.classes), 16, 32, 16)
        assert nano.features(x).shape == (1, nano.preset.feature_size)
    assert nano.intensity.hu == HU_KNOTS
    assert nano.preset.name == "nano"


def test_sides_the_stride_does_not_divide_are_refused(nano):
    with pytest.raises(ValueError, match="divisible by 16"):
        nano(torch.zeros(1, 1, 16, 16, 24))


def test_offsets_move_the_logits_by_just_that_and_leave_training_alone(nano):
    offsets = tuple(-0.1 * n for n in range(len(nano.classes)))
    moved = type(nano)(replace(nano.info, offsets=offsets))
    moved.load_state_dict(nano.state_dict())
    x = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        change = (moved(x) - nano(x)).mean(dim=(0, 2, 3, 4))
        torch.testing.assert_close(change, torch.tensor(offsets), atol=1e-4, rtol=0)
        torch.testing.assert_close(moved.unet.deep_logits(x)[0], nano.unet.deep_logits(x)[0])
