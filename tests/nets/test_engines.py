import json

import pytest
import torch

from panlesion.errors import MissingExtraError
from panlesion.nets import engines, openvino_engine
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.engines import LEAST_AGREEMENT, EngineName, TorchEngine, choose_engine, cpu_has_bf16
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset
from panlesion.nets.sliding import predict_logits

TINY = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)
# Not `importorskip`, which would import it with its telemetry.
needs_openvino = pytest.mark.skipif(
    not openvino_engine.has_openvino(), reason="openvino is not installed: pip install 'panlesion[fast]'"
)
BF16_FIRST = ["openvino-bf16", "torch-bf16", "openvino", "torch"]


def model_of(seed=0):
    torch.manual_seed(seed)
    offsets = tuple(float(n % 3) for n in range(33))
    info = ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16, offsets=offsets)
    return Model(info).eval()


def windows(n=2):
    return torch.rand(n, 1, 16, 16, 16, generator=torch.Generator().manual_seed(2))


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Every test begins without checks of others."""
    monkeypatch.setattr(engines, "_AGREED", {})


@pytest.fixture
def a_machine(monkeypatch):
    """A machine with bfloat16 and OpenVINO or without, whose engines are torch's and off by as much as the test says."""

    def made(*, bf16=True, openvino=True, off=None):
        monkeypatch.setattr(engines, "cpu_has_bf16", lambda: bf16)
        monkeypatch.setattr(engines, "has_openvino", lambda: openvino)

        class Engine(TorchEngine):
            def __init__(self, model, name):
                super().__init__(model, bf16=False)
                self.sd = (off or {}).get(name, 0.0)

            def __call__(self, x):
                logits = super().__call__(x)
                return logits + self.sd * torch.randn(logits.shape)

        monkeypatch.setattr(engines, "_made", lambda model, name, *_: Engine(model, name.value))

    return made


def test_torch_in_float32_is_the_model():
    model = model_of()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = TorchEngine(model, bf16=False)(windows())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, model(windows()).detach(), atol=1e-6, rtol=0)
    assert not found.requires_grad


def test_torch_in_bfloat16_is_the_model_under_autocast():
    model = model_of()
    found = TorchEngine(model, bf16=True)(windows())
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = model(windows()).float()
    assert torch.equal(found, expected)
    assert (found - model(windows()).detach()).abs().max() > 0


@pytest.mark.parametrize(
    ("machine", "expected", "passed_over"),
    [
        ({}, "openvino-bf16", []),
        ({"bf16": False}, "openvino", ["openvino-bf16", "torch-bf16"]),
        ({"openvino": False}, "torch-bf16", ["openvino-bf16", "openvino"]),
        ({"bf16": False, "openvino": False}, "torch", ["openvino-bf16", "torch-bf16", "openvino"]),
    ],
)
def test_the_fastest_engine_of_the_machine_is_chosen(a_machine, machine, expected, passed_over):
    a_machine(**machine)
    chosen = choose_engine(model_of())
    assert chosen.name == expected
    assert list(chosen.passed_over) == passed_over
    assert chosen.agreement == {"anatomy": 1.0, "lesions": 1.0}


def test_an_engine_that_disagrees_is_passed_over_without_a_warning_and_that_is_recorded(a_machine):
    a_machine(off={"openvino-bf16": 3.0, "torch-bf16": 3.0})
    chosen = choose_engine(model_of())
    assert chosen.name == "openvino"
    assert list(chosen.passed_over) == BF16_FIRST[:2]
    assert "99% are asked for" in chosen.passed_over["openvino-bf16"]
    record = chosen.record()
    assert json.loads(json.dumps(record)) == record
    assert record["engine"] == "openvino"
    a_machine(off=dict.fromkeys(BF16_FIRST[:3], 3.0))
    torch_alone = choose_engine(model_of(seed=1))
    assert torch_alone.name == "torch"
    assert list(torch_alone.passed_over) == BF16_FIRST[:3]


def test_a_named_engine_is_checked_but_obeyed(a_machine):
    a_machine(off={"openvino-bf16": 3.0})
    chosen = choose_engine(model_of(), "openvino-bf16")
    assert chosen.name == EngineName.OPENVINO_BF16
    assert min(chosen.agreement.values()) < LEAST_AGREEMENT
    assert not chosen.passed_over


def test_a_check_is_made_once_in_a_process(a_machine, monkeypatch):
    a_machine()
    made = []
    answers = engines.answers
    monkeypatch.setattr(engines, "answers", lambda *given: made.append(1) or answers(*given))
    choose_engine(model_of())
    choose_engine(model_of())
    assert len(made) == 2  # the engine's and torch's
    choose_engine(model_of(seed=1))
    assert len(made) == 4


def test_an_engine_that_is_not_there_names_the_extra(monkeypatch):
    monkeypatch.setattr(openvino_engine, "has_openvino", lambda: False)
    with pytest.raises(MissingExtraError, match=r"panlesion\[fast\]"):
        choose_engine(model_of(), "openvino")


def test_engines_that_cannot_be_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"'tensorrt'; use one of auto, torch"):
        choose_engine(model_of(), "tensorrt")
    monkeypatch.setattr(engines, "cpu_has_bf16", lambda: False)
    with pytest.raises(ValueError, match="computes no bfloat16"):
        choose_engine(model_of(), "openvino-bf16")
    with pytest.raises(ValueError, match="the model on meta"):
        choose_engine(model_of().to("meta"), "openvino")


def test_the_shipped_model_agrees_in_every_engine_of_this_machine():
    model = load_model("nano")
    names = ["torch"] + ["torch-bf16"] * cpu_has_bf16()
    if openvino_engine.has_openvino():
        names += ["openvino"] + ["openvino-bf16"] * cpu_has_bf16()
    agreed = {name: min(choose_engine(model, name, threads=1).agreement.values()) for name in names}
    assert {name: share for name, share in agreed.items() if share < 0.996} == {}
    assert choose_engine(model, threads=1).name == next(one for one in BF16_FIRST if one in names)


@needs_openvino
def test_a_check_is_stored_beside_the_converted_network(tmp_path, monkeypatch):
    model = model_of(seed=5)
    first = choose_engine(model, "openvino", threads=1, cache=tmp_path)
    (file,) = tmp_path.glob("*/agreement.json")
    stored = json.loads(file.read_text())
    assert list(stored.values()) == [dict(first.agreement)]
    assert next(iter(stored)).startswith("openvino, panlesion ")
    monkeypatch.setattr(engines, "_AGREED", {})
    monkeypatch.setattr(engines, "answers", lambda *_: pytest.fail("checked again"))
    assert choose_engine(model, "openvino", threads=1, cache=tmp_path).agreement == first.agreement


@needs_openvino
def test_a_stored_check_that_is_damaged_is_made_again(tmp_path, monkeypatch):
    model = model_of(seed=6)
    first = choose_engine(model, "openvino", threads=1, cache=tmp_path)
    (file,) = tmp_path.glob("*/agreement.json")
    file.write_text(file.read_text()[:30])
    monkeypatch.setattr(engines, "_AGREED", {})
    assert choose_engine(model, "openvino", threads=1, cache=tmp_path).agreement == first.agreement
    assert list(json.loads(file.read_text()).values()) == [dict(first.agreement)]


def test_a_chosen_engine_predicts_a_volume():
    model, image = model_of(), torch.rand(20, 17, 16, generator=torch.Generator().manual_seed(3)).numpy()
    found = predict_logits(model, image, engine=choose_engine(model, "torch"))
    assert abs(found - predict_logits(model, image)).max() < 1e-5
