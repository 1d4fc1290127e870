"""All data of a task: one file per parameter value, kept in memory if they are small.

A selection below :data:`MEMORY_LIMIT` is read once and kept; of a larger one only requested windows are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ups_data.stores.pdebench import Request
from ups_data.stores.pdebench_file import Array, FieldFile

Integers = NDArray[np.int64]

MEMORY_LIMIT = 2 * 1024**3
"""Bytes of float32 up to which a task's selection is kept in memory, by every training process."""

CHUNK_BYTES = 64 * 1024**2


class Fields:
    """All files of a task.

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
    def nbytes(self) -> int:
        """Size of the selection as float32."""
        return len(self.files) * self.request.nbytes

    def chunks(self) -> Iterator[tuple[int, slice, Array, Array | None]]:
        """The complete selection in order, in pieces.

        Yields:
            File number, trajectories, solution `(n, T, *S)`, coefficient `(n, *S)` or None.
        """
        request = self.request
        for number, file in enumerate(self.files):
            rows = max(1, CHUNK_BYTES // file.trajectory_bytes)
            for start in range(0, request.trajectories, rows):
                part = slice(start, min(start + rows, request.trajectories))
                coefficient = file.coefficient(part) if request.family.coefficient else None
                yield number, part, file.solution(part, 0, request.frames), coefficient

    def solutions(self, files: Integers, rows: Integers, starts: Integers, count: int) -> Array:
        """`count` frames from each start.

        Args:
            files: file numbers `(B,)`.
            rows: trajectory numbers `(B,)`.
            starts: first frames `(B,)`.
            count: number of frames.

        Returns:
            `(B, count, *S)`.
        """
        if self._kept is not None:
            # One indexing operation for the complete batch: a loop over samples would dominate a small step.
            frames = starts[:, None] + np.arange(count)
            kept: Array = self._kept[0][files[:, None], rows[:, None], frames]
            return kept
        return np.stack(
            [
                self.files[file].solution(int(row), int(start), count)
                for file, row, start in zip(files, rows, starts, strict=True)
            ]
        )

    def coefficients(self, files: Integers, rows: Integers) -> Array:
        """Coefficient fields `(B, Cs, *S)` of files and trajectories `(B,)`; Cs is 0 if there are none."""
        if self.request.family.coefficient is None:
            return np.empty((len(rows), 0, *self.request.shape), dtype=np.float32)
        if self._kept is not None:
            kept: Array = self._kept[1][files, rows, None]
            return kept
        fields = [self.files[f].coefficient(int(row)) for f, row in zip(files, rows, strict=True)]
        return np.stack(fields)[:, None]

    @cached_property
    def _kept(self) -> tuple[Array, Array] | None:
        """Solutions `(F, n, T, *S)` and coefficients `(F, n, *S)` in memory; None if they are too large."""
        if self.nbytes > MEMORY_LIMIT:
            return None
        request = self.request
        # Filled piece by piece, because a native file is many times larger than the selection.
        leading = (len(self.files), request.trajectories)
        solutions = np.empty((*leading, request.frames, *request.shape), dtype=np.float32)
        has_coefficient = request.family.coefficient is not None
        coefficients = np.empty((*leading, *request.shape) if has_coefficient else (0,), dtype=np.float32)
        for number, part, solution, coefficient in self.chunks():
            solutions[number, part] = solution
            if coefficient is not None:
                coefficients[number, part] = coefficient
        return solutions, coefficients
