"""Between a grid of cells and a coarser grid of blocks of cells, channels last; any grid size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def fold(x: Tensor, factor: int) -> Tensor:
    """`(B, *S, C)` to `(B, *G, factor^d * C)` with `G = S / factor`: the cells of a block become channels."""
    batch, *grid, channels = x.shape
    dim = len(grid)
    split = [size for cells in grid for size in (cells // factor, factor)]
    order = [0, *range(1, 2 * dim, 2), *range(2, 2 * dim + 1, 2), 2 * dim + 1]
    return x.reshape(batch, *split, channels).permute(order).reshape(
        batch, *(cells // factor for cells in grid), factor**dim * channels
    )  # fmt: skip


def unfold(x: Tensor, factor: int) -> Tensor:
    """The inverse of :func:`fold`."""
    batch, *grid, size = x.shape
    dim = len(grid)
    channels = size // factor**dim
    order = [0, *(axis for pair in range(dim) for axis in (1 + pair, 1 + dim + pair)), 1 + 2 * dim]
    return x.reshape(batch, *grid, *([factor] * dim), channels).permute(order).reshape(
        batch, *(cells * factor for cells in grid), channels
    )  # fmt: skip


def pad_grid(x: Tensor, multiple: int, periodic: bool) -> Tensor:
    """`(B, *S, C)` with every spatial axis lengthened to a multiple: wrapped around or by zeros."""
    missing = [-cells % multiple for cells in x.shape[1:-1]]
    if not any(missing):
        return x
    edges = [size for extra in reversed(missing) for size in (0, extra)]
    padded = nn.functional.pad(x.movedim(-1, 1), edges, mode="circular" if periodic else "constant")
    return padded.movedim(1, -1)


def crop_grid(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The inverse of :func:`pad_grid`."""
    for axis, cells in enumerate(shape, start=1):
        x = x.narrow(axis, 0, cells)
    return x
