"""Losses: analytic values, scale, gradients."""

from __future__ import annotations

import pytest
import torch

from ups_train.config import LossConfig
from ups_train.losses import MeanSquare, RelativeL2


def test_relative_l2_of_known_fields() -> None:
    target = torch.ones(2, 3, 1, 8)
    target[1] = 10.0
    loss = RelativeL2(LossConfig())
    assert loss(1.1 * target, target).item() == pytest.approx(0.1, rel=1e-4), "every sample weighs alike"
    assert loss(target, target).item() < 1e-5
    assert MeanSquare(LossConfig())(target + 2, target).item() == pytest.approx(4.0)


@pytest.mark.parametrize("loss", [RelativeL2(LossConfig()), MeanSquare(LossConfig())])
def test_gradients_are_finite_even_where_prediction_and_target_are_zero(loss: object) -> None:
    prediction = torch.zeros(2, 1, 1, 8, requires_grad=True)
    loss(prediction, torch.zeros(2, 1, 1, 8)).backward()  # type: ignore[operator]
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()
    prediction = torch.zeros(2, 1, 1, 8, requires_grad=True)
    loss(prediction, torch.ones(2, 1, 1, 8)).backward()  # type: ignore[operator]
    assert prediction.grad is not None
    assert (prediction.grad < 0).all(), "the gradient points to the target"
