"""A task's prepared data: splits, statistics, and windows that become batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ups_core import UPSError
from ups_core.console import Console
from ups_data.batches.windows import Windows
from ups_data.info import TaskInfo
from ups_data.prepare.audit import audit_task
from ups_data.prepare.splits import Splits
from ups_data.prepare.statistics import Statistics
from ups_data.stores.pdebench_store import Fields
from ups_data.tasks.base import Task, create_task


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
    """The data of a prepared task; see :meth:`ups_data.tasks.base.Task.open`."""
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
