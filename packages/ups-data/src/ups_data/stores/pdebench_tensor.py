"""The layout `pdebench_tensor`: one field in one dataset, as in PDEBench's scalar problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo
from ups_data.stores.base import Array, Fields
from ups_data.stores.hdf5 import names_of
from ups_data.stores.hdf5_fields import HDF5Fields
from ups_data.stores.layout import Head, Points
from ups_data.stores.layout_config import PDEBenchTensorConfig

SPACE = ("x", "y", "z")
TIME = "t-coordinate"


class PDEBenchTensor:
    """`tensor` (trajectory, time, *space), given fields (trajectory, *space), `x-coordinate`, `t-coordinate`…

    A dataset of given fields makes the problem steady; its `tensor` has one frame.
    """

    def __init__(self, config: PDEBenchTensorConfig) -> None:
        self.config = config

    def recognises(self, path: Path) -> bool:
        """See :class:`~ups_data.stores.layout.Layout`."""
        wanted = {self.config.solution, "x-coordinate"} | {key for key in [self.config.coefficient] if key}
        return wanted <= names_of(path)

    def open(self, path: Path) -> TensorFile:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return TensorFile(path, self.config)

    def write(
        self,
        path: Path,
        info: TaskInfo,
        attributes: Mapping[str, Any],
        trajectories: int,
        blocks: Iterable[Fields],
    ) -> None:
        """See :class:`~ups_data.stores.layout.Writer`."""
        keys = [key for key in (self.config.coefficient, self.config.solution) if key]

        def parts(block: Fields) -> dict[str, Array]:
            given = () if block.static is None else block.static.swapaxes(0, 1)
            return dict(zip(keys, (*given, block.frames[:, :, 0]), strict=True))

        with h5py.File(path, "w") as file:
            write_head(file, info, attributes)
            write_blocks(file, trajectories, map(parts, blocks))


class TensorFile(HDF5Fields):
    """A file of the layout."""

    def __init__(self, path: Path, config: PDEBenchTensorConfig) -> None:
        keys = f"'{config.solution}' (trajectory, time, space)"
        if config.coefficient:
            keys += f" and '{config.coefficient}' (trajectory, space)"
        super().__init__(path, keys, config.external)
        self.config = config

    def read_head(self, file: h5py.File) -> Head:
        """See :class:`HDF5Fields`."""
        axes = spatial_axes(self)
        solution = self.fields(self.config.solution, ("trajectory", "time", *axes_of(axes)))
        self.check_points(self.config.solution, solution.shape, axes)
        static: tuple[str, ...] = ()
        if self.config.coefficient:
            static = (self.config.coefficient,)
            given = self.fields(self.config.coefficient, ("trajectory", *axes_of(axes)))
            self.check_points(self.config.coefficient, given.shape, axes)
        return Head(
            channels=(self.config.solution,),
            static=static,
            trajectories=len(solution),
            frames=solution.shape[1],
            axes=axes,
            times={} if static else {TIME: self.points(TIME)},
            frame_bytes=solution.dtype.itemsize * int(np.prod(solution.shape[2:])),
            parameters=repeated(self.attributes(), len(solution)),
            chunk_rows=self.chunk_rows(solution),
        )

    def frames(self, rows: slice, frames: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        return self.read(self.config.solution, (rows, frames))[:, :, None]

    def announce(self, row: int, frames: slice) -> None:
        """See :class:`~ups_data.stores.layout.WindowFile`."""
        self.fetch([self.config.solution], row, frames)

    def read_window(
        self, batch: NDArray[np.float32], number: int, row: int, frames: slice, places: Sequence[int]
    ) -> None:
        """See :class:`~ups_data.stores.layout.WindowFile`."""
        self.read_into(batch, number, [self.config.solution], row, frames, places)

    def static(self, rows: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        assert self.config.coefficient is not None
        return self.read(self.config.coefficient, (rows,))[:, None]


def spatial_axes(file: HDF5Fields) -> dict[str, Points]:
    """`x-coordinate` and, where they exist, `y-coordinate` and `z-coordinate`, each with its points."""
    keys = [f"{axis}-coordinate" for axis in SPACE]
    return {key: file.points(key) for key in keys if key == keys[0] or key in list(file.file)}


def axes_of(axes: Mapping[str, Points]) -> tuple[str, ...]:
    """`x`, `y`, `z` for the coordinates of :func:`spatial_axes`."""
    return SPACE[: len(axes)]


def repeated(values: Mapping[str, float], count: int) -> dict[str, Points]:
    """The same parameters for every one of `count` trajectories."""
    return {key: np.full(count, value) for key, value in values.items()}


def write_head(file: h5py.File, info: TaskInfo, attributes: Mapping[str, Any]) -> None:
    """Write attributes and coordinates as PDEBench does: `t-coordinate` is one longer than the time axis."""
    # Attributes first: `sources.official` recognises generated files by the head of the file.
    for key, value in attributes.items():
        file.attrs[key] = value
    for axis, points in zip(SPACE, info.axes, strict=False):
        file[f"{axis}-coordinate"] = np.asarray(points, dtype=np.float32)
    if info.kind == "evolution":
        file[TIME] = np.asarray([info.dt * frame for frame in range(info.frames + 1)], dtype=np.float32)


def write_blocks(file: h5py.File, trajectories: int, blocks: Iterable[Mapping[str, Array]]) -> None:
    """Write datasets of this many trajectories, block by block; each block is dataset -> `(n, ...)`."""
    start = 0
    for block in blocks:
        for key, part in block.items():
            # The first block decides which datasets there are and what their shape is.
            dataset = file.require_dataset(key, (trajectories, *part.shape[1:]), np.float32)
            dataset[start : start + len(part)] = part
        start += max(map(len, block.values()))
