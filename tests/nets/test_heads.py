import torch

from panlesion.nets.heads import ATTRIBUTES, attribute_head, detection_head, hazard_head, split_attributes, staging_head
from panlesion.nets.look import Look, Pooling
from panlesion.nets.preset import PRESETS

PRESET = PRESETS["nano"]


def test_every_head_reads_the_feature_vector():
    x = torch.rand(3, PRESET.feature_size)
    widths = [head(x).shape[1] for head in (detection_head(PRESET), hazard_head(PRESET), staging_head(PRESET, 4))]
    assert widths == [1, 1, 4]


def test_a_head_with_a_look_takes_the_scale_out_of_its_inputs():
    look = Look(spacing_mm=1.5, crop_voxels=48, pooling=(Pooling.LESION,), levels=(0, 2))
    torch.manual_seed(0)
    head, vectors = attribute_head(PRESET, look), torch.rand(50, look.size(PRESET))
    head.adjust(vectors)
    before = head(vectors)
    head.adjust(1000 * vectors + 7)
    assert torch.allclose(head(1000 * vectors + 7), before, atol=1e-4)
    assert set(head.state_dict()) - set(attribute_head(PRESET).state_dict()) == {"middle", "scale"}


def test_attributes_are_split_in_their_order():
    logits = attribute_head(PRESET)(torch.rand(3, PRESET.feature_size))
    parts = split_attributes(logits)
    assert list(parts) == list(ATTRIBUTES)
    assert {name: part.shape[1] for name, part in parts.items()} == dict(ATTRIBUTES)
    assert torch.equal(torch.cat(list(parts.values()), dim=1), logits)


def test_a_rescaled_head_gives_the_same_logits_scaled():
    look = Look(spacing_mm=1.5, crop_voxels=48, pooling=(Pooling.LESION,), levels=(0, 2))
    torch.manual_seed(0)
    head, vectors = detection_head(PRESET, look), torch.rand(5, look.size(PRESET))
    before = head(vectors)
    head.rescale(0.5, -2.0)
    assert torch.allclose(head(vectors), 0.5 * before - 2, atol=1e-5)
