"""Grids cut into pieces of parallel lines, small enough for the processor's cache.

A sweep along an axis works on arrays `(C, N, M)`: M parallel lines of N cells. The axis of the sweep comes
before the lines, so that cells and their neighbours are contiguous blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

PIECE = 16384
"""Most cells of a piece, if a line has fewer: about twenty arrays of them fit into a cache of 1 MB."""


def along(state: Array, axis: int) -> Array:
    """A view `(C, N, n, *rest)` of `(n, C, *S)`, with N the cells along spatial axis `axis`."""
    return np.moveaxis(state, (1, 2 + axis), (0, 1))


def pieces(shape: tuple[int, ...], size: int) -> Iterator[tuple[slice, ...]]:
    """Slices that cut an array of `shape` into blocks of at most `size` entries, or of one."""
    inner = prod(shape[1:])
    if not shape:
        yield ()
    elif inner > size:
        for first in range(shape[0]):
            for rest in pieces(shape[1:], size):
                yield (slice(first, first + 1), *rest)
    else:
        length = max(1, size // inner)
        for first in range(0, shape[0], length):
            yield (slice(first, first + length),)
