"""Reads the strided selection of a task from one PDEBench file, official or generated.

Space and time strides follow from the file's own coordinates, so one reader serves the native files and the
already strided ones, and a file of another grid is refused instead of misread.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.errors import printable
from ups_data.stores.pdebench import Request

Array = NDArray[np.float32]

MOST_POINTS = 1_000_000
"""Points of a coordinate; a damaged file may claim more than memory holds."""

LARGEST = 1e18
"""Beyond it no field of ours goes, and the square of twice it still fits float32."""

DAMAGED = "the file seems damaged: get it again, or delete it if it is a generated one"


@dataclass
class FieldFile:
    """One PDEBench file, seen through a request; opened lazily and once in every process.

    Raises (from every method):
        UPSError: the file is missing, broken, or not what the request needs; one line with its path.
    """

    path: Path
    request: Request
    value: float
    _handle: h5py.File | None = field(default=None, repr=False)
    _process: int = field(default=0, repr=False)

    def solution(self, rows: int | slice, start: int, count: int) -> Array:
        """Frames start..start+count-1 of some trajectories: `(n, count, *S)`, or `(count, *S)` for one."""
        family, (_, stride) = self.request.family, self._strides
        frames = slice(start * stride, (start + count - 1) * stride + 1, stride)
        return self._read(family.solution, (rows, frames), rows, start)

    def coefficient(self, rows: int | slice) -> Array:
        """Coefficient fields: `(n, *S)`, or `(*S)` for one."""
        key = self.request.family.coefficient
        assert key is not None
        return self._read(key, (rows,), rows, None)

    def _read(
        self, key: str, leading: tuple[int | slice, ...], rows: int | slice, first_frame: int | None
    ) -> Array:
        # Whole grid rows are read and strided in memory: HDF5 is slow at picking single points.
        space = (slice(None, None, self._strides[0]),) * len(self.request.shape)
        with self._reading(f"'{key}' of trajectories {rows}"):
            raw = self._file[key][leading]
        with np.errstate(over="ignore"):  # a number that float32 does not hold becomes infinity
            values = np.ascontiguousarray(raw[(..., *space)], dtype=np.float32)
        if not -LARGEST < values.min() <= values.max() < LARGEST:  # false for NaN too
            self._report_damage(key, values, rows, first_frame)
        return values

    def _report_damage(self, key: str, values: Array, rows: int | slice, first_frame: int | None) -> None:
        one = isinstance(rows, int)
        first_row = rows if isinstance(rows, int) else rows.start
        values = values[None] if one else values
        place = np.argwhere(~(np.abs(values) < LARGEST))[0]
        value = values[tuple(place)]
        where = f"trajectory {first_row + place[0]}"
        if first_frame is not None:
            where += f", frame {(first_frame + place[1]) * self._strides[1]}"
        what = f"the number {value:g}" if np.isfinite(value) else "NaN or infinity"
        raise self._error(f"'{key}' holds {what} in {where}; {DAMAGED}")

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Turns whatever HDF5 and h5py raise over a damaged file into one line."""
        try:
            yield
        except UPSError:
            raise
        except Exception as error:
            raise self._error(f"cannot read {what} ({' '.join(str(error).split())}); {DAMAGED}") from error

    def _error(self, message: str) -> UPSError:
        return UPSError(f"{self.path}: {printable(message)}")

    @property
    def _file(self) -> h5py.File:
        # A handle inherited through fork shares its file position with the parent, so it is not used.
        if self._handle is None or self._process != os.getpid():
            self._handle, self._process = self._open(), os.getpid()
        return self._handle

    def _open(self) -> h5py.File:
        try:
            file = h5py.File(self.path, "r")
        except FileNotFoundError:
            raise self._error("no such file; expected " + self._expected) from None
        except OSError as error:
            size = os.path.getsize(self.path) if os.path.exists(self.path) else 0
            raise self._error(
                f"not a readable HDF5 file ({size} bytes: {error}); expected {self._expected}"
            ) from error
        try:
            with self._reading("its layout"):
                self._check(file)
        except BaseException:
            file.close()
            raise
        return file

    @property
    def _expected(self) -> str:
        family, n = self.request.family, self.request.trajectories
        grid = ", ".join(map(str, family.native))
        keys = f"'{family.solution}' ({n} or more, {family.frames}, {grid})"
        return f"{keys} and '{family.coefficient}' ({n} or more, {grid})" if family.coefficient else keys

    def _check(self, file: h5py.File) -> None:
        family, request = self.request.family, self.request
        dim = len(family.native)
        for key, rank in ((family.solution, dim + 2), (family.coefficient, dim + 1)):
            if key is None:
                continue
            dataset = self._dataset(file, key)
            if dataset.ndim != rank:
                raise self._error(f"'{key}' has shape {dataset.shape}; expected {self._expected}")
            if dataset.dtype.kind != "f":
                raise self._error(f"'{key}' holds {dataset.dtype}; expected float32")
            if dataset.shape[0] < request.trajectories:
                raise self._error(
                    f"'{key}' holds {dataset.shape[0]} trajectories; the task wants {request.trajectories}"
                )
            points = tuple(len(self._points(file, axis)) for axis in family.axes)
            if dataset.shape[rank - dim :] != points:
                raise self._error(f"'{key}' has shape {dataset.shape}, its coordinates {points} points")
        with self._reading(f"the attribute '{family.parameter}'"):
            stored = file.attrs.get(family.parameter)
            same = stored is None or np.isclose(np.asarray(stored, dtype=float), self.value).all()
        if not same:
            raise self._error(f"{family.parameter} is {stored} in the file, {self.value} in its name")

    @cached_property
    def _strides(self) -> tuple[int, int]:
        """Space and time stride that turn the file's grid into the task's."""
        file, request = self._file, self.request
        with self._reading("its coordinates"):
            return self._space_stride(file), self._time_stride(file) if request.frames > 1 else 1

    def _space_stride(self, file: h5py.File) -> int:
        family, request = self.request.family, self.request
        stride = max(1, len(self._points(file, family.axes[0])) // request.resolution)
        for axis in family.axes:
            points = self._points(file, axis)
            if not _same(points[::stride], request.axis, 1e-2 / request.resolution):
                raise self._error(
                    f"'{axis}' ({len(points)} points from {points[0]:g} to {points[-1]:g}) does not hold the "
                    f"{request.resolution} points of the task; expected {family.native[0]} cell centres"
                )
        return stride

    def _time_stride(self, file: h5py.File) -> int:
        family, request = self.request.family, self.request
        times = self._points(file, "t-coordinate")
        wanted = request.times(request.frames)
        frames = file[family.solution].shape[1]
        stride = max(1, round(wanted[1] / float(times[1] - times[0]))) if len(times) > 1 else 1
        if (request.frames - 1) * stride >= frames:
            raise self._error(
                f"'{family.solution}' holds {frames} frames; {request.frames} frames {stride} apart need "
                f"{(request.frames - 1) * stride + 1}"
            )
        if not _same(times[:frames:stride][: request.frames], wanted, 1e-2 * wanted[1]):
            raise self._error(
                f"'t-coordinate' does not hold the {request.frames} frames {wanted[1]:g} apart of the task"
            )
        return stride

    def _points(self, file: h5py.File, key: str) -> NDArray[np.float64]:
        """A coordinate: finite numbers that grow."""
        dataset = self._dataset(file, key)
        with self._reading(f"'{key}'"):
            if dataset.ndim == 1 and 0 < dataset.size <= MOST_POINTS:
                points: NDArray[np.float64] = dataset[:].astype(np.float64)
                if np.isfinite(points).all() and (np.diff(points) > 0).all():
                    return points
            raise self._error(f"'{key}' of shape {dataset.shape} does not hold growing numbers; {DAMAGED}")

    def _dataset(self, file: h5py.File, key: str) -> Any:
        with self._reading(f"'{key}'"):
            found = sorted(map(str, file))
            dataset = file[key] if key in found else None
        if not isinstance(dataset, h5py.Dataset):
            there = ", ".join(found) or "nothing"
            raise self._error(f"no dataset '{key}' (found {there}); expected {self._expected}")
        return dataset

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handle": None, "_process": 0}


def _same(found: NDArray[Any], wanted: Sequence[float], tolerance: float) -> bool:
    return len(found) == len(wanted) and bool(np.abs(found - np.asarray(wanted)).max() < tolerance)
