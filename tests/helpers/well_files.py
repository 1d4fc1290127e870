"""Writes tiny files as the format of The Well is described: docs/data_format.md of PolymathicAI/the_well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
AXES = "xyz"


@dataclass
class Stored:
    """A field as a file has it.

    Attributes:
        values: `(n, T, *S, *components)`, with length 1 along axes along which it is constant.
        order: 0, 1 or 2.
        sample: whether it has an axis of trajectories.
        time: whether it has an axis of time.
        varying: whether it varies along every spatial axis.
        dropped: whether spatial axes along which it is constant are dropped; else they have length 1.
        flat: whether the components of a tensor are along one axis.
        symmetric, antisymmetric: flags of a tensor.
    """

    values: Array
    order: int = 0
    sample: bool = True
    time: bool = True
    varying: Sequence[bool] = ()
    dropped: bool = False
    flat: bool = False
    symmetric: bool = False
    antisymmetric: bool = False

    @property
    def dim(self) -> int:
        return self.values.ndim - 2 - self.order

    @property
    def stored(self) -> Array:
        """What is written."""
        varying = list(self.varying) or [True] * self.dim
        gone = [place for place, kept in enumerate((self.sample, self.time)) if not kept]
        gone += [2 + axis for axis in range(self.dim) if not varying[axis] and self.dropped]
        values = self.values.squeeze(tuple(gone))
        if self.flat:
            values = values.reshape(*values.shape[: -self.order], -1)
        return values


@dataclass
class Bound:
    """A boundary: its type, the axes of its mask, and the mask (default: True at both ends of one axis)."""

    kind: str
    dims: Sequence[str] = ("x",)
    mask: Array | None = None
    sample: bool = False
    time: bool = False


@dataclass
class Well:
    """A file: attributes, coordinates, boundaries, scalars and fields.

    Attributes:
        axes: coordinate -> points.
        times: `(T,)`, or `(n, T)` where they vary by trajectory.
        fields: name -> field.
        scalars: name -> values, `()`, `(n,)` or, if they vary in time, `(n, T)`.
        parameters: attributes that `simulation_parameters` lists.
        bounds: name -> boundary.
    """

    trajectories: int
    axes: Mapping[str, Array]
    times: Array
    fields: Mapping[str, Stored]
    scalars: Mapping[str, Array] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, Bound] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.attrs["dataset_name"] = "tiny"
            file.attrs["grid_type"] = "cartesian"
            file.attrs["n_spatial_dims"] = len(self.axes)
            file.attrs["n_trajectories"] = self.trajectories
            file.attrs["simulation_parameters"] = list(self.parameters)
            for name, value in self.parameters.items():
                file.attrs[name] = value
            self._write_dimensions(file.create_group("dimensions"))
            self._write_bounds(file.create_group("boundary_conditions"))
            self._write_scalars(file.create_group("scalars"))
            for order in range(3):
                self._write_fields(file.create_group(f"t{order}_fields"), order)
        return path

    def _write_dimensions(self, group: h5py.Group) -> None:
        group.attrs["spatial_dims"] = list(self.axes)
        time = group.create_dataset("time", data=self.times.astype("f4"))
        time.attrs["sample_varying"] = self.times.ndim == 2
        for name, points in self.axes.items():
            line = group.create_dataset(name, data=points.astype("f4"))
            line.attrs["sample_varying"] = points.ndim == 2
            line.attrs["time_varying"] = False

    def _write_bounds(self, group: h5py.Group) -> None:
        for name, bound in self.bounds.items():
            item = group.create_group(name)
            item.attrs["associated_dims"] = list(bound.dims)
            item.attrs["associated_fields"] = []
            item.attrs["bc_type"] = bound.kind
            item.attrs["sample_varying"], item.attrs["time_varying"] = bound.sample, bound.time
            mask = bound.mask
            if mask is None:
                mask = np.zeros(len(self.axes[bound.dims[0]]), bool)
                mask[[0, -1]] = True
            item["mask"] = mask
            item["values"] = np.zeros(int(mask.sum()), "f4")

    def _write_scalars(self, group: h5py.Group) -> None:
        group.attrs["field_names"] = list(self.scalars)
        for name, values in self.scalars.items():
            scalar = group.create_dataset(name, data=values)
            scalar.attrs["sample_varying"] = values.ndim > 0
            scalar.attrs["time_varying"] = values.ndim == 2

    def _write_fields(self, group: h5py.Group, order: int) -> None:
        fields = {name: item for name, item in self.fields.items() if item.order == order}
        group.attrs["field_names"] = list(fields)
        for name, item in fields.items():
            dataset = group.create_dataset(name, data=item.stored)
            dataset.attrs["dim_varying"] = list(item.varying) or [True] * len(self.axes)
            dataset.attrs["sample_varying"] = item.sample
            dataset.attrs["time_varying"] = item.time
            if order == 2:
                dataset.attrs["symmetric"] = item.symmetric
                dataset.attrs["antisymmetric"] = item.antisymmetric


def small_well(
    seed: int = 0, trajectories: int = 3, frames: int = 5, points: tuple[int, ...] = (8, 6)
) -> Well:
    """A file of a density, a velocity, a symmetric stress and a given medium, with walls along y."""
    random = np.random.default_rng(seed)
    dim, n = len(points), trajectories

    def numbers(*shape: int) -> Array:
        return random.normal(size=shape).astype("f4")

    stress = numbers(n, frames, *points, dim, dim)
    axes = {name: np.linspace(0, 1, size) for name, size in zip(AXES, points, strict=False)}
    return Well(
        trajectories=n,
        axes=axes,
        times=0.1 * np.arange(frames),
        fields={
            "density": Stored(numbers(n, frames, *points)),
            "medium": Stored(numbers(n, 1, *points), time=False),
            "velocity": Stored(numbers(n, frames, *points, dim), order=1),
            "stress": Stored(stress + stress.swapaxes(-1, -2), order=2, symmetric=True),
        },
        scalars={"reynolds": 100.0 + numbers(n), "energy": numbers(n, frames)},
        parameters={"gamma": 1.5},
        bounds={f"{name}_bound": Bound("PERIODIC" if name == "x" else "WALL", (name,)) for name in axes},
    )
