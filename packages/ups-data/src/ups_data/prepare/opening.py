"""A task's prepared data: splits, statistics, and windows that become batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ups_core import DataPlan, UPSError
from ups_core.console import Console
from ups_data.batches.windows import Windows
from ups_data.info import TaskInfo
from ups_data.prepare.audit import audit_data
from ups_data.prepare.conditions import Conditions
from ups_data.prepare.splits import Splits
from ups_data.prepare.statistics import Statistics
from ups_data.solvers.base import ClassicalSolver
from ups_data.stores.base import SplitStores, TrajectoryStore


@dataclass(frozen=True)
class TaskData:
    """A task's audited splits, train-only statistics and windows.

    Attributes:
        solver: a classical solver of the problem, if the task has one.
    """

    info: TaskInfo
    splits: Splits
    statistics: Statistics
    stores: SplitStores
    solver: ClassicalSolver | None = None

    def problem(self, split: str) -> TaskInfo:
        """The problem with the grid and the frames of a split, which may differ from those of training."""
        return self.stores.of(split).info

    def windows(self, split: str, *, horizon: int) -> Windows:
        """All windows of a split: the given frames and the `horizon` frames after them.

        A steady task has one target whatever the horizon.

        Raises:
            UPSError: the split is unknown, or the trajectories are too short for the horizon.
        """
        ids, store = self.splits[split], self.stores.of(split)
        info = store.info
        if horizon < 1:
            raise UPSError(f"horizon {horizon} predicts nothing; use 1 or more")
        if info.kind == "steady":
            return Windows(store, ids, starts=1, targets=1)
        starts = info.frames - info.history - horizon + 1
        if starts < 1:
            raise UPSError(
                f"horizon {horizon} does not fit task '{info.name}': {info.frames} frames less "
                f"{info.history} given leave {info.frames - info.history}; use a smaller horizon"
            )
        return Windows(store, ids, starts, horizon)

    def trajectories(self, split: str, *, limit: int | None = None) -> Windows:
        """One window per trajectory: the first frames given, all others to predict.

        Args:
            split: `train`, `val` or `test`.
            limit: take only the first so many groups of trajectories.
        """
        groups, store = self.splits[split][:limit], self.stores.of(split)
        return Windows(store, groups, starts=1, targets=store.info.frames - store.info.history)


def open_data(
    info: TaskInfo,
    stores: SplitStores,
    fractions: Mapping[str, float],
    plan: DataPlan,
    data_root: Path,
) -> TaskData:
    """The data of a prepared task; arguments as for :func:`~ups_data.prepare.audit.audit_data`.

    Raises:
        UPSError: a file has not been generated yet or is broken.
    """
    if plan.missing:
        raise UPSError(f"task '{info.name}': {plan.missing[0]} is not generated yet; prepare the data first")
    audit = audit_data(info, stores, fractions, plan, data_root, Console(quiet=True))
    conditions = _conditions(info, stores.train, audit.splits)
    return TaskData(info, audit.splits, replace(audit.statistics, conditions=conditions), stores)


def _conditions(info: TaskInfo, store: TrajectoryStore, splits: Splits) -> Conditions:
    """Every sample knows its parameters; their ranges are those of the train split."""
    values = store.parameters[np.isin(store.groups, splits.train)]
    ranges = tuple(zip(values.min(axis=0).tolist(), values.max(axis=0).tolist(), strict=True))
    return Conditions(ranges, (False,) * len(ranges), (info.dt, info.dt))
