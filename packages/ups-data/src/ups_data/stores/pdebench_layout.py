"""Checks that a PDEBench file has the layout and the grid that a request needs.

Space and time strides follow from the file's own coordinates, so one reader serves native and already strided
files, and a file of another grid is rejected instead of misread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.errors import printable
from ups_data.stores.hdf5 import own_dataset
from ups_data.stores.pdebench import Request

MAX_POINTS = 1_000_000
"""Limit of points of a coordinate: a damaged file may claim more than memory holds."""

DAMAGED = "the file seems damaged; download it again, or delete it if it was generated"


class Strides(NamedTuple):
    """Strides that turn the file's grid into the task's."""

    space: int
    time: int


@dataclass(frozen=True)
class Layout:
    """What a file must contain.

    Attributes:
        path: the file, named in errors.
        request: selects trajectories, points and frames.
        value: the parameter value that the file must have.

    Raises (from every method):
        UPSError: the file is damaged or not what the request needs; one line with its path.
    """

    path: Path
    request: Request
    value: float

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Turn any exception of HDF5 and h5py over a damaged file into one line."""
        try:
            yield
        except UPSError:
            raise
        except Exception as error:
            raise self.error(f"cannot read {what} ({' '.join(str(error).split())}); {DAMAGED}") from error

    def error(self, message: str) -> UPSError:
        """An error that names the file."""
        return UPSError(f"{self.path}: {printable(message)}")

    @property
    def expected(self) -> str:
        """The datasets that the file should have, for messages."""
        family, n = self.request.family, self.request.trajectories
        grid = ", ".join(map(str, family.native))
        keys = f"'{family.solution}' ({n} or more, {family.frames}, {grid})"
        return f"{keys} and '{family.coefficient}' ({n} or more, {grid})" if family.coefficient else keys

    def check(self, file: h5py.File) -> None:
        """Check datasets, their shapes and types, and the parameter."""
        with self.reading("its layout"):
            family, dim = self.request.family, len(self.request.family.native)
            self._check_fields(file, family.solution, dim + 2)
            if family.coefficient is not None:
                self._check_fields(file, family.coefficient, dim + 1)
        with self.reading(f"the attribute '{family.parameter}'"):
            stored = file.attrs.get(family.parameter)
            same = stored is None or np.isclose(np.asarray(stored, dtype=float), self.value).all()
        if not same:
            raise self.error(
                f"{family.parameter} is {stored} in the file but {self.value} in its name; correct the name"
            )

    def strides(self, file: h5py.File) -> Strides:
        """Space and time stride."""
        with self.reading("its coordinates"):
            space = self._space_stride(file)
            return Strides(space, self._time_stride(file) if self.request.frames > 1 else 1)

    def _check_fields(self, file: h5py.File, key: str, rank: int) -> None:
        family = self.request.family
        dataset = self._dataset(file, key)
        if dataset.ndim != rank:
            raise self.error(f"'{key}' has shape {dataset.shape}; expected {self.expected}")
        if dataset.dtype.kind != "f":
            raise self.error(f"'{key}' has type {dataset.dtype}; expected float32")
        if dataset.shape[0] < self.request.trajectories:
            raise self.error(
                f"'{key}' has {dataset.shape[0]} trajectories; the task asks for {self.request.trajectories}"
            )
        points = tuple(len(self._points(file, axis)) for axis in family.axes)
        if dataset.shape[rank - len(points) :] != points:
            raise self.error(f"'{key}' has shape {dataset.shape}, but its coordinates have {points} points")

    def _space_stride(self, file: h5py.File) -> int:
        family, request = self.request.family, self.request
        # Coordinates are float32 in the files; a hundredth of a cell separates rounding from another grid.
        stride = max(1, len(self._points(file, family.axes[0])) // request.resolution)
        for axis in family.axes:
            points = self._points(file, axis)
            if not _same(points[::stride], request.axis, 1e-2 / request.resolution):
                raise self.error(
                    f"'{axis}' ({len(points)} points from {points[0]:g} to {points[-1]:g}) does not contain "
                    f"the {request.resolution} points of the task; expected {family.native[0]} cell centres"
                )
        return stride

    def _time_stride(self, file: h5py.File) -> int:
        family, request = self.request.family, self.request
        times = self._points(file, "t-coordinate")
        wanted = request.times(request.frames)
        frames = file[family.solution].shape[1]
        stride = max(1, round(wanted[1] / float(times[1] - times[0]))) if len(times) > 1 else 1
        last = (request.frames - 1) * stride
        if last >= frames:
            raise self.error(
                f"'{family.solution}' has {frames} frames, but {request.frames} frames {stride} apart need "
                f"{last + 1}"
            )
        if not _same(times[:frames:stride][: request.frames], wanted, 1e-2 * wanted[1]):
            raise self.error(
                f"'t-coordinate' does not contain the {request.frames} frames {wanted[1]:g} apart of the task"
            )
        return stride

    def _points(self, file: h5py.File, key: str) -> NDArray[np.float64]:
        """A coordinate: finite, increasing numbers."""
        dataset = self._dataset(file, key)
        with self.reading(f"'{key}'"):
            # Size first: reading what a damaged header claims could fill the memory.
            if dataset.ndim == 1 and 0 < dataset.size <= MAX_POINTS:
                points: NDArray[np.float64] = dataset[:].astype(np.float64)
                if np.isfinite(points).all() and (np.diff(points) > 0).all():
                    return points
            raise self.error(
                f"'{key}' of shape {dataset.shape} does not contain increasing numbers; {DAMAGED}"
            )

    def _dataset(self, file: h5py.File, key: str) -> h5py.Dataset:
        with self.reading(f"'{key}'"):
            dataset = own_dataset(file, key, self.path)
            present = ", ".join(sorted(map(str, file))) or "nothing"
        if dataset is None:
            raise self.error(f"no dataset '{key}' (found {present}); expected {self.expected}")
        return dataset


def _same(found: NDArray[Any], wanted: Sequence[float], tolerance: float) -> bool:
    return len(found) == len(wanted) and bool(np.abs(found - np.asarray(wanted)).max() < tolerance)
