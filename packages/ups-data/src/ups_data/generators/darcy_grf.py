"""Steady Darcy flow -∇·(a∇u) = 1 through two materials that a Gaussian random field separates.

The law of Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations", arXiv
2010.08895: a = 12 where a Gaussian field with covariance (-Δ + 9)^(-2), zero mean and zero flux at the
boundary is positive, and 3 elsewhere. u is the exact solution of the five-point finite volumes on the task's
own cells, with arithmetic means of a on faces and u = 0 on the boundary.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.fft import idctn

from ups_core.cpus import available_cores
from ups_data.generators.darcy import Walls, solve_darcy
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

POINTS = 128
"""Waves along each axis that are drawn, whatever the grid."""
LOW, HIGH = np.float32(3), np.float32(12)
SMOOTHNESS, DECAY = 2.0, 3.0
"""α and τ of the covariance (-Δ + τ²)^(-α)."""
WALLS: Walls = ((0.5, 0.5), (0.5, 0.5))
"""Points are centres of cells, and the boundary is their outer faces."""


def amplitudes(points: int) -> NDArray[np.float64]:
    """Standard deviations of the cosine waves of the Gaussian field on a grid `(points, points)`."""
    wave = (np.pi * np.arange(POINTS)) ** 2
    amplitude = (wave[:, None] + wave + DECAY**2) ** (-SMOOTHNESS / 2)
    amplitude[0, 0] = 0.0  # no mean
    return amplitude[:points, :points]


def media(seed: int, start: int, stop: int, points: int) -> NDArray[np.float32]:
    """Coefficient fields start..stop-1, `(n, points, points)`, values 3 and 12.

    Media of different grids have the same waves, as far as a grid has them.
    """
    amplitude = amplitudes(points)
    fields = np.empty((stop - start, points, points), dtype=np.float32)
    for row, number in enumerate(range(start, stop)):
        waves = np.random.default_rng((seed, number)).standard_normal((POINTS, POINTS))
        gaussian = idctn(amplitude * waves[:points, :points], norm="ortho")
        fields[row] = np.where(gaussian >= 0, HIGH, LOW)
    return fields


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Media start..stop-1 and their solutions. A :class:`ups_data.sources.writing.Generator`."""
    points = info.shape[0]
    fields = media(seed, start, stop, points)

    def solve(field: NDArray[np.float32]) -> NDArray[np.float32]:
        return solve_darcy(field, 1.0, (1 / points, 1 / points), WALLS).astype(np.float32)

    with ThreadPoolExecutor(available_cores()) as pool:
        solutions = np.stack(list(pool.map(solve, fields)))
    return Fields(solutions[:, None, None], fields[:, None])
