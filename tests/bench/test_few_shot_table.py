from dataclasses import replace

import pytest
from few_shot_made import TASK
from runs_made import TINY

from panlesion.bench.few_shot import Row
from panlesion.bench.few_shot_table import few_shot_tables, gain, run_task, summary
from panlesion.bench.protocol import Asked, Choices
from panlesion.bench.task import Arm
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo


def test_a_gain_is_paired():
    rows = [Row(arm=Arm.FINETUNED, shots=1, seed=0, patient=str(n), case=str(n), dice=0.1 * n + 0.2) for n in range(5)]
    rows += [replace(row, arm=Arm.SCRATCH, dice=row.dice - 0.05) for row in rows]
    found = gain(rows, Arm.FINETUNED, Arm.SCRATCH, 1)
    assert (found.mean, found.low, found.high) == pytest.approx((0.05, 0.05, 0.05))
    assert [(arm, shots) for arm, shots, _ in summary(rows)] == [(Arm.SCRATCH, 1), (Arm.FINETUNED, 1)]


def test_gains_are_shown_over_every_arm_met_at_that_number_of_shots():
    one = Row(arm=Arm.FINETUNED, shots=4, seed=0, patient="a", case="a", dice=0.6)
    rows = [
        one,
        replace(one, arm=Arm.BALL, dice=0.4),
        replace(one, arm=Arm.ZERO, shots=0),
        replace(one, arm=Arm.SCRATCH, shots=1),
    ]
    scores, gains = few_shot_tables(TASK, rows)
    assert [row[:2] for row in gains.rows] == [("fine-tuned over centre ball", "4")]
    assert gains.rows[0][2].startswith("0.200")
    assert [row[0] for row in scores.rows] == ["centre ball", "no real label", "scratch", "fine-tuned"]
    assert len(few_shot_tables(TASK, rows[1:])) == 1


def asked(tmp_path, **choices):
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16))
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    checkpoint = str(tmp_path / "tiny.safetensors")
    return Asked(root=tmp_path, checkpoint=checkpoint, out=tmp_path / "out", choices=Choices(**choices))


def test_a_task_runs_what_was_chosen(tmp_path):
    chosen = {"shots": (1,), "seeds": 1, "steps": 2, "arms": ("zero", "ball"), "spacing": 6.0, "cases": 1}
    (table,) = run_task(TASK, asked(tmp_path, **chosen), lambda *_: None)
    assert "the network at 6 mm" in table.title
    assert [row[:2] for row in table.rows] == [("centre ball", "1"), ("no real label", "0")]
    assert all("n = 1" in row[2] for row in table.rows)


@pytest.mark.parametrize(
    ("choices", "says"),
    [({"shots": (-1,)}, "0 or more"), ({"spacing": 0.0}, "positive"), ({"arms": ("threshold",)}, "no arm"),
     ({"development": True}, "reserves no patients")],
)  # fmt: skip
def test_choices_out_of_range_are_refused(tmp_path, choices, says):
    with pytest.raises(ValueError, match=says):
        run_task(TASK, asked(tmp_path, **choices), lambda *_: None)
