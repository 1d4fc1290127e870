"""Exact solutions of Burgers' equation u_t + (u²/2)_x = v u_xx, v = ν/π, for PDEBench's random initial waves.

By the transformation of Hopf ("The partial differential equation u_t + u u_x = μ u_xx", 1950) and Cole (1951)
the potential U, with U_x = u, advances over any time D by a Gaussian average,

    exp(-U(x, t + D) / 2v) = ∫ exp(-[U(y, t) + (x - y)² / 2D] / 2v) dy / √(4πvD),

and u(x, t + D) is the mean of (x - y) / D under the same weights. A step leads from a requested frame to the
next one.

The integral is a trapezoid sum. After the first step exp(-U / 2v) is an average of Gaussians of variance 2vD
or more, so the integrand consists of Gaussians of variance vD or more: the relative error of the sum is about
2 exp(-2π² vD / h²), which is negligible once √(vD) exceeds a cell h. The first step starts from the initial
field, with its kinks and steep window, so its sum uses a finer grid. Shocks may be thinner than a cell: U has
only a kink there, and points in a shock have exponentially small weights. The values are exact at the points;
their mean is that of u only if the points resolve the shocks.

If U varies little against 2v, the Fourier series of exp(-U / 2v) decays instead, which is exact for any
viscosity; the Gaussian would be as wide as the circle.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_data.generators.burgers_resolution import FINER, smallest_nu
from ups_data.generators.waves import Waves, initial_waves, wave_table, window_at
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

Array = NDArray[np.float64]

POINTS = 1024
"""Cells of the native grid."""
GAUSS = 3
"""Gauss-Legendre points per fine cell in the integral of the initial field."""
WIDTHS = 8.0
"""Standard deviations of the Gaussian beyond the characteristics; the omitted weights are below exp(-32)."""
BLOCK, ROWS = 16, 8
"""Points that share exponentials, and blocks per product: few enough that BLAS mostly stays on one core."""
STEEPEST = 300.0
"""Largest logarithm of the ratio of weights within a block; exp(-2 · 300) must not underflow."""
RANGE = 8.0
"""Variation of U / 2v up to which the Fourier series is used; it amplifies rounding by up to exp(8)."""


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1 of Burgers flow with viscosity `Nu`.

    A :class:`ups_data.sources.writing.Generator`.

    Raises:
        UPSError: the viscosity is too small for the native grid and the time between frames.
    """
    nu, stride = parameters["Nu"], POINTS // info.shape[0]
    check_viscosity(nu, info.dt, POINTS)
    sampler = Sampler(POINTS)
    solution = np.empty((stop - start, info.frames, 1, *info.shape), dtype=np.float32)
    for row, number in enumerate(range(start, stop)):
        state = sampler.initial_state(initial_waves(seed, number, number + 1))
        solution[row, :, 0] = evolve(state, nu / math.pi, info.dt, info.frames)[:, ::stride]
    return Fields(solution)


def check_viscosity(nu: float, step: float, points: int) -> None:
    """Check that the trapezoid sum is exact.

    Raises:
        UPSError: the viscosity is too small.
    """
    smallest = smallest_nu(step, points)
    if nu < smallest:
        raise UPSError(
            f"burgers1d: nu = {nu:g} is too small for frames {step:g} apart on the native grid; "
            f"the smallest is {smallest:.2g}, smaller ones need a larger time_stride"
        )


@dataclass(frozen=True)
class State:
    """A field on the unit circle with its potential.

    Attributes:
        field: u at N points, `(N,)`.
        potential: U at M = N · finer evenly spaced points, starting at the first point of u, `(M,)`.
        mean: mean of u, by which U grows per turn around the circle.
    """

    field: Array
    potential: Array
    mean: float


def evolve(state: State, viscosity: float, step: float, frames: int) -> Array:
    """u at `frames` times `step` apart, the first one as given: `(frames, N)`. `viscosity` is v = ν/π."""
    if np.ptp(_periodic(state)) <= RANGE * 2 * viscosity:
        return _diffuse(state, viscosity, step, frames)
    found = np.empty((frames, len(state.field)))
    found[0] = state.field
    for frame in range(1, frames):
        state = _advance(state, viscosity, step)
        found[frame] = state.field
    return found


