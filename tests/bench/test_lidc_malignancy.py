import numpy as np
import pytest
import torch
from runs_made import TINY

from panlesion.bench import lidc_malignancy
from panlesion.bench.lidc_malignancy import MEASURED, NoduleReading, endpoints, run_lidc_malignancy
from panlesion.bench.protocol import Asked, Choices
from panlesion.data.sources.lidc_nodules import Score
from panlesion.errors import StoreError
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import ATTRIBUTE_HEAD, attribute_head
from panlesion.nets.model import Model, ModelInfo


def reading(n, score, patient=None):
    rng = np.random.default_rng(n)
    scores = {} if score is None else {str(Score.MALIGNANCY): score, str(Score.SPICULATION): score}
    numbers = {name: float(rng.normal()) for name in MEASURED if name != "edge width"}
    vectors = {"crop": rng.normal(size=3).tolist(), "look": [*rng.normal(size=3).tolist(), score or 0.0]}
    return NoduleReading(case=f"n{n}", patient=patient or f"p{n}", scores=scores, numbers=numbers, vectors=vectors)


@pytest.mark.parametrize(
    ("score", "seen"),
    [(5.0, 2), (4.0, 2), (3.5, 1), (3.0, 1), (2.5, 1), (2.0, 0), (1.0, 0), (None, None)],
)
def test_ends_of_the_scale_are_grades_and_what_lies_between_is_one(score, seen):
    assert reading(0, score).grade == seen


def test_the_endpoint_counts_who_is_left_out_and_has_a_column_for_everything():
    readings = [reading(n, [1.0, 4.5, 3.0, None][n % 4], patient=f"p{n // 2}") for n in range(40)]
    ask, graded = endpoints(readings)
    assert "10 suspicious (4 and more) against 10 harmless (2 and less) nodules of 10 patients" in ask.counts
    assert "left out: 10 between, 10 unscored" in ask.counts
    assert ask.outcome[:4, 0].tolist() == [0, 1, 0, 1]
    assert graded.outcome[:4, 0].tolist() == [0, 2, 1, 0]
    assert "10 harmless, 10 between, 10 suspicious nodules of 20 patients" in graded.counts
    assert np.isnan(ask.columns["edge width"]).all()
    assert np.isnan(ask.columns["reader's margin"]).all()
    assert set(MEASURED) < set(ask.columns)
    assert "reader's malignancy" not in ask.columns
    assert "look 3" in ask.columns


def test_too_few_of_a_kind_are_refused():
    with pytest.raises(StoreError, match="4 suspicious and 10 harmless"):
        endpoints([reading(n, 1.0) for n in range(10)] + [reading(n, 5.0) for n in range(10, 14)])


def test_a_run_finds_what_a_vector_knows(tmp_path, monkeypatch):
    readings = [reading(n, [1.0, 5.0][n % 2]) for n in range(40)]
    monkeypatch.setattr(lidc_malignancy, "read_nodules", lambda *_: readings)
    torch.manual_seed(0)
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16))
    model.heads[ATTRIBUTE_HEAD] = attribute_head(TINY)
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    asked = Asked(
        root=tmp_path, checkpoint=str(tmp_path / "tiny.safetensors"), out=tmp_path,
        choices=Choices(seeds=1, arms=("network, at the lesion", "network, crop around it")),
    )  # fmt: skip
    table, _ = run_lidc_malignancy("lidc_nodules", asked, lambda *_: None)
    by_arm = {score.arm: score.value for score in table.scores}
    assert by_arm["network, at the lesion"] > 0.9
    assert by_arm["network, crop around it"] < 0.75
    assert (tmp_path / "roc.png").exists()


def test_nodules_are_read_once(tmp_path, monkeypatch):
    from test_nodule_attributes import nodule, tiny

    calls = []
    monkeypatch.setattr(lidc_malignancy, "CROP_VOXELS", 16)
    monkeypatch.setattr(lidc_malignancy, "read_lidc", lambda _root, **_spacing: iter([nodule("a"), nodule("b", hu=-300)]))
    real = lidc_malignancy._read
    monkeypatch.setattr(lidc_malignancy, "_read", lambda one, model: calls.append(one.id) or real(one, model))
    asked = Asked(root=tmp_path, checkpoint="", out=tmp_path, choices=Choices())
    first, again = (lidc_malignancy.read_nodules(asked, "lidc_nodules", tiny(head=True), lambda *_: None) for _ in range(2))
    assert calls == ["a", "b"]
    assert again == first
    assert set(first[0].numbers) <= set(MEASURED)
    assert first[0].numbers["density"] > first[1].numbers["density"] + 200
