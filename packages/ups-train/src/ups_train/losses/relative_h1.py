"""The loss `h1`: relative errors of values and slopes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ups_train.losses.config import H1Config
from ups_train.losses.constants import EPSILON, TINY


class RelativeH1:
    """Relative error that counts differences between neighbours too: a front in the wrong place costs more.

    Mean over samples, frames and channels of the root of `E(p - y) / E(y)` with
    `E(f) = mean f² + slope · mean |∇f|²`, the relative H1 norm for slope 1. Differences are scaled so that
    on a periodic grid a wave of k periods has `|∇f|² = k² f²` for small k: with amplitude and phase, unlike
    a loss on spectra.
    """

    def __init__(self, config: H1Config) -> None:
        self.slope = config.slope

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """`(B, T, C, *S)` twice to a scalar."""
        ratio = self._energy(prediction - target) / (self._energy(target) + EPSILON)
        return ratio.add(TINY).sqrt().mean()

    def _energy(self, field: Tensor) -> Tensor:
        energy = field.flatten(3).square().mean(-1)
        for axis in range(3, field.dim()):
            slope = torch.diff(field, dim=axis) * (field.shape[axis] / (2 * math.pi))
            energy = energy + self.slope * slope.flatten(3).square().mean(-1)
        return energy