def _advance(state: State, viscosity: float, step: float) -> State:
    """One step of the Gaussian average.

    The points x of a block share the factor exp(-[U(y) + (x_m - y)² / 2D] / 2v) of its middle x_m. The
    remaining factor depends on x - x_m and x_m - y alone, so that all sums are one matrix product.
    """
    points, fine = len(state.field), len(state.potential)
    finer = fine // points
    # By the maximum principle (x - y) / D is in the range of u, up to a few standard deviations.
    low, high = float(state.field.min()), float(state.field.max())
    drift = step * (low + high) / 2
    reach = step * (high - low) / 2 + WIDTHS * math.sqrt(2 * viscosity * step)
    block = BLOCK
    while block > 1 and _steepness(block / points, reach, viscosity * step) > STEEPEST:
        block //= 2
    middle = block // 2 / points
    first, last = math.floor(-(drift + reach) * fine), math.ceil((reach - drift) * fine) + finer * (block - 1)
    lag = middle - np.arange(first, last + 1) / fine  # x_m - y
    ahead = np.arange(block) / points - middle  # x - x_m

    turns, places = np.divmod(np.arange(first, fine - finer * block + last + 1), fine)
    extended = (state.potential[places] + state.mean * turns) / (2 * viscosity)
    nearby = np.lib.stride_tricks.sliding_window_view(extended, len(lag))[:: finer * block]
    exponent = nearby + lag**2 / (4 * viscosity * step)
    smallest = exponent.min(axis=1, keepdims=True)
    shared = np.exp(smallest - exponent)

    # (x - y)² = lag² + 2 ahead (lag - drift) + (2 ahead drift + ahead²); the bracket does not depend on y.
    rest = np.exp(-np.outer(lag - drift, ahead) / (2 * viscosity * step))
    sides = np.concatenate([rest, rest * (lag - drift)[:, None]], axis=1)
    rows = math.gcd(ROWS, len(shared))
    total, moment = np.split((shared.reshape(-1, rows, len(lag)) @ sides).reshape(-1, 2 * block), 2, axis=1)
    level = smallest + (2 * ahead * drift + ahead**2) / (4 * viscosity * step) - np.log(total)
    constant = math.log(fine * math.sqrt(4 * math.pi * viscosity * step))
    field = (moment / total + ahead + drift) / step
    return State(field.ravel(), 2 * viscosity * (level.ravel() + constant), state.mean)


def _steepness(width: float, reach: float, spread: float) -> float:
    """Logarithm of the ratio of weights within a block; on coarse grids its own width counts too."""
    return max(width / 2 * reach, width / 4 * (reach + width)) / (2 * spread)


def _diffuse(state: State, viscosity: float, step: float, frames: int) -> Array:
    """All frames from the Fourier series of exp(-U / 2v), on a grid that moves with the mean of u."""
    points, fine = len(state.field), len(state.potential)
    periodic = _periodic(state)
    heat = np.exp((periodic.min() - periodic) / (2 * viscosity))
    spectrum = np.fft.rfft(heat)[: points // 2] * (points / fine)
    k = 2 * np.pi * np.arange(points // 2)
    times = step * np.arange(1, frames)[:, None]
    decayed = spectrum * np.exp(-(viscosity * k**2 + 1j * k * state.mean) * times)
    later = np.fft.irfft(1j * k * decayed, points) / np.fft.irfft(decayed, points)
    return np.concatenate([state.field[None], state.mean - 2 * viscosity * later])


def _periodic(state: State) -> Array:
    """U without its growth per turn, `(M,)`."""
    fine = len(state.potential)
    periodic: Array = state.potential - state.mean * np.arange(fine) / fine
    return periodic


class Sampler:
    """Samples initial waves at the cell centres of the native grid.

    Args:
        points: N, cells of the native grid.
        finer: points of the potential per cell.
    """

    def __init__(self, points: int, finer: int = FINER) -> None:
        fine = points * finer
        start = 0.5 / points + np.arange(fine) / fine
        nodes, self._weights = np.polynomial.legendre.leggauss(GAUSS)
        inner = start[:, None] + (nodes + 1) / (2 * fine)
        self._finer, self._cell = finer, 1 / fine
        self._points = np.concatenate([start, inner.ravel()]) % 1.0
        self._table = wave_table(self._points)

    def initial_state(self, waves: Waves) -> State:
        """The state at t = 0 of the single trajectory in `waves`."""
        values = np.concatenate([waves.cosine[0], waves.sine[0]]) @ self._table
        if np.isfinite(waves.window[0, 0]):
            values *= window_at(waves.window[0], self._points, np.float64)
        ends, inner = np.split(values, [len(values) // (GAUSS + 1)])
        cells = inner.reshape(-1, GAUSS) @ self._weights * (self._cell / 2)
        if waves.absolute[0]:
            # In a cell with a change of sign the wave is a straight line, to 1e-9 of the integral of |u0|.
            following = np.roll(ends, -1)
            size = np.maximum(np.abs(ends) + np.abs(following), np.finfo(float).tiny)
            straight = self._cell * (ends**2 + following**2) / (2 * size)
            cells = np.where(ends * following < 0, straight, np.abs(cells))
            ends = np.abs(ends)
        sign = waves.sign[0]
        potential = np.concatenate([[0.0], np.cumsum(cells[:-1])])
        return State(sign * ends[:: self._finer], sign * potential, float(sign * cells.sum()))
