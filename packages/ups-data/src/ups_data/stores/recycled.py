"""Arrays whose memory is used again, because new pages cost as much as reading into them."""

from __future__ import annotations

import sys
from math import prod

import numpy as np

from ups_data.stores.base import Array

KEPT = 2
"""Arrays that are kept: the batch in use, and the next one."""
LARGE = 2**25
"""Bytes from which malloc of glibc always takes new pages; the memory of smaller arrays was used before."""
UNUSED = 2
"""References to an array that only the list has: the list's, and that of the function which counts."""


class Recycled:
    """Uninitialised arrays. One is given out again as soon as nobody has it or a view of it."""

    def __init__(self) -> None:
        self._arrays: list[Array] = []

    def __getstate__(self) -> dict[str, object]:
        return {"_arrays": []}  # another process has arrays of its own

    def empty(self, shape: tuple[int, ...]) -> Array:
        """A contiguous array of this shape, with any values."""
        if 4 * prod(shape) < LARGE:
            return np.empty(shape, dtype=np.float32)
        self._arrays = [array for array in self._arrays if array.shape == shape]
        for number in range(len(self._arrays)):
            if sys.getrefcount(self._arrays[number]) <= UNUSED:
                return self._arrays[number]
        new = np.empty(shape, dtype=np.float32)
        if len(self._arrays) < KEPT:
            self._arrays.append(new)
        return new
