from dataclasses import replace

import pytest
import torch
from bench_sources_made import Tracked, made_source
from runs_made import TINY
from scans_made import seeing

from panlesion.bench import lesion_free
from panlesion.bench.lesion_free import CLEAN, FALSE_PER_SCAN, FreeScan, Marked, free_table, predict_scans, run_lesion_free
from panlesion.bench.protocol import Asked, Choices
from panlesion.errors import ReadError, StoreError
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo

FREE = dict.fromkeys(range(6), (1,))
BOX = (slice(2, 4), slice(2, 4), slice(2, 4))


def silent(*_):
    return None


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=3.0, patch_voxels=16)).eval()


@pytest.fixture(autouse=True)
def predicted(monkeypatch):
    """One part of certainty 0.9 in every scan but each third, which stays clean."""
    calls = []

    def find(_model, ct):
        calls.append(ct)
        return seeing(ct, *([] if len(calls) % 3 == 0 else [(BOX, 1, 0.9)]))

    monkeypatch.setattr(lesion_free, "find_lesions", find)
    return calls


def test_false_positives_are_counted_scan_by_scan(model, tmp_path):
    scans = predict_scans(made_source(values=FREE), tmp_path, model, tmp_path / "out", watch=silent)
    table = free_table("made", "Made", scans, 0.95)
    values = {(one.arm, one.metric): (one.value, one.n) for one in table.scores}
    assert values["every marked part", FALSE_PER_SCAN] == (pytest.approx(4 / 6), 6)
    assert values["every marked part", CLEAN] == (pytest.approx(2 / 6), 6)
    assert values["certainty from 0.95", FALSE_PER_SCAN] == (0.0, 6)
    assert values["certainty from 0.95", CLEAN] == (1.0, 6)
    assert all(one.low <= one.value <= one.high for one in table.scores)
    assert table.scores[-1].low < 0.7  # Wilson: none in six scans is no proof


def test_what_was_predicted_is_kept_and_scans_come_one_at_a_time(model, tmp_path, predicted):
    tracked = Tracked()
    source = made_source(values=FREE, tracked=tracked)
    few = predict_scans(source, tmp_path, model, tmp_path / "out", most=2, watch=silent)
    predicted.clear()
    every = predict_scans(source, tmp_path, model, tmp_path / "out", watch=silent)
    assert every[:2] == few
    assert len(predicted) == 4
    assert tracked.most <= 2
    assert tracked.read == [f"case_{n:04d}" for n in range(6)]


def test_scans_of_another_kind_are_left_out_and_told(model, tmp_path):
    source = made_source(values={**FREE, 1: (1, 2)}, unlabelled={2}, mr={3})
    scans = predict_scans(source, tmp_path, model, tmp_path / "out", watch=silent)
    assert [scan.left_out for scan in scans] == ["", lesion_free.HAS_LESION, lesion_free.NOT_ANNOTATED, "no CT", "", ""]
    note = free_table("made", "Made", scans, 0.5).notes[0]
    assert note.startswith("3 scans of 3 patients.")
    for word in ("1 left out: no CT", "1 left out: a lesion is annotated in it", "1 left out: not annotated"):
        assert word in note
    with pytest.raises(StoreError, match=r"no scan can be used \(1 left out: no CT\)"):
        free_table("made", "Made", [scans[3]], 0.5)


def test_a_dataset_without_lesion_classes_needs_no_annotation(model, tmp_path):
    scans = predict_scans(
        made_source(2, unlabelled={0, 1}, values=FREE, lesions=()), tmp_path, model, tmp_path / "out", watch=silent
    )
    assert [scan.left_out for scan in scans] == ["", ""]


def test_scans_of_one_patient_are_resampled_together():
    part = Marked(type="liver_tumor", ml=1.0, certainty=0.9)
    scans = [FreeScan(id=str(n), patient=str(n // 2), marked=(part,) * (n // 2)) for n in range(4)]
    for score in free_table("made", "Made", scans, 0.5).scores:
        assert score.n == 2


def test_rows_of_another_model_or_an_empty_tree_are_refused(model, tmp_path):
    predict_scans(made_source(2, values=FREE), tmp_path, model, tmp_path / "out", watch=silent)
    torch.manual_seed(1)
    with pytest.raises(StoreError, match="another model"):
        predict_scans(made_source(2, values=FREE), tmp_path, Model(model.info), tmp_path / "out", watch=silent)
    with pytest.raises(StoreError, match="holds no scan of made"):
        predict_scans(made_source(0), tmp_path, model, tmp_path / "new", watch=silent)


def test_a_damaged_scan_is_named(model, tmp_path):
    def read(_found):
        raise ReadError("the file is cut")

    with pytest.raises(ReadError, match="case_0000: the file is cut"):
        predict_scans(replace(made_source(2), read=read), tmp_path, model, tmp_path / "out", watch=silent)


def test_the_row_runs_with_a_checkpoint(model, tmp_path):
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    asked = Asked(root=tmp_path, checkpoint=str(tmp_path / "tiny.safetensors"), out=tmp_path / "out", choices=Choices(cases=3))
    (table,) = run_lesion_free("made", "x", made_source(values=FREE), asked, silent)
    assert {one.n for one in table.scores} == {3}
    assert {one.row for one in table.scores} == {"made"}
