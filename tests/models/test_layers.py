"""Layers: exact inverses, spectral mixing of known modes, plan checks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toy_tasks import evolution, steady
from ups_models.config import FNOConfig, LatentOperatorConfig, UNetConfig
from ups_models.latent.patches import crop_grid, fold, pad_grid, unfold
from ups_models.layers.spectral import DepthwiseSpectral, SpectralConv


@given(dim=st.integers(1, 3), blocks=st.integers(1, 3), factor=st.integers(1, 3), channels=st.integers(1, 3))
def test_fold_has_an_exact_inverse(dim: int, blocks: int, factor: int, channels: int) -> None:
    x = torch.arange(2.0 * channels * (blocks * factor) ** dim).reshape(
        2, *([blocks * factor] * dim), channels
    )
    folded = fold(x, factor)
    assert folded.shape == (2, *([blocks] * dim), channels * factor**dim)
    assert torch.equal(unfold(folded, factor), x)
    corner = x[(slice(None), *([slice(0, factor)] * dim))].flatten(1)
    assert torch.equal(folded[(slice(None), *([0] * dim))], corner), "a block holds neighbouring cells"


@given(
    shape=st.lists(st.integers(4, 9), min_size=1, max_size=3),
    multiple=st.integers(1, 4),
    periodic=st.booleans(),
)
def test_padding_reaches_a_multiple_and_is_cropped_away(
    shape: list[int], multiple: int, periodic: bool
) -> None:
    x = torch.rand(1, *shape, 2)
    padded = pad_grid(x, multiple, periodic)
    assert all(cells % multiple == 0 for cells in padded.shape[1:-1])
    assert torch.equal(crop_grid(padded, shape), x)
    if padded.shape[1] > shape[0]:
        expected = crop_grid(x, [1]) if periodic else torch.zeros_like(crop_grid(x, [1]))
        assert torch.equal(crop_grid(padded, [*padded.shape[1:2], *shape[1:]])[:, shape[0]], expected[:, 0])


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


def test_plan_checks_name_the_grid() -> None:
    tasks = {"a": evolution("a", cells=64), "b": steady("b", cells=16)}
    assert FNOConfig(modes={1: 32, 2: 8}).check(tasks) == []
    assert FNOConfig(modes={1: 33, 2: 9}).check(tasks) == [
        ("modes.1", "33 modes need 66 cells; task 'a' has 64 (at most 32 modes)"),
        ("modes.2", "9 modes need 18 cells; task 'b' has 16 (at most 8 modes)"),
    ]
    assert UNetConfig(levels=6).check(tasks) == [
        ("levels.2", "the grid 16x16 of task 'b' is not divisible by 32; use fewer levels")
    ]
    config = LatentOperatorConfig(trunk="pdet_stack", kernel=4, width=30, heads=4)
    assert config.check({"b": tasks["b"]}) == [
        ("kernel.1", "kernel 4 is even; use an odd one, which keeps the grid"),
        ("kernel.2", "kernel 4 is even; use an odd one, which keeps the grid"),
        ("heads", "heads 4 does not divide width 30; use a divisor"),
    ]
    assert LatentOperatorConfig(width=30, heads=4).check(tasks) == [], "the multi-scale trunk has no heads"
