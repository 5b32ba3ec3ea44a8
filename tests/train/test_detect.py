import pytest
import torch
from torch.nn import functional

from panlesion.train.tasks.detect import Detect


def test_a_case_with_a_lesion_counts_as_ten_without():
    logits, present = torch.randn(12, 1), torch.arange(12) % 3 == 0
    each = functional.binary_cross_entropy_with_logits(logits[:, 0], present.float(), reduction="none")
    expected = (each * torch.where(present, 10.0, 1.0)).mean()
    assert float(Detect().loss(logits, {"present": present.float()})) == pytest.approx(float(expected), rel=1e-5)
    plain = Detect(present_weight=1.0).loss(logits, {"present": present.float()})
    assert float(plain) == pytest.approx(float(each.mean()), rel=1e-5)


def test_weighted_evidence_is_the_prior_times_the_weight():
    """The constant logit that minimises the loss is the log odds plus the log of the weight, which an answer takes back."""
    present = torch.tensor([1.0] + [0.0] * 9)
    logit = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([logit], max_iter=40)

    def closure():
        optimizer.zero_grad()
        loss = Detect().loss(logit.expand(10, 1), {"present": present})
        loss.backward()
        return loss

    optimizer.step(closure)
    assert float(logit.detach()) == pytest.approx(float(torch.log(torch.tensor(10 / 9))), abs=1e-3)
