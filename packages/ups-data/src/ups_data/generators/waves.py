"""PDEBench's random initial waves on the unit circle, shared by the one-dimensional generators.

u0(x) = W(x) s |Σ A_n sin(k_n x + φ_n)|^{ab} with n = 1..4 (Takamoto et al., "PDEBench: An Extensive Benchmark
for Scientific Machine Learning", arXiv 2210.07182). Only nine frequencies occur, so a field is a small matrix
product with a table of sines and cosines.

This differs from PDEBench in one point: its wave numbers are 2πnc / (1 - dx), which leaves a jump at x = 0;
here they are 2πnc, so that every field is periodic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WAVES = 4
FREQUENCIES = np.arange(2 * WAVES + 1)
DRAWS = 15
WINDOW_WIDTH = 0.01


@dataclass(frozen=True)
class Waves:
    """Initial conditions of n trajectories.

    Attributes:
        cosine: amplitudes of cos(2πfx), f = 0..8, `(n, 9)`.
        sine: amplitudes of sin(2πfx), `(n, 9)`.
        absolute: whether the absolute value is taken, `(n,)`.
        sign: +1 or -1, applied after the absolute value, `(n,)`.
        window: left and right edge of the window, `(n, 2)`; NaN if there is none.
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
        # Always all 15 numbers, used or not, from a generator per trajectory: the n-th trajectory is the same
        # in every file.
        np.random.default_rng((seed, number)).random(out=draws[row])
    chosen = 1 + (WAVES * draws[:, 0:2]).astype(int)
    amplitude, phase = draws[:, 2:6], 2 * np.pi * draws[:, 6:10]
    cosine, sine = np.zeros((2, count, len(FREQUENCIES)))
    rows = np.arange(count)
    for wave in range(1, WAVES + 1):
        # A wave drawn twice has twice its frequency; one that is not drawn has frequency 0, a constant.
        frequency = wave * (chosen == wave).sum(axis=1)
        cosine[rows, frequency] += amplitude[:, wave - 1] * np.sin(phase[:, wave - 1])
        sine[rows, frequency] += amplitude[:, wave - 1] * np.cos(phase[:, wave - 1])
    window = np.stack([0.1 + 0.35 * draws[:, 13], 0.55 + 0.35 * draws[:, 14]], axis=1)
    window[draws[:, 12] >= 0.1] = np.nan
    return Waves(
        cosine, sine, absolute=draws[:, 10] < 0.1, sign=np.where(draws[:, 11] < 0.5, -1.0, 1.0), window=window
    )


def wave_table(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """cos(2πfx), then sin(2πfx), of all frequencies at `points` `(X,)`: `(18, X)`."""
    angle = 2 * np.pi * FREQUENCIES[:, None] * points
    return np.concatenate([np.cos(angle), np.sin(angle)])


def window_at(
    edges: NDArray[np.float64], points: NDArray[np.float64], dtype: type[np.floating[Any]]
) -> NDArray[np.floating[Any]]:
    """The window W(x) with `edges` `(2,)` at `points` of any shape in the unit interval."""
    left, right = (((points - edge) / WINDOW_WIDTH).astype(dtype) for edge in edges)
    window: NDArray[np.floating[Any]] = dtype(0.5) * (np.tanh(left) - np.tanh(right))
    return window
