import warnings

import lifelines
import numpy as np
import pandas as pd
import pytest
import torch

from panlesion.lesion.case_task import Likelihood
from panlesion.train.tasks.survive import Survive, cox_loss, hazard_loss

EDGES = (0.0, 10.0, 20.0, 30.0)


def batch(time, event):
    return {"time": torch.tensor(time, dtype=torch.float64), "event": torch.tensor(event, dtype=torch.float32)}


def loss_of(hazards, time, event):
    logits = torch.logit(torch.tensor(hazards, dtype=torch.float64))
    return float(hazard_loss(logits, torch.tensor(time, dtype=torch.float64), torch.tensor(event, dtype=torch.bool), EDGES))


def test_the_loss_is_the_likelihood_computed_by_hand():
    h = [0.1, 0.2, 0.3]
    cases = {
        (15.0, True): 0.9 * 0.2,  # passed the first interval, event in the second
        (10.0, True): 0.1,  # an event at an interval's end is in it
        (15.0, False): 0.9,  # lost within the second: says nothing of it
        (20.0, False): 0.9 * 0.8,  # lost at its end: was known to pass it
        (5.0, False): 1.0,
        (30.0, False): 0.9 * 0.8 * 0.7,
        (99.0, False): 0.9 * 0.8 * 0.7,
        (99.0, True): 0.9 * 0.8 * 0.7,  # later than all we look at
        (30.0, True): 0.9 * 0.8 * 0.3,
    }
    for (time, event), likelihood in cases.items():
        assert loss_of([h], [time], [event]) == pytest.approx(-np.log(likelihood), abs=1e-12), (time, event)
    times, events = zip(*cases, strict=True)
    assert loss_of([h] * len(cases), times, events) == pytest.approx(-np.mean(np.log(list(cases.values()))))


def test_the_best_constant_hazards_are_those_of_the_life_table():
    rng = np.random.default_rng(0)
    time, event = rng.uniform(1, 29, 300), rng.random(300) < 0.7
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = hazard_loss(logits.expand(300, 3), torch.tensor(time), torch.tensor(event), EDGES)
        loss.backward()
        return loss

    optimizer.step(closure)
    for j in range(3):
        died = (event & (time > EDGES[j]) & (time <= EDGES[j + 1])).sum()
        passed = (time > EDGES[j + 1]).sum()
        assert float(logits[j].detach().sigmoid()) == pytest.approx(died / (died + passed), abs=2e-3)


def test_a_lost_case_pulls_only_at_what_it_passed():
    logits = torch.zeros(1, 3, requires_grad=True)
    hazard_loss(logits, torch.tensor([12.0]), torch.tensor([False]), EDGES).backward()
    assert logits.grad[0, 0] > 0
    assert bool((logits.grad[0, 1:] == 0).all())


@pytest.mark.parametrize("ties", [False, True])
def test_the_partial_likelihood_is_that_of_lifelines(ties):
    rng = np.random.default_rng(3)
    x = rng.normal(size=60)
    time = rng.integers(1, 12, 60).astype(float) if ties else rng.permutation(60) + 1.0
    event = rng.random(60) < 0.6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = lifelines.CoxPHFitter().fit(pd.DataFrame({"x": x, "t": time, "e": event}), "t", "e")
    risk = torch.tensor(x * float(fitted.params_["x"]))
    loss = float(cox_loss(risk, torch.tensor(time), torch.tensor(event)))
    assert -loss * event.sum() == pytest.approx(fitted.log_likelihood_, rel=1e-5)


def test_the_gradient_vanishes_where_lifelines_stopped():
    rng = np.random.default_rng(4)
    x, time, event = rng.normal(size=80), rng.integers(1, 20, 80).astype(float), rng.random(80) < 0.7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = lifelines.CoxPHFitter().fit(pd.DataFrame({"x": x, "t": time, "e": event}), "t", "e")
    beta = torch.tensor(float(fitted.params_["x"]), dtype=torch.float64, requires_grad=True)
    cox_loss(beta * torch.tensor(x), torch.tensor(time), torch.tensor(event)).backward()
    assert abs(float(beta.grad.detach())) < 1e-5


def test_risks_matter_only_by_their_differences_and_nothing_overflows():
    time, event = torch.tensor([1.0, 2.0, 2.0, 3.0]), torch.tensor([True, True, True, False])
    risk = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=torch.float64)
    assert float(cox_loss(risk + 500, time, event)) == pytest.approx(float(cox_loss(risk, time, event)))
    assert bool(torch.isfinite(cox_loss(torch.tensor([900.0, -900.0, 0.0, 5.0]), time, event)))


def test_a_batch_without_an_event_teaches_nothing_and_breaks_nothing():
    risk = torch.randn(4, 1, requires_grad=True)
    task = Survive(likelihood=Likelihood.COX)
    loss = task.loss(risk, batch([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 0]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert bool((risk.grad == 0).all())
