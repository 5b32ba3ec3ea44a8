import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from panlesion.nets import openvino_engine
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.engines import TorchEngine, cpu_has_bf16
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.openvino_engine import OpenVinoEngine, entry_of, has_openvino, weights_digest
from panlesion.nets.preset import Preset

# Not `importorskip`, which would import it with its telemetry.
pytestmark = pytest.mark.skipif(not has_openvino(), reason="openvino is not installed: pip install 'panlesion[fast]'")

# One level is normalised voxel by voxel, as in nano.
TINY = Preset(name="tiny", channels=(4, 8, 8), decoder_convs=1, features_from=1, voxel_norms=1)
OFFSETS = tuple(np.linspace(-2, 2, len(pan_tumour_classes())).tolist())


def model_of(seed=0, **given):
    torch.manual_seed(seed)
    info = {"preset": TINY, "classes": pan_tumour_classes(), "spacing_mm": 2.5, "patch_voxels": 16, "offsets": OFFSETS}
    return Model(ModelInfo(**(info | given))).eval()


def windows(n=2, channels=1):
    return torch.rand(n, channels, 16, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("given", [{}, {"offsets": ()}, {"in_channels": 2}])
def test_in_float32_logits_are_torchs_with_offsets(given):
    model = model_of(**given)
    x = windows(channels=model.info.in_channels)
    found = OpenVinoEngine(model, bf16=False, threads=1)(x)
    assert (found.dtype, found.shape) == (torch.float32, (2, 33, 16, 16, 16))
    torch.testing.assert_close(found, TorchEngine(model, bf16=False)(x), atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not cpu_has_bf16(), reason="this CPU computes no bfloat16")
def test_in_bfloat16_logits_are_close_but_not_the_same():
    model, x = model_of(), windows()
    reference = TorchEngine(model, bf16=False)(x)
    away = (OpenVinoEngine(model, bf16=True, threads=1)(x) - reference).abs().mean() / reference.std()
    assert 1e-4 < away < 0.03


def test_windows_one_by_one_give_what_they_give_together():
    engine, x = OpenVinoEngine(model_of(), bf16=False, threads=1), windows(3)
    assert torch.equal(engine(x), torch.cat([engine(x[n : n + 1]).clone() for n in range(3)]))


def test_a_network_is_converted_once_in_a_process_and_once_in_a_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_engine, "_COMPILED", {})
    converted = []
    convert = openvino_engine._convert
    monkeypatch.setattr(openvino_engine, "_convert", lambda model: converted.append(1) or convert(model))
    model, x = model_of(seed=3), windows()
    first = OpenVinoEngine(model, bf16=False, threads=1, cache=tmp_path / "new")(x)
    OpenVinoEngine(model_of(seed=3), bf16=False, threads=1)
    assert len(converted) == 1
    monkeypatch.setattr(openvino_engine, "_COMPILED", {})
    again = OpenVinoEngine(model, bf16=False, threads=1, cache=tmp_path / "new")(x)
    assert len(converted) == 1
    assert torch.equal(first, again)
    assert [one.name for one in (tmp_path / "new").iterdir()] == [entry_of(model, weights_digest(model), tmp_path).name]
    OpenVinoEngine(model_of(seed=4), bf16=False, threads=1, cache=tmp_path / "new")
    assert len(converted) == 2


def test_a_digest_is_that_of_weights_and_offsets():
    digests = {weights_digest(one) for one in (model_of(), model_of(seed=1), model_of(offsets=()))}
    assert len(digests) == 3
    assert weights_digest(model_of()) in digests


NOTHING_SENT = """
import sys
from panlesion.nets.openvino_engine import openvino
openvino()
from openvino.tools.ovc import telemetry_utils
assert telemetry_utils.tm.__name__.endswith("telemetry_stub"), telemetry_utils.tm
assert "openvino_telemetry" not in sys.modules
"""


def test_nothing_is_reported_and_nothing_written_into_the_home_directory(tmp_path):
    home = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", NOTHING_SENT], env=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", ["cut", "unwritable"])
def test_a_cache_that_is_damaged_or_cannot_be_written_costs_time_alone(tmp_path, monkeypatch, spoil):
    model, x = model_of(seed=9), windows(1)
    cache = tmp_path / "cache"
    monkeypatch.setattr(openvino_engine, "_COMPILED", {})
    expected = OpenVinoEngine(model, bf16=False, threads=1, cache=cache)(x).clone()
    monkeypatch.setattr(openvino_engine, "_COMPILED", {})
    if spoil == "cut":
        (network,) = cache.glob("*/network.xml")
        network.write_text(network.read_text()[:200])
    else:
        shutil.rmtree(cache)
        cache.write_text("a file, no folder")
    assert torch.equal(OpenVinoEngine(model, bf16=False, threads=1, cache=cache)(x), expected)
    if spoil == "cut":
        (network,) = cache.glob("*/network.xml")
        assert network.stat().st_size > 200
