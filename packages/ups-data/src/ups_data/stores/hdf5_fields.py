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
from ups_data.stores.read_ahead import ReadAhead

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
        self._ahead: ReadAhead | None = None
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
                self._handle, self._process = open_hdf5(self.path), os.getpid()
                self._datasets, self._ahead = {}, None
            except UnsoundFile as error:
                raise UnsoundFile(self.path, f"{error.problem}; expected {self.expected}") from None
        return self._handle

    def __getstate__(self) -> dict[str, Any]:
        # HDF5 handles cannot be pickled; a worker process opens its own.
        return self.__dict__ | {"_handle": None, "_process": 0, "_datasets": {}, "_ahead": None}

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

    def opened(self, dataset: str) -> h5py.Dataset:
        """A dataset of the open file, which is looked up once."""
        _ = self.file  # of this process, whose datasets are those that were opened
        if dataset not in self._datasets:
            self._datasets[dataset] = self.dataset(dataset)
        return self._datasets[dataset]

    def read(self, dataset: str, selection: tuple[slice, ...]) -> NDArray[Any]:
        """A part of a dataset."""
        opened = self.opened(dataset)
        try:  # without `reading`, whose generator would take longer than a small window
            found: NDArray[Any] = opened[selection]
        except Exception as error:
            raise self._unreadable(f"'{dataset}' of trajectories {selection[0]}", error) from error
        return found

    def read_into(
        self,
        batch: NDArray[np.float32],
        number: int,
        keys: Sequence[str],
        row: int,
        frames: slice,
        places: Sequence[int],
    ) -> None:
        """Read frames of datasets (trajectory, time, *space) to their places in a batch `(B, T, C, *S)`.

        By HDF5's own selections, because those of h5py take longer than a small window.
        """
        space, step = batch.shape[3:], frames.step or 1
        zeros, ones = (0,) * len(space), (1,) * len(space)
        memory = h5py.h5s.create_simple(batch.shape)
        for key, place in zip(keys, places, strict=True):
            opened = self.opened(key)
            try:
                selected = opened.id.get_space()
                counts = (1, batch.shape[1], *space)
                selected.select_hyperslab((row, frames.start, *zeros), counts, (1, step, *ones))
                memory.select_hyperslab((number, 0, place, *zeros), (1, batch.shape[1], 1, *space))
                opened.id.read(memory, selected, batch, h5py.h5t.NATIVE_FLOAT)
            except Exception as error:
                raise self._unreadable(f"'{key}' of trajectory {row}", error) from error

    def fetch(self, keys: Sequence[str], row: int, frames: slice) -> None:
        """Let the system fetch frames of datasets (trajectory, time, *space) that are read soon."""
        _ = self.file  # of this process
        if self._ahead is None:
            self._ahead = ReadAhead([self.opened(key) for key in keys])
        self._ahead.fetch(row, frames.start, frames.stop - 1)

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
