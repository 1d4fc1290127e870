"""Diffusion of a substance that a soil binds, u_t = D / R(u) u_xx on (0, 1), as PDEBench poses it.

R(u) = 1 + (1 - φ) / φ · ρ k n (u + 1e-6)^(n - 1) is the retardation of Freundlich's isotherm (Takamoto et
al., arXiv 2210.07182). The initial state is a constant, uniform in (0, 0.2), so all solutions depend on one
number.

Space is discretised as in PDEBench: second differences between 1024 cell centres, with a ghost cell at either
end. The left one, whose centre is at -h / 2, has u = 1. The right one has the outflow
u = D (u_{N-1} - u_N) / h, a first-order difference of u = -D u_x at x = 1 from the last two cells. Both ends
are thus imposed up to half a cell away, and the solution differs from that of the continuous problem by O(h).

Time: LSODA (Petzold, "Automatic selection of methods for solving stiff and nonstiff systems of ordinary
differential equations", SIAM J. Sci. Stat. Comput. 4, 1983) with a tridiagonal Jacobian. It runs to the last
raw frame whatever the task asks for, so that its steps are always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from ups_core import UPSError
from ups_data.generators.trajectories import check_finite
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

Array = NDArray[np.float64]

POINTS = 1024
"""Cells of the native grid."""
FRAMES, FRAME = 101, 5.0
"""Raw frames, and the time between them."""
DIFFUSIVITY, POROSITY, DENSITY, FREUNDLICH, EXPONENT = 5e-4, 0.29, 2880.0, 3.5e-4, 0.874
SORPTION = (1 - POROSITY) / POROSITY * DENSITY * FREUNDLICH * EXPONENT
SMALL = 1e-6
"""Added to u, so that R is finite at 0."""
LARGEST = 0.2
"""Of the initial states."""
RELATIVE, ABSOLUTE = 1e-7, 1e-10
"""Tolerances of a step."""


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1 of the concentration.

    A :class:`ups_data.sources.writing.Generator`. LSODA has one global state, so there are no threads.
    """
    stride, every = POINTS // info.shape[0], round(info.dt / FRAME)
    found = np.empty((stop - start, info.frames, 1, *info.shape), dtype=np.float32)
    for row, number in enumerate(range(start, stop)):
        raw = evolve(initial_value(seed, number))
        found[row, :, 0] = raw[::every, ::stride][: info.frames]
    check_finite(found, start, info.family)
    return Fields(found)


def initial_value(seed: int, number: int) -> float:
    """The constant initial state of a trajectory, uniform in (0, 0.2]."""
    return LARGEST * (1.0 - float(np.random.default_rng((seed, number)).random()))


def evolve(
    initial: float, points: int = POINTS, relative: float = RELATIVE, absolute: float = ABSOLUTE
) -> Array:
    """u at all raw frames, `(FRAMES, points)`.

    Args:
        initial: the constant at t = 0.
        points: cells.
        relative: relative tolerance of a step.
        absolute: absolute tolerance of a step.

    Raises:
        UPSError: the steps became too small.
    """
    times = FRAME * np.arange(FRAMES)
    solution = solve_ivp(
        slope(points),
        (0.0, float(times[-1])),
        np.full(points, initial),
        "LSODA",
        t_eval=times,
        rtol=relative,
        atol=absolute,
        lband=1,
        uband=1,
    )
    if not solution.success:
        raise UPSError(f"diffusion_sorption1d: no solution from u = {initial:g} ({solution.message})")
    frames: Array = solution.y.T
    return frames


def slope(points: int) -> Callable[[float, Array], Array]:
    """The right-hand side of the semi-discrete equations, of time and `(points,)`."""
    cell = 1 / points
    padded = np.empty(points + 2)
    scaled = DIFFUSIVITY / cell**2

    def rates(_: float, u: Array) -> Array:
        padded[0], padded[1:-1] = 1.0, u
        padded[-1] = DIFFUSIVITY * (u[-2] - u[-1]) / cell
        # A trial state of the solver may be slightly negative.
        retardation = 1 + SORPTION * (np.maximum(u, 0.0) + SMALL) ** (EXPONENT - 1)
        change: Array = scaled * (padded[2:] - 2 * u + padded[:-2]) / retardation
        return change

    return rates
