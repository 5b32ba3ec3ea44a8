import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from panlesion.errors import CheckpointError
from panlesion.nets import sealed
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import ATTRIBUTE_HEAD, attribute_head
from panlesion.nets.look import Look, Pooling, form, shell
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset

PRESET = Preset(name="tiny", channels=(4, 8, 12), decoder_convs=1, features_from=2)
LOOK = Look(spacing_mm=1.5, crop_voxels=16, pooling=tuple(Pooling), levels=(0, 2))


def model_with(look):
    torch.manual_seed(0)
    info = ModelInfo(preset=PRESET, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)
    return Model(info, {ATTRIBUTE_HEAD: attribute_head(PRESET, look)})


def ball(radius, side=32, at=None, stretch=1.0):
    i, j, k = np.indices((side,) * 3) - np.reshape(at or (side // 2,) * 3, (3, 1, 1, 1))
    inside = (i / stretch) ** 2 + j**2 + k**2 < radius**2
    return torch.from_numpy(inside[None, None].astype(np.float32))


def test_the_vector_is_as_long_as_it_says():
    x = torch.rand(2, 2, 16, 16, 16)
    assert LOOK.vector(model_with(LOOK).unet, x).shape == (2, LOOK.size(PRESET))
    assert LOOK.size(PRESET) == 12 + 3 * (4 + 12) + 6 + 3 * 4


def test_the_published_look_is_the_feature_vector():
    model, x = model_with(None), torch.rand(2, 2, 16, 16, 16)
    look = Look(spacing_mm=1.0, crop_voxels=16)
    assert torch.allclose(look.vector(model.unet, x), model.features(x[:, :1]), atol=1e-6)


def test_a_lesion_is_read_where_its_mask_lies():
    model = model_with(None)
    x = torch.rand(1, 2, 16, 16, 16)
    x[:, 1] = 0
    x[:, 1, 4:8, 8:12, 0:4] = 1
    maps = model.unet.encode(x[:, :1], 3)
    for pooling, expected in ((Pooling.LESION, maps[0][0, :, 4:8, 8:12, 0:4].mean(dim=(1, 2, 3))),
                              (Pooling.SPREAD, maps[0][0, :, 4:8, 8:12, 0:4].std(dim=(1, 2, 3), correction=0))):  # fmt: skip
        look = Look(spacing_mm=1.0, crop_voxels=16, pooling=(pooling,), levels=(0,))
        assert torch.allclose(look.vector(model.unet, x)[0], expected, atol=1e-4)


def test_what_is_decoded_tells_the_logits():
    model = model_with(None)
    x = torch.rand(1, 2, 16, 16, 16)
    x[:, 1] = 0
    x[:, 1, 4:8, 8:12, 0:4] = 1
    look = Look(spacing_mm=1.0, crop_voxels=16, pooling=(Pooling.DECODED,))
    mean = look.vector(model.unet, x)[0, :4]
    logits = model.unet.heads[-1].weight[:, :, 0, 0, 0] @ mean
    assert torch.allclose(logits, model.unet(x[:, :1])[0, :, 4:8, 8:12, 0:4].mean(dim=(1, 2, 3)), atol=1e-4)


def test_an_empty_mask_gives_numbers():
    x = torch.rand(1, 2, 16, 16, 16)
    x[:, 1] = 0
    assert bool(torch.isfinite(LOOK.vector(model_with(LOOK).unet, x)).all())


def test_surroundings_reach_as_far_in_mm_at_any_spacing_and_leave_the_lesion_out():
    mask = torch.zeros(1, 1, 32, 32, 32)
    mask[..., 15:17, 15:17, 15:17] = 1
    assert float(shell(mask, 1.5).sum()) == 10**3 - 2**3
    assert float(shell(mask, 3.0).sum()) == 6**3 - 2**3
    assert float((shell(mask, 3.0) * mask).sum()) == 0


def test_form_tells_size_and_stretch_but_not_place():
    small, large, moved = form(ball(6), 1.0)[0], form(ball(9), 1.0)[0], form(ball(6, at=(10, 18, 20)), 1.0)[0]
    long = form(ball(5, side=48, stretch=3.0), 1.0)[0]
    assert float(small[0]) == pytest.approx(np.log(4 / 3 * np.pi * 6**3), abs=0.05)
    assert float(large[0] - small[0]) == pytest.approx(3 * np.log(1.5), abs=0.1)
    assert torch.allclose(small, moved, atol=1e-3)
    assert float(small[3] - small[1]) == pytest.approx(0, abs=1e-3)
    assert float(long[3] - long[1]) == pytest.approx(np.log(3), abs=0.1)
    assert float(small[4]) == pytest.approx(1, abs=0.05)
    assert float(long[5]) < float(small[5])


def test_form_is_in_mm():
    assert float((form(ball(6), 2.0) - form(ball(6), 1.0))[0, 0]) == pytest.approx(3 * np.log(2), abs=1e-3)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"levels": (3,)}, "0 … 2"), ({"crop_voxels": 18}, "divisible by 4"), ({"levels": (-1,)}, "levels")],
)
def test_a_look_the_network_cannot_take_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        attribute_head(PRESET, Look(**({"spacing_mm": 1.5, "crop_voxels": 16} | change)))


@pytest.mark.parametrize("change", [{"spacing_mm": 0.0}, {"crop_voxels": 0}, {"pooling": ()}, {"pooling": (Pooling.CROP,) * 2}])
def test_an_impossible_look_is_refused(change):
    with pytest.raises(ValueError, match="must"):
        Look(**({"spacing_mm": 1.5, "crop_voxels": 16} | change))


def test_a_checkpoint_gives_the_look_and_the_scale_back(tmp_path):
    model, x = model_with(LOOK), torch.rand(3, 2, 16, 16, 16)
    head = model.heads[ATTRIBUTE_HEAD]
    head.adjust(torch.rand(9, LOOK.size(PRESET)) * 5)
    save_checkpoint(tmp_path / "m.safetensors", model)
    again = load_checkpoint(tmp_path / "m.safetensors")
    assert again.heads[ATTRIBUTE_HEAD].look == LOOK
    vector = LOOK.vector(model.unet, x)
    assert torch.equal(again.heads[ATTRIBUTE_HEAD](vector), head(vector))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"levels": [7]}, "look of head 'attributes'"),
        ({"spacing_mm": "wide"}, "look of head 'attributes'"),
        ({"levels": [0]}, "its look gives"),
    ],
)
def test_a_header_whose_look_does_not_fit_is_refused(tmp_path, change, says):
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, model_with(LOOK))
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["panlesion"])
    header["heads"][ATTRIBUTE_HEAD]["look"] |= change
    del header["sha256"]
    tensors = load_file(path)
    header["sha256"] = sealed.digest(sealed.canonical(header), tensors)
    save_file(tensors, path, metadata={"panlesion": json.dumps(header)})
    with pytest.raises(CheckpointError, match=says):
        load_checkpoint(path)
