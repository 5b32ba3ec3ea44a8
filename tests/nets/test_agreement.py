import numpy as np
import pytest
import torch

from panlesion.nets.agreement import agreement, answers, check_windows
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.engines import TorchEngine
from panlesion.nets.model import Intensity, Model, ModelInfo
from panlesion.nets.preset import Preset

TINY = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)


def model_of(**given):
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16, **given)).eval()


class Shaken:
    """Another engine's logits, every voxel's moved by noise."""

    def __init__(self, engine, sd):
        self.engine, self.sd, self.device = engine, sd, engine.device

    def __call__(self, windows):
        logits = self.engine(windows)
        return logits + self.sd * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))


def test_windows_are_the_same_every_time_and_hold_air_fat_and_bone():
    model = model_of()
    windows = check_windows(model)
    assert windows.shape == (3, 1, 16, 16, 16)
    assert windows.dtype == torch.float32
    assert torch.equal(windows, check_windows(model))
    assert windows[:2].min() == 0
    assert windows[:2].max() > 0.9
    assert len(torch.unique(windows)) > 500


def test_windows_have_the_models_channels_and_intensity():
    model = model_of(in_channels=2, intensity=Intensity(hu=(0.0, 100.0), network=(-1.0, 1.0)))
    windows = check_windows(model)
    assert windows.shape == (3, 2, 16, 16, 16)
    assert windows.min() == -1


def test_an_engine_agrees_with_itself_and_less_the_more_it_is_off():
    model = model_of()
    windows, engine = check_windows(model), TorchEngine(model_of(), bf16=False)
    reference = answers(model, engine, windows)
    assert {name: classes.shape for name, classes in reference.items()} == dict.fromkeys(
        ("anatomy", "lesions"), (3, 16, 16, 16)
    )
    assert agreement(reference, reference) == {"anatomy": 1.0, "lesions": 1.0}
    scale = float(np.std(engine(windows).numpy()))
    shares = [agreement(answers(model, Shaken(engine, sd * scale), windows), reference) for sd in (0.01, 0.3)]
    for name in reference:
        assert 1 > shares[0][name] > shares[1][name]
        assert shares[1][name] == pytest.approx(
            (answers(model, Shaken(engine, 0.3 * scale), windows)[name] == reference[name]).mean()
        )
