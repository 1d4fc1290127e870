"""The layout `pdebench_fields`: one dataset for every field, as in PDEBench's compressible flows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_data.info import TaskInfo
from ups_data.stores.base import Array, Fields
from ups_data.stores.hdf5 import names_of
from ups_data.stores.hdf5_fields import HDF5Fields
from ups_data.stores.layout import Head
from ups_data.stores.layout_config import PDEBenchFieldsConfig
from ups_data.stores.pdebench_tensor import TIME, axes_of, repeated, spatial_axes, write_blocks, write_head


class PDEBenchFields:
    """Datasets (trajectory, time, *space) by the fields' names, `x-coordinate`, …, `t-coordinate`."""

    def __init__(self, config: PDEBenchFieldsConfig) -> None:
        self.config = config

    def recognises(self, path: Path) -> bool:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return {self.config.fields[0], "x-coordinate", TIME} <= names_of(path)

    def open(self, path: Path) -> FieldsFile:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return FieldsFile(path, self.config)

    def write(
        self,
        path: Path,
        info: TaskInfo,
        attributes: Mapping[str, Any],
        trajectories: int,
        blocks: Iterable[Fields],
    ) -> None:
        """See :class:`~ups_data.stores.layout.Writer`."""
        keys = self.config.fields
        channels = len(info.target_channels) + len(info.forcing_channels)
        if info.static_channels or channels != len(keys):
            raise UPSError(
                f"the layout pdebench_fields writes {len(keys)} fields in time ({', '.join(keys)}) and no "
                "given "
                f"ones, but task '{info.name}' has {channels} and {len(info.static_channels)}"
            )

        def parts(block: Fields) -> dict[str, Array]:
            return dict(zip(keys, np.moveaxis(block.frames, 2, 0), strict=True))

        with h5py.File(path, "w") as file:
            write_head(file, info, attributes)
            write_blocks(file, trajectories, map(parts, blocks))


class FieldsFile(HDF5Fields):
    """A file of the layout; it has those of the layout's fields that it needs for its axes."""

    def __init__(self, path: Path, config: PDEBenchFieldsConfig) -> None:
        keys = ", ".join(f"'{key}'" for key in config.fields)
        super().__init__(path, f"{keys} (trajectory, time, space)", config.external)
        self.names = config.fields

    def read_head(self, file: h5py.File) -> Head:
        """See :class:`HDF5Fields`."""
        axes = spatial_axes(self)
        names = ("trajectory", "time", *axes_of(axes))
        found = {key: self.fields(key, names) for key in self.names}
        first = next(iter(found.values()))
        for key, dataset in found.items():
            self.check_points(key, dataset.shape, axes)
            if dataset.shape != first.shape:
                raise self.error(
                    f"'{key}' has shape {dataset.shape}, but '{self.names[0]}' has {first.shape}; "
                    "all fields need one shape"
                )
        return Head(
            channels=tuple(found),
            static=(),
            trajectories=len(first),
            frames=first.shape[1],
            axes=axes,
            times={TIME: self.points(TIME)},
            frame_bytes=sum(item.dtype.itemsize for item in found.values()) * int(np.prod(first.shape[2:])),
            parameters=repeated(self.attributes(), len(first)),
            chunk_rows=self.chunk_rows(*found.values()),
        )

    def frames(self, rows: slice, frames: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        return np.concatenate(list(self.fieldwise(rows, frames)), axis=2)

    def fieldwise(self, rows: slice, frames: slice) -> Iterator[NDArray[Any]]:
        """See :class:`~ups_data.stores.layout.FieldwiseFile`."""
        for key in self.names:
            yield self.read(key, (rows, frames))[:, :, None]

    def announce(self, row: int, frames: slice) -> None:
        """See :class:`~ups_data.stores.layout.WindowFile`."""
        self.fetch(self.names, row, frames)

    def read_window(
        self, batch: NDArray[np.float32], number: int, row: int, frames: slice, places: Sequence[int]
    ) -> None:
        """See :class:`~ups_data.stores.layout.WindowFile`."""
        self.read_into(batch, number, self.names, row, frames, places)

    def static(self, rows: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`; there are none."""
        return np.empty((rows.stop - rows.start, 0, *self.head.shape), dtype=np.float32)
