"""The loss `relative_l2`: a loss is a callable of prediction and target, normalised `(B, T, C, *S)`."""

from __future__ import annotations

from torch import Tensor

from ups_core import LossConfig
from ups_train.losses.constants import EPSILON, TINY


class RelativeL2Loss:
    """Mean over samples, frames and channels of `||p - y|| / ||y||`, norms over space."""

    def __init__(self, config: LossConfig) -> None:
        self.config = config

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`(B, T, C, *S)` twice to a scalar."""
        error = (prediction - target).flatten(3).square().mean(-1)
        scale = target.flatten(3).square().mean(-1)
        return (error / (scale + EPSILON)).add(TINY).sqrt().mean()
