"""The layout `arrays`: any file with named arrays, whose axes and fields the user names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core.errors import UPSError, printable
from ups_core.reading import UnsoundFile
from ups_data.stores.array_files import READERS, ArrayFile, NamedArray
from ups_data.stores.array_options import ArrayOptions
from ups_data.stores.layout import Head, Points

CANONICAL = ("trajectory", "time", "channel", "x", "y", "z")
NEGLIGIBLE = 1e-6
"""Largest imaginary part, relative to the largest number, that is rounding."""
LOOKED_AT = 64 * 1024**2
"""Bytes of a complex array up to which all of it is looked at."""


class Arrays:
    """Arrays of `.npy`, `.npz`, `.mat`, `.pt`, HDF5, netCDF and zarr files."""

    def __init__(self, config: ArrayOptions) -> None:
        self.config = config

    def recognises(self, path: Path) -> bool:
        """See :class:`~ups_data.stores.layout.Layout`: every file with arrays, so it is asked last."""
        return path.suffix.lower() in READERS

    def open(self, path: Path) -> ArraysFile:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return ArraysFile(path, self.config)


class ArraysFile:
    """A file of the layout.

    Args:
        path: the file.
        options: which arrays are which fields.
    """

    def __init__(self, path: Path, options: ArrayOptions) -> None:
        self.path = path
        self.options = options

    @cached_property
    def arrays(self) -> ArrayFile:
        """The arrays of the file."""
        return ArrayFile(self.path)

    def __getstate__(self) -> dict[str, Any]:
        # What reads arrays cannot be pickled; another process opens the file again.
        return {key: value for key, value in self.__dict__.items() if key in ("path", "options")}

    @cached_property
    def head(self) -> Head:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        options = self.options
        sizes: dict[str, tuple[str, int]] = {}  # axis -> the first array that has it, its length
        channels: list[str] = []
        for array, names in options.arrays.items():
            self._measure(array, options.axes, sizes)
            channels += self._channels(array, names, options.axes)
        static: list[str] = []
        for array, names in options.given.items():
            given = self._given_axes(array)
            self._measure(array, given, sizes)
            static += self._channels(array, names, given)
        axes = {axis: self._points(axis, sizes[axis][1]) for axis in options.space}
        frames = sizes["time"][1] if "time" in sizes else 1
        named: dict[str, str] = {str(axis): array for axis, array in options.coordinates.items()}
        cells = math.prod(len(points) for points in axes.values())
        numbers = sum(
            self.arrays[array].dtype.itemsize * len(names) for array, names in options.arrays.items()
        )
        return Head(
            channels=tuple(channels),
            static=tuple(static),
            trajectories=sizes["trajectory"][1] if "trajectory" in sizes else 1,
            frames=frames,
            axes={named.get(axis, axis): points for axis, points in axes.items()},
            times={named.get("time", "time"): self._times(frames)} if "time" in sizes else {},
            frame_bytes=cells * numbers,
            parameters=self._numbers(sizes["trajectory"][1] if "trajectory" in sizes else 1),
        )

    def _measure(self, array: str, axes: Sequence[str], sizes: dict[str, tuple[str, int]]) -> None:
        """Note the length of every axis of an array, which all arrays share."""
        shape = self.arrays[array].shape
        if len(shape) != len(axes):
            raise self._error(
                f"'{array}' has {len(shape)} axes, shape {shape}, but axes names {len(axes)}: "
                f"{', '.join(axes)}"
            )
        for axis, length in zip(axes, shape, strict=True):
            if axis == "channel":
                continue
            first, known = sizes.setdefault(axis, (array, length))
            if known != length:
                raise self._error(
                    f"'{array}' has {length} points along {axis}, but '{first}' has {known}; "
                    "all arrays need the same axes"
                )
        if 0 in shape:
            raise self._error(f"'{array}' is empty: shape {shape}")

    def _channels(self, array: str, names: list[str], axes: Sequence[str]) -> list[str]:
        """Names of the channels in an array, as they are after complex ones are made real."""
        options, item = self.options, self.arrays[array]
        entries = item.shape[axes.index("channel")] if "channel" in axes else 1
        if entries != len(names):
            raise self._error(
                f"'{array}' has {entries} entries along channel, but the spec names {len(names)} of it: "
                f"{', '.join(names)}"
            )
        if item.dtype.kind == "c" and options.complex == "parts":
            return [f"{name}_{part}" for name in names for part in ("re", "im")]
        if item.dtype.kind == "c" and options.complex is None:
            self._check_real(array, item)
        return names

    def _check_real(self, array: str, item: NamedArray) -> None:
        """Refuse a complex array with an imaginary part that is not rounding."""
        rows = max(1, LOOKED_AT // max(1, item.nbytes // len(item)))
        values = item[(slice(0, rows),)]
        largest = float(np.abs(values).max())
        imaginary = float(np.abs(values.imag).max())
        if imaginary > NEGLIGIBLE * largest:
            raise self._error(
                f"'{array}' is complex with imaginary parts up to {imaginary:.2g} of {largest:.2g}; set "
                "complex to "
                "'parts' for two channels or to 'real' to drop them"
            )

    def _given_axes(self, array: str) -> list[str]:
        """The axes of a given field: all but time, and as many of channel and trajectory as the array has."""
        axes: list[str] = [axis for axis in self.options.axes if axis != "time"]
        shape = self.arrays[array].shape
        left_out: tuple[set[str], ...] = ({"channel"}, set(), {"channel", "trajectory"}, {"trajectory"})
        candidates = [[axis for axis in axes if axis not in names] for names in left_out]
        by_rank = [names for names in candidates if len(names) == len(shape)]
        known = self.arrays[next(iter(self.options.arrays))].shape
        lengths: dict[str, int] = dict(zip(self.options.axes, known, strict=False))
        lengths["channel"] = -1
        fitting = [
            names
            for names in by_rank
            if all(lengths[axis] in (size, -1) for axis, size in zip(names, shape, strict=True))
        ]
        return (fitting or by_rank or candidates)[0]

    def _points(self, axis: str, length: int) -> Points:
        """Coordinates of an axis of space."""
        options = self.options
        if axis in options.coordinates:
            return self._line(options.coordinates[axis], axis, length)
        if axis not in options.domain:
            raise self._error(
                f"has no coordinates for axis {axis}; name an array in coordinates, or give domain.{axis}"
            )
        low, high = options.domain[axis]
        if options.grid == "nodes":
            return np.linspace(low, high, length, dtype=np.float64)
        if options.grid == "edges":
            return np.linspace(low, high, length, endpoint=False, dtype=np.float64)
        return low + (high - low) * (np.arange(length, dtype=np.float64) + 0.5) / length

    def _times(self, length: int) -> Points:
        options = self.options
        if "time" in options.coordinates:
            return self._line(options.coordinates["time"], "time", length)
        if options.dt is None:
            raise self._error("has no times; name an array in coordinates.time, or give dt")
        return options.dt * np.arange(length, dtype=np.float64)

    def _line(self, name: str, axis: str, length: int) -> Points:
        """An array of increasing numbers along one axis, one for every point."""
        item = self.arrays[name]
        points = item[(slice(None),) * len(item.shape)].ravel() if math.prod(item.shape) == length else None
        if points is None:
            raise self._error(f"'{name}' has shape {item.shape}, but axis {axis} has {length} points")
        if points.dtype.kind == "c" or not np.isfinite(points).all():
            raise self._error(
                f"'{name}', the coordinate of axis {axis}, has numbers that are not real or finite"
            )
        points = points.astype(np.float64)
        steps = np.diff(points)
        if not (steps > 0).all():
            place = int(np.flatnonzero(~(steps > 0))[0])
            raise self._error(
                f"'{name}', the coordinate of axis {axis}, does not increase: {points[place]:g} is followed "
                "by "
                f"{points[place + 1]:g}"
            )
        return points

    def _numbers(self, trajectories: int) -> Mapping[str, Points]:
        """Arrays of one number, and of one for every trajectory: what may be a parameter."""
        used = {*self.options.arrays, *self.options.static.values(), *self.options.coordinates.values()}
        found = {}
        for name, item in self.arrays.items():
            count = math.prod(item.shape)
            if name not in used and item.dtype.kind != "c" and count in (1, trajectories):
                values = item[(slice(None),) * len(item.shape)].ravel().astype(np.float64)
                found[name] = np.full(trajectories, values[0]) if count == 1 else values
        return found

    def frames(self, rows: slice, frames: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        parts = [self._canonical(array, self.options.axes, rows, frames) for array in self.options.arrays]
        return np.concatenate(parts, axis=2) if len(parts) > 1 else parts[0]

    def static(self, rows: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        count = rows.stop - rows.start
        parts = [self._given(array, rows, count) for array in self.options.given]
        return np.concatenate(parts, axis=1)

    def _given(self, array: str, rows: slice, count: int) -> NDArray[Any]:
        axes = self._given_axes(array)
        values = self._canonical(array, axes, rows, slice(0, 1))[:, 0]
        return values if "trajectory" in axes else np.repeat(values, count, axis=0)

    def _canonical(self, array: str, axes: Sequence[str], rows: slice, frames: slice) -> NDArray[Any]:
        """See :func:`canonical`; complex numbers as the options say."""
        values = canonical(self.arrays[array], axes, rows, frames)
        if values.dtype.kind == "c":
            if self.options.complex == "parts":
                shape = (*values.shape[:2], -1, *values.shape[3:])
                return np.stack([values.real, values.imag], axis=3).reshape(shape)
            return values.real
        return values

    def _error(self, problem: str) -> UPSError:
        return UnsoundFile(self.path, printable(problem))


def canonical(item: NamedArray, axes: Sequence[str], rows: slice, frames: slice) -> NDArray[Any]:
    """Numbers of an array on canonical axes, `(n, T, C, *S)`; axes that it lacks have length 1.

    Args:
        item: the array.
        axes: names of its axes, of :data:`CANONICAL`.
        rows: trajectories.
        frames: along the axis of time.
    """
    chosen = {"trajectory": rows, "time": frames}
    raw = item[tuple(chosen.get(axis, slice(None)) for axis in axes)]
    values = raw.transpose([list(axes).index(axis) for axis in CANONICAL if axis in axes])
    for place, axis in enumerate(("trajectory", "time", "channel")):
        if axis not in axes:
            values = np.expand_dims(values, place)
    return values
