"""Values at faces from cell averages: straight lines with the limited slopes of MUSCL.

B. van Leer, "Towards the ultimate conservative difference scheme V", J. Comput. Phys. 32 (1979) 101,
doi:10.1016/0021-9991(79)90145-1; the limiter is his monotonised central difference. A value
at a face lies between the averages of the two cells next to it, so it is positive where these are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

GHOSTS = 2
"""Cells that a line needs beyond each end."""


def face_values(cells: Array, flat: Array | None = None) -> tuple[Array, Array]:
    """Values on the left and on the right of every face.

    Args:
        cells: averages of lines with two ghost cells at each end, `(C, N + 4, M)`.
        flat: `(N + 4, M)`, 1 in cells that have no slope and 0 in the others; None: all have one.

    Returns:
        Two arrays `(C, N + 1, M)`, of the faces from the first to the last end of the N cells.
    """
    rise = cells[:, 1:] - cells[:, :-1]
    before, after = rise[:, :-1], rise[:, 1:]
    # Half the slope is a quarter of the sum of both differences, limited by the smaller one, and 0 where
    # their signs differ.
    half = before + after
    half *= cells.dtype.type(0.25)
    most, least = np.minimum(before, after), np.maximum(before, after)
    np.maximum(most, 0, out=most)
    np.minimum(least, 0, out=least)
    np.clip(half, least, most, out=half)
    if flat is not None:
        half *= 1 - flat[1:-1]
    left = cells[:, 1:-2] + half[:, :-1]
    np.subtract(cells[:, 2:-1], half[:, 1:], out=half[:, 1:])
    return left, half[:, 1:]
