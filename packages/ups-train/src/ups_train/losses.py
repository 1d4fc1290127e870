"""Losses on normalised fields `(B, T, C, *S)`.

A loss is a callable of prediction and target that returns a scalar; it sees fields with mean 0 and
deviation 1 over the train split, so that tasks and channels weigh alike.
"""

from __future__ import annotations

from torch import Tensor

from ups_train.config import LossConfig

EPSILON = 1e-6
"""Added to the mean square of the target: a field that equals the mean everywhere has no scale."""


class RelativeL2:
    """Mean over samples, frames and channels of `||p - y|| / ||y||`, norms over space."""

    def __init__(self, config: LossConfig):
        self.config = config

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`(B, T, C, *S)` twice to a scalar."""
        error = (prediction - target).flatten(3).square().mean(-1)
        scale = target.flatten(3).square().mean(-1)
        return (error / (scale + EPSILON)).add(1e-12).sqrt().mean()


class MeanSquare:
    """Mean square error."""

    def __init__(self, config: LossConfig):
        self.config = config

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`(B, T, C, *S)` twice to a scalar."""
        return (prediction - target).square().mean()
