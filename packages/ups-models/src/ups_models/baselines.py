"""Models without parameters: the least that a trained model must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.config import MeanConfig, PersistenceConfig
from ups_models.network import Network, NetworkInput, out_channels

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
"""Grid dimension -> interpolation between cell centres."""


class Persistence(Network):
    """Predicts the last given frame for every later frame. Not defined for a steady task.

    Args:
        config: has no options.
        tasks: task name -> the problem.
    """

    evolution_only: ClassVar[bool] = True

    def __init__(self, config: PersistenceConfig, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__()
        self.channels = {name: out_channels(task) for name, task in tasks.items()}

    def forward(self, x: NetworkInput) -> Tensor:
        """Zero change, `(B, C, *S)`."""
        return _zeros(x, self.channels)


class Mean(Network):
    """Predicts the mean over the train split: the mean field of a steady task, else each channel's mean.

    On another grid than that of training the mean field is interpolated linearly.

    Args:
        config: has no options.
        tasks: task name -> the problem.
    """

    predicts_increment: ClassVar[bool] = False

    def __init__(self, config: MeanConfig, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__()
        self.channels = {name: out_channels(task) for name, task in tasks.items()}

    def forward(self, x: NetworkInput) -> Tensor:
        """The normalised mean, `(B, C, *S)`; that of a channel is zero."""
        zeros, field = _zeros(x, self.channels), x.mean_field
        if field is None:
            return zeros
        grid = zeros.shape[2:]
        if field.shape[1:] != grid:
            field = nn.functional.interpolate(field[None], size=grid, mode=LINEAR[len(grid)])[0]
        return zeros + field


def _zeros(x: NetworkInput, channels: Mapping[str, int]) -> Tensor:
    return x.fields.new_zeros(x.fields.shape[0], channels[x.task], *x.fields.shape[2:])
