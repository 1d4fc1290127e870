"""The loss `mse`."""

from __future__ import annotations

from torch import Tensor

from ups_core import LossConfig


class MeanSquare:
    """Mean square error."""

    def __init__(self, config: LossConfig) -> None:
        self.config = config

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`(B, T, C, *S)` twice to a scalar."""
        return (prediction - target).square().mean()
