"""Convolutions against explicit sums over neighbours, with the boundary that the task has."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ups_data.info import everywhere
from ups_models.layers.convolution import ConvNeXtBlock, channels_last, grid_conv, zero_conv
from ups_models.layers.norm import LayerNorm


def explicit(conv: nn.Module, x: Tensor, kernel: int, periodic: bool) -> np.ndarray:
    """sum over channels and offsets of w * u at the neighbour; outside the domain wrapped around or zero."""
    weight, bias = (parameter.detach().double().numpy() for parameter in (conv.weight, conv.bias))
    fields = x.double().numpy()
    shape = fields.shape[2:]
    out = np.zeros((len(fields), len(weight), *shape))
    reach = kernel // 2
    for cell in np.ndindex(shape):
        for offset in itertools.product(range(-reach, reach + 1), repeat=len(shape)):
            place = [a + b for a, b in zip(cell, offset, strict=True)]
            if periodic:
                place = [a % n for a, n in zip(place, shape, strict=True)]
            elif any(not 0 <= a < n for a, n in zip(place, shape, strict=True)):
                continue
            taps = weight[(slice(None), slice(None), *(o + reach for o in offset))]
            out[(slice(None), slice(None), *cell)] += fields[(slice(None), slice(None), *place)] @ taps.T
    return out + bias.reshape(1, -1, *[1] * len(shape))


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 6), (3, 4, 3)], ids=str)
def test_grid_conv_sums_over_neighbours(shape: tuple[int, ...], periodic: bool) -> None:
    torch.manual_seed(0)
    conv = grid_conv(2, 3, 3, sides=everywhere("periodic" if periodic else "dirichlet", len(shape)))
    x = torch.randn(2, 2, *shape)
    with torch.no_grad():
        found = conv(x)
    assert found.shape == (2, 3, *shape)
    np.testing.assert_allclose(found.numpy(), explicit(conv, x, 3, periodic), atol=1e-5)


def test_groups_keep_channels_apart() -> None:
    conv = grid_conv(2, 2, 3, sides=everywhere("periodic", 1), groups=2)
    x = torch.randn(1, 2, 8)
    changed = x.clone()
    changed[:, 1] += 1
    with torch.no_grad():
        assert torch.equal(conv(x)[:, 0], conv(changed)[:, 0])
        assert not torch.allclose(conv(x)[:, 1], conv(changed)[:, 1])


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_last_projection_starts_at_zero_and_can_learn(dim: int) -> None:
    conv = zero_conv(dim, 3, 2)
    out = conv(torch.randn(2, 3, *[4] * dim))
    assert out.shape == (2, 2, *[4] * dim)
    assert not out.any()
    out.sum().backward()
    assert conv.weight.grad is not None
    assert conv.weight.grad.any()
    assert conv.bias.grad is not None
    assert conv.bias.grad.all()


def test_memory_layout_changes_no_value() -> None:
    plane, line, cube = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4), torch.randn(2, 3, 4, 5, 6)
    laid_out = channels_last(plane)
    assert torch.equal(laid_out, plane)
    assert laid_out.is_contiguous(memory_format=torch.channels_last)
    assert channels_last(line) is line
    assert channels_last(cube) is cube


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_convnext_block_is_its_formula(dim: int) -> None:
    torch.manual_seed(0)
    block = ConvNeXtBlock(4, sides=everywhere("periodic", dim), kernel=3, ratio=2)
    x = torch.randn(2, 4, *[6] * dim)
    with torch.no_grad():
        spread = block.spatial(x).movedim(1, -1)
        mean, var = spread.mean(-1, keepdim=True), spread.var(-1, unbiased=False, keepdim=True)
        normed = (spread - mean) / (var + 1e-5).sqrt()
        hidden = normed @ block.expand.weight.T + block.expand.bias
        gelu = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
        update = gelu @ block.contract.weight.T + block.contract.bias
        assert torch.allclose(block(x), x + update.movedim(-1, 1), atol=1e-5)
    assert block.expand.weight.shape == (8, 4)


def test_a_convnext_block_sees_as_far_as_its_kernel() -> None:
    torch.manual_seed(0)
    for periodic in (True, False):
        block = ConvNeXtBlock(2, sides=everywhere("periodic" if periodic else "dirichlet", 1), kernel=5)
        x = torch.randn(1, 2, 16)
        changed = x.clone()
        changed[..., 0] += 1
        with torch.no_grad():
            moved = (block(changed) - block(x)).abs().amax((0, 1)) > 0
        expected = {0, 1, 2} | ({14, 15} if periodic else set())
        assert set(moved.nonzero().flatten().tolist()) == expected


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_stays_in_float32_under_autocast(affine: bool) -> None:
    norm = LayerNorm(64, elementwise_affine=affine)
    x = (10 + torch.randn(3, 5, 64)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = norm(x)
    assert found.dtype == torch.float32
    plain = x.float()
    mean, var = plain.mean(-1, keepdim=True), plain.var(-1, unbiased=False, keepdim=True)
    assert torch.allclose(found, (plain - mean) / (var + 1e-5).sqrt(), atol=1e-4)


def test_layer_norm_is_torch_s_in_float32() -> None:
    ours, theirs = LayerNorm(8), nn.LayerNorm(8)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2)
        ours.bias.uniform_(-1, 1)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 8)
    assert torch.equal(ours(x), theirs(x))
    assert ours(x.half()).dtype == torch.float32
