"""Reads the strided selection of a task from one PDEBench file, official or generated."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ups_core.reading import UnsoundFile
from ups_data.stores.base import Array
from ups_data.stores.hdf5 import open_hdf5
from ups_data.stores.pdebench import Request
from ups_data.stores.pdebench_layout import DAMAGED, Layout, Strides

MAX_TRAJECTORY = 2 * 1024**3
"""Limit of bytes of a trajectory on the file's own grid; the largest of PDEBench has 0.4 GB."""
MAX_VALUE = 1e18
"""Limit of absolute values: far above any field of the tasks, and (2e18)² still fits float32."""


@dataclass
class FieldFile:
    """One PDEBench file, seen through a request; opened lazily and once in every process.

    Attributes:
        path: the file.
        request: selects trajectories, points and frames.
        value: the parameter value that the file must have.

    Raises (from every method):
        UPSError: the file is missing, damaged, or not what the request needs; one line with its path.
    """

    path: Path
    request: Request
    value: float
    _handle: h5py.File | None = field(default=None, repr=False)
    _process: int = field(default=0, repr=False)

    def solution(self, rows: int | slice, start: int, count: int) -> Array:
        """`count` frames from `start` on: `(n, count, *S)` for a slice of rows, `(count, *S)` for one."""
        stride = self._strides.time
        frames = slice(start * stride, (start + count - 1) * stride + 1, stride)
        return self._read(self.request.family.solution, (rows, frames), rows, start)

    def coefficient(self, rows: int | slice) -> Array:
        """Coefficient fields of trajectories: `(n, *S)` for a slice, `(*S)` for one."""
        key = self.request.family.coefficient
        assert key is not None
        return self._read(key, (rows,), rows, None)

    def _read(
        self, key: str, leading: tuple[int | slice, ...], rows: int | slice, first_frame: int | None
    ) -> Array:
        # Complete grid rows are read and strided in memory: HDF5 is slow at selecting single points.
        space = (slice(None, None, self._strides.space),) * len(self.request.shape)
        with self._layout.reading(f"'{key}' of trajectories {rows}"):
            raw = self._file[key][leading]
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinity
            values = np.ascontiguousarray(raw[(..., *space)], dtype=np.float32)
        if not -MAX_VALUE < values.min() <= values.max() < MAX_VALUE:  # false for NaN too
            self._report_damage(key, values, rows, first_frame)
        return values

    def _report_damage(self, key: str, values: Array, rows: int | slice, first_frame: int | None) -> None:
        first_row = rows if isinstance(rows, int) else rows.start
        values = values[None] if isinstance(rows, int) else values
        place = np.argwhere(~(np.abs(values) < MAX_VALUE))[0]
        value = values[tuple(place)]
        where = f"trajectory {first_row + place[0]}"
        if first_frame is not None:
            where += f", frame {(first_frame + place[1]) * self._strides.time}"
        what = f"the value {value:g}" if np.isfinite(value) else "NaN or infinity"
        raise self._layout.error(f"'{key}' contains {what} in {where}; {DAMAGED}")

    @cached_property
    def trajectory_bytes(self) -> int:
        """Size in memory of one trajectory on the file's own grid, before it is strided."""
        solution = self._file[self.request.family.solution]
        size: int = solution.dtype.itemsize * prod(solution.shape[1:])
        if size > MAX_TRAJECTORY:
            raise self._layout.error(
                f"one trajectory of '{self.request.family.solution}' has {size / 1e9:.1f} GB in shape "
                f"{solution.shape[1:]}; more than {MAX_TRAJECTORY / 1e9:.1f} GB are not read at once"
            )
        return size

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.path, self.request, self.value)

    @cached_property
    def _strides(self) -> Strides:
        return self._layout.strides(self._file)

    @property
    def _file(self) -> h5py.File:
        # A handle inherited through fork shares its file position with the parent process.
        if self._handle is None or self._process != os.getpid():
            self._handle, self._process = self._open(), os.getpid()
        return self._handle

    def _open(self) -> h5py.File:
        try:
            file = open_hdf5(self.path)
        except UnsoundFile as error:
            raise UnsoundFile(self.path, f"{error.problem}; expected {self._layout.expected}") from None
        try:
            self._layout.check(file)
        except BaseException:
            file.close()
            raise
        return file

    def __getstate__(self) -> dict[str, Any]:
        # HDF5 handles cannot be pickled; a worker process opens its own.
        return self.__dict__ | {"_handle": None, "_process": 0}
