"""Two small tasks without data files: an evolution in 1-D and a steady problem in 2-D."""

from __future__ import annotations

import torch

from ups_data.batches.batch import FieldBatch
from ups_data.info import Channel, Parameter, TaskInfo
from ups_data.prepare.statistics import ChannelStatistics, Statistics


def evolution(
    name: str = "wave", dim: int = 1, size: int = 32, history: int = 2, boundary: str = "periodic"
) -> TaskInfo:
    return TaskInfo(
        name=name, family="toy", kind="evolution",
        channels=(Channel("u", "1", "state"), Channel("v", "1", "state")),
        parameters=(Parameter("speed", "1", 0.0, 2.0),),
        boundary=boundary, domain=((0.0, 1.0),) * dim, shape=(size,) * dim, dt=0.1, frames=8, history=history,
        invariants=(), equation="u_t = v",
    )  # fmt: skip


def steady(name: str = "flow", dim: int = 2, size: int = 16) -> TaskInfo:
    return TaskInfo(
        name=name, family="toy", kind="steady",
        channels=(Channel("a", "1", "coefficient"), Channel("p", "1", "target")),
        parameters=(Parameter("beta", "1", 1.0, 1.0),),
        boundary="dirichlet", domain=((0.0, 2.0),) * dim, shape=(size,) * dim, dt=0.0, frames=1, history=0,
        invariants=(), equation="-div(a grad p) = beta",
    )  # fmt: skip


def statistics(task: TaskInfo) -> Statistics:
    one = ChannelStatistics((3.0,), (2.0,))
    if task.kind == "steady":
        return Statistics(static=one, target=ChannelStatistics((5.0,), (0.5,)))
    both = ChannelStatistics((1.0, -1.0), (2.0, 4.0))
    return Statistics(state=both, target=both, delta=(0.1, 0.2))


def batch_of(task: TaskInfo, size: int = 3, frames: int = 4, seed: int = 0) -> FieldBatch:
    generator = torch.Generator().manual_seed(seed)
    axes = [
        torch.linspace(low, high, cells) for (low, high), cells in zip(task.domain, task.shape, strict=True)
    ]
    coords = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, task.dim)
    frames = 1 if task.kind == "steady" else frames
    targets = len(task.target_channels)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(size, *shape, *task.shape, generator=generator)

    return FieldBatch(
        task=task.name,
        state=random(task.history, targets),
        static=random(len(task.static_channels)),
        params=torch.rand(size, len(task.parameters), generator=generator) + 0.5,
        params_mask=torch.ones(size, len(task.parameters), dtype=torch.bool),
        dt=torch.full((size,), task.dt),
        coords=coords,
        target=random(frames, targets),
        index=torch.arange(size),
    )
