"""What the operator knows besides the fields: PDE parameters, dt, the grid's offset, the task, and noise."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.network import NetworkInput, condition_size, per_task
from ups_models.noise_config import NoiseConfig

NOISE_GAIN = 0.1
"""Initial scale of the last noise layer: training starts near the network without noise."""


class Conditioner(nn.Module):
    """A linear projection per task, with its bias as task embedding, then a shared MLP.

    Args:
        tasks: task name -> the problem; gives the length of its conditions.
        width: length of the condition vector.
        noise: options of the noise input; None for a deterministic network.
    """

    def __init__(self, tasks: Mapping[str, TaskInfo], width: int, noise: NoiseConfig | None = None) -> None:
        super().__init__()
        self.embed = per_task(tasks, lambda task: nn.Linear(condition_size(task), width))
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.of_noise = None if noise is None else _noise_layers(noise.channels, width)

    def forward(self, x: NetworkInput) -> Tensor:
        """The condition vector `(B, width)`."""
        vector: Tensor = self.mlp(self.embed.of(x.task)(x.condition()))
        if self.of_noise is not None and x.noise is not None:
            vector = vector + self.of_noise(x.noise)
        return vector


def _noise_layers(channels: int, width: int) -> nn.Sequential:
    """An MLP without biases, so that zero noise adds exactly zero."""
    first, middle, last = (nn.Linear(given, width, bias=False) for given in (channels, width, width))
    with torch.no_grad():
        last.weight.mul_(NOISE_GAIN)
    return nn.Sequential(first, nn.SiLU(), middle, nn.SiLU(), last)
