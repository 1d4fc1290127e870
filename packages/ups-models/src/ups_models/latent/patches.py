"""Between a grid of cells and a coarser grid of blocks of cells, channels last; any grid size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


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


def pad_grid(x: Tensor, multiple: int, periodic: bool) -> Tensor:
    """Lengthen every spatial axis of `(B, *S, C)` to a multiple, by wrapping around or with zeros."""
    missing = [-cells % multiple for cells in x.shape[1:-1]]
    if not any(missing):
        return x
    edges = [size for extra in reversed(missing) for size in (0, extra)]
    padded = nn.functional.pad(x.movedim(-1, 1), edges, mode="circular" if periodic else "constant")
    return padded.movedim(1, -1)


def crop_grid(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The inverse of :func:`pad_grid`: the first cells along every axis, `(B, *shape, C)`."""
    for axis, cells in enumerate(shape, start=1):
        x = x.narrow(axis, 0, cells)
    return x
