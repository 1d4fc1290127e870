"""Exact solutions of Burgers' equation u_t + (u²/2)_x = (ν/π) u_xx for PDEBench's random initial waves.

By Hopf (1950) and Cole (1951) the potential U, with U_x = u, advances over any time D by a Gaussian average,

    exp(-U(x, t + D) / 2v) = ∫ exp(-[U(y, t) + (x - y)² / 2D] / 2v) dy / √(4πvD),        v = ν/π,

and u(x, t + D) is the mean of (x - y) / D under the same weights. Here the integral is a trapezoid sum over
the native grid, from one wanted frame to the next. The integrand is a sum of Gaussians no narrower than
√(2v / (1/D + max u_x)), at least a cell for the viscosities that the task allows, where the sum converges
faster than any power of the cell. Shocks may be thinner than a cell: U only has a kink there, and points in
a shock carry exponentially little weight. So values at the grid points are exact to rounding of the weights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ups_data.family import Request
from ups_data.generators.advection import evaluate, initial_waves

GAUSS = 5
"""Gauss-Legendre points of a cell in the integral of the initial field."""
WIDTHS = 8.0
"""Standard deviations of the Gaussian kernel beyond the farthest characteristic."""


def generate(
    request: Request, value: float, seed: int, start: int, stop: int
) -> dict[str, NDArray[np.float32]]:
    """The datasets of a Burgers file for trajectories start..stop-1; `value` is ν."""
    points = request.family.native[0]
    stride = points // request.resolution
    step = request.family.dt * request.time_stride
    fields, cells = _initial(seed, start, stop, points)
    solution = np.empty((stop - start, request.frames, request.resolution), dtype=np.float32)
    for row in range(stop - start):
        frames = evolve(fields[row], cells[row], value / math.pi, step, request.frames)
        solution[row] = [frame[::stride] for frame in frames]
    return {"tensor": solution}


def evolve(
    field: NDArray[np.float64], integrals: NDArray[np.float64], viscosity: float, step: float, frames: int
) -> list[NDArray[np.float64]]:
    """The solution at `frames` times `step` apart, the first the given field.

    Args:
        field: u at the N points of the unit circle.
        integrals: of u from every point to the next, `(N,)`.
        viscosity: v in u_t + (u²/2)_x = v u_xx.

    Returns:
        u at the same points, one array a frame.
    """
    points, mean = len(field), float(integrals.sum())
    potential = np.concatenate([[0.0], np.cumsum(integrals[:-1])])
    found = [field]
    for _ in range(frames - 1):
        reach = float(np.abs(found[-1]).max()) * step + WIDTHS * math.sqrt(2 * viscosity * step)
        window = math.ceil(reach * points) + 1
        offsets = np.arange(-window, window + 1) / points
        turns, places = np.divmod(np.arange(-window, points + window), points)
        extended = (potential[places] + mean * turns) / (2 * viscosity)
        nearby = np.lib.stride_tricks.sliding_window_view(extended, 2 * window + 1)
        exponent = nearby + offsets**2 / (4 * viscosity * step)
        least = exponent.min(axis=1)
        weights = np.exp((least[:, None] - exponent).astype(np.float32))
        total = weights.sum(axis=1, dtype=np.float64)
        found.append(-(weights @ offsets.astype(np.float32)).astype(np.float64) / (total * step))
        kernel = math.log(points * math.sqrt(4 * math.pi * viscosity * step))
        potential = 2 * viscosity * (least - np.log(total) + kernel)
    return found


def _initial(
    seed: int, start: int, stop: int, points: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Initial fields at the cell centres and their integrals from each centre to the next, `(n, points)`."""
    waves = initial_waves(seed, start, stop)
    centres = (np.arange(points) + 0.5) / points
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS)
    inner = (centres[:, None] + (nodes + 1) / (2 * points)).ravel() % 1.0
    fields = evaluate(waves, 0.0, [0.0], centres)[:, 0].astype(np.float64)
    samples = evaluate(waves, 0.0, [0.0], inner)[:, 0].reshape(stop - start, points, GAUSS)
    return fields, samples.astype(np.float64) @ weights / (2 * points)
