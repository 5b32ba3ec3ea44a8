from dataclasses import replace

import numpy as np
import pytest
from runs_made import TINY
from scans_made import LESION_BOX, made_scan, seeing

from panlesion.bench import attributes, held_out, unadapted, untouched
from panlesion.bench.protocol import Asked, Choices
from panlesion.bench.unadapted import run_phantoms, run_real
from panlesion.ct.nifti import write_volume
from panlesion.ct.volume import Volume, standard_grid
from panlesion.errors import CheckpointError
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import lesion_class, pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo


@pytest.fixture
def asked(tmp_path):
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=5.0, patch_voxels=16))
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    path = tmp_path / "tiny.safetensors"
    return Asked(root=tmp_path, checkpoint=str(path), out=tmp_path / "out", choices=Choices(cases=1))


def test_phantoms_are_counted_as_asked_and_shown(asked, monkeypatch):
    found = (LESION_BOX, lesion_class(LesionType.LIVER_TUMOR), 0.9)
    monkeypatch.setattr(held_out, "make_scan", made_scan)
    monkeypatch.setattr(held_out, "find_lesions", lambda _model, ct, **_overlap: seeing(ct, found))
    tables = run_phantoms(asked, lambda *_: None)
    whole = tables[0]
    assert len(whole.rows) == 16  # 15 types, and all of them
    assert dict(zip(whole.header, whole.rows[-1], strict=True))["n"] == "15"
    by_type = {row[0]: dict(zip(whole.header, row, strict=True)) for row in whole.rows}
    assert by_type["liver tumour"]["Dice, right type"].startswith("0.91")
    assert by_type["liver cyst"]["Dice, right type"].startswith("0.00")
    free, curve, worth = tables[-3:]
    assert worth.title.startswith("What a finding's probability") and (asked.out / "reliability.png").is_file()
    assert (free.title, free.rows[0][1]) == ("Lesion-free scans", "5")
    assert [row[0] for row in curve.rows] == ["0.125", "0.25", "0.5", "1", "2", "4", "8"]
    assert "15 lesions" in curve.notes[0]
    assert (asked.out / "lesions.png").exists()
    scores = {(one.arm, one.metric): one for one in whole.scores}
    every = scores["argmax", "sensitivity (all types)"]
    assert (every.value, every.n, every.unit) == (1.0, 15, "scans")
    assert scores["argmax", "dice (liver_tumor)"].n == 1
    assert (scores["argmax", "scans with none"].value, scores["argmax", "scans with none"].n) == (0.0, 5)


def test_real_scans_have_a_line_each_and_their_findings(asked, monkeypatch):
    hu = np.full((24, 20, 16), -1000, dtype=np.int16)
    hu[4:-4, 4:-4] = np.random.default_rng(0).normal(50, 10, (16, 12, 16))
    scan = replace(untouched.SCANS["acrin_001"], ct="one/ct.nii.gz")
    monkeypatch.setattr(untouched, "SCANS", {"acrin_001": scan})
    monkeypatch.setattr(
        untouched.run_untouched, "__kwdefaults__", untouched.run_untouched.__kwdefaults__ | {"scans": ("acrin_001",)}
    )
    (asked.root / "one").mkdir()
    write_volume(asked.root / "one" / "ct.nii.gz", Volume(hu=hu, grid=standard_grid(hu.shape, 5.0)))
    monkeypatch.setattr(untouched, "find_lesions", lambda _model, ct, **_overlap: seeing(ct, (LESION_BOX, 1, 0.9)))
    whole, findings = run_real(asked, lambda *_: None)
    assert whole.rows[0][:2] == ("acrin_001", "none known")
    assert findings.rows[0][1] == "lung_tumor"
    assert "no interval" in whole.notes[0]
    assert [(one.metric, one.value, one.low, one.high, one.n) for one in whole.scores] == [
        ("false positives (acrin_001)", 1.0, 1.0, 1.0, 1)
    ]


def test_attributes_want_a_head_and_take_the_number_of_bodies(asked, monkeypatch):
    with pytest.raises(CheckpointError, match="no head"):
        unadapted.run_synthetic_attributes(asked, lambda *_: None)
    plans = []

    def keep(_model, plan, _out, **_more):
        plans.append(plan)
        arm = attributes.Arm
        facts = {"attribute": "density", "body": "b", "lesion": "l", "type": "liver_tumor"}
        return [attributes.ReadRow(arm=one, truth=1, said=said, **facts) for one, said in ((arm.OWN, 1), (arm.MAJORITY, 0))]

    monkeypatch.setattr(unadapted, "run_attributes", keep)
    (table,) = unadapted.run_synthetic_attributes(asked, lambda *_: None)
    assert (plans[0].test_bodies, plans[0].train_bodies) == (1, 2)
    assert [row[3][:5] for row in table.rows] == ["1.000", "0.000"]
    assert [(one.metric, one.value) for one in table.scores] == [
        ("accuracy (density)", 1.0), ("balanced accuracy (density)", 1.0), ("accuracy (density)", 0.0),
        ("balanced accuracy (density)", 0.0),
    ]  # fmt: skip
