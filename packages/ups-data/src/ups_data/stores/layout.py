"""The contract of a layout: how one kind of file maps to trajectories on canonical axes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """What is in a file, on the file's own grid, known without reading its fields.

    Attributes:
        channels: names of the fields to predict, in the order of `FieldFile.frames`.
        static: names of the given fields, in the order of `FieldFile.static`.
        trajectories: how many there are.
        frames: frames of a trajectory; 1 when steady.
        axes: name of the coordinate of every spatial axis -> its points, increasing.
        times: name of the time coordinate -> its points, one for every frame or more; empty when steady.
        frame_bytes: memory of one frame of all channels.
        parameters: name -> value for every trajectory `(n,)`.
        boundary: words of :data:`ups_data.info.Boundary` for the low and the high end of every axis, "" for
            an end where the file does not say; None if it says nothing at all.
        components: channel or given field -> its vector or tensor, and the axes of the component.
        chunk_rows: neighbouring trajectories that are stored, perhaps compressed, as one chunk.
    """

    channels: tuple[str, ...]
    static: tuple[str, ...]
    trajectories: int
    frames: int
    axes: Mapping[str, Points]
    times: Mapping[str, Points]
    frame_bytes: int
    parameters: Mapping[str, Points] = field(default_factory=dict)
    boundary: tuple[tuple[str, str], ...] | None = None
    components: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    chunk_rows: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along every spatial axis."""
        return tuple(map(len, self.axes.values()))


class FieldFile(Protocol):
    """One file, opened lazily and once in every process; it can be pickled.

    Raises (from every method):
        UPSError: the file is missing, damaged, or of another layout; one line with its path.
    """

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def head(self) -> Head:
        """What is in it."""
        ...

    def frames(self, rows: slice, frames: slice) -> NDArray[Any]:
        """Numbers `(n, T, C, *S)` of neighbouring trajectories, on the file's grid."""
        ...

    def static(self, rows: slice) -> NDArray[Any]:
        """Given fields `(n, Cs, *S)` of neighbouring trajectories, on the file's grid."""
        ...


@runtime_checkable
class FieldwiseFile(FieldFile, Protocol):
    """A file that stores its fields one by one, so that they can be read without stacking them."""

    def fieldwise(self, rows: slice, frames: slice) -> Iterator[NDArray[Any]]:
        """Numbers `(n, T, c, *S)` of neighbouring channels, which together are those of :meth:`frames`."""
        ...


@runtime_checkable
class WindowFile(FieldFile, Protocol):
    """A file whose fields are datasets, so that windows can be read to their places in a batch."""

    def announce(self, row: int, frames: slice) -> None:
        """Say which frames of a trajectory are read soon, so that a disk can fetch them meanwhile."""
        ...

    def read_window(
        self, batch: NDArray[np.float32], number: int, row: int, frames: slice, places: Sequence[int]
    ) -> None:
        """Read frames of a trajectory to their place in a batch, without a copy.

        Args:
            batch: `(B, T, C, *S)` on the file's grid, contiguous.
            number: of the window in the batch.
            row: the trajectory.
            frames: T frames.
            places: for every field of the file its channel in the batch.
        """
        ...


class Layout(Protocol):
    """One kind of file: what a `layouts` component creates."""

    def recognises(self, path: Path) -> bool:
        """Whether a file has this layout, as far as its names tell; False if it cannot be read."""
        ...

    def open(self, path: Path) -> FieldFile:
        """A file of this layout; nothing is read yet."""
        ...


class Writer(Protocol):
    """A layout that files can be written in."""

    def write(
        self,
        path: Path,
        info: TaskInfo,
        attributes: Mapping[str, Any],
        trajectories: int,
        blocks: Iterable[Fields],
    ) -> None:
        """Write trajectories block by block.

        Args:
            path: the file, which does not exist yet.
            info: the problem: channels, grid and times.
            attributes: of the file, its parameters among them.
            trajectories: of all blocks together.
            blocks: neighbouring trajectories.

        Raises:
            UPSError: the layout has no place for some of the problem's fields.
        """
        ...
