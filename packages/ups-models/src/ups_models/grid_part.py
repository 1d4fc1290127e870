"""A part of a grid: a tile, and the cells around it that its prediction depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ups_models.network import NetworkInput


@dataclass(frozen=True)
class GridPart:
    """A tile with a halo; every attribute has one number for each of d axes.

    Attributes:
        shape: cells of the grid, S.
        starts: first cell of the tile; may be beyond the end of a periodic axis.
        cells: cells of the tile.
        before: cells of the halo before the tile; 0 where the grid ends.
        after: cells of the halo after it; the window has `before + cells + after` cells.
    """

    shape: tuple[int, ...]
    starts: tuple[int, ...]
    cells: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of_grid(
        cls, shape: Sequence[int], periodic: Sequence[bool], starts: Sequence[int], cells: int, halo: int
    ) -> GridPart:
        """A tile whose halo ends where the grid does, and wraps around a periodic axis.

        Args:
            shape: cells of the grid along every axis.
            periodic: which axes wrap around.
            starts: first cell of the tile along every axis.
            cells: of the tile along every axis.
            halo: cells around it; along a periodic axis all of them if the halo has more.
        """
        before, after = [], []
        for count, wraps, start in zip(shape, periodic, starts, strict=True):
            free = count - cells
            before.append(min(halo, free if wraps else start))
            after.append(min(halo, free - before[-1] if wraps else count - start - cells))
        return cls(tuple(shape), tuple(starts), (cells,) * len(shape), tuple(before), tuple(after))

    def window(self, x: Tensor, first: int) -> Tensor:
        """The tile with its halo, `(..., *S)` to `(..., *window)`; `first` is the first axis of space."""
        for axis in range(len(self.shape)):
            start, count = self.starts[axis] - self.before[axis], self.cells[axis]
            x = self._take(x, first + axis, start, count + self.before[axis] + self.after[axis])
        return x

    def tile(self, x: Tensor, first: int) -> Tensor:
        """The tile alone, `(..., *S)` to `(..., *cells)`."""
        for axis in range(len(self.shape)):
            x = self._take(x, first + axis, self.starts[axis], self.cells[axis])
        return x

    def inner(self, x: Tensor, first: int) -> Tensor:
        """The tile of a :meth:`window`, `(..., *window)` to `(..., *cells)`."""
        for axis in range(len(self.shape)):
            x = x.narrow(first + axis, self.before[axis], self.cells[axis])
        return x

    def of_input(self, x: NetworkInput) -> NetworkInput:
        """What a network sees of the window; conditions are those of the grid."""
        return replace(
            x,
            fields=self.window(x.fields, 2),
            coords=self.window(x.coords, 0),
            mean_field=None if x.mean_field is None else self.window(x.mean_field, 1),
        )

    def _take(self, x: Tensor, axis: int, start: int, count: int) -> Tensor:
        cells = x.shape[axis]
        if start >= 0 and start + count <= cells:
            return x.narrow(axis, start, count)
        places = torch.arange(start, start + count, device=x.device) % cells
        return x.index_select(axis, places)
