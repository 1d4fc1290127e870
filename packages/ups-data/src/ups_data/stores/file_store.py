"""Trajectories in files of any layout: those grid points and frames that the task selects.

A selection below :data:`MEMORY_LIMIT` is read once and kept; of a larger one only requested windows are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.errors import printable
from ups_data.info import TaskInfo
from ups_data.stores.base import Array, Chunk, Integers
from ups_data.stores.hdf5_fields import DAMAGED
from ups_data.stores.layout import FieldwiseFile, Points, WindowFile
from ups_data.stores.part import Part, Strides, part_error, strides_of
from ups_data.stores.recycled import Recycled

MEMORY_LIMIT = 2 * 1024**3
"""Bytes of float32 up to which a task's selection is kept in memory, by every training process."""

IN_CACHE = 1024**2
"""Bytes of a field's window up to which a copy costs less than HDF5's way to write into a batch."""
CHUNK_BYTES = 64 * 1024**2
"""Bytes that are read at once."""
CHUNKS_AT_MOST = 1024**3
"""Bytes up to which all trajectories of a chunk are read at once."""

MAX_TRAJECTORY = 2 * 1024**3
"""Limit of bytes of a trajectory on the file's own grid; the largest of PDEBench has 0.4 GB."""

MAX_VALUE = 1e18
"""Limit of absolute values: far above any field of the tasks, and (2e18)² still fits float32."""


