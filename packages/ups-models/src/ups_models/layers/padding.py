"""Padding of a grid by what is at its boundaries."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ups_data.info import Boundary, Sides

MODES: dict[Boundary, str] = {
    "periodic": "circular",
    "dirichlet": "constant",
    "neumann": "replicate",
    "open": "replicate",
    "wall": "symmetric",
}
"""Boundary -> a mode of :func:`torch.nn.functional.pad`, of which a constant is zero, or `symmetric`: what is
beyond the end mirrors what is before it, as at a wall between cells."""


def pad_grid(x: Tensor, cells: int, sides: Sequence[Sides]) -> Tensor:
    """`(B, C, *S)` with so many more cells at both ends of every axis.

    Args:
        x: fields on a grid.
        cells: at each end; at most the cells of an axis that is periodic or ends at a wall.
        sides: boundaries at the low and the high end of every axis of S.
    """
    modes = {MODES[side] for axis in sides for side in axis}
    if len(modes) == 1 and "symmetric" not in modes:  # one copy instead of one per axis
        return nn.functional.pad(x, [cells] * (2 * len(sides)), mode=modes.pop())
    for axis, (low, high) in enumerate(sides, start=2):
        if MODES[low] == MODES[high]:
            x = _pad_axis(x, axis, (cells, cells), MODES[low])
        else:
            x = _pad_axis(x, axis, (cells, 0), MODES[low])
            x = _pad_axis(x, axis, (0, cells), MODES[high])
    return x


def _pad_axis(x: Tensor, axis: int, ends: tuple[int, int], mode: str) -> Tensor:
    if mode == "symmetric":
        low, high = ends
        before = x.narrow(axis, 0, low).flip(axis)
        after = x.narrow(axis, x.shape[axis] - high, high).flip(axis)
        return torch.cat([before, x, after], dim=axis)
    beside = [0, 0] * (x.dim() - 1 - axis)
    before_it = [0, 0] * (axis - 2)
    return nn.functional.pad(x, [*beside, *ends, *before_it], mode=mode)
