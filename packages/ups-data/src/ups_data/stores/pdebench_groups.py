"""The layout `pdebench_groups`: one group for every trajectory, as in PDEBench's diffusion-reaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields
from ups_data.stores.hdf5 import names_of
from ups_data.stores.hdf5_fields import HDF5Fields
from ups_data.stores.layout import Head
from ups_data.stores.layout_config import PDEBenchGroupsConfig

DATA = "data"
SPACE = ("x", "y", "z")
DIGITS = 4
"""Of the names of groups, at least; all names of a file have the same number of them."""


class PDEBenchGroups:
    """Groups such as `0000`, any subset of them, with `data` (time, *space, channel) and `grid/x`,
    `grid/t`."""

    def __init__(self, config: PDEBenchGroupsConfig) -> None:
        self.config = config

    def recognises(self, path: Path) -> bool:
        """See :class:`~ups_data.stores.layout.Layout`."""
        names = names_of(path, 2)
        return bool(names) and {f"{min(names)}/{DATA}", f"{min(names)}/grid"} <= names

    def open(self, path: Path) -> GroupsFile:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return GroupsFile(path, self.config)

    def write(
        self,
        path: Path,
        info: TaskInfo,
        attributes: Mapping[str, Any],
        trajectories: int,
        blocks: Iterable[Fields],
    ) -> None:
        """See :class:`~ups_data.stores.layout.Writer`."""
        if info.static_channels:
            raise UPSError(
                f"the layout pdebench_groups has no place for the given fields of task '{info.name}' "
                f"({', '.join(channel.name for channel in info.static_channels)})"
            )
        times = [info.dt * frame for frame in range(info.frames)]
        digits = max(DIGITS, len(str(trajectories - 1)))
        number = 0
        with h5py.File(path, "w") as file:
            # Attributes first: `sources.official` recognises generated files by the head of the file.
            for key, value in attributes.items():
                file.attrs[key] = value
            for block in blocks:
                for frames in np.moveaxis(block.frames, 2, -1):
                    group = file.create_group(f"{number:0{digits}d}")
                    space = range(1, frames.ndim - 1)
                    order = space if self.config.axes == "xy" else reversed(space)
                    group[DATA] = frames.transpose(0, *order, frames.ndim - 1)
                    for axis, points in zip(SPACE, info.axes, strict=False):
                        group[f"grid/{axis}"] = np.asarray(points, dtype=np.float32)
                    group["grid/t"] = np.asarray(times, dtype=np.float32)
                    number += 1


class GroupsFile(HDF5Fields):
    """A file of the layout; groups in the order of their names are its trajectories."""

    def __init__(self, path: Path, config: PDEBenchGroupsConfig) -> None:
        super().__init__(
            path,
            f"a group for every trajectory with '{DATA}' (time, space, channel) and 'grid'",
            config.external,
        )
        self.config = config
        self.keys: tuple[str, ...] = ()

    def read_head(self, file: h5py.File) -> Head:
        """See :class:`HDF5Fields`; every group must have the shape of the first."""
        self.keys = tuple(sorted(map(str, file)))
        if not self.keys:
            raise self.error(f"has no groups; expected {self.expected}")
        first = self.keys[0]
        axes = {axis: self.points(f"{first}/grid/{axis}") for axis in self._space(first)}
        stored = [*list(axes)[:: -1 if self.config.axes == "yx" else 1]]
        data = self.fields(f"{first}/{DATA}", ("time", *stored, "channel"))
        grid = dict(zip(stored, data.shape[1:-1], strict=True))
        for axis, points in axes.items():
            if grid[axis] != len(points):
                raise self.error(
                    f"'{first}/{DATA}' has shape {data.shape}, but 'grid/{axis}' has {len(points)} points"
                )
        return Head(
            channels=tuple(f"channel{number}" for number in range(data.shape[-1])),
            static=(),
            trajectories=len(self.keys),
            frames=data.shape[0],
            axes=axes,
            times={"grid/t": self.points(f"{first}/grid/t")},
            frame_bytes=data.dtype.itemsize * int(np.prod(data.shape[1:])),
        )

    def _space(self, group: str) -> list[str]:
        """The axes of space that a group has: x, and y and z where there are coordinates of them."""
        return [axis for axis in SPACE if axis == SPACE[0] or self.has(f"{group}/grid/{axis}")]

    def frames(self, rows: slice, frames: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        head = self.head
        shape = (head.frames, *self._stored(head.shape), len(head.channels))
        found = []
        for key in self.keys[rows]:
            data = self.dataset(f"{key}/{DATA}")
            if data.shape != shape:
                raise self.error(f"'{key}/{DATA}' has shape {data.shape}, but the first group has {shape}")
            with self.reading(f"'{key}/{DATA}'"):
                found.append(data[frames])
        values = np.moveaxis(found[0][None] if len(found) == 1 else np.stack(found), -1, 2)
        return (
            values if self.config.axes == "xy" else values.transpose(0, 1, 2, *range(values.ndim - 1, 2, -1))
        )

    def _stored(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape if self.config.axes == "xy" else shape[::-1]

    def static(self, rows: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`; there are none."""
        return np.empty((rows.stop - rows.start, 0, *self.head.shape), dtype=np.float32)
