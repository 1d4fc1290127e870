"""Accuracy gates of the finite-volume generators: shallow water and compressible flow against finer grids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_data.generators import compressible, shallow_water
from ups_data.generators.compressible import Flow

SEED = 2022
Gate = Callable[[], tuple[str, float, float]]
Array = NDArray[np.floating[Any]]


def block_means(frames: Array, cells: int, space: int) -> Array:
    """Means over blocks of cells along the last `space` axes, which then have `cells` entries."""
    for axis in range(frames.ndim - space, frames.ndim):
        shape = frames.shape
        blocks = (*shape[:axis], cells, shape[axis] // cells, *shape[axis + 1 :])
        frames = frames.reshape(blocks).mean(axis=axis + 1)
    return frames


def distance(found: Array, exact: Array) -> float:
    """Relative L2 distance."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def shallow_water_gate() -> tuple[str, float, float]:
    """Heights until t = 0.5 on 128² and on 512² cells."""
    radius = shallow_water.radius(SEED, 0)
    found, exact = (shallow_water.dam_break(radius, 51, cells)[::10] for cells in (128, 512))
    return "h on 512² cells, relative L2 error", distance(found, block_means(exact, 128, 2)), 0.015


def of_velocity(flow: Flow, mach: float, eta: float, frames: int, finer: int, count: int = 1) -> float:
    """Relative L2 error of the velocities of `count` trajectories after the first frame on the native grid,
    against a finer one."""
    dim, cells = len(flow.shape), flow.shape[0]

    def velocity(size: int) -> Array:
        starts = [
            flow.states(np.random.default_rng((SEED, number)), (size,) * dim, mach) for number in range(count)
        ]
        return flow.solve(np.stack(starts), eta, eta, frames)[:, 1:, 2:]

    return distance(velocity(cells), block_means(velocity(finer * cells), cells, dim))


def line_gate() -> tuple[str, float, float]:
    """Random waves without viscosity, with shocks, until t = 0.2, on 1024 and on 4096 cells."""
    error = of_velocity(compressible.RANDOM_1D, 1.0, 1e-8, 21, 4, count=8)
    return "velocity on 4096 cells, relative L2 error", error, 0.05


def square_gate() -> tuple[str, float, float]:
    """Random fields at Mach 1 and eta 0.01 until t = 0.1, on 128² and on 256² cells."""
    error = of_velocity(compressible.RANDOM_2D, 1.0, 0.01, 3, 2)
    return "velocity on 256² cells, relative L2 error", error, 0.02


def cube_gate() -> tuple[str, float, float]:
    """Turbulence at Mach 1 until t = 0.0125, on 64³ and on 128³ cells."""
    flow = replace(compressible.TURBULENCE_3D, interval=0.0125)
    return "velocity on 128³ cells, relative L2 error", of_velocity(flow, 1.0, 1e-8, 2, 2), 0.03


GATES: dict[str, Gate] = {
    "shallow_water2d": shallow_water_gate,
    "compressible_flow1d": line_gate,
    "compressible_flow2d": square_gate,
    "compressible_flow3d": cube_gate,
}
"""Task -> what is compared, the measured error, and its limit."""
