"""Two tasks with known fields in memory: travelling waves and steady fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.prepare.conditions import Conditions
from ups_data.prepare.statistics import ChannelStatistics, Statistics
from ups_data.solvers.base import ClassicalSolver

ADVECTION = TaskInfo(
    name="advection1d",
    family="advection1d",
    kind="evolution",
    channels=(Channel("u", "1", "state"),),
    parameters=(Parameter("beta", "1", 0.1, 4.0),),
    boundary="periodic",
    domain=((0.0, 1.0),),
    shape=(64,),
    dt=0.05,
    frames=41,
    history=1,
    invariants=("mean",),
    equation="u_t + beta u_x = 0",
)
DARCY = TaskInfo(
    name="darcy2d",
    family="darcy2d",
    kind="steady",
    channels=(Channel("a", "1", "coefficient"), Channel("u", "1", "target")),
    parameters=(Parameter("beta", "1", 0.01, 100.0),),
    boundary="dirichlet",
    domain=((0.0, 1.0), (0.0, 1.0)),
    shape=(32, 32),
    dt=0.0,
    frames=1,
    history=0,
    invariants=(),
    equation="-div(a grad u) = beta",
)


def advection_batch(count: int) -> FieldBatch:
    """Travelling sums of two sines, exact."""
    generator = np.random.default_rng(0)
    x = (np.arange(64) + 0.5) / 64
    t = np.arange(41) * ADVECTION.dt
    fields = np.zeros((count, 41, 1, 64))
    for row in range(count):
        for wave in (1, 3):
            phase, size = generator.uniform(0, 2 * np.pi), generator.uniform(0.3, 1)
            fields[row, :, 0] += size * np.sin(2 * np.pi * wave * (x[None] - 0.4 * t[:, None]) + phase)
    values = torch.tensor(fields, dtype=torch.float32)
    return FieldBatch(
        task="advection1d",
        state=values[:, :1],
        static=torch.zeros(count, 0, 64),
        params=torch.full((count, 1), 0.4),
        params_mask=torch.ones(count, 1, dtype=torch.bool),
        dt=torch.full((count,), ADVECTION.dt),
        coords=torch.tensor(x[:, None], dtype=torch.float32),
        target=values[:, 1:],
        index=torch.arange(100, 100 + count),
    )


def darcy_batch(count: int) -> FieldBatch:
    """A smooth solution over a two-valued coefficient; the shapes matter here, not the equation."""
    x = (torch.arange(32) + 0.5) / 32
    bump = torch.sin(torch.pi * x)[:, None] * torch.sin(torch.pi * x)[None]
    rows = torch.arange(1, count + 1).reshape(-1, 1, 1)
    coefficient = torch.where(torch.sin(rows * 7 * x[:, None]) * torch.cos(rows * 3 * x[None]) > 0, 1.0, 0.1)
    return FieldBatch(
        task="darcy2d",
        state=torch.zeros(count, 0, 1, 32, 32),
        static=coefficient[:, None],
        params=torch.ones(count, 1),
        params_mask=torch.ones(count, 1, dtype=torch.bool),
        dt=torch.zeros(count),
        coords=torch.cartesian_prod(x, x),
        target=(bump * (1 + 0.1 * rows) * coefficient**0.2)[:, None, None],
        index=torch.arange(count),
    )


class Trajectories:
    """Windows over a batch that is in memory."""

    def __init__(self, info: TaskInfo, batch: FieldBatch) -> None:
        self.info = info
        self.all = batch
        self.targets = batch.target.shape[1]

    def __len__(self) -> int:
        return len(self.all)

    def batch(self, indices: Sequence[int]) -> FieldBatch:
        return select(self.all, list(indices))


@dataclass
class Data:
    """What :class:`ups_data.prepare.opening.TaskData` offers, in memory; it is its own task provider too."""

    info: TaskInfo
    content: FieldBatch
    solver: ClassicalSolver | None = None

    @property
    def statistics(self) -> Statistics:
        unit = ChannelStatistics((0.0,), (1.0,))
        ranges = tuple((parameter.low, parameter.high) for parameter in self.info.parameters)
        conditions = Conditions(ranges, (False,) * len(ranges), (self.info.dt, self.info.dt))
        if self.info.kind == "steady":
            return Statistics(static=unit, target=unit, conditions=conditions)
        return Statistics(state=unit, target=unit, delta=(0.5,), conditions=conditions)

    def problem(self, split: str) -> TaskInfo:
        return self.info

    def open(self, data_root: Path) -> Data:
        return self

    def trajectories(self, split: str, *, limit: int | None = None) -> Trajectories:
        return Trajectories(self.info, select(self.content, list(range(len(self.content)))[:limit]))


def select(batch: FieldBatch, rows: list[int]) -> FieldBatch:
    """Some rows of a batch."""
    return batch.rows(torch.tensor(rows, dtype=torch.int64))
