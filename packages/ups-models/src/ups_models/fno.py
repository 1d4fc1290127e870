"""The Fourier neural operator, a standard baseline.

Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", arXiv 2010.08895.
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
    """One Fourier neural operator per task; maps a :class:`NetworkInput` to `(B, Cout, *S)`.

    Args:
        config: width, modes and number of layers.
        tasks: task name -> the problem, in 1, 2 or 3 dimensions.
    """

    def __init__(self, config: FNOConfig, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__(tasks, lambda task: TaskFNO(config, task))


class TaskFNO(nn.Module):
    """Lift, Fourier layers with a bypass each, projection; all but the Fourier layers act per cell.

    Args:
        config: width, modes and number of layers.
        task: gives the channels: `(B, lifted_channels, *S)` to `(B, Cout, *S)`.
    """

    def __init__(self, config: FNOConfig, task: TaskInfo) -> None:
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
        """`(B, Cin, *S)` to `(B, Cout, *S)`."""
        hidden = self.lift(x)
        for number, (spectral, bypass) in enumerate(zip(self.spectral, self.bypass, strict=True)):
            hidden = spectral(hidden) + bypass(hidden)
            if number + 1 < len(self.spectral):  # the head has an activation of its own
                hidden = nn.functional.gelu(hidden)
        out: Tensor = self.head(hidden)
        return out
