"""The inputs of a command: files whose trajectories follow each other, read in pieces and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ups_core import UsageError
from ups_data.cli.layouts import recognise
from ups_data.info import Channel
from ups_data.stores.array_files import READERS
from ups_models.prediction.array_input import ArrayInput, ReadOptions
from ups_models.prediction.conditions import conditions_of
from ups_models.prediction.expects import Expects
from ups_models.prediction.fields import Array, finite
from ups_models.prediction.grid import grid_of
from ups_models.prediction.layout_input import LayoutInput
from ups_models.prediction.predict import Inputs

Points = NDArray[np.float64]
EVEN = 1e-2
"""Largest change of the time between frames, relative to the mean one."""


class InputFile(Protocol):
    """One file with initial states; attributes as those of :class:`ArrayInput`."""

    path: Path
    count: int
    shape: tuple[int, ...]
    lines: Mapping[int, Points]
    times: Points | None
    parameters: Mapping[str, Points]
    note: str

    def frames(self, channel: Channel) -> int:
        """Stored frames of a channel."""
        ...

    def read(self, channels: Sequence[Channel], rows: slice, frames: slice) -> NDArray[Any]:
        """Numbers of some channels, `(n, T, C, *S)`."""
        ...


class Source:
    """All inputs of a command.

    Args:
        places: files, folders of files or patterns.
        expects: what the model takes.
        options: what the user says about the files.
        params: parameters that the user gives; they go before those of the files.
        dt: time between stored frames, where no file has the times.
        steps: frames to predict.

    Attributes:
        count: inputs of all files together.
        start: time of the newest given frame.
        conditions: parameters and time step of all inputs.
        grid: the points that they share.
        notes: what users should know about how they were read and what training did not have.

    Raises:
        UPSError: a file cannot be read.
        UsageError: the files have not what the model takes.
    """

    def __init__(
        self,
        places: Sequence[str],
        expects: Expects,
        options: ReadOptions,
        params: Mapping[str, float],
        dt: float | None,
        steps: int,
    ) -> None:
        self._expects, self._steps = expects, steps
        self._files = [_open(path, expects, options, steps) for path in _paths(places)]
        first = self._files[0]
        self.count = sum(file.count for file in self._files)
        self.read_as = first.note
        for file in self._files[1:]:
            if file.shape != first.shape or set(file.lines) != set(first.lines):
                raise UsageError(
                    f"{file.path} has fields of {file.shape} points, but {first.path} has {first.shape}; "
                    "predict for each grid on its own"
                )
        self.grid = grid_of(expects.task, first.shape, first.lines, str(first.path))
        for file in self._files[1:]:
            other = grid_of(expects.task, file.shape, file.lines, str(file.path))
            if any(not np.allclose(a, b) for a, b in zip(other.points, self.grid.points, strict=True)):
                raise UsageError(
                    f"{file.path} has other coordinates than {first.path}; predict for each on its own"
                )
        self._strides, steps_found, self.start = [], [], 0.0
        for file in self._files:
            stride, step, self.start = _timing(file, expects, dt)
            self._strides.append(stride)
            steps_found.append(step)
        if max(steps_found) - min(steps_found) > EVEN * max(steps_found):
            raise UsageError(f"the files have frames {min(steps_found):g} and {max(steps_found):g} apart")
        for file, stride in zip(self._files, self._strides, strict=True):
            _check_frames(file, expects, stride, steps)
        self.conditions = conditions_of(expects, self._params(params), steps_found[0], self.count)

    def _params(self, params: Mapping[str, float]) -> dict[str, Any]:
        """Values of every parameter: the user's, or else those of the files."""
        found: dict[str, Any] = dict(params)
        for parameter in self._expects.task.parameters:
            name = parameter.name
            if name not in params and any(name in file.parameters for file in self._files):
                lacking = next((file.path for file in self._files if name not in file.parameters), None)
                if lacking is not None:
                    raise UsageError(f"{lacking} has no parameter '{name}', but other files have it")
                columns = [np.broadcast_to(file.parameters[name], file.count) for file in self._files]
                found[name] = np.concatenate(columns)
        return found

    def piece(self, start: int, size: int) -> Inputs:
        """Up to `size` inputs of one file from number `start` on.

        Raises:
            UsageError: a field contains NaN or infinity.
        """
        before, place = 0, 0
        while start >= before + self._files[place].count:
            before += self._files[place].count
            place += 1
        file, stride = self._files[place], self._strides[place]
        rows = slice(start - before, min(start - before + size, file.count))
        task, chosen = self._expects.task, slice(start, start + rows.stop - rows.start)

        def read(channels: Sequence[Channel], frames: int) -> Array:
            shape = (rows.stop - rows.start, frames, 0, *file.shape)
            if not channels:
                return np.empty(shape, dtype=np.float32)
            needed = slice(0, (frames - 1) * stride + 1, stride)
            raw = file.read(channels, rows, needed)
            with np.errstate(over="ignore"):  # a value beyond float32 becomes infinity, which is refused
                values = np.ascontiguousarray(raw, dtype=np.float32)
            finite(str(file.path), values, [item.name for item in channels], rows.start, self._expects)
            return values

        conditions = replace(self.conditions, params=self.conditions.params[chosen])
        steady = task.kind == "steady"
        state = read((), 1)[:, :0] if steady else read(task.state_channels, task.history)
        forcing = read(task.forcing_channels, task.history + self._steps) if task.forcing_channels else None
        static = read(task.static_channels, 1)[:, 0]
        return Inputs(state, static, forcing, conditions, self.grid, start)


