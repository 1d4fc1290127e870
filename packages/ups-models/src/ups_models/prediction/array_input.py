"""Initial states in files of named arrays: which array is which field, which axis is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ups_core import UsageError
from ups_core.mistakes import did_you_mean
from ups_data.guesses.facts import axis_of, line_of
from ups_data.info import Channel
from ups_data.stores.array_files import ArrayFile
from ups_data.stores.array_options import SPACE
from ups_data.stores.arrays import NEGLIGIBLE, canonical
from ups_models.prediction.axes import Axes, Wanted, axes_of, letters
from ups_models.prediction.expects import Expects

Points = NDArray[np.float64]


@dataclass(frozen=True)
class ReadOptions:
    """How the user says what is in the files.

    Attributes:
        axes: names of the axes of fields; None to tell them by coordinates, lengths and the usual orders.
        channels: channel of the model -> array.
        stride: stored points from one point to the next.
    """

    axes: Sequence[str] | None = None
    channels: Mapping[str, str] = field(default_factory=dict)
    stride: int = 1


class _Place(NamedTuple):
    """Where a channel is."""

    array: str
    entry: int
    part: str = ""


class ArrayInput:
    """Initial states in a file of named arrays.

    Args:
        path: the file.
        expects: what the model takes.
        options: what the user says about the file.
        steps: frames to predict, for which a forcing is needed.

    Attributes:
        count: trajectories.
        shape: points along every axis of space.
        lines: number of an axis of space -> coordinates of its points.
        times: of the stored frames; None if the file does not tell.
        parameters: name -> one number, or one for every trajectory.
        note: how the fields are read, for users.

    Raises:
        UsageError: an array is missing, or has other axes than the model takes.
    """

    def __init__(self, path: Path, expects: Expects, options: ReadOptions, steps: int) -> None:
        self.path = path
        self._expects = expects
        self._file = ArrayFile(path)
        self._stride = options.stride
        task = expects.task
        names = [parameter.name for parameter in task.parameters]
        numbers = {_short(name): name for name, item in self._file.items() if _short(name) in names}
        coordinates = self._coordinates(set(options.channels.values()))
        self._places = self._find(
            options.channels, {*numbers.values(), *(name for name, _ in coordinates.values())}
        )
        self._check_units(numbers)
        self._axes: dict[str, Axes] = {}
        lines = {axis: len(points) for axis, (_, points) in coordinates.items()}
        frames = {channel.name: task.history or 1 for channel in expects.given}
        frames |= {channel.name: task.history + steps for channel in task.forcing_channels}
        timed = {channel.name for channel in (*task.state_channels, *task.forcing_channels)}
        for channel, place in self._places.items():
            entries = max(other.entry + 1 for other in self._places.values() if other.array == place.array)
            wanted = Wanted(task.dim, task.shape, entries, frames.get(channel, 1), channel in timed)
            shape = self._file[place.array].shape
            known = {axis: size for axis, size in lines.items() if size in shape or size - 1 in shape}
            self._axes[place.array] = axes_of(place.array, shape, wanted, known, options.axes)
        sizes = self._sizes()
        self.count = sizes.get("trajectory", 1)
        self.shape = tuple(-(-sizes[axis] // self._stride) for axis in SPACE[: task.dim])
        self.lines: Mapping[int, Points] = {
            number: coordinates[axis][1][:: self._stride]
            for number, axis in enumerate(SPACE[: task.dim])
            if axis in coordinates and len(coordinates[axis][1]) == sizes[axis]
        }
        self.times = coordinates["time"][1] if "time" in coordinates and "time" in sizes else None
        self.parameters: Mapping[str, Points] = {name: self._number(array) for name, array in numbers.items()}
        self.note = ", ".join(
            f"'{array}' {self._file[array].shape} as {letters(axes)}" for array, axes in self._axes.items()
        )

    def read(self, channels: Sequence[Channel], rows: slice, frames: slice) -> NDArray[Any]:
        """Numbers of some channels, `(n, T, C, *S)`; fields without a trajectory axis serve all of them."""
        parts = []
        for channel in channels:
            array, entry, part = self._places[channel.name]
            axes = self._axes[array]
            values = canonical(self._file[array], axes, rows, frames)[:, :, entry : entry + 1]
            if "trajectory" not in axes:
                values = np.repeat(values, rows.stop - rows.start, axis=0)
            parts.append(self._real(array, thinned(values, self._stride, len(self.shape)), part))
        return np.concatenate(parts, axis=2)

    def _coordinates(self, taken: set[str]) -> dict[str, tuple[str, Points]]:
        """Axis -> the array of its coordinates and these."""
        found: dict[str, tuple[str, Points]] = {}
        for name, item in self._file.items():
            axis = axis_of(name)
            if axis is not None and name not in taken and 0 not in item.shape:
                points = line_of(item)
                if points is not None:
                    found.setdefault(axis, (name, points.astype(np.float64)))
        return found

    def _find(self, given: Mapping[str, str], numbers: set[str]) -> dict[str, _Place]:
        """The array of every channel: as the user says, by its name, or because it is the only one."""
        task = self._expects.task
        channels = (*self._expects.given, *self._expects.beside, *task.forcing_channels)
        wanted = [channel.name for channel in channels]
        unknown = next((name for name in given if name not in wanted), None)
        if unknown is not None:
            raise UsageError(
                f"--channel names '{unknown}', which the model does not take; {self._expects.line}"
            )
        by_name = {_short(name): name for name in reversed(list(self._file)) if name not in numbers}
        places: dict[str, _Place] = {}
        for name in wanted:
            if name in given:
                array = given[name]
                if array not in list(self._file):
                    raise UsageError(
                        f"{self.path} has no array '{array}'{did_you_mean(array, list(self._file))}; "
                        f"{self._expects.line}"
                    )
                entries = [key for key, value in given.items() if value == array]
                places[name] = _Place(array, entries.index(name))
            elif name in by_name:
                places[name] = _Place(by_name[name], 0)
            elif (whole := by_name.get(name[:-3])) and self._file[whole].dtype.kind == "c":
                places[name] = _Place(whole, 0, name[-2:])
        missing = [name for name in wanted if name not in places]
        states = [channel.name for channel in self._expects.given]
        if missing == states:
            targets = {channel.name for channel in task.target_channels}
            used = {place.array for place in places.values()} | numbers
            left = [
                name
                for name, item in self._file.items()
                if name not in used
                and (_short(name) not in targets or task.kind == "evolution")
                and axis_of(name) is None
                and len(item.shape) >= task.dim
                and prod(item.shape) > 1
            ]
            if len(left) == 1:
                places |= {name: _Place(left[0], entry) for entry, name in enumerate(states)}
                missing = []
        if missing:
            found = ", ".join(self._file)
            raise UsageError(
                f"{self.path} has no array '{missing[0]}' (found {found}); name it with --channel "
                f"{missing[0]}=ARRAY; {self._expects.line}"
            )
        return places

    def _check_units(self, numbers: Mapping[str, str]) -> None:
        """Refuse fields and parameters in another unit than the model's, where both say one."""
        task = self._expects.task
        channels = {channel.name: channel.unit for channel in task.channels}
        places = {name: (self._places[name].array, channels[name]) for name in self._places}
        places |= {
            item.name: (numbers[item.name], item.unit) for item in task.parameters if item.name in numbers
        }
        for name, (array, unit) in places.items():
            found = self._file[array].unit
            if unit != "1" and found and found != unit:
                raise UsageError(
                    f"{self.path}: '{name}' is in {found}, and the model takes {unit}; convert it, or "
                    f"correct its attribute 'units'; {self._expects.line}"
                )

    def frames(self, channel: Channel) -> int:
        """Stored frames of a channel."""
        array = self._places[channel.name].array
        return dict(zip(self._axes[array], self._file[array].shape, strict=True)).get("time", 1)

    def _sizes(self) -> dict[str, int]:
        """Lengths of the axes; all arrays share those of trajectories and of space."""
        sizes: dict[str, tuple[str, int]] = {}
        for array, axes in self._axes.items():
            for axis, length in zip(axes, self._file[array].shape, strict=True):
                first, known = sizes.setdefault(axis, (array, length))
                if axis not in ("time", "channel") and known != length:
                    raise UsageError(
                        f"{self.path}: '{array}' has {length} points along {axis}, but '{first}' has {known}"
                    )
        return {axis: length for axis, (_, length) in sizes.items()}

    def _number(self, array: str) -> Points:
        item = self._file[array]
        if prod(item.shape) not in (1, self.count) or item.dtype.kind == "c":
            raise UsageError(
                f"{self.path}: parameter '{array}' has shape {item.shape} for {self.count} trajectories; "
                "give one number, or one for each"
            )
        return item[(slice(None),) * len(item.shape)].ravel().astype(np.float64)

    def _real(self, array: str, values: NDArray[Any], part: str) -> NDArray[Any]:
        """Real numbers: a part of complex ones, or these without an imaginary part that is rounding."""
        if values.dtype.kind != "c":
            return values
        if part:
            return values.real if part == "re" else values.imag
        if np.abs(values.imag).max() > NEGLIGIBLE * np.abs(values).max():
            raise UsageError(f"{self.path}: '{array}' is complex; the model takes real numbers")
        return values.real


def thinned(values: NDArray[Any], stride: int, dim: int) -> NDArray[Any]:
    """Every so many points along the last `dim` axes."""
    selection: tuple[Any, ...] = (..., *[slice(None, None, stride)] * dim)
    fewer: NDArray[Any] = values[selection]
    return fewer


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]
