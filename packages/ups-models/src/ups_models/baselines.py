"""Models without parameters: what any trained model has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from ups_data.info import TaskInfo
from ups_models.config import MeanConfig, PersistenceConfig
from ups_models.network import Network, NetworkInput, out_channels


class Persistence(Network):
    """Nothing changes: the last given frame is every later frame. Not defined for a steady task."""

    evolution_only: ClassVar[bool] = True

    def __init__(self, config: PersistenceConfig, tasks: Mapping[str, TaskInfo]):
        super().__init__()
        self.channels = {name: out_channels(task) for name, task in tasks.items()}

    def forward(self, x: NetworkInput) -> Tensor:
        """Zero change, `(B, C, *S)`."""
        return _zeros(x, self.channels)


class Mean(Network):
    """Every cell has the channel's mean over the train split."""

    predicts_increment: ClassVar[bool] = False

    def __init__(self, config: MeanConfig, tasks: Mapping[str, TaskInfo]):
        super().__init__()
        self.channels = {name: out_channels(task) for name, task in tasks.items()}

    def forward(self, x: NetworkInput) -> Tensor:
        """The normalised mean, which is zero, `(B, C, *S)`."""
        return _zeros(x, self.channels)


def _zeros(x: NetworkInput, channels: Mapping[str, int]) -> Tensor:
    return torch.zeros(
        len(x.fields), channels[x.task], *x.fields.shape[2:], dtype=x.fields.dtype, device=x.fields.device
    )
