"""Fisher's equation u_t = ν u_xx + ρ u (1 - u) on the unit circle, from PDEBench's random initial waves.

The initial states are those of :mod:`ups_data.generators.waves`, each mapped to minimum 0 and maximum 1 over
the native points, as PDEBench does (Takamoto et al., arXiv 2210.07182).

The scheme is the splitting of Strang ("On the construction and comparison of difference schemes", 1968) into
two exact flows: heat, by the Fourier series, and the logistic map u / (u + (1 - u) exp(-ρ h)) at every point.
Its error comes from rates of change that decay with the initial waves; so the first steps are shorter. Kinks
of the initial state are between points; its series is computed on an eight times finer grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ups_data.generators.trajectories import in_groups
from ups_data.generators.waves import initial_waves, wave_table, window_at
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

POINTS = 1024
"""Cells of the native grid."""
FRAME = 0.01
"""Time between raw frames."""
FINER = 8
"""Refinement of the native grid for the series of the initial state."""
GROUP = 16
"""Trajectories per thread."""
STEPS = 6.0
"""Steps per raw frame at ρ = 1; they grow with √ρ, which keeps the error the same."""
FIRST = 8
"""Times as many steps in the first raw frame, growing linearly in length."""


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1 with diffusivity `Nu` and reaction rate `rho`.

    A :class:`ups_data.sources.writing.Generator`.
    """
    stride, every = POINTS // info.shape[0], round(info.dt / FRAME)

    def compute(first: int, last: int) -> NDArray[np.float32]:
        states = [initial_state(seed, number) for number in range(first, last)]
        values, spectra = (np.stack(parts) for parts in zip(*states, strict=True))
        raw = evolve(values, spectra, parameters["Nu"], parameters["rho"])
        found = np.empty((last - first, info.frames, 1, *info.shape), dtype=np.float32)
        for frame, field in enumerate(islice(raw, 0, (info.frames - 1) * every + 1, every)):
            # The solution is positive, its series only up to the error of the grid.
            found[:, frame, 0] = np.maximum(field[:, ::stride], 0.0)
        return found

    return Fields(in_groups(compute, start, stop, info.family, GROUP))


def initial_state(seed: int, number: int, points: int = POINTS, finer: int = FINER) -> tuple[Array, Spectrum]:
    """The initial state of a trajectory: values at `points` cell centres, and its series.

    Args:
        seed: of the waves.
        number: of the trajectory.
        points: cells of the grid, an odd multiple of the native ones.
        finer: refinement of the grid for the series.

    Returns:
        Values `(points,)` and complex amplitudes `(points / 2 + 1,)` as of an FFT of `points` values.
    """
    waves = initial_waves(seed, number, number + 1)
    x, table = _table(points, finer)
    values = np.concatenate([waves.cosine[0], waves.sine[0]]) @ table
    if waves.absolute[0]:
        values = np.abs(values)
    values *= waves.sign[0]
    if np.isfinite(waves.window[0, 0]):
        values *= window_at(waves.window[0], x, np.float64)
    ratio = points // POINTS
    native = values[::finer][ratio // 2 :: ratio]
    values = (values - native.min()) / np.ptp(native)
    spectrum = fft.rfft(values)[: points // 2 + 1] / finer
    spectrum[-1] = 0  # of the highest wave the points of the grid have the cosine only
    return values[::finer], spectrum


@lru_cache(maxsize=4)
def _table(points: int, finer: int) -> tuple[Array, Array]:
    """Places of the fine grid, which begins at the first cell centre, and all waves there."""
    x = (0.5 / points + np.arange(points * finer) / (points * finer)) % 1.0
    return x, wave_table(x)


def evolve(values: Array, spectra: Spectrum, nu: float, rho: float, refine: int = 1) -> Iterator[Array]:
    """u at t = 0, 0.01, 0.02, ... without end, `(n, N)`.

    Args:
        values: initial states at the points, `(n, N)`.
        spectra: their series, `(n, N / 2 + 1)`.
        nu: diffusivity ν.
        rho: reaction rate ρ.
        refine: times as many steps, for studies of the error.
    """
    yield values
    points = values.shape[1]
    decay = nu * (2 * np.pi * np.arange(points // 2 + 1)) ** 2
    steps = refine * math.ceil(STEPS * math.sqrt(max(rho, 1.0)))
    times = FRAME * np.linspace(0, 1, FIRST * steps + 1) ** 2
    while True:
        sizes = np.array([after - before for before, after in pairwise(times)])
        # Two half steps of diffusion follow each other, except at a frame.
        heat = np.exp(-decay * sizes[0] / 2)
        for size, following in zip(sizes, [*sizes[1:], 0.0], strict=True):
            u = fft.irfft(spectra * heat, points)
            grown = u * -math.expm1(-rho * size)
            grown += math.exp(-rho * size)
            u /= grown
            heat = np.exp(-decay * (size + following) / 2)
            spectra = fft.rfft(u)
        spectra *= heat
        yield fft.irfft(spectra, points)
        times = FRAME * np.linspace(0, 1, steps + 1)
