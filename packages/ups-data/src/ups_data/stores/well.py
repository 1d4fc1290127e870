"""The layout `the_well`: files of The Well, with groups of scalar, vector and tensor fields.

Format: https://github.com/PolymathicAI/the_well, docs/data_format.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo
from ups_data.stores.base import Fields
from ups_data.stores.hdf5 import names_of
from ups_data.stores.layout import Head, Points
from ups_data.stores.layout_config import TheWellConfig
from ups_data.stores.well_boundary import read_boundary
from ups_data.stores.well_fields import GROUPS, WellField, allowed_shapes, channel_components
from ups_data.stores.well_items import WellItems
from ups_data.stores.well_scalars import Scalars, read_scalars
from ups_data.stores.well_writer import write_well

KINDS = ("symmetric", "antisymmetric")
"""Flags of a tensor."""


class TheWell:
    """Files with the groups `dimensions`, `boundary_conditions`, `scalars`, `t0_fields`, `t1_fields` and
    `t2_fields`, on a cartesian grid."""

    def __init__(self, config: TheWellConfig) -> None:
        self.config = config

    def recognises(self, path: Path) -> bool:
        """See :class:`~ups_data.stores.layout.Layout`."""
        names = names_of(path)
        return "dimensions" in names and not names.isdisjoint(GROUPS)

    def open(self, path: Path) -> WellFile:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return WellFile(path, self.config)

    def write(
        self,
        path: Path,
        info: TaskInfo,
        attributes: Mapping[str, Any],
        trajectories: int,
        blocks: Iterable[Fields],
    ) -> None:
        """See :class:`~ups_data.stores.layout.Writer`."""
        write_well(path, info, attributes, trajectories, blocks)


class Content(NamedTuple):
    """The grid and the fields of a file.

    Attributes:
        axes: name of every spatial axis -> its points.
        times: of the frames.
        trajectories: how many there are.
        predicted: fields that vary in time.
        given: fields that do not.
    """

    axes: dict[str, Points]
    times: Points
    trajectories: int
    predicted: tuple[WellField, ...]
    given: tuple[WellField, ...]


class WellFile(WellItems):
    """A file of the layout.

    Fields that vary in time are channels to predict, all others are given fields. Every component of a vector
    or tensor is a channel of its own, `velocity_x` or `stress_xy`, with letters for the first, second and
    third axis; of a symmetric tensor only those on and above the diagonal, of an antisymmetric one only those
    above it. A field is tiled along axes along which it is constant.

    Args:
        path: the file.
    """

    def __init__(self, path: Path, config: TheWellConfig) -> None:
        super().__init__(path, "a file of The Well", config.external)

    def read_head(self, file: h5py.File) -> Head:
        """See :class:`HDF5Fields`."""
        content = self._content
        shape = tuple(map(len, content.axes.values()))
        predicted, given = content.predicted, content.given
        if not predicted:
            raise self.error("no field varies in time, so there is nothing to predict")
        cells = math.prod(shape)
        return Head(
            channels=tuple(channel for item in predicted for channel in item.channels),
            static=tuple(channel for item in given for channel in item.channels),
            trajectories=content.trajectories,
            frames=len(content.times),
            axes=content.axes,
            times={"time": content.times},
            frame_bytes=cells * sum(item.dtype.itemsize * len(shape) ** item.order for item in predicted),
            parameters=self.scalars.constant,
            chunk_rows=self.chunk_rows(*(file[item.key] for item in predicted if item.sample_varying)),
            boundary=read_boundary(self, content.axes, content.trajectories, len(content.times)),
            components={
                channel: (item.name, component)
                for item in (*predicted, *given)
                for channel, component in zip(item.channels, item.components, strict=True)
                if component
            },
        )

    def frames(self, rows: slice, frames: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        return self._read(self._content.predicted, rows, frames)

    def static(self, rows: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        return self._read(self._content.given, rows, slice(0, 1))[:, 0]

    def _read(self, fields: Sequence[WellField], rows: slice, frames: slice) -> NDArray[Any]:
        """Fields `(n, T, C, *S)`."""
        content, file = self._content, self.file
        lengths = [
            len(range(*chosen.indices(count)))
            for chosen, count in ((rows, content.trajectories), (frames, len(content.times)))
        ]
        channels = sum(len(item.components) for item in fields)
        dtype = np.result_type(*(item.dtype for item in fields), np.float32)
        values = np.empty((*lengths, channels, *map(len, content.axes.values())), dtype=dtype)
        first = 0
        for item in fields:
            with self.reading(f"'{item.key}' of trajectories {rows}"):
                raw = np.asarray(file[item.key][item.selection(rows, frames)])
            values[:, :, first : first + len(item.components)] = item.canonical(raw)
            first += len(item.components)
        return values

    @cached_property
    def _content(self) -> Content:
        file = self.file
        with self.reading("its layout"):
            kind = self.text(file, "grid_type")
            if kind != "cartesian":
                raise self.error(f"the grid_type is '{kind}'; only cartesian grids are supported")
            count = self.count(file, "n_trajectories")
            dimensions = self.group("dimensions")
            if dimensions is None:
                raise self.error(f"no group 'dimensions'; expected {self.expected}")
            names = self.texts(dimensions, "spatial_dims")
            if not 1 <= len(names) <= 3 or len(names) != self.count(file, "n_spatial_dims"):
                raise self.error(
                    f"spatial_dims names {len(names)} axes ({', '.join(names)}), but n_spatial_dims is "
                    f"{self.count(file, 'n_spatial_dims')}; expected the same number, from 1 to 3"
                )
            if len(set(names)) < len(names):
                raise self.error(f"spatial_dims names an axis twice: {', '.join(names)}")
            axes = {name: self.line(name, dimensions, count) for name in names}
            times = self.line("time", dimensions, count)
            lengths = (count, len(times), *map(len, axes.values()))
            fields = [
                self._field(f"{key}/{name}", order, lengths)
                for order, key in enumerate(GROUPS)
                for name in self.names(self.group(key))
            ]
        return Content(
            axes=axes,
            times=times,
            trajectories=count,
            predicted=tuple(item for item in fields if item.time_varying),
            given=tuple(item for item in fields if not item.time_varying),
        )

    def _field(self, key: str, order: int, lengths: tuple[int, ...]) -> WellField:
        """A field whose flags fit its shape.

        Args:
            key: the dataset.
            order: 0 for a scalar, 1 for a vector, 2 for a tensor.
            lengths: trajectories, frames, and points along every axis.
        """
        group, _, name = key.partition("/")
        dataset = self.dataset(name, self.group(group))
        if dataset.dtype.kind not in "biuf":
            raise self.error(f"'{key}' has type {dataset.dtype}; expected float32")
        count, frames, *shape = lengths
        by_sample, by_time = self.flag(dataset, "sample_varying"), self.flag(dataset, "time_varying")
        varying = self.flags(dataset, "dim_varying", len(shape))
        lead = [*([count] if by_sample else []), *([frames] if by_time else [])]
        allowed = allowed_shapes(lead, shape, varying, order)
        if dataset.shape not in allowed:
            raise self.error(
                f"'{key}' has shape {dataset.shape}, but its flags (sample_varying {by_sample}, time_varying "
                f"{by_time}, dim_varying {varying}) mean {' or '.join(map(str, allowed))}"
            )
        kinds = [order == 2 and self.flag(dataset, kind, default=False) for kind in KINDS]
        if all(kinds):
            raise self.error(f"'{key}' is symmetric and antisymmetric; a tensor is one of the two or neither")
        return WellField(
            key=key,
            sample_varying=by_sample,
            time_varying=by_time,
            grid=tuple(points if varies else 1 for points, varies in zip(shape, varying, strict=True)),
            order=order,
            components=channel_components(order, len(shape), *kinds),
            dtype=dataset.dtype,
        )

    @cached_property
    def scalars(self) -> Scalars:
        """Numbers that are not fields."""
        with self.reading("its scalars"):
            return read_scalars(self, self._content.trajectories)
