"""Joint fields of training samples, from which classical methods know the law of a problem."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_models.prior.observations import joint_channels, joint_fields

if TYPE_CHECKING:
    from ups_data.prepare.opening import TaskData

MAX_SAMPLES = 20_000
"""Maximum number of training samples."""
MAX_BYTES = 2**30
"""Maximum memory for them."""


class TrainingFields:
    """Coefficients and solutions of training samples, random ones if not all fit.

    Args:
        data: of the steady task.
    """

    def __init__(self, data: TaskData) -> None:
        self.data = data

    @cached_property
    def fields(self) -> Tensor:
        """`(N, J, cells)` in physical units."""
        windows, info = self.data.windows("train", horizon=1), self.data.info
        size = 4 * len(joint_channels(info)) * prod(info.shape)
        count = max(1, min(MAX_SAMPLES, MAX_BYTES // size, len(windows)))
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))[:count]
        chosen = sorted(order.tolist())
        parts = [windows.batch(chosen[begin : begin + 64]) for begin in range(0, count, 64)]
        return torch.cat([joint_fields(part).flatten(2) for part in parts])

    @cached_property
    def mean(self) -> Tensor:
        """Mean of the samples `(J, cells)`."""
        return self.fields.mean(dim=0)

    @cached_property
    def std(self) -> Tensor:
        """Standard deviation of every channel around the mean `(J,)`."""
        return (self.fields - self.mean).square().mean(dim=(0, 2)).sqrt().clamp(min=1e-30)

    @cached_property
    def variogram_slope(self) -> Tensor:
        """Half the mean squared difference of neighbouring points over their distance `(J,)`."""
        info, slopes = self.data.info, []
        for axis, points in enumerate(info.axes):
            across = prod(info.shape[axis + 1 :])
            lines = self.fields.reshape(*self.fields.shape[:2], -1, info.shape[axis], across)
            half = lines.diff(dim=3).square().mean(dim=(0, 2, 3, 4)) / 2
            slopes.append(half / (points[1] - points[0]))
        return torch.stack(slopes).mean(dim=0)

    @cached_property
    def deviations(self) -> Tensor:
        """Deviations from the mean in units of the standard deviation `(N, J, cells)`."""
        return (self.fields - self.mean) / self.std[:, None]
