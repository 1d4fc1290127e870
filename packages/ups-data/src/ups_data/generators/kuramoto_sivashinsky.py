"""The Kuramoto-Sivashinsky equation u_t + u u_x + u_xx + u_xxxx = 0, periodic on (0, 64).

Long waves grow and short ones decay, at the rate k² - k⁴, which leads to chaos (Kuramoto and Tsuzuki 1976,
Prog. Theor. Phys. 55; Sivashinsky 1977, Acta Astronautica 4). The initial state is a sum of the lowest waves,
Σ a_n cos(2πnx / 64) + b_n sin(2πnx / 64), n = 1..8, with a_n and b_n independent and normal with mean 0 and
standard deviation 1/4; its mean is zero, and stays so. The scheme is that of
:mod:`ups_data.generators.spectral`.

Solutions that differ by a little separate exponentially, on average by a factor e in some ten times (Edson et
al., "Lyapunov exponents of the Kuramoto-Sivashinsky PDE", arXiv 1902.09651). So a trajectory is that of its
initial state up to a time only; afterwards it is one of the same attractor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ups_data.generators.spectral import ETDRK4, Modes, Spectrum
from ups_data.generators.trajectories import in_groups
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields
from ups_data.stores.striding import cell_centres

Array = NDArray[np.float64]

POINTS = 256
"""Cells of the native grid, and points of the solver's."""
LENGTH = 64.0
FRAME = 0.5
"""Time between raw frames."""
WAVES, DEVIATION = 8, 0.25
"""Lowest waves of the initial state, and the standard deviation of their amplitudes."""
STEPS = 25
"""Steps per raw frame."""
GROUP = 16
"""Trajectories per thread."""


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1.

    A :class:`ups_data.sources.writing.Generator`.
    """
    stride, every = POINTS // info.shape[0], round(info.dt / FRAME)

    def compute(first: int, last: int) -> NDArray[np.float32]:
        initial = np.stack([initial_state(seed, number) for number in range(first, last)])
        found = np.empty((last - first, info.frames, 1, *info.shape), dtype=np.float32)
        raw = islice(evolve(initial), 0, (info.frames - 1) * every + 1, every)
        for frame, field in enumerate(raw):
            found[:, frame, 0] = field[:, ::stride]
        return found

    return Fields(in_groups(compute, start, stop, info.family, GROUP))


def initial_state(seed: int, number: int, points: int = POINTS) -> Array:
    """u at the cell centres of a grid at t = 0, `(points,)`."""
    cosine, sine = DEVIATION * np.random.default_rng((seed, number)).standard_normal((2, WAVES, 1))
    x = np.asarray(cell_centres(points, points))
    angle = 2 * np.pi * np.arange(1, WAVES + 1)[:, None] * x
    field: Array = (cosine * np.cos(angle) + sine * np.sin(angle)).sum(axis=0)
    return field


def evolve(initial: Array, steps: int = STEPS) -> Iterator[Array]:
    """u at t = 0, 0.5, 1, ... without end, `(n, N)`.

    Args:
        initial: values at the points, `(n, N)`.
        steps: steps per raw frame.
    """
    modes, scheme = _solver(initial.shape[-1], steps)
    spectrum = modes.forward(initial)
    yield initial
    while True:
        spectrum = scheme.advance(spectrum, steps)
        yield modes.backward(spectrum)


@lru_cache(maxsize=4)
def _solver(points: int, steps: int) -> tuple[Modes, ETDRK4]:
    modes = Modes((points,), (LENGTH,))
    slope = -0.5j * modes.wavenumbers[0] * modes.kept

    def nonlinear(spectrum: Spectrum) -> Spectrum:
        field = modes.backward(spectrum * modes.kept)
        field *= field
        product: Spectrum = modes.forward(field)
        product *= slope
        return product

    return modes, ETDRK4(-modes.laplacian - modes.laplacian**2, nonlinear, FRAME / steps)
