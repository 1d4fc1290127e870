"""Convolutions by grid dimension, padded as the boundary condition demands."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ups_models.layers.norm import LayerNorm

CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def grid_conv(
    dim: int, channels_in: int, channels_out: int, kernel: int, *, periodic: bool, groups: int = 1
) -> nn.Module:
    """A convolution that keeps the grid; `kernel` is odd; wraps around where the domain is periodic."""
    return CONV[dim](
        channels_in, channels_out, kernel, padding=kernel // 2, groups=groups,
        padding_mode="circular" if periodic else "zeros",
    )  # fmt: skip


def zero_conv(dim: int, channels_in: int, channels_out: int) -> nn.Module:
    """A last projection, per cell, that starts at zero: a network that ends in it starts as persistence."""
    conv = CONV[dim](channels_in, channels_out, 1)
    for weight in conv.parameters():
        nn.init.zeros_(weight)
    return conv


def channels_last(x: Tensor) -> Tensor:
    """The memory layout that 2-D convolutions are fastest in on CPUs; other dimensions unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


class ConvNeXtBlock(nn.Module):
    """Depth-wise convolution, then a per-cell MLP, added to the input (Liu et al. 2022).

    The MLP works on `(B, *S, C)` so that its weights are plain matrices.
    """

    def __init__(self, dim: int, channels: int, *, periodic: bool, kernel: int = 7, ratio: int = 4):
        super().__init__()
        self.spatial = grid_conv(dim, channels, channels, kernel, periodic=periodic, groups=channels)
        self.norm = LayerNorm(channels)
        self.expand = nn.Linear(channels, ratio * channels)
        self.contract = nn.Linear(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, *S)` to the same shape."""
        hidden = self.norm(self.spatial(x).movedim(1, -1))
        update: Tensor = self.contract(nn.functional.gelu(self.expand(hidden)))
        return x + update.movedim(-1, 1)
