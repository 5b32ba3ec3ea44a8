import pytest
import torch

from panlesion.nets.classes import LESIONS, Classes, ClassGroup
from panlesion.train.losses import IGNORE, group_loss, segmentation_loss

TWO = Classes(
    groups=(ClassGroup(name="anatomy", classes=("background", "a", "b")), ClassGroup(name=LESIONS, classes=("none", "x")))
)


def one_hot_logits(target, channels, sure=30.0):
    return sure * torch.nn.functional.one_hot(target.long(), channels).movedim(-1, 1).float()


def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much():
    target = torch.randint(0, 3, (2, 8, 8, 8), dtype=torch.uint8)
    right = group_loss(one_hot_logits(target, 3), target, any_foreground=False)
    wrong = group_loss(one_hot_logits((target + 1) % 3, 3), target, any_foreground=False)
    assert right < 1e-3
    assert wrong > 2


def test_voxels_of_unknown_class_change_nothing():
    target = torch.randint(0, 2, (1, 8, 8, 8), dtype=torch.uint8)
    target[:, :4] = IGNORE
    logits = torch.randn(1, 2, 8, 8, 8)
    other = logits.clone()
    other[:, :, :4] += torch.randn(1, 2, 4, 8, 8)
    assert group_loss(logits, target, any_foreground=True).item() == pytest.approx(
        group_loss(other, target, any_foreground=True).item(), rel=1e-6
    )


def test_all_unknown_is_zero_and_differentiable():
    logits = torch.randn(1, 2, 4, 4, 4, requires_grad=True)
    loss = group_loss(logits, torch.full((1, 4, 4, 4), IGNORE, dtype=torch.uint8), any_foreground=True)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(logits.grad).all()


def test_deeper_levels_weigh_half_as_much():
    targets = torch.zeros(1, 2, 8, 8, 8, dtype=torch.uint8)
    targets[:, :, 2:6, 2:6, 2:6] = 1
    good = [torch.cat([one_hot_logits(targets[:, 0], 3), one_hot_logits(targets[:, 1], 2)], 1)]
    deep = good[0][..., ::2, ::2, ::2]
    bad_fine = segmentation_loss([-good[0], deep], targets, TWO)
    bad_deep = segmentation_loss([good[0], -deep], targets, TWO)
    assert bad_fine.item() > 1.5 * bad_deep.item() > 0


def test_naming_a_lesion_wrong_costs_less_than_missing_it():
    classes = 4
    target = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    target[:, 2:6, 2:6, 2:6] = 1
    misnamed = group_loss(one_hot_logits(target * 2, classes, 5.0), target, any_foreground=True)
    missed = group_loss(one_hot_logits(target * 0, classes, 5.0), target, any_foreground=True)
    assert misnamed < missed


def plain_group_loss(logits, target, *, any_foreground, balance):
    """The definition, left to autograd."""
    known = target != IGNORE
    index = torch.where(known, target, torch.zeros_like(target)).long()
    p = logits.softmax(1)
    shares = torch.stack([((index == c) & known).sum() / known.sum() for c in range(logits.shape[1])])
    weights = torch.where(shares > 0, shares, 1.0).to(logits.dtype) ** -balance
    ce = torch.nn.functional.cross_entropy(logits, torch.where(known, index, -1), weights, ignore_index=-1)
    present = [c for c in range(1, logits.shape[1]) if bool(((index == c) & known).any())]
    pairs = [(p[:, c] * known, ((index == c) & known)) for c in present]
    if any_foreground and present:
        pairs.append(((1 - p[:, 0]) * known, (index > 0) & known))
    dice = [(2 * (a * b).sum() + 1) / (a.sum() + b.sum() + 1) for a, b in pairs]
    return ce + (1 - sum(dice) / len(dice) if dice else 0)


@pytest.mark.parametrize("any_foreground", [False, True])
@pytest.mark.parametrize("highest", [0, 1, 5])
@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_value_and_gradient_are_those_of_the_definition(any_foreground, highest, balance):
    torch.manual_seed(highest)
    logits = (3 * torch.randn(2, 6, 7, 8, 9)).requires_grad_()
    target = torch.randint(0, highest + 1, (2, 7, 8, 9), dtype=torch.uint8)
    target[:, :2] = IGNORE
    found, wanted = (f(logits, target, any_foreground=any_foreground, balance=balance) for f in (group_loss, plain_group_loss))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
    (a,), (b,) = torch.autograd.grad(found, logits), torch.autograd.grad(wanted, logits)
    assert torch.allclose(a, b, atol=1e-6 * float(b.abs().max()) + 1e-9, rtol=1e-4)


def test_mixed_precision_changes_neither_value_nor_kind_of_gradient():
    logits = torch.randn(1, 4, 8, 8, 8).bfloat16().requires_grad_()
    target = torch.randint(0, 4, (1, 8, 8, 8), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = group_loss(logits, target, any_foreground=True)
    mixed.backward()
    assert mixed.item() == group_loss(logits.detach().float(), target, any_foreground=True).item()
    assert logits.grad.dtype == torch.bfloat16


def test_each_group_has_a_balance_of_its_own():
    torch.manual_seed(0)
    targets = (torch.rand(1, 2, 8, 8, 8) < 0.1).to(torch.uint8)
    logits = torch.randn(1, 5, 8, 8, 8)
    parts = {"anatomy": (logits[:, :3], targets[:, 0], False), LESIONS: (logits[:, 3:], targets[:, 1], True)}
    balance = {LESIONS: 0.8}
    one_by_one = [
        group_loss(part, target, any_foreground=union, balance=balance.get(name, 0.0))
        for name, (part, target, union) in parts.items()
    ]
    whole = segmentation_loss([logits], targets, TWO, balance)
    assert whole.item() == pytest.approx(sum(one.item() for one in one_by_one) / 2, rel=1e-5)
    assert whole.item() != pytest.approx(segmentation_loss([logits], targets, TWO).item(), rel=1e-3)
