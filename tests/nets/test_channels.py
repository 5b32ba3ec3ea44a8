import pytest
import torch

from panlesion.nets.channels import with_channels
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset

TINY = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)


def tiny():
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)).eval()


@pytest.mark.parametrize("channels", [2, 3])
def test_one_image_given_several_times_has_the_features_and_logits_of_one(channels):
    model, x = tiny(), torch.rand(2, 1, 16, 16, 16)
    wide = with_channels(model, channels)
    repeated = x.repeat(1, channels, 1, 1, 1)
    with torch.no_grad():
        assert torch.allclose(wide.features(repeated), model.features(x), atol=1e-5)
        assert torch.allclose(wide(repeated), model(x), atol=1e-4)


def test_the_checkpoint_knows_its_channels(tmp_path):
    wide = with_channels(tiny(), 2)
    save_checkpoint(tmp_path / "wide.safetensors", wide)
    read = load_checkpoint(tmp_path / "wide.safetensors")
    assert read.info.in_channels == 2
    with pytest.raises(ValueError, match=r"must be \(B, 2"):
        read.features(torch.rand(1, 1, 16, 16, 16))


def test_the_narrow_network_is_left_alone_and_several_cannot_become_others():
    model = tiny()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wide = with_channels(model, 2)
    wide.unet.encoder[0][0].conv.weight.data.zero_()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert with_channels(wide, 2) is wide
    for channels in (1, 3):
        with pytest.raises(ValueError, match="only one can be repeated"):
            with_channels(wide, channels)
