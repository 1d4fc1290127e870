"""Layers that act on the lowest Fourier modes of a grid of any dimension.

Always computed in float32: half-precision FFTs exist for few sizes and devices. Weights are stored as
real pairs, which every optimizer and file format supports.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn


def _low_blocks(shape: Sequence[int], modes: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Blocks of an rfftn spectrum `(B, C, *S)` with the low modes: both signs of all axes but the last."""
    signed = [(slice(0, m), slice(n - m, n)) for n, m in zip(shape[:-1], modes[:-1], strict=True)]
    for block in itertools.product(*signed):
        yield (slice(None), slice(None), *block, slice(0, modes[-1]))


class _SpectralLayer(nn.Module, ABC):
    """Transforms, lets a subclass change the low modes, drops the others, transforms back.

    Args:
        modes: modes kept per axis; at most half of the cells of a grid are used.
    """

    weight: nn.Parameter

    def __init__(self, modes: int) -> None:
        super().__init__()
        self.modes = modes

    @abstractmethod
    def mix(self, spectrum: Tensor, weight: Tensor) -> Tensor:
        """Change one block of low modes `(B, C, *modes)`."""

    # Inductor cannot generate code for complex numbers; the rest of a network compiles around this.
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, *S)` to the same shape, float32."""
        with torch.autocast(x.device.type, enabled=False):
            axes = tuple(range(2, x.dim()))
            shape = list(x.shape[2:])
            kept = [min(self.modes, cells // 2) for cells in shape]
            spectrum = torch.fft.rfftn(x.float(), dim=axes, norm="ortho")
            weight = torch.view_as_complex(self.weight)
            # A small grid has fewer modes than the weight has numbers for.
            for axis, modes in enumerate(kept, start=weight.dim() - len(kept)):
                weight = weight.narrow(axis, 0, modes)
            # Blocks do not overlap, because at most half of the cells of an axis are kept.
            out = torch.zeros_like(spectrum)
            for block, block_weight in zip(_low_blocks(shape, kept), weight, strict=True):
                out[block] = self.mix(spectrum[block], block_weight)
            result: Tensor = torch.fft.irfftn(out, s=shape, dim=axes, norm="ortho")
        return result


class SpectralConv(_SpectralLayer):
    """Mixes channels by a complex matrix per mode: the Fourier layer without its bypass.

    Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", arXiv 2010.08895.

    Args:
        dim: grid dimension, 1 to 3.
        channels: C of `(B, C, *S)`.
        modes: modes kept per axis; the weight is `(2^(dim - 1), C, C, *modes, 2)`.
    """

    def __init__(self, dim: int, channels: int, modes: int) -> None:
        super().__init__(modes)
        shape = (2 ** (dim - 1), channels, channels, *([modes] * dim), 2)
        self.weight = nn.Parameter(torch.randn(shape) / channels)

    def mix(self, spectrum: Tensor, weight: Tensor) -> Tensor:
        """`(B, Cin, *modes)` by `(Cin, Cout, *modes)`."""
        return torch.einsum("bi...,io...->bo...", spectrum, weight)


class DepthwiseSpectral(_SpectralLayer):
    """Multiplies the low modes of each channel by learned complex numbers: a global convolution per channel.

    The numbers start near one, so the layer starts as a low-pass filter.

    Args:
        dim: grid dimension, 1 to 3.
        channels: C of `(B, C, *S)`.
        modes: modes kept per axis; the weight is `(2^(dim - 1), C, *modes, 2)`.
    """

    def __init__(self, dim: int, channels: int, modes: int) -> None:
        super().__init__(modes)
        weight = 0.02 * torch.randn(2 ** (dim - 1), channels, *([modes] * dim), 2)
        weight[..., 0] += 1.0
        self.weight = nn.Parameter(weight)

    def mix(self, spectrum: Tensor, weight: Tensor) -> Tensor:
        """`(B, C, *modes)` by `(C, *modes)`."""
        return spectrum * weight
