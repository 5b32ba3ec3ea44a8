"""Two processes on this machine's CPU: the real launcher, the real collectives."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from panlesion.train.journal import read_journal

HERE = Path(__file__).parent


def run(out, steps, bad_step=10**9):
    out.mkdir(exist_ok=True)
    env = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(HERE / "two_processes.py"), str(out), str(steps), str(bad_step)]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=300, check=False)


def curve(out):
    return [(row["step"], row["loss"]) for row in read_journal(out) if "loss" in row]


def weights(out, rank):
    return torch.load(out / f"weights_{rank}.pt", weights_only=True)


def test_two_processes_end_with_the_same_weights_and_go_on_where_they_stopped(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for out, steps in ((whole, 5), (cut, 3), (cut, 5)):
        done = run(out, steps)
        assert done.returncode == 0, done.stderr
    first, second, resumed = weights(whole, 0), weights(whole, 1), weights(cut, 0)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], resumed[name]) for name in first)
    assert [step for step, _ in curve(whole)] == [1, 2, 3, 4, 5]
    assert curve(cut) == curve(whole)


def test_a_loss_that_is_no_number_stops_both_and_both_name_all_samples(tmp_path):
    done = run(tmp_path / "run", 6, bad_step=2)
    assert done.returncode != 0
    for rank in (0, 1):
        told = (tmp_path / "run" / f"stopped_{rank}.txt").read_text()
        assert told.startswith("step 2: loss or gradient is nan; samples ball 2.0, ball 2.1.")
