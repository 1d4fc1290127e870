"""What an export writes: which trajectories go to which file, and their numbers block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ups_core import UsageError
from ups_data.info import TaskInfo
from ups_data.prepare.opening import TaskData
from ups_data.stores.base import Fields, Integers, TrajectoryStore

BLOCK_BYTES = 64 * 1024**2
MAX_FILES = 100
"""Parameter values above which there is no file for each of them."""


@dataclass(frozen=True)
class Piece:
    """The trajectories of one file.

    Attributes:
        path: where, relative to the folder of the export.
        store: has the trajectories.
        rows: their numbers in the store, in the order of the file.
        values: parameter, or its attribute in the file -> its value, for parameters that all trajectories
            share.
    """

    path: Path
    store: TrajectoryStore
    rows: Integers
    values: Mapping[str, float]

    @property
    def info(self) -> TaskInfo:
        """The problem, with the grid and the frames of these trajectories."""
        return self.store.info

    @property
    def parameters(self) -> dict[str, NDArray[np.float64]]:
        """Parameter -> a value for every trajectory, for parameters that are not in `values`."""
        found = {
            parameter.name: self.store.parameters[self.rows, column]
            for column, parameter in enumerate(self.info.parameters)
        }
        return {name: values for name, values in found.items() if name not in self.values}

    @property
    def nbytes(self) -> int:
        """Size of the fields."""
        info = self.info
        fields = info.frames * (len(info.target_channels) + len(info.forcing_channels))
        return 4 * len(self.rows) * (fields + len(info.static_channels)) * int(np.prod(info.shape))

    def blocks(self) -> Iterator[Fields]:
        """All trajectories in order, in blocks that fit in memory."""
        at_once = max(1, BLOCK_BYTES * len(self.rows) // max(self.nbytes, 1))
        for start in range(0, len(self.rows), at_once):
            rows = self.rows[start : start + at_once]
            frames = self.store.frames(rows, np.zeros_like(rows), self.info.frames)
            static = self.store.static(rows) if self.info.static_channels else None
            yield Fields(frames, static)


def rows_of(data: TaskData, split: str) -> Integers:
    """Numbers of the trajectories of a split in its store."""
    return np.flatnonzero(np.isin(data.stores.of(split).groups, data.splits[split]))


def by_parameters(store: TrajectoryStore, rows: Integers) -> list[tuple[dict[str, float], Integers]]:
    """Trajectories with the same parameter values belong together; values in the order of the store."""
    names = [parameter.name for parameter in store.info.parameters]
    if not names:
        return [({}, rows)]
    groups: dict[tuple[float, ...], list[int]] = {}
    for row in rows.tolist():
        groups.setdefault(tuple(store.parameters[row].tolist()), []).append(row)
    return [(dict(zip(names, values, strict=True)), np.asarray(chosen)) for values, chosen in groups.items()]


def file_name(info: TaskInfo, values: Mapping[str, float]) -> str:
    """`burgers1d_nu0.01`: the task and its parameters; names of tasks with a slash have a dash for it."""
    return "_".join([info.name.replace("/", "-"), *(f"{name}{value:g}" for name, value in values.items())])


def check_names(pieces: list[Piece]) -> None:
    """Check that no two files have one name.

    Raises:
        UsageError: they have; parameter values agree in six digits.
    """
    names = [str(piece.path) for piece in pieces]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two files of the export would be called {name}; export fewer parameter values")
