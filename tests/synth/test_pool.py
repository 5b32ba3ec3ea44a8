import pytest
from fake_work import Job, start, start_blas_threads, start_deadly

from panlesion.synth.pool import THREAD_VARIABLES, run_jobs


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_has_one_outcome_and_errors_are_told_with_it(workers):
    outcomes = {outcome.job.number: outcome for outcome in run_jobs([Job(n) for n in range(6)], start, workers)}
    assert sorted(outcomes) == list(range(6))
    assert [outcomes[n].result[0] for n in (0, 1, 2)] == [0, 2, 4]
    assert (outcomes[3].error, outcomes[3].cause, outcomes[3].fatal) == ("PlacementError", "no room", False)
    assert outcomes[4].error == "ZeroDivisionError"
    assert "fake_work.py" in outcomes[4].cause
    assert outcomes[5].fatal


def test_a_killed_worker_costs_its_job_alone():
    outcomes = {outcome.job.number: outcome for outcome in run_jobs([Job(n) for n in range(6)], start_deadly, 2)}
    assert [n for n, outcome in sorted(outcomes.items()) if outcome.died] == [2]
    assert "SIGKILL" in outcomes[2].cause
    assert "fewer workers" in outcomes[2].cause
    assert [outcomes[n].result for n in (0, 1, 3, 4, 5)] == [0, 1, 3, 4, 5]


def test_a_worker_stays_with_its_group_while_others_have_work():
    jobs = [Job(number * 10, group) for number in (1, 2) for group in ("x", "y")]
    makers = {}
    for outcome in run_jobs(jobs, start, 2):
        makers.setdefault(outcome.job.group, set()).add(outcome.result[1])
    assert all(len(workers) <= 2 for workers in makers.values())
    assert len(makers) == 2


@pytest.mark.parametrize(("said", "threads"), [(None, 1), ("2", 2), ("many", 1)])
def test_a_worker_computes_on_one_thread_unless_told_otherwise(monkeypatch, said, threads):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", said)
    assert {outcome.result for outcome in run_jobs([Job(0), Job(1)], start_blas_threads, 2)} == {threads}


def test_one_worker_takes_group_after_group():
    jobs = [Job(10, "x"), Job(20, "y"), Job(30, "x"), Job(40, "y")]
    assert [outcome.job.group for outcome in run_jobs(jobs, start, 1)] == ["x", "x", "y", "y"]


def test_no_jobs_need_no_workers():
    assert list(run_jobs([], start, 4)) == []


def test_no_workers_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        list(run_jobs([Job(1)], start, 0))
