import copy

import pytest
import torch
from torch import nn

from panlesion.train.muon import Muon, is_kernel, orthogonal
from panlesion.train.optim import Method, Optim, make_optimizer


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 8, 3, padding=1), nn.Conv3d(8, 2, 1))


def a_step(net, optimizer, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(2, 1, 6, 6, 6)
    optimizer.zero_grad()
    net(x).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("shape", [(8, 108), (108, 8), (16, 16)])
def test_singular_values_are_brought_near_one(shape):
    torch.manual_seed(1)
    matrix = torch.randn(shape) @ torch.diag(torch.logspace(-1, 1, shape[1]))
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    made = orthogonal(matrix)
    assert made.shape == matrix.shape
    assert torch.linalg.svdvals(made)[: min(shape) // 2].sub(1).abs().max() < 0.4
    # The same directions as the exact answer has.
    assert torch.nn.functional.cosine_similarity(made.flatten(), (u @ vh).flatten(), dim=0) > 0.9


def test_a_step_does_not_depend_on_the_gradients_scale():
    one, other = network(), network()
    for net, scale in ((one, 1.0), (other, 1000.0)):
        optimizer = Muon(net.parameters(), lr=0.01, weight_decay=0.0)
        torch.manual_seed(0)
        (scale * net(torch.randn(2, 1, 6, 6, 6)).square().mean()).backward()
        optimizer.step()
    assert torch.allclose(one[1].weight, other[1].weight, atol=1e-5)


def test_what_is_no_kernel_takes_adamws_step():
    mine, theirs = network(), network()
    assert [is_kernel(p) for p in mine.parameters()] == [False, False, True, False, False, False]
    a_step(mine, make_optimizer(mine.parameters(), Optim(method=Method.MUON, rate=0.01, weight_decay=0.1)))
    a_step(theirs, make_optimizer(theirs.parameters(), Optim(method=Method.ADAMW, rate=0.01, weight_decay=0.1)))
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p, q) is not is_kernel(p)


def test_a_restored_state_goes_on_bit_for_bit():
    straight = network()
    optimizer = Muon(straight.parameters(), lr=0.01, weight_decay=0.01)
    a_step(straight, optimizer, 1)
    resumed, kept = copy.deepcopy(straight), copy.deepcopy(optimizer.state_dict())
    a_step(straight, optimizer, 2)
    again = Muon(resumed.parameters(), lr=0.01, weight_decay=0.01)
    again.load_state_dict(kept)
    a_step(resumed, again, 2)
    for p, q in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)
