"""Forced incompressible Navier-Stokes flow on the unit torus in its vorticity w: w_t + (v · ∇) w = ν ∇²w + f.

The problem is that of Li et al. ("Fourier neural operator for parametric partial differential equations",
arXiv 2010.08895): f = 0.1 (sin 2π(x + y) + cos 2π(x + y)), and a Gaussian random initial vorticity with the
covariance operator 7^{3/2} (-∇² + 49)^{-2.5}, without its mean, which is zero for a periodic velocity.

With w = ∂v/∂x - ∂u/∂y, stream function -∇²ψ = w and velocity (ψ_y, -ψ_x), the transport is
(∂_xx - ∂_yy) uv - ∂_xy (u² - v²), which needs two transforms each way. The scheme is that of
:mod:`ups_data.generators.spectral`, on a grid that contains the native points and is finer at small ν.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ups_data.generators.spectral import ETDRK4, Modes, Spectrum
from ups_data.generators.spectral_limits import points_of_vorticity
from ups_data.generators.trajectories import in_groups
from ups_data.info import TaskInfo
from ups_data.stores.base import Fields

Array = NDArray[np.float64]

POINTS = 64
"""Native cells along each axis."""
FRAME = 1.0
"""Time between raw frames."""
NATIVE = Modes((POINTS, POINTS), (1.0, 1.0))
FORCE = 0.1
SCALE, INVERSE_LENGTH, EXPONENT = 7.0**1.5, 7.0, 2.5
"""Of the covariance of the initial vorticity."""
COURANT = 2.0
"""Largest product of speed, wave number and step; the scheme is stable up to 2.8."""
LEAST = 16
"""Steps of a raw frame, at least."""


def generate(info: TaskInfo, parameters: Mapping[str, float], seed: int, start: int, stop: int) -> Fields:
    """Trajectories start..stop-1 at viscosity `nu`.

    A :class:`ups_data.sources.writing.Generator`.
    """
    stride, every = POINTS // info.shape[0], round(info.dt / FRAME)
    points = points_of_vorticity(parameters["nu"])

    def compute(first: int, last: int) -> NDArray[np.float32]:
        initial = NATIVE.resized(initial_spectrum(seed, first), (points, points))
        raw = islice(evolve(initial, parameters["nu"]), 0, (info.frames - 1) * every + 1, every)
        apart = stride * points // POINTS
        return np.stack([field[::apart, ::apart].astype(np.float32) for field in raw])[None, :, None]

    return Fields(in_groups(compute, start, stop, info.family))


def initial_spectrum(seed: int, number: int) -> Spectrum:
    """Spectrum of the initial vorticity on the native points, `(POINTS, POINTS / 2 + 1)`.

    White noise at the points has the same variance in every wave; so it is scaled wave by wave.
    """
    noise = NATIVE.forward(np.random.default_rng((seed, number)).standard_normal((POINTS, POINTS)))
    variance = SCALE * (INVERSE_LENGTH**2 - NATIVE.laplacian) ** -EXPONENT
    variance[0, 0] = 0.0
    # Without the highest waves, of which a grid has one phase only.
    return NATIVE.resized(POINTS * np.sqrt(variance) * noise, (POINTS, POINTS))


def evolve(spectrum: Spectrum, nu: float, force: float = FORCE, refine: int = 1) -> Iterator[Array]:
    """w at t = 0, 1, 2, ... without end, `(N, N)`.

    Args:
        spectrum: of the initial vorticity on N² points, which begin at the first native cell centre.
        nu: viscosity.
        force: amplitude of f.
        refine: times as many steps, for studies of the error.
    """
    points = len(spectrum)
    modes = Modes((points, points), (1.0, 1.0))
    while True:
        yield modes.backward(spectrum)
        steps = refine * _steps(modes, spectrum)
        spectrum = _solver(points, nu, FRAME / steps, force).advance(spectrum, steps)


def _steps(modes: Modes, spectrum: Spectrum) -> int:
    """Steps of a raw frame: a power of two, such that the fastest flow stays below the Courant number.

    The force accelerates the flow by 0.03 during a frame; vortices that merge, by less than a half.
    """
    u, v = (modes.backward(to * spectrum) for to in _to_velocity(len(spectrum)))
    speed = 1.5 * float(np.sqrt((u**2 + v**2).max())) + FORCE
    largest = 2 * np.pi * len(spectrum) / 3
    return max(LEAST, 1 << int(np.ceil(np.log2(speed * largest * FRAME / COURANT))))


@lru_cache(maxsize=2)
def _to_velocity(points: int) -> tuple[Spectrum, Spectrum]:
    """Factors from vorticity to u and v."""
    modes = Modes((points, points), (1.0, 1.0))
    kx, ky = modes.wavenumbers
    inverse = -modes.kept / np.where(modes.laplacian == 0, 1.0, modes.laplacian)
    return (1j * ky * inverse).astype(np.complex128), (-1j * kx * inverse).astype(np.complex128)


@lru_cache(maxsize=8)
def _solver(points: int, nu: float, step: float, force: float) -> ETDRK4:
    modes = Modes((points, points), (1.0, 1.0))
    kx, ky = modes.wavenumbers
    to_u, to_v = _to_velocity(points)
    of_product, of_difference = (kx**2 - ky**2) * modes.kept, kx * ky * modes.kept
    x = 0.5 / POINTS + np.arange(points) / points
    angle = 2 * np.pi * (x[:, None] + x)
    forcing = modes.forward(force * (np.sin(angle) + np.cos(angle)))

    def nonlinear(spectrum: Spectrum) -> Spectrum:
        u, v = modes.backward(to_u * spectrum), modes.backward(to_v * spectrum)
        change = modes.forward(u * v)
        change *= of_product
        u *= u
        v *= v
        u -= v
        change -= of_difference * modes.forward(u)
        change += forcing
        return change

    return ETDRK4(nu * modes.laplacian, nonlinear, step)
