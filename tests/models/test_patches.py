"""Folding cells into channels and back: exact inverses with the right neighbours."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ups_models.latent.patches import fold, unfold


@given(dim=st.integers(1, 3), blocks=st.integers(1, 3), factor=st.integers(1, 3), channels=st.integers(1, 3))
def test_fold_has_an_exact_inverse(dim: int, blocks: int, factor: int, channels: int) -> None:
    shape = (2, *([blocks * factor] * dim), channels)
    x = torch.arange(2.0 * channels * (blocks * factor) ** dim).reshape(shape)
    folded = fold(x, factor)
    assert folded.shape == (2, *([blocks] * dim), channels * factor**dim)
    assert torch.equal(unfold(folded, factor), x)
    corner = x[(slice(None), *([slice(0, factor)] * dim))].flatten(1)
    assert torch.equal(folded[(slice(None), *([0] * dim))], corner), "a block contains neighbouring cells"


@given(rows=st.integers(1, 3), columns=st.integers(1, 4), factor=st.integers(1, 3))
def test_axes_may_differ_in_length(rows: int, columns: int, factor: int) -> None:
    x = torch.rand(1, rows * factor, columns * factor, 2)
    folded = fold(x, factor)
    assert folded.shape == (1, rows, columns, 2 * factor**2)
    for row in range(rows):
        for column in range(columns):
            block = x[:, row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            assert torch.equal(folded[:, row, column], block.flatten(1))
    assert torch.equal(unfold(folded, factor), x)


def test_folding_twice_is_folding_by_the_product_up_to_the_order_of_channels() -> None:
    x = torch.rand(2, 8, 8, 3)
    twice, once = fold(fold(x, 2), 2), fold(x, 4)
    assert twice.shape == once.shape
    assert torch.equal(twice.sort(-1).values, once.sort(-1).values)


def test_folding_commutes_with_shifts_by_whole_blocks() -> None:
    x = torch.rand(1, 12, 8, 2)
    for axis in (1, 2):
        assert torch.equal(fold(x.roll(4, axis), 4), fold(x, 4).roll(1, axis))
