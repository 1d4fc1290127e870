"""Losses on normalised fields `(B, T, C, *S)`.

A loss is a callable of prediction and target that returns a scalar; it sees fields with mean 0 and
deviation 1 over the train split, so that tasks and channels weigh alike.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ups_train.options import H1Config, LossConfig

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


class RelativeH1:
    """Relative error that counts differences between neighbours too: a front in the wrong place costs more.

    Mean over samples, frames and channels of the root of `E(p - y) / E(y)` with
    `E(f) = mean f² + slope · mean |∇f|²`, the relative H1 norm for slope 1. Differences are scaled so that
    on a periodic grid a wave of k periods has `|∇f|² = k² f²` for small k: with amplitude and phase, unlike
    a loss on spectra.
    """

    def __init__(self, config: H1Config):
        self.slope = config.slope

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`(B, T, C, *S)` twice to a scalar."""
        ratio = self._energy(prediction - target) / (self._energy(target) + EPSILON)
        return ratio.add(1e-12).sqrt().mean()

    def _energy(self, field: Tensor) -> Tensor:
        energy = field.flatten(3).square().mean(-1)
        for axis in range(3, field.dim()):
            slope = torch.diff(field, dim=axis) * (field.shape[axis] / (2 * math.pi))
            energy = energy + self.slope * slope.flatten(3).square().mean(-1)
        return energy
