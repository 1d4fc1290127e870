"""Exact solutions of u_t + β u_x = 0 for PDEBench's random initial waves.

The solution is u0((x - βt) mod 1), an exact periodic translate. By angle addition a trajectory is one small
matrix product with a fixed table of sines and cosines: thousands of trajectories per second.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ups_data.generators.waves import FREQUENCIES, Waves, initial_waves, wave_table, window_at
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields
from ups_data.stores.striding import cell_centres

POINTS = 1024
"""Cells of the native grid."""
PIECE = 12
"""Frames per matrix product: few enough that BLAS keeps it on one core. The bits then do not depend on the
number of trajectories per call, and the product stays fast on cores that other processes use too."""


def evaluate(waves: Waves, beta: float, times: ArrayLike, points: ArrayLike) -> NDArray[np.float32]:
    """The solutions at `times` `(T,)` and `points` `(X,)` of the unit circle: `(n, T, X)`, float32."""
    t, x = np.asarray(times, dtype=np.float64), np.asarray(points, dtype=np.float64)
    table = wave_table(x).astype(np.float32)
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
    # The sign is applied to the small factor, except below an absolute value, where it comes afterwards.
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
            solution[row] *= window_at(waves.window[row], origin, np.float32)
    return solution


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1 of advection with speed `beta`.

    A :class:`ups_data.sources.writing.Generator`.
    """
    waves = initial_waves(seed, start, stop)
    times = [info.dt * frame for frame in range(info.frames)]
    solution = evaluate(waves, parameters["beta"], times, cell_centres(POINTS, info.shape[0]))
    return Fields(solution[:, :, None])
