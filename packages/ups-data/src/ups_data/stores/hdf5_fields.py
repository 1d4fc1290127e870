"""What all layouts of HDF5 files share: a handle for every process, and one line over whatever is wrong."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.errors import printable
from ups_core.reading import UnsoundFile
from ups_data.stores.hdf5 import open_hdf5, own_dataset
from ups_data.stores.layout import Head, Points

MAX_POINTS = 1_000_000
"""Limit of points of a coordinate: a damaged file may claim more than memory holds."""

DAMAGED = "the file seems damaged; download it again, or delete it if it was generated"


class HDF5Fields(ABC):
    """Base of the :class:`~ups_data.stores.layout.FieldFile` of HDF5 layouts.

    Args:
        path: the file.
        expected: what the file should have, for messages.
        external: other files that links and storage outside the file may lead to, from the file's folder.
    """

    def __init__(self, path: Path, expected: str, external: Sequence[str] = ()) -> None:
        self.path = path
        # Files that are not there are not allowed: HDF5 would look for their names in the working directory.
        places = ((path.parent / name).resolve() for name in external)
        self.allowed = frozenset(place for place in places if place.is_file())
        self.expected = expected
        self._handle: h5py.File | None = None
        self._datasets: dict[str, h5py.Dataset] = {}
        self._process = 0

    @abstractmethod
    def read_head(self, file: h5py.File) -> Head:
        """What is in the file; exceptions of HDF5 become one line."""

    @cached_property
    def head(self) -> Head:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        file = self.file
        with self.reading("its layout"):
            return self.read_head(file)

    @property
    def file(self) -> h5py.File:
        """The open file of this process."""
        # A handle inherited through fork shares its file position with the parent process.
        if self._handle is None or self._process != os.getpid():
            try:
                self._handle, self._process, self._datasets = open_hdf5(self.path), os.getpid(), {}
            except UnsoundFile as error:
                raise UnsoundFile(self.path, f"{error.problem}; expected {self.expected}") from None
        return self._handle

    def __getstate__(self) -> dict[str, Any]:
        # HDF5 handles cannot be pickled; a worker process opens its own.
        return self.__dict__ | {"_handle": None, "_process": 0, "_datasets": {}}

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Turn any exception of HDF5 and h5py over a damaged file into one line."""
        try:
            yield
        except UPSError:
            raise
        except Exception as error:
            raise self._unreadable(what, error) from error

    def _unreadable(self, what: str, error: Exception) -> UPSError:
        return self.error(f"cannot read {what} ({' '.join(str(error).split())}); {DAMAGED}")

    def error(self, message: str) -> UPSError:
        """An error that names the file."""
        return UPSError(f"{self.path}: {printable(message)}")

    def has(self, key: str) -> bool:
        """Whether the file has a dataset of this name.

        Raises:
            UPSError: it may not be read.
        """
        with self.reading(f"'{key}'"):
            return own_dataset(self.file, key, self.path, allowed=self.allowed) is not None

    def dataset(self, key: str, group: h5py.Group | None = None) -> h5py.Dataset:
        """A dataset whose values are in the file.

        Raises:
            UPSError: it is not there; the message lists what is.
        """
        group = self.file if group is None else group
        with self.reading(f"'{key}'"):
            dataset = own_dataset(group, key, self.path, allowed=self.allowed)
            present = ", ".join(sorted(map(str, group))) or "nothing"
        if dataset is None:
            where = "" if group.name == "/" else f" in group '{group.name}'"
            raise self.error(f"no dataset '{key}'{where} (found {present}); expected {self.expected}")
        return dataset

    def fields(self, key: str, axes: tuple[str, ...], group: h5py.Group | None = None) -> h5py.Dataset:
        """A dataset of floating-point numbers with these axes.

        Raises:
            UPSError: it is not there, or has other axes or another type.
        """
        dataset = self.dataset(key, group)
        if dataset.ndim != len(axes) or 0 in dataset.shape:
            raise self.error(f"'{key}' has shape {dataset.shape}; expected ({', '.join(axes)})")
        if dataset.dtype.kind != "f":
            raise self.error(f"'{key}' has type {dataset.dtype}; expected float32")
        return dataset

    @staticmethod
    def chunk_rows(*datasets: h5py.Dataset) -> int:
        """Length of the longest chunk along the first axis of some datasets; 1 without chunks."""
        return max((dataset.chunks[0] for dataset in datasets if dataset.chunks), default=1)

    @staticmethod
    def frames_apart(*datasets: h5py.Dataset) -> bool:
        """Whether no chunk of some datasets (trajectory, time, ...) has several frames."""
        return all(dataset.chunks is None or dataset.chunks[1] == 1 for dataset in datasets)

    def points(self, key: str, group: h5py.Group | None = None) -> Points:
        """A coordinate: finite, increasing numbers."""
        dataset = self.dataset(key, group)
        with self.reading(f"'{key}'"):
            # Size first: reading what a damaged header claims could fill the memory.
            if dataset.ndim == 1 and 0 < dataset.size <= MAX_POINTS:
                points: Points = dataset[:].astype(np.float64)
                if np.isfinite(points).all() and (np.diff(points) > 0).all():
                    return points
            raise self.error(
                f"'{key}' of shape {dataset.shape} does not contain increasing numbers; {DAMAGED}"
            )

    def check_points(self, key: str, shape: tuple[int, ...], axes: Mapping[str, Points]) -> None:
        """Check that the last axes of a dataset of this shape are those of the coordinates.

        Raises:
            UPSError: they are not.
        """
        points = tuple(map(len, axes.values()))
        if shape[len(shape) - len(points) :] != points:
            raise self.error(f"'{key}' has shape {shape}, but its coordinates have {points} points")

    def read(self, dataset: str, selection: tuple[slice, ...]) -> NDArray[Any]:
        """A part of a dataset."""
        _ = self.file  # of this process, whose datasets are those that were opened
        if dataset not in self._datasets:
            self._datasets[dataset] = self.dataset(dataset)
        try:  # without `reading`, whose generator would take longer than a small window
            found: NDArray[Any] = self._datasets[dataset][selection]
        except Exception as error:
            raise self._unreadable(f"'{dataset}' of trajectories {selection[0]}", error) from error
        return found

    def attributes(self, group: h5py.Group | None = None) -> dict[str, float]:
        """The numbers among the attributes of the file or of a group."""
        group = self.file if group is None else group
        found = {}
        for key in group.attrs:
            with self.reading(f"the attribute '{key}'"):
                kind = group.attrs.get_id(key)
                if kind.dtype.kind in "iuf" and int(np.prod(kind.shape or (1,))) == 1:
                    found[str(key)] = float(np.asarray(group.attrs[key]).reshape(()))
        return found