class FileStore:
    """A :class:`~ups_data.stores.base.TrajectoryStore` of files; trajectories of files follow each other.

    Args:
        info: the problem; its grid and times select from those of the files.
        parts: the files.
        names: the names of the parameters in the files, in the order of the task's; default: the same names.
        trajectories: of every file, from the first one; None for all.
        paired: whether trajectory number i starts alike in every file, so that all of them are one group.
        first_group: number of the first group.
        way_out: what to do about values that are not finite.

    Raises:
        UPSError: the task declares more parameters than its files have.
    """

    def __init__(
        self,
        info: TaskInfo,
        parts: Sequence[Part],
        names: Sequence[str] | None = None,
        trajectories: int | None = None,
        paired: bool = False,
        first_group: int = 0,
        way_out: str = DAMAGED,
    ) -> None:
        self.info = info
        self.parts = tuple(parts)
        known = tuple(parameter.name for parameter in info.parameters) if names is None else tuple(names)
        declared = len(info.parameters)
        if declared > len(known):
            raise UPSError(
                f"task '{info.name}' declares {declared} parameters, but its data have {len(known)}; "
                "declare no more"
            )
        self.names = known[:declared]
        self.trajectories = trajectories
        self.paired = paired
        self.first_group = first_group
        self.way_out = way_out
        self._checked: dict[int, Strides] = {}
        self._recycled = Recycled()

    @property
    def place(self) -> str:
        """The first file and the number of others."""
        more = f" and {len(self.parts) - 1} more" if len(self.parts) > 1 else ""
        return f"{self.parts[0].file.path}{more}"

    @cached_property
    def _ends(self) -> Integers:
        """Number of trajectories up to the end of every file."""
        if self.trajectories is not None:
            return np.arange(1, len(self.parts) + 1) * self.trajectories
        return np.cumsum([part.file.head.trajectories for part in self.parts])

    @cached_property
    def groups(self) -> Integers:
        """The number of every trajectory, within its file if files are paired."""
        numbers = np.arange(self._ends[-1])
        if self.paired:
            file = np.searchsorted(self._ends, numbers, side="right")
            numbers = numbers - np.concatenate([[0], self._ends])[file]
        return numbers + self.first_group

    @cached_property
    def parameters(self) -> NDArray[np.float64]:
        """Values of every trajectory `(n, P)`, from their files or from what is known about these."""
        sizes = np.diff(self._ends, prepend=0)
        columns = [
            [self._values(part, name, int(size)) for name in self.names]
            for part, size in zip(self.parts, sizes, strict=True)
        ]
        return np.concatenate(
            [
                np.stack(values, axis=1) if values else np.empty((int(size), 0))
                for values, size in zip(columns, sizes, strict=True)
            ]
        )

    def _values(self, part: Part, name: str, count: int) -> Points:
        if name in part.parameters:
            return np.full(count, part.parameters[name])
        found = part.file.head.parameters
        if name not in found:
            raise part_error(part, f"has no parameter '{name}' (found {', '.join(found) or 'none'})")
        return found[name][:count]

    @cached_property
    def _fieldwise(self) -> tuple[FieldwiseFile | None, ...]:
        """The files whose fields can be read one by one; None for the others."""
        files = (part.file for part in self.parts)
        return tuple(file if isinstance(file, FieldwiseFile) else None for file in files)

    @cached_property
    def _direct(self) -> tuple[WindowFile | None, ...]:
        """The files whose windows can be read to their places in a batch; None for the others."""
        files = (part.file for part in self.parts)
        return tuple(file if isinstance(file, WindowFile) else None for file in files)

    @cached_property
    def _places(self) -> tuple[Any, ...]:
        """For every file the places of its fields among the channels of the store; None where they agree."""
        info = self.info
        if not info.forcing_channels:  # the file has them anywhere, the store has them last
            return (None,) * len(self.parts)
        wanted = [channel.name for channel in (*info.target_channels, *info.forcing_channels)]
        return tuple([wanted.index(name) for name in part.file.head.channels] for part in self.parts)

    @property
    def _channels(self) -> int:
        """Number of fields that vary in time."""
        return len(self.info.target_channels) + len(self.info.forcing_channels)

    @cached_property
    def nbytes(self) -> int:
        """Size of the selection as float32."""
        fields = self.info.frames * self._channels + len(self.info.static_channels)
        return 4 * int(self._ends[-1]) * fields * prod(self.info.shape)

    def chunks(self) -> Iterator[Chunk]:
        """Everything in order, in pieces of one file each."""
        first = 0
        for number, end in enumerate(self._ends):
            rows = self._rows_at_once(number)
            for start in range(first, int(end), rows):
                part = slice(start, min(start + rows, int(end)))
                local = slice(part.start - first, part.stop - first)
                frames = self._empty(local.stop - local.start, self.info.frames)
                self._read(frames, number, local, 0)
                yield Chunk(part, frames, self._static(number, local))
            first = int(end)

    def _rows_at_once(self, number: int) -> int:
        """Trajectories of a file that are read together: complete chunks, so that each is decoded once."""
        size = self.trajectory_bytes(number)
        rows, together = max(1, CHUNK_BYTES // size), self.parts[number].file.head.chunk_rows
        if together * size > CHUNKS_AT_MOST:
            return rows
        return max(1, rows // together) * together

    def frames(self, trajectories: Integers, starts: Integers, count: int) -> Array:
        """Frames `(B, count, C, *S)`: of each trajectory `count` from its start on."""
        if self._kept is not None:
            # One indexing operation for the complete batch: a loop over samples would dominate a small step.
            kept: Array = self._kept[0][trajectories[:, None], starts[:, None] + np.arange(count)]
            return kept
        frames = self._recycled.empty((len(trajectories), count, self._channels, *self.info.shape))
        files, rows = self._locate(trajectories)
        places = list(zip(files.tolist(), rows.tolist(), starts.tolist(), strict=True))
        for file, row, start in places:
            self._announce(file, row, start, count)
        for number, (file, row, start) in enumerate(places):
            self._read_window(frames, number, file, row, start)
        return frames

    def static(self, trajectories: Integers) -> Array:
        """Given fields `(B, Cs, *S)`; Cs is 0 if there are none."""
        if not self.info.static_channels:
            return np.empty((len(trajectories), 0, *self.info.shape), dtype=np.float32)
        if self._kept is not None:
            kept: Array = self._kept[1][trajectories]
            return kept
        places = zip(*self._locate(trajectories), strict=True)
        return np.concatenate([self._static(int(file), slice(row, row + 1)) for file, row in places])

    def _locate(self, trajectories: Integers) -> tuple[Integers, Integers]:
        """File and row of trajectories."""
        files = np.searchsorted(self._ends, trajectories, side="right")
        return files, trajectories - np.concatenate([[0], self._ends])[files]

    @cached_property
    def _kept(self) -> tuple[Array, Array] | None:
        """All frames `(n, T, C, *S)` and given fields `(n, Cs, *S)`; None if they do not fit in memory."""
        if self.nbytes > MEMORY_LIMIT:
            return None
        # Filled piece by piece, because a native file is many times larger than the selection.
        info, count = self.info, int(self._ends[-1])
        frames = np.empty((count, info.frames, self._channels, *info.shape), dtype=np.float32)
        static = np.empty((count, len(info.static_channels), *info.shape), dtype=np.float32)
        for chunk in self.chunks():
            frames[chunk.part], static[chunk.part] = chunk.frames, chunk.static
        return frames, static

    def trajectory_bytes(self, number: int) -> int:
        """Memory of one trajectory of a file on the file's own grid, before it is strided.

        Raises:
            UPSError: it is more than is read at once.
        """
        self._strides(number)
        part = self.parts[number]
        size = part.file.head.frame_bytes * self.info.frames
        if size > MAX_TRAJECTORY:
            shape = part.file.head.shape
            raise part_error(
                part,
                f"has trajectories of {size / 1e9:.1f} GB ({self.info.frames} frames of {shape} points); "
                f"more than {MAX_TRAJECTORY / 1e9:.1f} GB are not read at once; use fewer frames",
            )
        return size

    def _empty(self, trajectories: int, frames: int) -> Array:
        return np.empty((trajectories, frames, self._channels, *self.info.shape), dtype=np.float32)

    def _announce(self, number: int, row: int, start: int, count: int) -> None:
        """Let a disk fetch a window of a file while others are read."""
        file = self._direct[number]
        if file is not None:
            file.announce(row, self._frames(number, start, count))

    def _frames(self, number: int, start: int, count: int) -> slice:
        """Frames of a file that are `count` frames of the task from `start` on."""
        stride = self._strides(number).time
        return slice(start * stride, (start + count - 1) * stride + 1, stride)

    def _read_window(self, batch: Array, place: int, number: int, row: int, start: int) -> None:
        """Read frames of a trajectory of a file into a batch `(B, T, C, *S)`."""
        file, rows = self._direct[number], slice(row, row + 1)
        field = batch[place, :, 0].nbytes
        if file is None or field < IN_CACHE or not self._strides(number).complete:
            self._read(batch[place : place + 1], number, rows, start)
            return
        order = self._places[number] or range(batch.shape[2])
        file.read_window(batch, place, row, self._frames(number, start, batch.shape[1]), order)
        if not _within_limits(batch[place]):
            channels = [file.head.channels[order.index(channel)] for channel in range(batch.shape[2])]
            self._report_damage(number, batch[place : place + 1], channels, rows, start)

    def _read(self, target: Array, number: int, rows: slice, start: int) -> None:
        """Read frames of neighbouring trajectories of a file.

        Args:
            target: where they go, `(n, T, C, *S)`.
            number: of the file.
            rows: the trajectories.
            start: the first frame.
        """
        file, frames = self.parts[number].file, self._frames(number, start, target.shape[1])
        # Field by field: each is checked and copied to its place while it is in the processor's cache.
        fieldwise, places = self._fieldwise[number], self._places[number]
        pieces = [file.frames(rows, frames)] if fieldwise is None else fieldwise.fieldwise(rows, frames)
        first = 0
        with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite
            for raw in pieces:
                last = first + raw.shape[2]
                values = self._strided(number, raw, file.head.channels[first:last], rows, start)
                target[:, :, places[first:last] if places else slice(first, last)] = values
                first = last

    def _static(self, number: int, rows: slice) -> Array:
        if not self.info.static_channels:
            return np.empty((rows.stop - rows.start, 0, *self.info.shape), dtype=np.float32)
        self._strides(number)
        raw = self.parts[number].file.static(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            return self._strided(number, raw, self.parts[number].file.head.static, rows, None)

    def _strided(
        self, number: int, raw: NDArray[np.generic], names: tuple[str, ...], rows: slice, first: int | None
    ) -> Array:
        """Numbers on the task's grid as float32, all of them finite."""
        # Complete grid rows are read and strided in memory: HDF5 is slow at selecting single points.
        values: Array = np.ascontiguousarray(raw[self._strides(number).points], dtype=np.float32)
        if not _within_limits(values):
            self._report_damage(number, values, names, rows, first)
        return values

    def _report_damage(
        self, number: int, values: Array, names: Sequence[str], rows: slice, first: int | None
    ) -> None:
        place = np.argwhere(~(np.abs(values) < MAX_VALUE))[0]
        value = values[tuple(place)]
        where = f"trajectory {rows.start + place[0]}"
        if first is not None:
            where += f", frame {(first + place[1]) * self._strides(number).time}"
        what = f"the value {value:g}" if np.isfinite(value) else "NaN or infinity"
        channel = names[place[1 if first is None else 2]]
        problem = printable(f"'{channel}' contains {what} in {where}; {self.way_out}")
        raise UPSError(f"{self.parts[number].file.path}: {problem}")

    def _strides(self, number: int) -> Strides:
        """Strides of a file, which is checked the first time."""
        if number not in self._checked:
            self._checked[number] = strides_of(self.parts[number], self.info, self.trajectories)
        return self._checked[number]


def _within_limits(values: Array) -> bool:
    """Whether all numbers are finite and below :data:`MAX_VALUE`."""
    flat = values.reshape(-1)
    # A sum of squares needs one pass; it is NaN or large if any number is. Large sums are looked at twice.
    if np.dot(flat, flat) < np.float32(MAX_VALUE) ** 2:
        return True
    return not flat.size or bool(-MAX_VALUE < flat.min() <= flat.max() < MAX_VALUE)
