"""A task's prepared data: splits, statistics, and windows that become batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ups_core import UPSError
from ups_core.console import Console
from ups_data.audit import audit_task
from ups_data.batch import FieldBatch
from ups_data.fields import Fields, Integers
from ups_data.splits import Splits
from ups_data.statistics import Statistics
from ups_data.task import Task, TaskInfo, create_task


class Windows:
    """Windows of one split: `given` frames followed by `targets` frames, from every file and trajectory.

    Window i lies in file i // (trajectories · starts); its start frame runs fastest.
    """

    def __init__(self, info: TaskInfo, fields: Fields, ids: Sequence[int], starts: int, targets: int):
        self.info = info
        self.targets = targets
        self._fields = fields
        self._ids = np.asarray(ids, dtype=np.int64)
        self._starts = starts
        self._values = torch.tensor(fields.request.values, dtype=torch.float32)
        grid = list(product(fields.request.axis, repeat=info.dim))
        self._coords = torch.tensor(grid, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._values) * len(self._ids) * self._starts

    def trajectory(self, index: int) -> int:
        """The number of the trajectory that a window comes from."""
        return int(self._locate(np.asarray([index]))[1][0])

    def batch(self, indices: Sequence[int]) -> FieldBatch:
        """The windows `indices` as one batch; no collating needed.

        Raises:
            IndexError: a window does not exist.
        """
        files, rows, starts = self._locate(np.asarray(indices, dtype=np.int64))
        given, count = self.info.history, len(rows)
        frames = self._fields.solutions(files, rows, starts, given + self.targets)
        fields = torch.from_numpy(frames[:, :, None])
        params = self._values[torch.from_numpy(files), None]
        return FieldBatch(
            task=self.info.name,
            state=fields[:, :given],
            static=torch.from_numpy(self._fields.coefficients(files, rows)),
            params=params,
            params_mask=torch.ones_like(params, dtype=torch.bool),
            dt=torch.full((count,), self.info.dt),
            coords=self._coords,
            target=fields[:, given:],
            index=torch.from_numpy(rows),
        )

    def _locate(self, indices: Integers) -> tuple[Integers, Integers, Integers]:
        """File, trajectory number and start frame of each window."""
        outside = indices[(indices < 0) | (indices >= len(self))]
        if outside.size:
            raise IndexError(f"task '{self.info.name}' has {len(self)} windows; there is no {outside[0]}")
        files, rest = np.divmod(indices, len(self._ids) * self._starts)
        positions, starts = np.divmod(rest, self._starts)
        return files, self._ids[positions], starts


@dataclass(frozen=True)
class TaskData:
    """A task's audited splits, train-only statistics and windows."""

    info: TaskInfo
    splits: Splits
    statistics: Statistics
    fields: Fields

    def windows(self, split: str, *, horizon: int) -> Windows:
        """Every window of the given frames and `horizon` frames after them.

        A steady task has one target whatever the horizon.

        Raises:
            UPSError: no such split, or the trajectories are too short for the horizon.
        """
        info, ids = self.info, self.splits[split]
        if horizon < 1:
            raise UPSError(f"horizon {horizon} predicts nothing; use 1 or more")
        if info.kind == "steady":
            return Windows(info, self.fields, ids, starts=1, targets=1)
        starts = info.frames - info.history - horizon + 1
        if starts < 1:
            raise UPSError(
                f"horizon {horizon} does not fit task '{info.name}': {info.frames} frames less "
                f"{info.history} given leave {info.frames - info.history}"
            )
        return Windows(info, self.fields, ids, starts, horizon)

    def trajectories(self, split: str, *, limit: int | None = None) -> Windows:
        """One window for each trajectory: the first frames given, all others to predict.

        `limit` takes the first so many trajectories of every parameter value.
        """
        targets = self.info.frames - self.info.history
        return Windows(self.info, self.fields, self.splits[split][:limit], starts=1, targets=targets)


def open_task(task: Task, data_root: Path) -> TaskData:
    """The data of a prepared task; see :meth:`ups_data.task.Task.open`."""
    plan = task.plan_data(data_root)
    if plan.missing:
        raise UPSError(f"task '{task.name}': {plan.missing[0]} is not generated yet; prepare the data first")
    audit = audit_task(task, plan, data_root, Console(quiet=True))
    return TaskData(task.info, audit.splits, audit.statistics, Fields(task.request, plan.files))


def prepare_task(
    name: str, options: Mapping[str, Any], data_root: Path | str, console: Console | None = None
) -> TaskData:
    """A registered task's data without a spec: validate options, generate what is missing, audit, open.

    Args:
        name: the registered task, e.g. `advection1d`.
        options: its options, as in a spec.
        data_root: where files are looked for and generated.
        console: where progress is shown; silent by default.

    Raises:
        UPSError: a wrong name or option, broken data, or a place that cannot be written.
    """
    task = create_task(name, options)
    task.prepare_data(Path(data_root), console or Console(quiet=True))
    return task.open(Path(data_root))
