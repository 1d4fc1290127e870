"""Replaces the layers of a simulator that use FFTs by equal ones that multiply with matrices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ups_models.export.real_dft import Complex, RealDFT, times
from ups_models.latent.linear_propagator import LinearPropagator, exponents, wave_numbers
from ups_models.layers.spectral import DepthwiseSpectral, SpectralConv


class MatrixSpectral(nn.Module):
    """A spectral layer on one grid.

    Args:
        layer: its modes and weights.
        shape: points along every axis.
    """

    real: Tensor
    imaginary: Tensor

    def __init__(self, layer: SpectralConv | DepthwiseSpectral, shape: Sequence[int]) -> None:
        super().__init__()
        self.mixes = isinstance(layer, SpectralConv)
        kept = [min(layer.modes, cells // 2) for cells in shape]
        signed = [[*range(modes), *range(-modes, 0)] for modes in kept[:-1]]
        self.dft = RealDFT(shape, [*signed, list(range(kept[-1]))])
        weight = layer.weight.detach()
        lead = weight.dim() - 2 - len(shape)  # axes of channels
        for axis, modes in enumerate(kept, start=1 + lead):
            weight = weight.narrow(axis, 0, modes)
        complete = torch.empty(*weight.shape[1 : 1 + lead], *(2 * modes for modes in kept[:-1]), kept[-1], 2)
        parts = [(slice(0, modes), slice(modes, 2 * modes)) for modes in kept[:-1]]
        for block, part in zip(itertools.product(*parts), weight, strict=True):
            selection: tuple[Any, ...] = (..., *block, slice(None), slice(None))
            complete[selection] = part
        self.register_buffer("real", complete[..., 0].contiguous())
        self.register_buffer("imaginary", complete[..., 1].contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, *S)` to the same shape."""
        spectrum, weight = self.dft(x), (self.real, self.imaginary)
        mixed: Complex = self._mix(spectrum, weight) if self.mixes else times(spectrum, weight)
        result: Tensor = self.dft.inverse(mixed)
        return result

    def _mix(self, spectrum: Complex, weight: Complex) -> Complex:
        axes = "xyz"[: self.dft.dim]  # letters in place of an ellipsis, which ONNX runtimes do not take

        def product(part: int, other: int) -> Tensor:
            return torch.einsum(f"bi{axes},io{axes}->bo{axes}", spectrum[part], weight[other])

        return product(0, 0) - product(1, 1), product(0, 1) + product(1, 0)


class MatrixPropagator(LinearPropagator):
    """A fitted linear propagator on one grid.

    Args:
        propagator: its coefficients.
        shape: points along every axis.
    """

    def __init__(self, propagator: LinearPropagator, shape: Sequence[int]) -> None:
        nn.Module.__init__(self)
        self.lengths, self.active = propagator.lengths, propagator.active
        self.register_buffer("coefficients", propagator.coefficients)
        numbers = [
            [place if 2 * place < cells else place - cells for place in range(cells)] for cells in shape[:-1]
        ]
        self.dft = RealDFT(shape, [*numbers, list(range(shape[-1] // 2 + 1))])
        like = propagator.coefficients
        for axis, wave in enumerate(wave_numbers(shape, propagator.lengths, like)):
            self.register_buffer(f"wave{axis}", wave)

    def propagated(self, x: Tensor, coefficients: Tensor, params: Tensor, dt: Tensor) -> Tensor:
        """See :class:`LinearPropagator`."""
        waves = [getattr(self, f"wave{axis}") for axis in range(self.dft.dim)]
        decay, phase = exponents(waves, coefficients, params, dt)
        factor = decay.exp() * phase.cos(), decay.exp() * phase.sin()
        moved: Tensor = self.dft.inverse(times(self.dft(x), factor))
        return moved


def replace_ffts(module: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Replace the layers with FFTs that a forward pass of these inputs runs, in place.

    Args:
        module: a step.
        inputs: of it; they fix the grids of the layers.
    """
    grids: dict[nn.Module, tuple[int, ...]] = {}

    def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        grids[layer] = tuple(given[0].shape[2:])

    kinds = (SpectralConv, DepthwiseSpectral, LinearPropagator)
    found = [layer for layer in module.modules() if isinstance(layer, kinds)]
    hooks = [layer.register_forward_pre_hook(note) for layer in found]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if child not in grids:
                continue
            if isinstance(child, LinearPropagator):
                parent.add_module(name, MatrixPropagator(child, grids[child]))
            elif isinstance(child, SpectralConv | DepthwiseSpectral):
                parent.add_module(name, MatrixSpectral(child, grids[child]))
