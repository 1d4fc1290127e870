"""The formats of an export: which files there are, and how each of them is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ups_core import Component, UsageError
from ups_data.export.pieces import MAX_FILES, Piece, by_parameters, file_name, rows_of
from ups_data.info import TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.prepare.splits import SPLITS
from ups_data.sources.request import GENERATOR_ATTRIBUTE, Request
from ups_data.stores.array_contents import Contents, Variable
from ups_data.stores.array_writer import writing_arrays
from ups_data.stores.base import Fields
from ups_data.stores.layout import Writer
from ups_data.stores.well_writer import write_well

FOLDERS = {"train": "train", "val": "valid", "test": "test"}
"""Split -> its folder in a dataset of The Well."""
MADE_BY: dict[str, Any] = {GENERATOR_ATTRIBUTE: "ups data export"}
"""Attribute by which an exported file is not taken for an official one."""
Write = Callable[[Path, Piece, Iterable[Fields]], None]


class Export(NamedTuple):
    """What one format makes of a task.

    Attributes:
        pieces: the files.
        write: writes one of them, at a path, from its blocks.
    """

    pieces: list[Piece]
    write: Write


def the_well(data: TaskData, request: Request | None) -> Export:
    """A folder for every split with a file for every set of parameter values, as The Well has them.

    Where trajectories have values of their own, a split is one file with a scalar for every trajectory.

    Raises:
        UsageError: the problem is steady.
    """
    if data.info.kind == "steady":
        raise UsageError(
            f"The Well has no steady problems, and task '{data.info.name}' is one; "
            "use --format npz or pdebench"
        )
    pieces = []
    for split, folder in FOLDERS.items():
        store, rows = data.stores.of(split), rows_of(data, split)
        groups = by_parameters(store, rows)
        if len(groups) > MAX_FILES:
            groups = [({}, rows)]
        for values, chosen in groups:
            path = Path("data") / folder / f"{file_name(store.info, values)}.hdf5"
            pieces.append(Piece(path, store, chosen, values))

    def write(path: Path, piece: Piece, blocks: Iterable[Fields]) -> None:
        write_well(path, piece.info, MADE_BY | dict(piece.values), len(piece.rows), blocks, piece.parameters)

    return Export(pieces, write)


def pdebench(data: TaskData, request: Request | None) -> Export:
    """A file for every set of parameter values with all trajectories, in the layout of PDEBench's files.

    Tasks of PDEBench keep their layout and the names of their files. Other tasks get one dataset for every
    field. Splits of different files have folders of their own.

    Raises:
        UsageError: there are given fields, or too many parameter values.
    """
    stores = data.stores.distinct()
    official = {tuple(file.parameters.values()): file for file in request.files} if request else {}
    layout = _layout(data.info, request)
    pieces = []
    for store in stores:
        sharing = [split for split in SPLITS if data.stores.of(split) is store]
        folder = Path() if len(stores) == 1 else Path("-".join(sharing))
        groups = by_parameters(store, np.arange(len(store.groups)))
        if len(groups) > MAX_FILES:
            raise UsageError(
                f"a PDEBench file has one value of a parameter, and task '{data.info.name}' has "
                f"{len(groups)} sets of values; use --format the_well or npz"
            )
        for values, rows in groups:
            file = official.get(tuple(values.values()))
            name = file.name if file else f"{file_name(store.info, values)}.hdf5"
            named = dict(file.parameters) if file else values
            pieces.append(Piece(folder / name, store, rows, named))

    def write(path: Path, piece: Piece, blocks: Iterable[Fields]) -> None:
        layout.write(path, piece.info, MADE_BY | dict(piece.values), len(piece.rows), blocks)

    return Export(pieces, write)


def npz(data: TaskData, request: Request | None) -> Export:
    """A file for every split with an array for every field, parameter and coordinate."""
    pieces = [
        Piece(Path(f"{split}.npz"), data.stores.of(split), rows_of(data, split), {}) for split in SPLITS
    ]

    def write(path: Path, piece: Piece, blocks: Iterable[Fields]) -> None:
        info = piece.info
        predicted, given = (*info.target_channels, *info.forcing_channels), info.static_channels
        contents = _contents(piece)
        steady = info.kind == "steady"
        with writing_arrays(path, contents) as save:
            start = 0
            for block in blocks:
                for number, channel in enumerate(predicted):
                    values = block.frames[:, 0, number] if steady else block.frames[:, :, number]
                    save(channel.name, (start, *[0] * (values.ndim - 1)), values)
                for number, channel in enumerate(given):
                    assert block.static is not None
                    values = block.static[:, number]
                    save(channel.name, (start, *[0] * (values.ndim - 1)), values)
                start += len(block.frames)

    return Export(pieces, write)


def _contents(piece: Piece) -> Contents:
    info = piece.info
    axes = "xyz"[: info.dim]
    sizes = {"trajectory": len(piece.rows), "time": info.frames, **dict(zip(axes, info.shape, strict=True))}
    variables = [
        Variable(channel.name, ("trajectory", *([] if given or info.kind == "steady" else ["time"]), *axes))
        for given, channels in (
            (False, (*info.target_channels, *info.forcing_channels)),
            (True, info.static_channels),
        )
        for channel in channels
    ]
    variables += [Variable(name, ("trajectory",), values) for name, values in piece.parameters.items()]
    variables += [
        Variable(axis, (axis,), np.asarray(points)) for axis, points in zip(axes, info.axes, strict=True)
    ]
    if info.kind == "evolution":
        variables.append(Variable("time", ("time",), info.dt * np.arange(info.frames)))
    attributes: dict[str, str | float] = MADE_BY | {"task": info.name, "equation": info.equation}
    return Contents(sizes, tuple(variables), attributes, {"trajectory": 1})


def _layout(info: TaskInfo, request: Request | None) -> Writer:
    if request is not None:
        own = request.layout.create()
        if hasattr(own, "write"):
            writer: Writer = own
            return writer
    names = [channel.name for channel in (*info.target_channels, *info.forcing_channels)]
    if info.kind == "steady" and len(names) == len(info.static_channels) == 1:
        options: dict[str, object] = {"solution": names[0], "coefficient": info.static_channels[0].name}
        writer = Component.of("layouts", "pdebench_tensor", options).create()
        return writer
    if info.kind == "steady" or info.static_channels:
        raise UsageError(
            f"PDEBench's layouts have no place for the given fields of task '{info.name}' "
            f"({', '.join(channel.name for channel in info.static_channels)}); use --format the_well or npz"
        )
    writer = Component.of("layouts", "pdebench_fields", {"fields": names}).create()
    return writer


FORMATS: Mapping[str, Callable[[TaskData, Request | None], Export]] = {
    "the_well": the_well,
    "pdebench": pdebench,
    "npz": npz,
}
"""Name of a format -> what it makes of a task."""
