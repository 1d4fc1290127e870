"""Grids that blocks do not divide: repeated around a circle, padded at a boundary; waves keep their number."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_data.info import everywhere
from ups_models.grids import copies_of, cost_of_copies, extended
from ups_models.latent.patches import fold
from ups_models.layers.spectral import DepthwiseSpectral
from ups_models.layers.tiling import BlockGrid, along_copies, around_circle

CIRCLE = everywhere("periodic", 1)


@pytest.mark.parametrize(
    ("cells", "block", "copies"),
    [(64, 4, 1), (65, 4, 4), (66, 4, 2), (67, 4, 4), (50, 8, 4), (3, 4, 4), (7, 1, 1)],
)
def test_the_number_of_copies(cells: int, block: int, copies: int) -> None:
    assert copies_of(cells, block) == copies
    assert extended(cells, block, True) == copies * cells
    assert extended(cells, block, False) == math.ceil(cells / block) * block


def test_the_cost_is_the_product_over_the_axes() -> None:
    assert cost_of_copies((65, 50), 8, (True, True)) == 8 * 4
    assert cost_of_copies((65, 50), 8, (False, False)) == 1
    assert cost_of_copies((65, 50), 8, (False, True)) == 4
    assert cost_of_copies((64, 48), 8, (True, True)) == 1


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3), block=st.integers(1, 4), periodic=st.booleans()
)
def test_extending_reaches_complete_blocks_and_is_undone(
    shape: list[int], block: int, periodic: bool
) -> None:
    x = torch.rand(1, *shape, 2, dtype=torch.float64)
    sides = everywhere("periodic" if periodic else "dirichlet", len(shape))
    grid = BlockGrid(tuple(shape), block, sides)
    longer = grid.extend(x)
    assert tuple(longer.shape[1:-1]) == tuple(extended(cells, block, periodic) for cells in shape)
    assert torch.allclose(grid.restore(longer), x)
    if not periodic:
        assert longer.sum() == pytest.approx(x.sum()), "zeros beyond the edge"


@pytest.mark.parametrize("periodic", [True, False])
def test_a_grid_that_fits_is_not_copied(periodic: bool) -> None:
    x = torch.rand(1, 8, 12, 2)
    grid = BlockGrid((8, 12), 4, everywhere("periodic" if periodic else "dirichlet", 2))
    assert grid.extend(x) is x
    assert grid.restore(x) is x


def test_values_beyond_the_edge() -> None:
    x = torch.arange(1.0, 6.0).reshape(1, 5, 1)
    assert BlockGrid((5,), 2, CIRCLE).extend(x).flatten().tolist() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]
    assert BlockGrid((5,), 2, everywhere("dirichlet", 1)).extend(x).flatten().tolist() == [1, 2, 3, 4, 5, 0]
    assert BlockGrid((5,), 4, everywhere("wall", 1)).extend(x).flatten().tolist() == [1, 2, 3, 4, 5, 5, 5, 5]


def test_copies_are_averaged() -> None:
    longer = torch.tensor([1.0, 2.0, 3.0, 3.0, 6.0, 9.0]).reshape(1, 6, 1)
    assert BlockGrid((3,), 2, CIRCLE).restore(longer).flatten().tolist() == [2, 4, 6]


@given(cells=st.integers(5, 40), block=st.sampled_from([1, 2, 3, 4, 8]), wave=st.integers(0, 2))
def test_blocks_around_the_circle_are_samples_of_one_wave(cells: int, block: int, wave: int) -> None:
    """The first cells of the blocks, ordered, are the wave on a grid of equal steps: mode k stays mode k."""
    x = torch.cos(2 * math.pi * wave * torch.arange(cells) / cells + 0.3).reshape(1, cells, 1)
    grid = BlockGrid((cells,), block, CIRCLE)
    blocks = fold(grid.extend(x), block)[..., :1].movedim(-1, 1)
    places = around_circle(blocks, grid.copies)
    count = places.shape[-1]
    assert count == cells // math.gcd(cells, block)
    expected = torch.cos(2 * math.pi * wave * torch.arange(count) / count + 0.3)
    assert torch.allclose(places.flatten(), expected, atol=1e-5)
    assert torch.allclose(along_copies(places, grid.copies, blocks.shape[2:]), blocks, atol=1e-5)


def test_tokens_of_a_finer_level_lie_at_one_place_several_times() -> None:
    """66 cells in blocks of 8 are repeated 4 times; of the 66 tokens of 4 cells, pairs lie at 33 places."""
    x = torch.cos(2 * math.pi * 3 * torch.arange(66) / 66).reshape(1, 66, 1)
    grid = BlockGrid((66,), 8, CIRCLE)
    tokens = fold(grid.extend(x), 4)[..., :1].movedim(-1, 1)
    assert tokens.shape == (1, 1, 66)
    places = around_circle(tokens, grid.copies)
    assert torch.allclose(places.flatten(), torch.cos(2 * math.pi * 3 * torch.arange(33) / 33), atol=1e-5)
    assert torch.allclose(along_copies(places, grid.copies, [66]), tokens, atol=1e-5)


@pytest.mark.parametrize("cells", [64, 65, 66, 67])
def test_a_spectral_layer_treats_a_wave_alike_at_every_length(cells: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseSpectral(1, 1, 4)
    grid = BlockGrid((cells,), 4, CIRCLE)
    angle = 2 * math.pi * 2 * torch.arange(cells) / cells
    blocks = fold(grid.extend(torch.cos(angle).reshape(1, cells, 1)), 4)[..., :1].movedim(-1, 1)
    with torch.no_grad():
        found = along_copies(layer(around_circle(blocks, grid.copies)), grid.copies, blocks.shape[2:])
        factor = torch.view_as_complex(layer.weight)[0, 0, 2]
    wanted = factor.abs() * torch.cos(angle + factor.angle())
    first = fold(grid.extend(wanted.reshape(1, cells, 1)), 4)[..., 0].flatten()
    assert torch.allclose(found.flatten(), first, atol=1e-5)


def test_axes_are_ordered_one_by_one() -> None:
    grid = BlockGrid((5, 8, 6), 4, everywhere("periodic", 3))
    assert grid.copies == (4, 1, 2)
    x = torch.rand(2, 3, 5, 2, 3)
    there = around_circle(x, grid.copies)
    assert there.shape == x.shape
    assert torch.equal(along_copies(there, grid.copies, x.shape[2:]), x)
