"""Writes files of The Well: scalar and vector fields, parameters, boundaries, a grid, times.

Format: https://github.com/PolymathicAI/the_well, docs/data_format.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_data.info import Channel, TaskInfo
from ups_data.stores.base import Fields
from ups_data.stores.well_fields import AXIS, GROUPS, channel_components

TYPES = {"periodic": "PERIODIC", "wall": "WALL", "dirichlet": "WALL", "neumann": "WALL", "open": "OPEN"}
"""Our words for boundaries -> `bc_type`; The Well has three."""


@dataclass(frozen=True)
class Written:
    """A dataset of a file and the channels that it is made of.

    Attributes:
        name: of the field.
        order: 0 for a scalar, 1 for a vector, 2 for a tensor.
        places: numbers of its components among the channels, row by row.
        symmetric: whether a tensor has only the components on and above the diagonal as channels.
        given: whether the field does not vary in time.
    """

    name: str
    order: int
    places: tuple[int, ...]
    symmetric: bool
    given: bool

    @property
    def key(self) -> str:
        """The dataset."""
        return f"{GROUPS[self.order]}/{self.name}"

    def values(self, channels: NDArray[Any], dim: int) -> NDArray[Any]:
        """Numbers `(n[, T], *S, components)` of channels `(n[, T], C, *S)`."""
        values = np.moveaxis(channels.take(self.places, axis=-1 - dim), -1 - dim, -1)
        return values.reshape(*values.shape[:-1], *[dim] * self.order)


def written_fields(channels: Sequence[Channel], dim: int, *, given: bool) -> list[Written]:
    """The datasets of some channels: complete vectors and tensors as such, everything else as scalars.

    Args:
        channels: in the order of the arrays.
        dim: number of spatial axes.
        given: whether they do not vary in time.
    """
    found: dict[str, Written] = {}
    by_vector: dict[str, dict[tuple[int, ...], int]] = {}
    for number, channel in enumerate(channels):
        if channel.vector:
            by_vector.setdefault(channel.vector, {})[channel.component] = number
    for number, channel in enumerate(channels):
        components = by_vector.get(channel.vector, {})
        order = len(channel.component)
        for symmetric in (False, True):
            every = channel_components(order, dim, symmetric, False) if order in (1, 2) else ()
            if every and set(components) == set(every):
                full = channel_components(order, dim, False, False)
                places = tuple(
                    components[part if part in components else (part[1], part[0])] for part in full
                )
                found[channel.vector] = Written(channel.vector, order, places, symmetric, given)
                break
        else:
            found[channel.name] = Written(channel.name, 0, (number,), False, given)
    return list(found.values())


def write_well(
    path: Path,
    info: TaskInfo,
    attributes: Mapping[str, Any],
    trajectories: int,
    blocks: Iterable[Fields],
    parameters: Mapping[str, NDArray[np.float64]] | None = None,
) -> None:
    """Write a file; arguments as for :class:`~ups_data.stores.layout.Writer`.

    Args:
        parameters: name -> a value for every trajectory `(n,)`, for those that are not in `attributes`.

    Raises:
        UPSError: the problem is steady; The Well has evolutions only.
    """
    if info.kind == "steady":
        raise UPSError(f"The Well has no steady problems, and task '{info.name}' is one; use another format")
    dim = info.dim
    predicted = written_fields((*info.target_channels, *info.forcing_channels), dim, given=False)
    fields = predicted + written_fields(info.static_channels, dim, given=True)
    names = [item.name for item in fields]
    for name in names:
        if names.count(name) > 1:
            raise UPSError(f"task '{info.name}': two fields would be called '{name}'")
    numbers = {key: value for key, value in attributes.items() if isinstance(value, float)}
    with h5py.File(path, "w") as file:
        # Attributes first: `sources.official` recognises generated files by the head of the file.
        for key, value in attributes.items():
            file.attrs[key] = value
        file.attrs["simulation_parameters"] = _texts(list(numbers))
        file.attrs["dataset_name"] = info.name
        file.attrs["grid_type"] = "cartesian"
        file.attrs["n_spatial_dims"] = dim
        file.attrs["n_trajectories"] = trajectories
        _write_dimensions(file.create_group("dimensions"), info)
        _write_boundaries(file.create_group("boundary_conditions"), info)
        scalars = {name: np.asarray(value) for name, value in numbers.items()}
        _write_scalars(file.create_group("scalars"), scalars | dict(parameters or {}))
        for order, key in enumerate(GROUPS):
            file.create_group(key).attrs["field_names"] = _texts(
                [item.name for item in fields if item.order == order]
            )
        datasets = {item: _dataset(file, item, info, trajectories) for item in fields}
        start = 0
        for block in blocks:
            stop = start + len(block.frames)
            for item, dataset in datasets.items():
                source = block.static if item.given else block.frames
                assert source is not None
                dataset[start:stop] = item.values(source, dim)
            start = stop


def _dataset(file: h5py.File, item: Written, info: TaskInfo, trajectories: int) -> h5py.Dataset:
    lead = (trajectories,) if item.given else (trajectories, info.frames)
    shape = (*lead, *info.shape, *[info.dim] * item.order)
    dataset = file.create_dataset(item.key, shape, np.float32)
    dataset.attrs["dim_varying"] = [True] * info.dim
    dataset.attrs["sample_varying"] = True
    dataset.attrs["time_varying"] = not item.given
    if item.order == 2:
        dataset.attrs["symmetric"] = item.symmetric
        dataset.attrs["antisymmetric"] = False
    return dataset


def _write_dimensions(group: h5py.Group, info: TaskInfo) -> None:
    axes = AXIS[: info.dim]
    group.attrs["spatial_dims"] = _texts(list(axes))
    times = [info.dt * frame for frame in range(info.frames)]
    for name, points in zip(("time", *axes), (times, *info.axes), strict=True):
        group[name] = np.asarray(points, dtype=np.float32)
        group[name].attrs["sample_varying"] = False
        group[name].attrs["time_varying"] = False


def _write_boundaries(group: h5py.Group, info: TaskInfo) -> None:
    """A group for every type that an axis has, with a mask of the ends that have it."""
    for axis, sides in zip(AXIS, info.sides, strict=False):
        points = info.shape[AXIS.index(axis)]
        for kind in dict.fromkeys(TYPES[side] for side in sides):
            mask = np.zeros(points, dtype=bool)
            mask[[end for end, side in zip((0, -1), sides, strict=True) if TYPES[side] == kind]] = True
            part = group.create_group(f"{axis}_{kind.lower()}")
            part.attrs["bc_type"] = kind
            part.attrs["associated_dims"] = _texts([axis])
            part.attrs["associated_fields"] = _texts([])
            part.attrs["sample_varying"] = part.attrs["time_varying"] = False
            part["mask"] = mask
            part["values"] = np.zeros(0, dtype=np.float32)


def _write_scalars(group: h5py.Group, parameters: Mapping[str, NDArray[np.float64]]) -> None:
    group.attrs["field_names"] = _texts(list(parameters))
    for name, values in parameters.items():
        group[name] = values
        group[name].attrs["sample_varying"] = values.ndim > 0
        group[name].attrs["time_varying"] = False


def _texts(names: list[str]) -> NDArray[Any]:
    return np.asarray(names, dtype=h5py.string_dtype())
