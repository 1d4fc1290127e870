"""Strided layers on grids that their blocks do not divide.

A periodic axis of N cells is repeated r = m / gcd(N, m) times, m being the cells of a block. The circular
convolutions of the longer grid see the right neighbours everywhere, its copies are cut into blocks at
different cells, and the mean over the copies treats all cells alike: a shift by gcd(N, m) cells, and so by
a block, shifts the output. Axes with a boundary are padded at their high end, and cropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import torch
from torch import Tensor

from ups_data.info import Sides
from ups_models.grids import copies_of


@dataclass(frozen=True)
class BlockGrid:
    """A grid of cells, and the longer one of complete blocks.

    Attributes:
        shape: cells along every axis of S.
        block: cells per axis of a block.
        sides: boundaries at both ends of every axis. Where blocks do not fit, periodic axes are repeated, and
            others padded: after a value that is given with zeros, else with the last one.
    """

    shape: tuple[int, ...]
    block: int
    sides: tuple[Sides, ...]

    @property
    def copies(self) -> tuple[int, ...]:
        """How often every axis is repeated."""
        return tuple(
            copies_of(cells, self.block) if low == "periodic" else 1
            for cells, (low, _) in zip(self.shape, self.sides, strict=True)
        )

    def extend(self, x: Tensor) -> Tensor:
        """`(B, *S, C)` on the longer grid; the same tensor if the blocks fit."""
        if not any(cells % self.block for cells in self.shape):
            return x
        if any(copies > 1 for copies in self.copies):
            x = x.repeat(1, *self.copies, 1)
        for axis, (cells, (_, high)) in enumerate(zip(self.shape, self.sides, strict=True), start=1):
            more = 0 if high == "periodic" else -cells % self.block
            if more:
                edge = x.narrow(axis, cells - 1, 1)
                edge = torch.zeros_like(edge) if high == "dirichlet" else edge
                x = torch.cat([x, *[edge] * more], dim=axis)
        return x

    def restore(self, x: Tensor) -> Tensor:
        """From the longer grid to `(B, *S, C)`: the mean over the copies, or the first cells."""
        for axis, (cells, copies) in enumerate(zip(self.shape, self.copies, strict=True), start=1):
            if copies > 1:
                x = _mean_of_parts(x, axis, copies)
            elif x.shape[axis] != cells:
                x = x.narrow(axis, 0, cells)
        return x


def around_circle(x: Tensor, copies: Sequence[int]) -> Tensor:
    """Blocks of repeated axes in the order of their places on the circle, those at one place averaged.

    Block j of L, on an axis that was repeated r times, lies at r j / L of the circle. There are L / gcd(r, L)
    such places.

    Args:
        x: `(B, C, *G)`.
        copies: r of every axis; empty if none was repeated.
    """
    for axis, (repeats, length) in enumerate(zip(copies, x.shape[2:], strict=False), start=2):
        if repeats > 1:
            same = gcd(repeats, length)
            places = length // same
            x = _mean_of_parts(x, axis, same)
            inverse = pow(repeats // same, -1, places)
            x = x.index_select(axis, torch.arange(places, device=x.device) * inverse % places)
    return x


def along_copies(x: Tensor, copies: Sequence[int], grid: Sequence[int]) -> Tensor:
    """From the places on the circle back to the blocks `(B, C, *G)`; see :func:`around_circle`."""
    for axis, (repeats, length) in enumerate(zip(copies, grid, strict=False), start=2):
        if repeats > 1:
            same = gcd(repeats, length)
            x = x.index_select(
                axis, torch.arange(length, device=x.device) * (repeats // same) % (length // same)
            )
    return x


def _mean_of_parts(x: Tensor, axis: int, parts: int) -> Tensor:
    """The mean of equally long, consecutive parts of an axis."""
    shape = x.shape
    return x.reshape(*shape[:axis], parts, shape[axis] // parts, *shape[axis + 1 :]).mean(axis)
