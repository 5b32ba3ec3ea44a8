import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from uses_made import TINY, model_for, use_for

from panlesion.ct.modality import Modality
from panlesion.ct.region import Framing, Region
from panlesion.errors import CheckpointError
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.case_use import cumulative, default_look, head_of
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.heads import Head
from panlesion.nets.look import Pooling
from panlesion.nets.sealed import seal


@given(st.lists(st.lists(st.floats(-60, 60), min_size=4, max_size=4), min_size=1, max_size=5))
def test_cumulative_logits_never_rise(outputs):
    found = cumulative(torch.tensor(outputs))
    assert bool((found[:, 1:] <= found[:, :-1]).all())
    assert torch.equal(found[:, 0], torch.tensor(outputs)[:, 0])


@pytest.mark.parametrize("task", list(CaseTask))
def test_a_checkpoint_keeps_what_it_is_asked_and_its_head(tmp_path, task):
    model = model_for(task, channels=(Modality.CT, Modality.MR))
    save_checkpoint(tmp_path / "m.safetensors", model)
    read = load_checkpoint(tmp_path / "m.safetensors")
    assert read.info.case == model.info.case
    assert head_of(read.heads, read.info.case)[-1].out_features == model.info.case.outputs
    save_checkpoint(tmp_path / "again.safetensors", read)
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "m.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("task", "changes", "says"),
    [
        ("stage", {"stages": ("I",)}, "two or more"),
        ("stage", {"stages": ("I", "I")}, "each once"),
        ("survive", {"edges": ()}, "begin at 0 and rise"),
        ("survive", {"edges": (0.0, 2.0, 2.0)}, "begin at 0 and rise"),
        ("survive", {"edges": (1.0, 2.0)}, "begin at 0 and rise"),
        ("survive", {"edges": (0.0, float("nan"))}, "begin at 0 and rise"),
        ("detect", {"channels": ()}, "one or more"),
        ("detect", {"present_weight": 0.0}, "above 0"),
        ("detect", {"framing": Framing(region=Region.IMAGE, side=0, spacing_mm=1.0)}, "above 0"),
    ],
)
def test_a_use_that_cannot_be_is_refused(task, changes, says):
    with pytest.raises(ValueError, match=says):
        use_for(task, **changes)


def test_cox_needs_no_intervals():
    assert use_for("survive", likelihood=Likelihood.COX, edges=()).outputs == 1
    assert use_for("survive").outputs == 3


def forged(path, change):
    """A checkpoint whose header was changed and sealed anew, as a careless tool would."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["panlesion"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header.pop("sha256")
    change(header)
    seal(path, header, tensors)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda h: h["model"]["case"].update(task="cook"), "model.case.task"),
        (lambda h: h["model"]["case"].update(stages=["I"]), "model.case"),
        (lambda h: h["model"]["case"].update(stages=["I", "II", "III", "IV"]), "has no head 'stage' with 3 outputs"),
        (lambda h: h["model"]["case"].update(channels=["ct", "ct"]), "1 channels for 2 images"),
        (lambda h: h["model"]["case"]["framing"].update(side="large"), "model.case.framing.side"),
        (lambda h: h["heads"]["stage"].pop("look"), "a look"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(tmp_path, change, says):
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, model_for("stage"))
    forged(path, change)
    with pytest.raises(CheckpointError, match=says):
        load_checkpoint(path)


def test_files_from_before_there_were_uses_are_read(tmp_path):
    path = tmp_path / "m.safetensors"
    model = model_for("stage")
    model.info = type(model.info)(**{**vars(model.info), "case": None})
    save_checkpoint(path, model)
    forged(path, lambda h: h["model"].pop("case"))
    assert load_checkpoint(path).info.case is None


def test_around_a_lesion_the_head_reads_the_lesion_and_elsewhere_the_published_mean():
    assert default_look(use_for("detect", Region.ORGAN).framing, TINY).pooling == (Pooling.CROP,)
    look = default_look(use_for("stage").framing, TINY)
    assert {Pooling.LESION, Pooling.FORM} <= set(look.pooling)
    assert use_for("stage").new_head(TINY, look)[0].in_features == look.size(TINY)


def test_a_head_without_look_is_no_head_for_cases():
    with pytest.raises(CheckpointError, match="has no head 'stage'"):
        head_of(torch.nn.ModuleDict({"stage": Head(8, 2)}), use_for("stage"))
