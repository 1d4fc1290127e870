"""Convolutions by grid dimension, padded as the boundary condition requires."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ups_data.info import Sides
from ups_models.layers.norm import LayerNorm
from ups_models.layers.padding import MODES, pad_grid

CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
"""Grid dimension -> convolution of `(B, C, *S)`."""


def grid_conv(
    channels_in: int, channels_out: int, kernel: int, *, sides: Sequence[Sides], groups: int = 1
) -> nn.Module:
    """A convolution `(B, Cin, *S)` to `(B, Cout, *S)` that keeps the grid.

    Args:
        channels_in: Cin.
        channels_out: Cout.
        kernel: cells per axis; odd.
        sides: boundaries at both ends of every axis of S, by which it pads.
        groups: groups of channels that do not mix.
    """
    conv, margin = CONV[len(sides)], kernel // 2
    modes = {MODES[side] for axis in sides for side in axis}
    if len(modes) > 1 or "symmetric" in modes:  # not a padding of torch's convolutions
        return PaddedConv(conv(channels_in, channels_out, kernel, groups=groups), margin, sides)
    mode = modes.pop()
    return conv(
        channels_in,
        channels_out,
        kernel,
        padding=margin,
        groups=groups,
        padding_mode="zeros" if mode == "constant" else mode,
    )


class PaddedConv(nn.Module):
    """A convolution after padding that differs between the ends of a grid.

    Args:
        conv: of `(B, Cin, *S)`, without padding.
        margin: cells that it needs at every end.
        sides: boundaries at both ends of every axis.
    """

    def __init__(self, conv: nn.Module, margin: int, sides: Sequence[Sides]) -> None:
        super().__init__()
        self.conv, self.margin, self.sides = conv, margin, tuple(sides)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, Cin, *S)` to `(B, Cout, *S)`."""
        out: Tensor = self.conv(pad_grid(x, self.margin, self.sides))
        return out


def zero_conv(dim: int, channels_in: int, channels_out: int) -> nn.Module:
    """A last projection per cell that starts at zero: a network that ends in it starts as persistence.

    Args:
        dim: grid dimension, 1 to 3.
        channels_in: Cin of `(B, Cin, *S)`.
        channels_out: Cout of `(B, Cout, *S)`.
    """
    conv = CONV[dim](channels_in, channels_out, 1)
    for weight in conv.parameters():
        nn.init.zeros_(weight)
    return conv


def channels_last(x: Tensor) -> Tensor:
    """`(B, C, *S)` in the memory layout in which 2-D convolutions are fastest on CPUs; else unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


class ConvNeXtBlock(nn.Module):
    """x + MLP(norm(depth-wise convolution(x))), the MLP per cell.

    Liu et al., "A ConvNet for the 2020s", arXiv 2201.03545. The MLP works on `(B, *S, C)`, so its weights are
    plain matrices.

    Args:
        channels: C of `(B, C, *S)`.
        sides: boundaries at both ends of every axis of S.
        kernel: cells per axis of the convolution; odd.
        ratio: hidden width of the MLP over C.
    """

    def __init__(self, channels: int, *, sides: Sequence[Sides], kernel: int, ratio: int = 4) -> None:
        super().__init__()
        self.spatial = grid_conv(channels, channels, kernel, sides=sides, groups=channels)
        self.norm = LayerNorm(channels)
        self.expand = nn.Linear(channels, ratio * channels)
        self.contract = nn.Linear(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, *S)` to the same shape."""
        hidden = self.norm(self.spatial(x).movedim(1, -1))
        update: Tensor = self.contract(nn.functional.gelu(self.expand(hidden)))
        return x + update.movedim(-1, 1)
