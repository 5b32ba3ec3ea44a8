import errno
import json

import numpy as np
import pytest
import torch
from runs_made import CLASSES, BallSource, tiny_fit, tiny_model

from panlesion.data.publish import DiskFullError
from panlesion.errors import TrainingError
from panlesion.train.journal import read_journal
from panlesion.train.loop import Progress, _Loader, fit
from panlesion.train.tasks.segment import Segment

TASK = Segment(classes=CLASSES)


class KilledError(Exception):
    """Stands for a kill: nothing of the loop handles it."""


def kill_at(step):
    def watch(progress: Progress) -> None:
        if progress.step == step:
            raise KilledError

    return watch


def losses(run):
    return [(row["step"], row["loss"]) for row in read_journal(run) if "loss" in row]


def same_weights(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_model_learns_to_find_the_ball(tmp_path):
    fit(tiny_model(), TASK, BallSource(), tiny_fit(60), tmp_path)
    curve = [loss for _, loss in losses(tmp_path)]
    assert np.mean(curve[-5:]) < 0.5 * np.mean(curve[:5])


@pytest.mark.parametrize("killed_at", [1, 4, 6])
def test_an_interrupted_run_is_bit_for_bit_the_uninterrupted_one(tmp_path, killed_at):
    whole = fit(tiny_model(), TASK, BallSource(), tiny_fit(8), tmp_path / "whole")
    with pytest.raises(KilledError):
        fit(tiny_model(), TASK, BallSource(), tiny_fit(8), tmp_path / "cut", watch=kill_at(killed_at))
    # Before the first save a run begins anew; after it, the weights come from the state, whatever the model had.
    resumed = fit(tiny_model(5 if killed_at >= 3 else 0), TASK, BallSource(), tiny_fit(8), tmp_path / "cut")
    assert same_weights(whole, resumed)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_samples(tmp_path):
    model = tiny_model()
    with pytest.raises(TrainingError, match=r"step 4: .*ball 4\.0, ball 4\.1"):
        fit(model, TASK, BallSource(bad_step=4), tiny_fit(8), tmp_path)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    # the state saved before it is sound: with good data the run goes on
    fit(tiny_model(), TASK, BallSource(), tiny_fit(8), tmp_path)


def test_a_full_disk_stops_the_run_and_costs_only_what_came_after_the_last_state(tmp_path, monkeypatch):
    whole = fit(tiny_model(), TASK, BallSource(), tiny_fit(8), tmp_path / "whole")
    saved, save = [], torch.save

    def full_at_the_second(state, stream):
        saved.append(state["step"])
        if len(saved) == 2:
            stream.write(b"the first bytes fit")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, stream)

    monkeypatch.setattr("torch.save", full_at_the_second)
    with pytest.raises(DiskFullError, match=r"state\.pt: No space left"):
        fit(tiny_model(), TASK, BallSource(), tiny_fit(8), tmp_path / "cut")
    assert saved == [3, 6]
    assert not [file for file in (tmp_path / "cut").iterdir() if "partial" in file.name]
    assert same_weights(whole, fit(tiny_model(5), TASK, BallSource(), tiny_fit(8), tmp_path / "cut"))
    assert saved[2:] == [6, 8]


def test_another_run_in_the_same_folder_is_refused(tmp_path):
    fit(tiny_model(), TASK, BallSource(), tiny_fit(3), tmp_path)
    with pytest.raises(TrainingError, match="batch was 2, is 4"):
        fit(tiny_model(), TASK, BallSource(), tiny_fit(3, batch=4), tmp_path)


def test_a_damaged_state_is_named(tmp_path):
    fit(tiny_model(), TASK, BallSource(), tiny_fit(3), tmp_path)
    state = tmp_path / "state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(TrainingError, match=r"state\.pt is damaged"):
        fit(tiny_model(), TASK, BallSource(), tiny_fit(6), tmp_path)


def test_a_run_can_be_made_longer(tmp_path):
    fit(tiny_model(), TASK, BallSource(), tiny_fit(3), tmp_path)
    fit(tiny_model(), TASK, BallSource(), tiny_fit(5), tmp_path)
    assert [step for step, _ in losses(tmp_path)] == [1, 2, 3, 4, 5]


def test_checks_see_the_averaged_weights_and_change_nothing(tmp_path):
    seen = []

    def check(model):
        seen.append({name: p.clone() for name, p in model.named_parameters()})
        return {"one": 1.0}

    with_check = fit(tiny_model(), TASK, BallSource(), tiny_fit(4, check_every=2), tmp_path / "a", check=check)
    without = fit(tiny_model(), TASK, BallSource(), tiny_fit(4), tmp_path / "b")
    assert same_weights(with_check, without)
    assert all(torch.equal(p, seen[-1][name]) for name, p in with_check.named_parameters())
    assert [row for row in read_journal(tmp_path / "a") if "check/one" in row]


def test_parameters_outside_the_groups_stay(tmp_path):
    model = tiny_model()
    before = [p.clone() for p in model.unet.encoder.parameters()]
    fit(model, TASK, BallSource(), tiny_fit(3), tmp_path, groups=lambda m: [{"params": list(m.unet.heads.parameters())}])
    assert all(torch.equal(p, q) for p, q in zip(model.unet.encoder.parameters(), before, strict=True))


def test_the_batch_must_be_divisible_by_the_processes():
    with pytest.raises(ValueError, match="batch is 2; it must be divisible by the number of processes, 3"):
        _Loader(BallSource(), tiny_fit(2), 0, 3, 0)


def test_the_journal_is_json_lines(tmp_path):
    fit(tiny_model(), TASK, BallSource(), tiny_fit(2), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert {"step", "loss", "step_s", "wait_s", "rate"} <= rows[0].keys()
    assert list((tmp_path / "tensorboard").iterdir())
