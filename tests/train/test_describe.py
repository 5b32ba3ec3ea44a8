import numpy as np
import pytest
import torch
from runs_made import TINY, tiny_model
from torch.nn import functional

from panlesion.nets.heads import ATTRIBUTE_HEAD, ATTRIBUTES, attribute_head, split_attributes
from panlesion.nets.look import Look, Pooling
from panlesion.train.tasks.describe import UNKNOWN, Describe, class_weights, only_head

LOOK = Look(spacing_mm=3.0, crop_voxels=16, pooling=(Pooling.CROP, Pooling.LESION), levels=(0,))


def described():
    model = tiny_model()
    model.heads[ATTRIBUTE_HEAD] = attribute_head(TINY, LOOK)
    return model


def test_the_loss_is_the_mean_of_the_five_cross_entropies():
    logits = torch.randn(7, sum(ATTRIBUTES.values()))
    labels = torch.stack([torch.arange(7) % n for n in ATTRIBUTES.values()], dim=1)
    parts = split_attributes(logits).values()
    expected = np.mean([float(functional.cross_entropy(part, labels[:, n])) for n, part in enumerate(parts)])
    assert float(Describe().loss(logits, {"attributes": labels})) == pytest.approx(expected, abs=1e-5)


def test_what_is_unknown_teaches_nothing():
    logits = torch.randn(4, 13, requires_grad=True)
    labels = torch.zeros(4, 5, dtype=torch.int64)
    labels[2] = UNKNOWN
    labels[:, 4] = UNKNOWN
    loss = Describe().loss(logits, {"attributes": labels})
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert bool((logits.grad[2] == 0).all())
    assert bool((logits.grad[:, 11:] == 0).all())
    assert bool((logits.grad[0, :11] != 0).all())


def test_weights_make_rare_classes_count_as_much():
    labels = torch.full((100, 5), UNKNOWN)
    labels[:, 2] = (torch.arange(100) < 10).long()
    flat, even = class_weights(labels, 0.0)[2], class_weights(labels, 1.0)[2]
    assert flat == pytest.approx((1.0, 1.0))
    assert 10 * even[1] == pytest.approx(90 * even[0])
    assert 10 * even[1] + 90 * even[0] == pytest.approx(100)
    assert class_weights(labels, 0.5)[2][1] == pytest.approx(3 * class_weights(labels, 0.5)[2][0])


def test_a_class_that_never_occurs_has_no_weight_and_no_attribute_breaks():
    labels = torch.full((3, 5), UNKNOWN)
    labels[:, 1] = 2
    weights = class_weights(labels, 1.0)
    assert weights[1] == pytest.approx((0.0, 0.0, 1.0))
    assert weights[0] == (0.0,) * 4
    assert bool(torch.isfinite(Describe(weights=weights).loss(torch.randn(3, 13), {"attributes": labels})))


def test_only_the_head_learns_and_crops_give_what_their_vectors_give():
    model = described()
    groups = only_head(model)
    x = torch.rand(2, 2, 16, 16, 16)
    network = Describe().network(model)
    logits = network(x)
    assert torch.allclose(logits, network(LOOK.vector(model.unet, x)), atol=1e-6)
    Describe().loss(logits, {"attributes": torch.zeros(2, 5, dtype=torch.int64)}).backward()
    assert all(p.grad is None for p in model.unet.parameters())
    assert all(p.grad is not None for p in groups[0]["params"])
