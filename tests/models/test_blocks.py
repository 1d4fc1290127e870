"""Blocks of the trunks against their formulas: attention, modulation, what they see and how they start."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from ups_data.info import Sides, everywhere
from ups_models.latent.block import Attention, Block, GridMixer
from ups_models.latent.convnext import GridConv, ModulatedConvNeXt

WIDTH, CONDITION = 8, 3


def noisy(module: nn.Module) -> nn.Module:
    """No weight is zero any more."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return module


def circle(x: Tensor) -> tuple[Sides, ...]:
    """All axes of a grid `(B, *S, C)` wrap around."""
    return everywhere("periodic", x.dim() - 2)


def zeros(x: Tensor) -> tuple[Sides, ...]:
    """Zeros lie beyond all ends of a grid `(B, *S, C)`."""
    return everywhere("dirichlet", x.dim() - 2)


def plain_norm(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_a_softmax_of_products(heads: int) -> None:
    torch.manual_seed(0)
    attention = Attention(WIDTH, heads)
    x = torch.randn(2, 5, WIDTH)
    size = WIDTH // heads
    with torch.no_grad():
        joined = x @ attention.qkv.weight.T + attention.qkv.bias
        query, key, value = joined.split(WIDTH, dim=-1)
        out = torch.zeros_like(x)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            q, k = plain_norm(query[..., part]), plain_norm(key[..., part])
            for row in range(5):
                scores = torch.stack(
                    [(q[:, row] * k[:, other]).sum(-1) for other in range(5)], -1
                ) / math.sqrt(size)
                weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
                out[:, row, part] = (weights[..., None] * value[..., part]).sum(1)
        expected = out @ attention.out.weight.T + attention.out.bias
        assert torch.allclose(attention(x), expected, atol=1e-5)


def test_attention_knows_no_order_and_no_dimension() -> None:
    torch.manual_seed(0)
    attention = Attention(WIDTH, 2)
    x = torch.randn(2, 12, WIDTH)
    order = torch.randperm(12)
    with torch.no_grad():
        assert torch.allclose(attention(x[:, order]), attention(x)[:, order], atol=1e-6)
        grid = attention(x.reshape(2, 3, 4, WIDTH))
    assert grid.shape == (2, 3, 4, WIDTH)
    assert torch.allclose(grid.reshape(2, 12, WIDTH), attention(x), atol=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_mixer_commutes_with_shifts_of_a_periodic_grid(dim: int) -> None:
    torch.manual_seed(0)
    mixer = GridMixer([1, 2, 3], WIDTH, 2)
    x = torch.randn(2, *[6] * dim, WIDTH)
    with torch.no_grad():
        for axis in range(1, dim + 1):
            assert torch.allclose(
                mixer(x.roll(2, axis), circle(x)), mixer(x, circle(x)).roll(2, axis), atol=1e-5
            )
        assert not torch.allclose(mixer(x, zeros(x)), mixer(x, circle(x))), "walls are not wrapped around"


def test_the_mixer_shares_its_projection_between_dimensions() -> None:
    mixer = GridMixer([1, 2], WIDTH, 2)
    names = {name.split(".")[0] for name, _ in mixer.named_parameters()}
    assert names == {"local", "waves", "out"}
    assert {name for name, _ in mixer.named_parameters() if name.startswith("out")} == {
        "out.weight",
        "out.bias",
    }
    mixer(torch.randn(1, 6, WIDTH), everywhere("periodic", 1)).sum().backward()
    assert mixer.out.weight.grad is not None
    unused = {name for name, weight in mixer.named_parameters() if weight.grad is None}
    assert unused == {"local.2.weight", "local.2.bias", "waves.2.weight"}


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_transformer_block_starts_as_the_identity(dim: int) -> None:
    torch.manual_seed(0)
    block = Block([dim], WIDTH, 2, 2, 2.0, CONDITION)
    x, condition = torch.randn(2, *[4] * dim, WIDTH), torch.randn(2, CONDITION)
    assert torch.equal(block(x, condition, circle(x)), x)
    block(x, condition, circle(x)).square().sum().backward()
    assert block.modulation.weight.grad is not None
    assert block.modulation.weight.grad.any(), "closed gates open"


def test_a_transformer_block_is_three_gated_branches() -> None:
    block = noisy(Block([1], WIDTH, 2, 2, 2.0, CONDITION))
    assert isinstance(block, Block)
    x, condition = torch.randn(2, 6, WIDTH), torch.randn(2, CONDITION)
    with torch.no_grad():
        rows = (condition @ block.modulation.weight.T + block.modulation.bias).reshape(2, 1, 9, WIDTH)
        expected = x
        branches = (block.attention, lambda tokens: block.mixer(tokens, circle(tokens)), block.mlp)
        for number, branch in enumerate(branches):
            shift, scale, gate = (rows[:, :, 3 * number + part] for part in range(3))
            expected = expected + gate * branch(plain_norm(expected) * (1 + scale) + shift)
        assert torch.allclose(block(x, condition, circle(x)), expected, atol=1e-5)


def test_samples_follow_their_own_conditions() -> None:
    blocks = (
        noisy(Block([1], WIDTH, 2, 2, 2.0, CONDITION)),
        noisy(ModulatedConvNeXt({1: 3}, WIDTH, CONDITION, 2.0)),
    )
    x, condition = torch.randn(2, 6, WIDTH), torch.randn(2, CONDITION)
    changed = condition.clone()
    changed[1] += 1
    for block in blocks:
        with torch.no_grad():
            before, after = block(x, condition, circle(x)), block(x, changed, circle(x))
        assert torch.equal(before[0], after[0])
        assert not torch.allclose(before[1], after[1])


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_convnext_block_starts_without_modulation(dim: int) -> None:
    """Shift 0, scale 1 and gate 1: the plain block, whatever the condition."""
    torch.manual_seed(0)
    block = ModulatedConvNeXt({dim: 3}, WIDTH, CONDITION, 2.0)
    x, condition = torch.randn(2, *[5] * dim, WIDTH), torch.randn(2, CONDITION)
    with torch.no_grad():
        hidden = nn.functional.gelu(block.expand(plain_norm(block.spatial(x, circle(x)))))
        expected = x + block.contract(hidden)
        assert torch.allclose(block(x, condition, circle(x)), expected, atol=1e-5)
        assert torch.equal(block(x, condition, circle(x)), block(x, condition + 1, circle(x)))
    assert not torch.allclose(expected, x), "its gate is open"


def test_a_modulated_convnext_block_is_its_formula() -> None:
    block = noisy(ModulatedConvNeXt({2: 3}, WIDTH, CONDITION, 1.5))
    assert isinstance(block, ModulatedConvNeXt)
    x, condition = torch.randn(2, 4, 5, WIDTH), torch.randn(2, CONDITION)
    with torch.no_grad():
        rows = (condition @ block.modulation.weight.T + block.modulation.bias).reshape(2, 1, 1, 3, WIDTH)
        shift, scale, gate = rows.unbind(-2)
        hidden = plain_norm(block.spatial(x, zeros(x))) * (1 + scale) + shift
        update = block.contract(nn.functional.gelu(block.expand(hidden)))
        assert torch.allclose(block(x, condition, zeros(x)), x + (1 + gate) * update, atol=1e-5)
    assert block.expand.weight.shape == (12, 8)


def test_grid_convolutions_have_weights_of_their_own_per_dimension() -> None:
    conv = GridConv({1: 5, 2: 3}, WIDTH)
    assert {
        name: tuple(weight.shape) for name, weight in conv.named_parameters() if name.endswith("weight")
    } == {
        "convs.1.weight": (8, 1, 5),
        "convs.2.weight": (8, 1, 3, 3),
    }
    line, plane = torch.randn(2, 7, WIDTH), torch.randn(2, 7, 6, WIDTH)
    assert conv(line, circle(line)).shape == line.shape
    assert conv(plane, zeros(plane)).shape == plane.shape


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (("periodic", "periodic"), [8 + 1 + 2, 7, 14, 4 + 8 + 1]),
        (("dirichlet", "dirichlet"), [3, 7, 14, 12]),
        (("neumann", "open"), [1 + 1 + 2, 7, 14, 4 + 8 + 8]),
        (("wall", "wall"), [1 + 1 + 2, 7, 14, 4 + 8 + 8]),
        (("dirichlet", "wall"), [3, 7, 14, 4 + 8 + 8]),
    ],
)
def test_grid_convolutions_treat_the_edge_as_the_boundary_demands(sides: Sides, expected: list[int]) -> None:
    conv = GridConv({1: 3}, 1)
    with torch.no_grad():
        conv.convs["1"].weight.fill_(1.0)  # type: ignore[union-attr]
        conv.convs["1"].bias.zero_()  # type: ignore[union-attr]
        found = conv(torch.tensor([1.0, 2.0, 4.0, 8.0]).reshape(1, 4, 1), (sides,)).flatten().tolist()
    assert found == expected


def test_blocks_know_the_dimensions_that_they_serve() -> None:
    block = ModulatedConvNeXt({1: 3, 3: 3}, WIDTH, CONDITION, 2.0)
    assert [block.works_on(dim) for dim in (1, 2, 3)] == [True, False, True]
