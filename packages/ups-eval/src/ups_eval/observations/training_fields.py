"""Joint fields of training samples, from which classical methods know the law of a problem."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ups_data.prepare.opening import TaskData

MOST_SAMPLES = 20_000
"""Maximum number of training samples."""
MOST_BYTES = 2**30
"""Maximum memory for them."""


class TrainingFields:
    """Coefficients and solutions of training samples.

    Args:
        data: of the steady task.
    """

    def __init__(self, data: TaskData) -> None:
        self._data = data

    @cached_property
    def fields(self) -> Tensor:
        """`(N, J, cells)` in physical units."""
        windows = self._data.windows("train", horizon=1)
        parts: list[Tensor] = []
        count = min(MOST_SAMPLES, len(windows))
        for begin in range(0, count, 64):
            batch = windows.batch(range(begin, min(begin + 64, count)))
            parts.append(torch.cat([batch.static, batch.target[:, 0]], dim=1).flatten(2))
            if parts[0].nbytes * (len(parts) + 1) > MOST_BYTES:
                break
        return torch.cat(parts)

    @cached_property
    def mean(self) -> Tensor:
        """Mean of the samples `(J, cells)`."""
        return self.fields.mean(dim=0)

    @cached_property
    def std(self) -> Tensor:
        """Standard deviation of every channel around the mean `(J,)`."""
        return (self.fields - self.mean).square().mean(dim=(0, 2)).sqrt()

    @cached_property
    def deviations(self) -> Tensor:
        """Deviations from the mean in units of the standard deviation `(N, J, cells)`."""
        return (self.fields - self.mean) / self.std.clamp(min=1e-30)[:, None]
