"""Layers: exact inverses, spectral mixing of known modes, plan checks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_models.config import FNOConfig, LatentOperatorConfig, UNetConfig
from ups_models.latent.codec import patchify, unpatchify
from ups_models.layers.spectral import DepthwiseSpectral, SpectralConv


@given(dim=st.integers(1, 3), tokens=st.integers(1, 3), patch=st.integers(1, 3), features=st.integers(1, 3))
def test_patchify_has_an_exact_inverse(dim: int, tokens: int, patch: int, features: int) -> None:
    x = torch.arange(2.0 * features * (tokens * patch) ** dim).reshape(2, features, *([tokens * patch] * dim))
    blocks = patchify(x, patch)
    assert blocks.shape == (2, *([tokens] * dim), features * patch**dim)
    assert torch.equal(unpatchify(blocks, patch), x)
    corner = x[(slice(None), slice(None), *([slice(0, patch)] * dim))].flatten(1)
    assert torch.equal(blocks[(slice(None), *([0] * dim))], corner), "a token holds neighbouring cells"


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
    tasks = {"a": {"shape": (64,)}, "b": {"shape": (16, 16)}}
    assert FNOConfig(modes=32, modes_2d=8).check(tasks) == []
    assert FNOConfig(modes=33, modes_2d=9).check(tasks) == [
        ("modes", "33 modes need 66 cells; task 'a' has 64 (at most 32 modes)"),
        ("modes_2d", "9 modes need 18 cells; task 'b' has 16 (at most 8 modes)"),
    ]
    assert UNetConfig(levels=6).check(tasks) == [
        ("levels", "the grid 16x16 of task 'b' is not divisible by 32")
    ]
    assert LatentOperatorConfig(patch=5, width=30, heads=4).check({"b": tasks["b"]}) == [
        ("patch", "the grid 16x16 of task 'b' is not divisible by 5"), ("heads", "heads 4 does not divide width 30"),
    ]  # fmt: skip
