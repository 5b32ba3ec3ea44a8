"""Two processes on this machine's CPU: the real launcher, the real collectives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from panlesion.train.journal import read_journal

HERE = Path(__file__).parent


NEVER = 10**9


def run(*runs):
    """Runs (folder, steps, step whose loss is no number) one after the other in one pair of processes."""
    env = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(HERE / "two_processes.py")]
    for out, steps, bad_step in runs:
        out.mkdir(exist_ok=True)
        words += [str(out), str(steps), str(bad_step)]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A whole run, one cut after 3 of 5 steps and gone on with by other processes, and one whose loss is no number."""
    at = tmp_path_factory.mktemp("two")
    first = run((at / "whole", 5, NEVER), (at / "cut", 3, NEVER))
    assert first.returncode == 0, first.stderr
    return at, run((at / "cut", 5, NEVER), (at / "bad", 6, 2))


def curve(out):
    return [(row["step"], row["loss"]) for row in read_journal(out) if "loss" in row]


def weights(out, rank):
    return torch.load(out / f"weights_{rank}.pt", weights_only=True)


def test_two_processes_end_with_the_same_weights_and_go_on_where_they_stopped(ended):
    whole, cut = ended[0] / "whole", ended[0] / "cut"
    first, second, resumed = weights(whole, 0), weights(whole, 1), weights(cut, 0)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], resumed[name]) for name in first)
    assert [step for step, _ in curve(whole)] == [1, 2, 3, 4, 5]
    assert curve(cut) == curve(whole)


def test_a_loss_that_is_no_number_stops_both_and_both_name_all_samples(ended):
    at, last = ended
    assert last.returncode != 0
    for rank in (0, 1):
        told = (at / "bad" / f"stopped_{rank}.txt").read_text()
        assert told.startswith("step 2: loss or gradient is nan; samples ball 2.0, ball 2.1.")
