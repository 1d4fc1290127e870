"""`predictions.h5`: a few predicted trajectories of every task, the same ones for every model.

Figures and later analyses read it, so that nothing is rolled out twice. One group per task contains
`target (n, T, C, *S)`, `prediction/<model>` of the same shape, `members/<model> (n, M, T, C, *S)` of an
ensemble, whose mean is its prediction, `state (n, H, C, *S)`, `static (n, Cs, *S)`,
`params (n, P)`, `index (n,)` (trajectory ids), `position (n,)` (among the scored trajectories),
`coords (N, d)` and `nrmse/<model> (n,)`, the error of each trajectory; models are named by
:func:`ups_core.names.encoded`. Its attributes are `info`, the task as JSON, and `picks`, the rows of the
best, median and worst trajectory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.files import replacing
from ups_core.names import decoded, encoded
from ups_core.reading import UnsoundFile
from ups_data.info import TaskInfo
from ups_data.stores.hdf5 import open_hdf5, own_dataset

if TYPE_CHECKING:
    from torch import Tensor

    from ups_data.batches.batch import FieldBatch

FILE = "predictions.h5"
SCHEMA = 2
"""Of the file; since 2 it has positions."""
LARGE = 1024**2
"""Bytes of a chunk above which it is divided: members, then frames."""
ARRAYS = ("index", "position", "params", "coords", "state", "static", "target")
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Choice:
    """The trajectories of a split to store.

    Attributes:
        positions: in the split, ascending; the order of the file.
        picks: `best`, `median`, `worst` -> row of the file.
    """

    positions: list[int]
    picks: dict[str, int]


def choose(per_sample: Sequence[float], count: int) -> Choice:
    """Choose `count` trajectories (-1: all): best, median, worst by their errors, then from the first on."""
    order = np.argsort(np.asarray(per_sample), kind="stable").tolist()
    notable = {"best": order[0], "median": order[(len(order) - 1) // 2], "worst": order[-1]}
    ranked = list(dict.fromkeys([*notable.values(), *range(len(order))]))
    positions = sorted(ranked if count < 0 else ranked[:count])
    rows = {position: row for row, position in enumerate(positions)}
    return Choice(positions, {name: rows[position] for name, position in notable.items() if position in rows})


@dataclass(frozen=True)
class TaskPredictions:
    """One group of the file: `n` trajectories, arrays as in the module's docstring."""

    info: TaskInfo
    index: NDArray[np.int64]
    position: NDArray[np.int64]
    params: FloatArray
    coords: FloatArray
    state: FloatArray
    static: FloatArray
    target: FloatArray
    predictions: dict[str, FloatArray]
    nrmse: dict[str, FloatArray]
    picks: dict[str, int]
    forcing: FloatArray | None = None
    members: dict[str, FloatArray] = field(default_factory=dict)


class PredictionsWriter:
    """Writes the file of :func:`write_predictions`: per task `task`, then `truth` and `prediction` in turn.

    Args:
        file: open for writing.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._file.attrs["schema"] = SCHEMA

    def task(self, info: TaskInfo, choice: Choice) -> None:
        """Begin a task with these trajectories."""
        group = self._file.create_group(info.name)
        group.attrs["info"] = json.dumps(info.to_dict())
        group.attrs["picks"] = json.dumps(choice.picks)
        group["position"] = np.asarray(choice.positions, dtype=np.int64)

    def truth(self, batch: FieldBatch) -> None:
        """Append the trajectories of a batch."""
        group = self._file[batch.task]
        if "coords" not in group:
            group["coords"] = batch.coords.cpu().numpy()
        for name in ("target", "state", "static", "params", "index"):
            self._append(group, name, getattr(batch, name))
        if batch.forcing is not None:
            self._append(group, "forcing", batch.forcing)

    def prediction(self, task: str, model: str, members: Tensor, nrmse: Tensor) -> None:
        """Append a model's members `(M, B, T, C, *S)` and their mean's error `(B,)`, as the truth was."""
        group = self._file[task]
        self._append(group, f"prediction/{encoded(model)}", members.mean(dim=0))
        if len(members) > 1:
            self._append(group, f"members/{encoded(model)}", members.transpose(0, 1))
        self._append(group, f"nrmse/{encoded(model)}", nrmse)

    @staticmethod
    def _append(group: h5py.Group, name: str, tensor: Tensor) -> None:
        rows = tensor.detach().cpu().numpy()
        # The first batch fixes shape and chunks; later ones extend the first axis.
        if name not in group:
            shape = (None, *(size or None for size in rows.shape[1:]))  # HDF5 cannot chunk a fixed 0
            group.create_dataset(name, data=rows, maxshape=shape, chunks=_chunk(rows))
            return
        dataset = group[name]
        dataset.resize(len(dataset) + len(rows), axis=0)
        dataset[-len(rows) :] = rows


@contextmanager
def write_predictions(path: Path) -> Iterator[PredictionsWriter]:
    """Write `predictions.h5`; the file appears when the block succeeds, and is then complete."""
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        yield PredictionsWriter(file)


def _chunk(rows: NDArray[np.generic]) -> tuple[int, ...]:
    """One trajectory per chunk, because readers ask for single trajectories; one frame of a large one."""
    chunk = [1, *(max(size, 1) for size in rows.shape[1:])]
    for axis in range(1, rows.ndim):
        if math.prod(chunk) * rows.itemsize > LARGE:
            chunk[axis] = 1
    return tuple(chunk)


def read_predictions(path: Path) -> dict[str, TaskPredictions]:
    """Task -> its stored predictions; empty if none were stored (`save_predictions: 0`).

    Raises:
        UPSError: the file cannot be read.
    """
    if not path.exists():
        return {}
    with open_hdf5(path) as file:
        try:
            if (schema := file.attrs.get("schema")) != SCHEMA:
                raise UnsoundFile(path, f"has schema {schema}; this version of ups-eval reads {SCHEMA}")
            return {task: _read_task(file, task, path) for task in file}
        except UPSError:
            raise
        except Exception as error:  # HDF5 and h5py raise all kinds of exceptions over a damaged file
            reason = " ".join(str(error).split())
            raise UnsoundFile(path, f"cannot be read ({reason}); run the evaluation step again") from None


def _read_task(file: h5py.File, task: str, path: Path) -> TaskPredictions:
    def array(name: str) -> Any:
        dataset = own_dataset(file, f"{task}/{name}", path, max_ratio=None)
        if dataset is None:
            raise KeyError(f"{task}/{name} is missing")
        return dataset[()]

    def by_model(name: str) -> dict[str, FloatArray]:
        return {decoded(model): array(f"{name}/{model}") for model in group.get(name, ())}

    group = file[task]
    return TaskPredictions(
        info=TaskInfo.from_dict(json.loads(group.attrs["info"])),
        predictions=by_model("prediction"),
        members=by_model("members"),
        picks=json.loads(group.attrs["picks"]),
        nrmse=by_model("nrmse"),
        forcing=array("forcing") if "forcing" in group else None,
        **{name: array(name) for name in ARRAYS},
    )
