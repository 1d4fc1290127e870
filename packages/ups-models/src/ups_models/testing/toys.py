"""Small tasks without data files: evolutions and steady problems in one to three dimensions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ups_data.batches.batch import FieldBatch
from ups_data.info import Boundary, Channel, Invariant, Parameter, TaskInfo
from ups_data.prepare.statistics import ChannelStatistics, Statistics

CELLS = {1: 32, 2: 16, 3: 8}
"""Grid dimension -> cells per axis."""


def toy_evolution(
    name: str = "wave",
    dim: int = 1,
    cells: int | None = None,
    history: int = 2,
    boundary: Boundary = "periodic",
    parameters: int = 1,
    invariants: tuple[Invariant, ...] = (),
) -> TaskInfo:
    """An evolution of two state channels u and v.

    Args:
        name: the task's name.
        dim: grid dimension, 1 to 3.
        cells: cells per axis; default: :data:`CELLS`.
        history: given frames.
        boundary: `periodic` or `dirichlet`.
        parameters: number of PDE parameters, each between 0 and 2.
        invariants: what the task conserves.
    """
    return TaskInfo(
        name=name,
        family="toy",
        kind="evolution",
        channels=(Channel("u", "1", "state"), Channel("v", "1", "state")),
        parameters=tuple(Parameter(f"p{number}", "1", 0.0, 2.0) for number in range(parameters)),
        boundary=boundary,
        domain=((0.0, 1.0),) * dim,
        shape=(cells or CELLS[dim],) * dim,
        dt=0.1,
        frames=8,
        history=history,
        invariants=invariants,
        equation="u_t = v",
    )


def toy_steady(
    name: str = "flow",
    dim: int = 2,
    cells: int | None = None,
    boundary: Boundary = "dirichlet",
    parameters: int = 1,
) -> TaskInfo:
    """A steady problem from a coefficient a to a solution p; arguments as for :func:`toy_evolution`."""
    return TaskInfo(
        name=name,
        family="toy",
        kind="steady",
        channels=(Channel("a", "1", "coefficient"), Channel("p", "1", "target")),
        parameters=tuple(Parameter(f"p{number}", "1", 0.0, 2.0) for number in range(parameters)),
        boundary=boundary,
        domain=((0.0, 2.0),) * dim,
        shape=(cells or CELLS[dim],) * dim,
        dt=0.0,
        frames=1,
        history=0,
        invariants=(),
        equation="-div(a grad p) = beta",
    )


def toy_statistics(task: TaskInfo) -> Statistics:
    """Statistics that are neither 0 nor 1, so that a forgotten normalisation shows."""
    if task.kind == "steady":
        coefficient, solution = ChannelStatistics((3.0,), (2.0,)), ChannelStatistics((5.0,), (0.5,))
        return Statistics(static=coefficient, target=solution)
    both = ChannelStatistics((1.0, -1.0), (2.0, 4.0))
    forcing = ChannelStatistics((2.0,), (3.0,)) if task.forcing_channels else ChannelStatistics()
    return Statistics(state=both, target=both, delta=(0.1, 0.2), forcing=forcing)


def toy_batch(task: TaskInfo, size: int = 3, frames: int = 4, seed: int = 0) -> FieldBatch:
    """`size` windows of random fields with `frames` targets (a steady task has one)."""
    generator = torch.Generator().manual_seed(seed)
    axes = [
        torch.linspace(low, high, cells) for (low, high), cells in zip(task.domain, task.shape, strict=True)
    ]
    coords = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, task.dim)
    targets = len(task.target_channels)

    def random(*shape: int) -> Tensor:
        return torch.randn(size, *shape, *task.shape, generator=generator)

    return FieldBatch(
        task=task.name,
        state=random(task.history, targets),
        static=random(len(task.static_channels)),
        params=2 * torch.rand(size, len(task.parameters), generator=generator),
        params_mask=torch.ones(size, len(task.parameters), dtype=torch.bool),
        dt=torch.full((size,), task.dt),
        coords=coords,
        target=random(1 if task.kind == "steady" else frames, targets),
        index=torch.arange(size),
        forcing=random(task.history + frames, len(task.forcing_channels)) if task.forcing_channels else None,
    )


def perturb(module: nn.Module, scale: float = 0.1, seed: int = 1) -> None:
    """Add normal noise to every parameter, as some training would: no weight is zero any more."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(scale * torch.randn(weight.shape, generator=generator))
