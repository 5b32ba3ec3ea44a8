import pytest

from panlesion.nets.preset import PRESETS, Preset, preset_of


def test_stride_and_feature_size_follow_from_the_channels():
    assert {name: (preset.stride, preset.feature_size) for name, preset in PRESETS.items()} == {
        "pasta": (32, 1024),
        "small": (32, 512),
        "nano": (16, 128),
    }


def test_what_is_not_there_is_named_with_what_is():
    with pytest.raises(ValueError, match="'tiny'; use one of pasta, small, nano"):
        preset_of("tiny")
    with pytest.raises(ValueError, match="levels 0 … 1"):
        Preset(name="x", channels=(4, 8))
    with pytest.raises(ValueError, match="voxel_norms is 3; the network has 2 levels"):
        Preset(name="x", channels=(4, 8), features_from=1, voxel_norms=3)
