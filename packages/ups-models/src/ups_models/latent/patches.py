"""Between a grid of cells and a coarser grid of blocks of cells, channels last."""

from __future__ import annotations

from torch import Tensor


def fold(x: Tensor, factor: int) -> Tensor:
    """Turn the cells of a block into channels.

    Args:
        x: `(B, *S, C)`; every axis of S is divisible by the factor.
        factor: cells per axis of a block.

    Returns:
        `(B, *G, factor^d * C)` with `G = S / factor`.
    """
    batch, *grid, channels = x.shape
    dim = len(grid)
    blocks = [cells // factor for cells in grid]
    split = [size for cells in blocks for size in (cells, factor)]
    order = [0, *range(1, 2 * dim, 2), *range(2, 2 * dim + 1, 2), 2 * dim + 1]
    ordered = x.reshape(batch, *split, channels).permute(order)
    return ordered.reshape(batch, *blocks, factor**dim * channels)


def unfold(x: Tensor, factor: int) -> Tensor:
    """The inverse of :func:`fold`: `(B, *G, factor^d * C)` to `(B, *S, C)`."""
    batch, *grid, size = x.shape
    dim = len(grid)
    channels = size // factor**dim
    order = [0, *(axis for pair in range(dim) for axis in (1 + pair, 1 + dim + pair)), 1 + 2 * dim]
    ordered = x.reshape(batch, *grid, *([factor] * dim), channels).permute(order)
    return ordered.reshape(batch, *(cells * factor for cells in grid), channels)
