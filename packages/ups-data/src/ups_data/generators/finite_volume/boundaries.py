"""Ghost cells beyond the ends of lines: a periodic domain, or one that waves leave."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Ends = Literal["periodic", "open"]


def padded(lines: Array, ends: Ends, ghosts: int) -> Array:
    """Lines with ghost cells at both ends.

    Args:
        lines: `(C, N, ...)`.
        ends: "periodic" repeats the line, "open" the values of its first and last cell.
        ghosts: ghost cells at each end, at most N.

    Returns:
        A new contiguous array `(C, N + 2 ghosts, ...)`.
    """
    cells = lines.shape[1]
    wide = np.empty((lines.shape[0], cells + 2 * ghosts, *lines.shape[2:]), dtype=lines.dtype)
    wide[:, ghosts : ghosts + cells] = lines
    if ends == "periodic":
        wide[:, :ghosts] = lines[:, cells - ghosts :]
        wide[:, ghosts + cells :] = lines[:, :ghosts]
    else:
        wide[:, :ghosts] = lines[:, :1]
        wide[:, ghosts + cells :] = lines[:, -1:]
    return wide
