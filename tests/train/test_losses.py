"""Losses: analytic values, scale, gradients."""

from __future__ import annotations

import math

import pytest
import torch

from ups_core.base_configs import LossConfig
from ups_train.losses.config import H1Config
from ups_train.losses.mean_square import MeanSquare
from ups_train.losses.relative_h1 import RelativeH1
from ups_train.losses.relative_l2 import RelativeL2Loss


def test_relative_l2_of_known_fields() -> None:
    target = torch.ones(2, 3, 1, 8)
    target[1] = 10.0
    loss = RelativeL2Loss(LossConfig())
    assert loss(1.1 * target, target).item() == pytest.approx(0.1, rel=1e-4), "every sample weighs alike"
    assert loss(target, target).item() < 1e-5
    assert MeanSquare(LossConfig())(target + 2, target).item() == pytest.approx(4.0)


@pytest.mark.parametrize(
    "loss", [RelativeL2Loss(LossConfig()), MeanSquare(LossConfig()), RelativeH1(H1Config())]
)
def test_gradients_are_finite_even_where_prediction_and_target_are_zero(loss: object) -> None:
    prediction = torch.zeros(2, 1, 1, 8, requires_grad=True)
    loss(prediction, torch.zeros(2, 1, 1, 8)).backward()  # type: ignore[operator]
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()
    prediction = torch.zeros(2, 1, 1, 8, requires_grad=True)
    loss(prediction, torch.ones(2, 1, 1, 8)).backward()  # type: ignore[operator]
    assert prediction.grad is not None
    assert (prediction.grad < 0).all(), "the gradient points to the target"


def test_h1_weighs_a_wave_by_its_wave_number() -> None:
    x = torch.arange(512) / 512 * 2 * math.pi
    target = torch.ones(1, 1, 1, 512)
    slope = 0.5
    for k in (1, 3):
        wave = torch.sin(k * x).reshape(1, 1, 1, -1)
        expected = math.sqrt(0.5 * (1 + slope * k**2))
        assert RelativeH1(H1Config(slope=slope))(target + wave, target).item() == pytest.approx(
            expected, rel=1e-2
        )
    shifted = torch.sin(3 * (x - 0.1)).reshape(1, 1, 1, -1)
    assert RelativeH1(H1Config())(shifted, torch.sin(3 * x).reshape(1, 1, 1, -1)) > 0.2, "phase counts"
    two = torch.rand(2, 1, 1, 8, 8)
    assert RelativeH1(H1Config(slope=0.0))(two, two + 1) == pytest.approx(
        RelativeL2Loss(LossConfig())(two, two + 1)
    )
