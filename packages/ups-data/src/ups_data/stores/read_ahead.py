"""Asks the system to fetch what is read next from a disk, many pieces at a time instead of one."""

from __future__ import annotations

import os
from math import prod

import h5py

SUPPORTED = hasattr(os, "posix_fadvise") and hasattr(os, "RWF_NOWAIT")
"""Whether this system can be asked (Linux)."""


class ReadAhead:
    """Fetches frames of a trajectory in the background, from contiguous datasets (trajectory, time, *space).

    Nothing happens where the first number is in memory already, which costs a microsecond to find out.

    Args:
        datasets: of one open file.
    """

    def __init__(self, datasets: list[h5py.Dataset]) -> None:
        self._descriptor = datasets[0].file.id.get_vfd_handle()
        self._offsets = [dataset.id.get_offset() for dataset in datasets]
        # None for a dataset in chunks, or one without values.
        self._able = SUPPORTED and None not in self._offsets
        self._frames = datasets[0].shape[1]
        self._bytes = [dataset.dtype.itemsize * prod(dataset.shape[2:]) for dataset in datasets]

    def fetch(self, row: int, first: int, last: int) -> None:
        """Fetch the frames from `first` to `last` of a trajectory."""
        if not self._able:
            return
        frame = row * self._frames + first
        if self._in_memory(self._offsets[0] + frame * self._bytes[0]):
            return
        for offset, size in zip(self._offsets, self._bytes, strict=True):
            os.posix_fadvise(
                self._descriptor, offset + frame * size, (last - first + 1) * size, os.POSIX_FADV_WILLNEED
            )

    def _in_memory(self, offset: int) -> bool:
        """Whether a byte of the file can be read without waiting; true where the file system cannot tell."""
        try:
            os.preadv(self._descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True
