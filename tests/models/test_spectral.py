"""Spectral layers against explicit Fourier sums, written from the formula with loops over modes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from ups_models.layers.spectral import DepthwiseSpectral, SpectralConv

Complex = NDArray[np.complex128]


def mode(field: Complex, k: Sequence[int]) -> complex:
    """The Fourier coefficient of one mode with orthonormal scaling: sum over cells of u exp(-2πi k·x/n) / √N."""
    total = 0j
    for cell in np.ndindex(field.shape):
        angle = sum(-2 * math.pi * a * b / n for a, b, n in zip(k, cell, field.shape, strict=True))
        total += field[cell] * np.exp(1j * angle)
    return complex(total / math.sqrt(field.size))


def wave(shape: Sequence[int], k: Sequence[int]) -> Complex:
    """exp(2πi k·x/n) / √N on a grid."""
    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"))
    return np.exp(2j * math.pi * np.tensordot(np.array(k), grid, 1)) / math.sqrt(math.prod(shape))


def kept_modes(shape: Sequence[int], modes: int) -> list[tuple[tuple[int, ...], int, tuple[int, ...]]]:
    """Signed modes that a layer keeps, with the number of their block and their index in its weight.

    Along all axes but the last both signs are kept, in two blocks per axis; along the last one k >= 0, whose
    conjugates follow because fields are real.
    """
    kept = [min(modes, n // 2) for n in shape]
    found = []
    for block, signs in enumerate(itertools.product(*[(1, -1)] * (len(shape) - 1))):
        for index in np.ndindex(*kept):
            k = [i if sign > 0 else i - m for i, sign, m in zip(index, signs, kept, strict=False)]
            found.append(((*k, index[-1]), block, index))
    return found


def explicit(layer: SpectralConv | DepthwiseSpectral, x: Tensor) -> NDArray[np.float64]:
    """The layer as a sum over modes, one sample, in float64."""
    fields = x[0].double().numpy().astype(complex)
    weight = torch.view_as_complex(layer.weight.detach().double()).numpy()
    shape = fields.shape[1:]
    out = np.zeros(fields.shape)
    for k, block, index in kept_modes(shape, layer.modes):
        coefficients = np.array([mode(field, k) for field in fields])
        if isinstance(layer, SpectralConv):
            mixed = weight[(block, slice(None), slice(None), *index)].T @ coefficients
        else:
            mixed = weight[(block, slice(None), *index)] * coefficients
        # The conjugate of a mode with k_last > 0 is not stored; a mode with k_last = 0 stands for itself.
        for channel, value in enumerate(mixed):
            contribution = value * wave(shape, k)
            out[channel] += contribution.real * (2 if k[-1] else 1)
    return out


@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
@pytest.mark.parametrize("shape", [(12,), (9,), (6, 8), (7, 6), (4, 5, 6)], ids=str)
def test_a_layer_is_a_sum_over_its_modes(layer: type, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    module = layer(len(shape), 2, 2)
    x = torch.randn(1, 2, *shape)
    with torch.no_grad():
        found = module(x)
    np.testing.assert_allclose(found[0].numpy(), explicit(module, x), atol=2e-5)


@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
def test_a_grid_with_fewer_modes_uses_the_first_weights(layer: type) -> None:
    """A layer of 8 modes on a grid of 6 cells keeps 3 of them: those with the lowest wavenumbers."""
    module = layer(1, 3, 8)
    small = layer(1, 3, 3)
    with torch.no_grad():
        small.weight.copy_(module.weight[..., :3, :])
        x = torch.randn(2, 3, 6)
        assert torch.equal(module(x), small(x))


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
def test_the_operator_does_not_depend_on_the_grid(layer: type, dim: int) -> None:
    """A band-limited field on a grid twice as fine gives the same function, sampled twice as finely."""
    torch.manual_seed(0)
    module = layer(dim, 1, 3)

    def sampled(cells: int) -> Tensor:
        axes = torch.meshgrid(*[torch.arange(cells) / cells] * dim, indexing="ij")
        low = [torch.cos(2 * math.pi * (axis + 0.1)) + torch.sin(4 * math.pi * axis) for axis in axes]
        return torch.stack(low).sum(0)[None, None]

    with torch.no_grad():
        coarse, fine = module(sampled(8)), module(sampled(16))
    assert torch.allclose(fine[(..., *[slice(None, None, 2)] * dim)], coarse, atol=1e-5)


@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
def test_layers_are_linear_and_commute_with_shifts(layer: type) -> None:
    torch.manual_seed(0)
    module = layer(2, 2, 3)
    x, y = torch.randn(2, 1, 2, 8, 10)
    with torch.no_grad():
        assert torch.allclose(module(2 * x - 3 * y), 2 * module(x) - 3 * module(y), atol=1e-5)
        for shift, axis in ((3, -1), (5, -2)):
            assert torch.allclose(module(x.roll(shift, axis)), module(x).roll(shift, axis), atol=1e-5)


def test_depthwise_starts_as_a_low_pass_filter() -> None:
    torch.manual_seed(0)
    x = torch.arange(32) / 32
    low, high = torch.cos(2 * math.pi * 2 * x), torch.cos(2 * math.pi * 9 * x)
    with torch.no_grad():
        found = DepthwiseSpectral(1, 2, 4)(torch.stack([low, low + high])[None])
    assert (found[0] - low).abs().max() < 0.2, "low modes pass, up to the noise of the initial weights"
    assert torch.allclose(DepthwiseSpectral(1, 1, 4)(high[None, None]), torch.zeros(1, 1, 32), atol=1e-5)


def test_dense_mixing_exchanges_channels() -> None:
    module = SpectralConv(1, 2, 4)
    with torch.no_grad():
        module.weight.zero_()
        module.weight[0, 0, 1, :, 0] = 1.0  # channel 0 to channel 1
        module.weight[0, 1, 0, :, 0] = 2.0  # twice channel 1 to channel 0
        x = torch.arange(16) / 16
        first, second = torch.cos(2 * math.pi * x), torch.sin(2 * math.pi * 3 * x)
        found = module(torch.stack([first, second])[None])[0]
    assert torch.allclose(found, torch.stack([2 * second, first]), atol=1e-5)


@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_gradients_are_those_of_finite_differences(layer: type, dim: int) -> None:
    torch.manual_seed(0)
    module = layer(dim, 2, 2)
    x = torch.randn(1, 2, *[4] * dim)
    probe = torch.randn_like(x)

    def value() -> Tensor:
        return (module(x) * probe).sum()

    value().backward()
    assert module.weight.grad is not None
    direction = torch.randn_like(module.weight)
    expected = float((module.weight.grad * direction).sum())
    with torch.no_grad():
        module.weight += 0.5 * direction  # the layer is linear in its weights: any step is exact
        above = value()
        module.weight -= direction
        below = value()
    assert float(above - below) == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
def test_weights_are_real_pairs(layer: type) -> None:
    for name, weight in layer(2, 3, 4).named_parameters():
        assert weight.dtype == torch.float32, name
        assert weight.shape[-3:] == (4, 4, 2)
        assert weight.shape[0] == 2, "two blocks: both signs of the first axis"


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
def test_spectral_layers_drop_high_modes_and_keep_low_ones(dim: int, layer: type) -> None:
    cells = 16
    grid = torch.meshgrid(*([torch.arange(cells) / cells] * dim), indexing="ij")
    low = sum(torch.cos(2 * math.pi * axis) for axis in grid)
    high = sum(torch.cos(2 * math.pi * 7 * axis) for axis in grid)
    module = layer(dim, 1, 3)
    with torch.no_grad():
        module.weight.zero_()
        module.weight[..., 0] = 2.0
        found = module(torch.stack([low, high])[:, None])
    assert torch.allclose(found[0, 0], 2 * low, atol=1e-5)
    assert found[1].abs().max() < 1e-5


def test_depthwise_spectral_can_shift_exactly() -> None:
    module = DepthwiseSpectral(1, 1, 4)
    x = torch.sin(2 * math.pi * torch.arange(32) / 32) + torch.cos(2 * math.pi * 3 * torch.arange(32) / 32)
    phase = torch.exp(-2j * math.pi * torch.arange(4) * 5.5 / 32)
    with torch.no_grad():
        module.weight.copy_(torch.view_as_real(phase)[None, None])
    cells = torch.arange(32) - 5.5
    expected = torch.sin(2 * math.pi * cells / 32) + torch.cos(2 * math.pi * 3 * cells / 32)
    assert torch.allclose(module(x[None, None])[0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("layer", [SpectralConv, DepthwiseSpectral])
def test_spectral_layers_compute_in_float32_under_autocast(layer: type) -> None:
    module = layer(1, 2, 3)
    x = torch.randn(1, 2, 15)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, module(x))
