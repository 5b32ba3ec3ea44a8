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
