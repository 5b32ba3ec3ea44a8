from itertools import pairwise

import pytest
import torch
from torch import nn

from panlesion.train.optim import Ema, Method, Optim, Schedule, make_optimizer, set_rate


def test_poly_falls_from_the_rate_to_nearly_nothing():
    optim = Optim()
    rates = [optim.rate_at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(1e-2)
    assert all(a > b for a, b in pairwise(rates))
    assert rates[-1] == pytest.approx(1e-2 * 0.01**0.9)


def test_warmup_rises_linearly():
    optim = Optim(schedule=Schedule.CONSTANT, warmup_steps=4)
    assert [optim.rate_at(step, 100) for step in range(5)] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])


def test_cosine_is_half_in_the_middle():
    assert Optim(schedule=Schedule.COSINE).rate_at(50, 100) == pytest.approx(0.5e-2)


@pytest.mark.parametrize("method", Method)
def test_groups_keep_their_share_of_the_rate(method):
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = make_optimizer([{"params": [a]}, {"params": [b], "scale": 0.1}], Optim(method=method))
    set_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 0.05])


def test_the_average_lies_between_old_and_new_and_swapping_twice_changes_nothing():
    layer = nn.Linear(2, 2)
    ema = Ema(layer, decay=0.9)
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight += 1
    ema.update(layer, 10**6)
    assert torch.allclose(ema.weights["weight"], before + 0.1)
    now = layer.weight.detach().clone()
    ema.swap(layer)
    assert torch.allclose(layer.weight, before + 0.1)
    ema.swap(layer)
    assert torch.equal(layer.weight, now)
