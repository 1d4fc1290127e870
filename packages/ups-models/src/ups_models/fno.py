"""Fourier neural operator: the standard peer.

Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart, Anandkumar: Fourier Neural Operator for
Parametric Partial Differential Equations, ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.config import FNOConfig
from ups_models.layers.convolution import CONV, zero_conv
from ups_models.layers.spectral import SpectralConv
from ups_models.network import PerTaskNetwork, lifted_channels, out_channels
from ups_models.per_dimension import at


class FNO(PerTaskNetwork):
    """One Fourier neural operator per task."""

    def __init__(self, config: FNOConfig, tasks: Mapping[str, TaskInfo]):
        super().__init__(tasks, lambda task: _TaskFNO(config, task))


class _TaskFNO(nn.Module):
    def __init__(self, config: FNOConfig, task: TaskInfo):
        super().__init__()
        conv, width, modes = CONV[task.dim], config.width, at(config.modes, task.dim)
        self.lift = nn.Sequential(
            conv(lifted_channels(task), 2 * width, 1), nn.GELU(), conv(2 * width, width, 1)
        )
        self.spectral = nn.ModuleList(SpectralConv(task.dim, width, modes) for _ in range(config.layers))
        self.bypass = nn.ModuleList(conv(width, width, 1) for _ in range(config.layers))
        last = zero_conv(task.dim, 2 * width, out_channels(task))
        self.head = nn.Sequential(conv(width, 2 * width, 1), nn.GELU(), last)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.lift(x)
        for number, (spectral, bypass) in enumerate(zip(self.spectral, self.bypass, strict=True)):
            hidden = spectral(hidden) + bypass(hidden)
            if number + 1 < len(self.spectral):
                hidden = nn.functional.gelu(hidden)
        out: Tensor = self.head(hidden)
        return out
