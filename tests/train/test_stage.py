import numpy as np
import pytest
import torch

from panlesion.nets.case_use import cumulative
from panlesion.train.tasks.stage import Stage


def test_the_loss_is_the_mean_over_the_questions_is_it_above():
    outputs, stage = torch.randn(8, 3), torch.arange(8) % 4
    above = cumulative(outputs).sigmoid().numpy()
    asked = stage.numpy()[:, None] > np.arange(3)
    expected = -np.log(np.where(asked, above, 1 - above)).mean()
    assert float(Stage().loss(outputs, {"stage": stage})) == pytest.approx(expected, rel=1e-4)


def test_a_stage_further_off_costs_more():
    outputs = torch.tensor([[6.0, 6.0, 6.0]])
    losses = [float(Stage().loss(outputs, {"stage": torch.tensor([stage])})) for stage in range(4)]
    said = int(np.argmin(losses))
    assert losses[said:] == sorted(losses[said:])
    assert losses[: said + 1] == sorted(losses[: said + 1], reverse=True)
    assert said == int((cumulative(outputs) > 0).sum())
