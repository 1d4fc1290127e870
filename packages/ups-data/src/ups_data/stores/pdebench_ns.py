"""The layout `pdebench_ns`: velocity, particles and force, as in PDEBench's incompressible flow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_data.stores.hdf5 import names_of
from ups_data.stores.hdf5_fields import MAX_POINTS, HDF5Fields
from ups_data.stores.layout import Head, Points
from ups_data.stores.layout_config import PDEBenchNSConfig
from ups_data.stores.striding import cell_centres

VELOCITY, PARTICLES, FORCE, TIMES = "velocity", "particles", "force", "t"
SAME_TIMES = 1e-3
"""Difference of the times of two trajectories, in steps, that is rounding."""


class PDEBenchNS:
    """`velocity` and `particles` (trajectory, time, x, y, component), `force` (trajectory, x, y, component),
    `t`."""

    def __init__(self, config: PDEBenchNSConfig) -> None:
        self.config = config

    def recognises(self, path: Path) -> bool:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return {VELOCITY, PARTICLES, FORCE, TIMES} <= names_of(path)

    def open(self, path: Path) -> NSFile:
        """See :class:`~ups_data.stores.layout.Layout`."""
        return NSFile(path, self.config)


class NSFile(HDF5Fields):
    """A file of the layout; it has no coordinates, its points are the centres of cells of the unit square."""

    def __init__(self, path: Path, config: PDEBenchNSConfig) -> None:
        super().__init__(
            path,
            f"'{VELOCITY}' and '{PARTICLES}' (trajectory, time, x, y, component), '{FORCE}', 't'",
            config.external,
        )
        self.cells = config.cells

    def read_head(self, file: h5py.File) -> Head:
        """See :class:`HDF5Fields`."""
        velocity = self.fields(VELOCITY, ("trajectory", "time", "x", "y", "component"))
        particles = self.fields(PARTICLES, ("trajectory", "time", "x", "y", "component"))
        force = self.fields(FORCE, ("trajectory", "x", "y", "component"))
        count, frames, *cells, _ = velocity.shape
        for key, dataset, shape in (
            (VELOCITY, velocity, (count, frames, *cells, 2)),
            (PARTICLES, particles, (count, frames, *cells, 1)),
            (FORCE, force, (count, *cells, 2)),
        ):
            if dataset.shape != shape:
                raise self.error(f"'{key}' has shape {dataset.shape}; expected {shape}")
        return Head(
            channels=("velocity_x", "velocity_y", PARTICLES),
            static=("force_x", "force_y"),
            trajectories=count,
            frames=frames,
            axes={axis: self._centres(points) for axis, points in zip("xy", cells, strict=True)},
            times={TIMES: self._times(count, frames)},
            chunk_rows=self.chunk_rows(velocity, particles),
            frame_bytes=3 * velocity.dtype.itemsize * int(np.prod(cells)),
        )

    def _centres(self, points: int) -> Points:
        """Every so many centres of the cells; of as many cells as points where these do not divide them."""
        cells = self.cells if self.cells % points == 0 else points
        return np.asarray(cell_centres(cells, points))

    def _times(self, count: int, frames: int) -> Points:
        dataset = self.dataset(TIMES)
        if dataset.shape != (count, frames) or dataset.size > MAX_POINTS:
            raise self.error(f"'{TIMES}' has shape {dataset.shape}; expected {(count, frames)}")
        times: Points = dataset[:].astype(np.float64)
        steps = np.diff(times[0])
        if not np.isfinite(times).all() or not (steps > 0).all():
            raise self.error(f"'{TIMES}' does not contain increasing numbers")
        if frames > 1 and np.abs(times - times[0]).max() > SAME_TIMES * steps.mean():
            raise self.error(f"'{TIMES}' differs between trajectories; all need the same times")
        first: Points = times[0]
        return first

    def frames(self, rows: slice, frames: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        return np.concatenate(list(self.fieldwise(rows, frames)), axis=2)

    def fieldwise(self, rows: slice, frames: slice) -> Iterator[NDArray[Any]]:
        """See :class:`~ups_data.stores.layout.FieldwiseFile`."""
        for key in (VELOCITY, PARTICLES):
            yield np.moveaxis(self.read(key, (rows, frames)), -1, 2)

    def static(self, rows: slice) -> NDArray[Any]:
        """See :class:`~ups_data.stores.layout.FieldFile`."""
        return np.moveaxis(self.read(FORCE, (rows,)), -1, 1)
