"""Exact solutions of u_t + β u_x = 0 for PDEBench's random initial waves.

An initial condition is u0(ξ) = W(ξ) s |Σ A_n sin(k_n ξ + φ_n)|^{ab} with n = 1..4; the solution is
u0((x - βt) mod 1). Only nine frequencies occur, so by angle addition a trajectory is one small matrix
product with a fixed table of sines and cosines: thousands of trajectories a second.

One deviation from PDEBench: its wave numbers are 2πnc divided by 1 - dx, which leaves a jump at the seam;
here they are 2πnc, so that every solution is an exact periodic translate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ups_data.family import Request

WAVES = 4
FREQUENCIES = np.arange(2 * WAVES + 1)
DRAWS = 15
WINDOW_WIDTH = 0.01
PIECE = 12
"""Frames of one matrix product. Small enough that BLAS keeps it on one core: its bits then do not depend on
how many trajectories are made at once, and it does not crawl where cores are shared with other work."""


@dataclass(frozen=True)
class Waves:
    """Initial conditions of n trajectories.

    Attributes:
        cosine, sine: `(n, 9)` amplitudes of cos(2πfξ) and sin(2πfξ), f = 0..8.
        absolute: `(n,)` whether |·| is taken.
        sign: `(n,)` +1 or -1, applied after |·|.
        window: `(n, 2)` left and right edge of the window; NaN where there is none.
    """

    cosine: NDArray[np.float64]
    sine: NDArray[np.float64]
    absolute: NDArray[np.bool_]
    sign: NDArray[np.float64]
    window: NDArray[np.float64]


def initial_waves(seed: int, start: int, stop: int) -> Waves:
    """Initial conditions of trajectories start..stop-1; each depends on the seed and its number only."""
    count = stop - start
    draws = np.empty((count, DRAWS))
    for row, number in enumerate(range(start, stop)):
        np.random.default_rng((seed, number)).random(out=draws[row])
    chosen = 1 + (WAVES * draws[:, 0:2]).astype(int)
    amplitude, phase = draws[:, 2:6], 2 * np.pi * draws[:, 6:10]
    cosine, sine = np.zeros((2, count, len(FREQUENCIES)))
    rows = np.arange(count)
    for wave in range(1, WAVES + 1):
        # A wave drawn twice has twice its frequency, one not drawn has none and adds a constant.
        frequency = wave * (chosen == wave).sum(axis=1)
        cosine[rows, frequency] += amplitude[:, wave - 1] * np.sin(phase[:, wave - 1])
        sine[rows, frequency] += amplitude[:, wave - 1] * np.cos(phase[:, wave - 1])
    window = np.stack([0.1 + 0.35 * draws[:, 13], 0.55 + 0.35 * draws[:, 14]], axis=1)
    window[draws[:, 12] >= 0.1] = np.nan
    return Waves(
        cosine, sine, absolute=draws[:, 10] < 0.1, sign=np.where(draws[:, 11] < 0.5, -1.0, 1.0), window=window
    )


def evaluate(waves: Waves, beta: float, times: ArrayLike, points: ArrayLike) -> NDArray[np.float32]:
    """The solutions at `times` (T,) and `points` (X,) of the unit circle: `(n, T, X)`, float32."""
    t, x = np.asarray(times, dtype=np.float64), np.asarray(points, dtype=np.float64)
    space = 2 * np.pi * FREQUENCIES[:, None] * x
    table = np.concatenate([np.cos(space), np.sin(space)]).astype(np.float32)
    padded = np.pad(t, (0, -len(t) % PIECE))
    shift = 2 * np.pi * FREQUENCIES * (beta * padded)[:, None]
    cosine, sine = waves.cosine[:, None], waves.sine[:, None]
    rotated = np.concatenate(
        [
            cosine * np.cos(shift) - sine * np.sin(shift),
            cosine * np.sin(shift) + sine * np.cos(shift),
        ],
        axis=-1,
    )
    # The sign goes into the small factor; an absolute value is taken before the sign, so it needs its own.
    rotated *= np.where(waves.absolute, 1.0, waves.sign)[:, None, None]
    pieces = rotated.astype(np.float32).reshape(-1, PIECE, len(table))
    solution: NDArray[np.float32] = np.matmul(pieces, table).reshape(len(waves.sign), -1, len(x))[:, : len(t)]
    for row in np.flatnonzero(waves.absolute):
        np.abs(solution[row], out=solution[row])
        solution[row] *= np.float32(waves.sign[row])
    windowed = np.flatnonzero(~np.isnan(waves.window[:, 0]))
    if windowed.size:
        origin = (x - beta * t[:, None]) % 1.0
        for row in windowed:
            left, right = ((origin - edge) / WINDOW_WIDTH for edge in waves.window[row])
            rise = np.tanh(left.astype(np.float32)) - np.tanh(right.astype(np.float32))
            solution[row] *= np.float32(0.5) * rise
    return solution


def generate(
    request: Request, value: float, seed: int, start: int, stop: int
) -> dict[str, NDArray[np.float32]]:
    """The datasets of an advection file for trajectories start..stop-1; `value` is β."""
    waves = initial_waves(seed, start, stop)
    return {"tensor": evaluate(waves, value, request.times(request.frames), request.axis)}
