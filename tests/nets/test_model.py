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
