"""The trajectories of PDEBench files: one file per parameter value, kept in memory if they are small.

A selection below :data:`MEMORY_LIMIT` is read once and kept; of a larger one only requested windows are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ups_data.stores.base import Array, Chunk, Integers
from ups_data.stores.pdebench import Request
from ups_data.stores.pdebench_file import FieldFile

MEMORY_LIMIT = 2 * 1024**3
"""Bytes of float32 up to which a task's selection is kept in memory, by every training process."""

CHUNK_BYTES = 64 * 1024**2


class PDEBenchStore:
    """A :class:`~ups_data.stores.base.TrajectoryStore` of files with the same trajectories.

    Trajectory number i has the same initial condition (or medium) in every file: files follow each other, and
    a group is the number within a file.

    Args:
        request: the data that the task needs.
        files: one per parameter value, in the order of `request.values`.
    """

    def __init__(self, request: Request, files: Sequence[Path]) -> None:
        self.request = request
        self.files = [
            FieldFile(path, request, value) for path, value in zip(files, request.values, strict=True)
        ]

    @cached_property
    def groups(self) -> Integers:
        """The number of every trajectory within its file."""
        return np.tile(np.arange(self.request.trajectories), len(self.files))

    @cached_property
    def parameters(self) -> NDArray[np.float64]:
        """The value of every trajectory's file `(n, 1)`."""
        return np.repeat(self.request.values, self.request.trajectories)[:, None]

    @property
    def place(self) -> str:
        """The first file and the number of others."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{self.files[0].path}{more}"

    @cached_property
    def nbytes(self) -> int:
        """Size of the selection as float32."""
        return len(self.files) * self.request.nbytes

    def chunks(self) -> Iterator[Chunk]:
        """Everything in order, in pieces of one file each."""
        request = self.request
        for number, file in enumerate(self.files):
            rows = max(1, CHUNK_BYTES // file.trajectory_bytes)
            for start in range(0, request.trajectories, rows):
                part = slice(start, min(start + rows, request.trajectories))
                first = number * request.trajectories
                whole = slice(first + part.start, first + part.stop)
                yield Chunk(whole, file.solution(part, 0, request.frames)[:, :, None], _static(file, part))

    def frames(self, trajectories: Integers, starts: Integers, count: int) -> Array:
        """Frames `(B, count, 1, *S)`: of each trajectory `count` from its start on."""
        if self._kept is not None:
            # One indexing operation for the complete batch: a loop over samples would dominate a small step.
            frames = starts[:, None] + np.arange(count)
            kept: Array = self._kept[0][trajectories[:, None], frames]
            return kept[:, :, None]
        places = zip(*np.divmod(trajectories, self.request.trajectories), starts, strict=True)
        return np.stack(
            [self.files[file].solution(int(row), int(start), count) for file, row, start in places]
        )[:, :, None]

    def static(self, trajectories: Integers) -> Array:
        """Coefficient fields `(B, Cs, *S)`; Cs is 0 if there are none."""
        if self.request.family.coefficient is None:
            return np.empty((len(trajectories), 0, *self.request.shape), dtype=np.float32)
        if self._kept is not None:
            kept: Array = self._kept[1][trajectories]
            return kept
        files, rows = np.divmod(trajectories, self.request.trajectories)
        fields = [self.files[f].coefficient(int(row)) for f, row in zip(files, rows, strict=True)]
        return np.stack(fields)[:, None]

    @cached_property
    def _kept(self) -> tuple[Array, Array] | None:
        """All frames `(n, T, *S)` and static fields `(n, Cs, *S)` in memory; None if they are too large."""
        if self.nbytes > MEMORY_LIMIT:
            return None
        request = self.request
        # Filled piece by piece, because a native file is many times larger than the selection.
        count = len(self.groups)
        frames = np.empty((count, request.frames, *request.shape), dtype=np.float32)
        channels = int(request.family.coefficient is not None)
        static = np.empty((count, channels, *request.shape), dtype=np.float32)
        for chunk in self.chunks():
            frames[chunk.part], static[chunk.part] = chunk.frames[:, :, 0], chunk.static
        return frames, static


def _static(file: FieldFile, part: slice) -> Array:
    """Coefficient fields `(n, Cs, *S)` of trajectories of a file."""
    if file.request.family.coefficient is None:
        return np.empty((part.stop - part.start, 0, *file.request.shape), dtype=np.float32)
    return file.coefficient(part)[:, None]