def _paths(places: Sequence[str]) -> list[Path]:
    """Files, the files of folders, and those that patterns match; those of a pattern in order of names."""
    found: list[Path] = []
    for text in places:
        path = Path(text).expanduser()
        inside = [path] if path.exists() else sorted(map(Path, glob(str(path))))
        if path.is_dir() and path.suffix.lower() not in READERS:
            inside = sorted(path.iterdir())
        if not path.is_file():
            inside = [item for item in inside if item.suffix.lower() in READERS]
        if not inside:
            what = "has no data files" if path.is_dir() else "does not exist"
            raise UsageError(f"{path} {what}; name data files: {', '.join(READERS)}")
        found += inside
    return found


def _open(path: Path, expects: Expects, options: ReadOptions, steps: int) -> InputFile:
    if not (options.channels or options.axes) and (recognised := recognise(path)) is not None:
        return LayoutInput(path, recognised, expects, options.stride)
    return ArrayInput(path, expects, options, steps)


def _timing(file: InputFile, expects: Expects, dt: float | None) -> tuple[int, float, float]:
    """Stored frames to a frame of the model, time between these, and time of the newest given frame."""
    task, times = expects.task, file.times
    if task.kind == "steady":
        return 1, 0.0, 0.0
    first = 0.0
    if times is not None and len(times) > 1:
        steps = np.diff(times)
        if dt is not None:
            raise UsageError(f"{file.path} has times {steps.mean():g} apart; leave --dt out")
        dt, first = float(steps.mean()), float(times[0])
        if np.abs(steps - dt).max() > EVEN * dt:
            raise UsageError(
                f"{file.path} has times that are not evenly spaced; the model takes frames {task.dt:g} apart"
            )
    own, (low, high) = dt or task.dt, expects.dt
    if low < high:  # training had several
        return 1, own, first + (task.history - 1) * own
    stride = max(1, round(task.dt / own))
    if abs(stride * own - task.dt) > EVEN * task.dt:
        raise UsageError(
            f"{file.path} has frames {own:g} apart, but the model was trained with frames {task.dt:g} apart "
            "only"
        )
    return stride, task.dt, first + (task.history - 1) * task.dt


def _check_frames(file: InputFile, expects: Expects, stride: int, steps: int) -> None:
    """Raise :class:`UsageError` unless a file has the frames that are read."""
    task = expects.task
    needs = [(channel, task.history) for channel in task.state_channels]
    needs += [(channel, task.history + steps) for channel in task.forcing_channels]
    for channel, count in needs:
        needed, found = (count - 1) * stride + 1, file.frames(channel)
        if found < needed:
            raise UsageError(
                f"{file.path}: '{channel.name}' has {found} frames, but {count} of them, {stride} apart, "
                f"need {needed}"
            )
