"""Padding of a grid by what is at its boundaries."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ups_data.info import Boundary, Sides

MODES: dict[Boundary, str] = {
    "periodic": "circular",
    "dirichlet": "constant",
    "neumann": "replicate",
    "open": "replicate",
    "wall": "reflect",
}
"""Boundary -> mode of :func:`torch.nn.functional.pad`; a constant is zero."""


def pad_grid(x: Tensor, cells: int, sides: Sequence[Sides]) -> Tensor:
    """`(B, C, *S)` with so many more cells at both ends of every axis.

    Args:
        x: fields on a grid.
        cells: at each end; at most the cells of a periodic axis, and fewer than those between walls.
        sides: boundaries at the low and the high end of every axis of S.
    """
    ends = [MODES[side] for axis in reversed(sides) for side in axis]
    if len(set(ends)) == 1:  # one copy instead of one per axis
        return nn.functional.pad(x, [cells] * len(ends), mode=ends[0])
    for axis in range(0, len(ends), 2):
        for mode in dict.fromkeys(ends[axis : axis + 2]):
            here = [cells if end // 2 == axis // 2 and ends[end] == mode else 0 for end in range(len(ends))]
            x = nn.functional.pad(x, here, mode=mode)
    return x
