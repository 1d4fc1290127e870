"""What a task's classical solver needs for an error: the honest opponent of a model's speed.

The solver gets what a model gets, on the task's grid and on every second, fourth, … of its points, and is
scored after interpolation to the task's grid. The cheapest grid with at most a model's error is its cost at
equal error (McGreivy and Hakim, "Weak baselines and reporting biases lead to overoptimism in machine learning
for fluid-related partial differential equations", Nature Machine Intelligence 6 (2024)).
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.signal import resample

from ups_data.solvers.base import Given
from ups_eval.cost import SolverRun
from ups_eval.metrics import nrmse_per_frame

if TYPE_CHECKING:
    from ups_data.batches.windows import Windows
    from ups_data.info import TaskInfo
    from ups_data.solvers.base import ClassicalSolver

TRAJECTORIES = 8
"""Trajectories that are solved for every grid."""
COARSEST = 16
"""Fewest points along an axis."""


def solver_runs(solver: ClassicalSolver, windows: Windows) -> list[SolverRun]:
    """Error and time of the solver on the task's grid and on coarser ones, the finest first."""
    batch = windows.batch(range(min(TRAJECTORIES, len(windows))))
    runs, stride = [], 1
    while min(windows.info.shape) // stride >= COARSEST and not any(
        size % stride for size in windows.info.shape
    ):
        info = _coarse(windows.info, stride)
        select = (slice(None), slice(None), *[slice(None, None, stride)] * info.dim)
        start = Given.of(batch)
        given = Given(start.state[select], start.static[select], start.params)
        begin = time.perf_counter()
        solution = solver.solve(given, info, batch.target.shape[1])
        seconds = (time.perf_counter() - begin) / len(batch)
        fine = torch.from_numpy(_refined(solution.numpy(), info, windows.info))
        error = float(nrmse_per_frame(fine, batch.target).mean())
        if math.isfinite(error):  # a grid may be too coarse for the solver
            runs.append(SolverRun(info.shape, error, seconds))
        stride *= 2
    return runs


def _coarse(info: TaskInfo, stride: int) -> TaskInfo:
    axes = [axis[::stride] for axis in info.axes]
    shape = tuple(map(len, axes))
    return replace(info, shape=shape, points=tuple((axis[0], axis[-1]) for axis in axes))


def _refined(solution: NDArray[np.float64], coarse: TaskInfo, fine: TaskInfo) -> NDArray[np.float64]:
    """A solution `(B, T, C, *S)` on the finer grid, of which the coarse one has every so many points."""
    if coarse.shape == fine.shape:
        return solution
    if all(fine.periodic):
        for axis, size in enumerate(fine.shape, start=3):
            solution = resample(solution, size, axis=axis)
        return solution
    flat = np.moveaxis(solution.reshape(-1, *coarse.shape), 0, -1)
    points = np.stack(np.meshgrid(*fine.axes, indexing="ij"), axis=-1)
    interpolate = RegularGridInterpolator(coarse.axes, flat, bounds_error=False, fill_value=None)
    refined: NDArray[np.float64] = np.moveaxis(interpolate(points), -1, 0).reshape(
        *solution.shape[:3], *fine.shape
    )
    return refined
