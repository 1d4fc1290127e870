"""Initial states of compressible flow after PDEBench: random waves, shock tubes, random fields, turbulence.

M. Takamoto et al., "PDEBench: An Extensive Benchmark for Scientific Machine Learning", arXiv 2210.07182.

Every trajectory has its own generator of random numbers, from which a function draws the same numbers in the
same order whatever its arguments: a state is the same on every grid and for every viscosity, and scales with
the Mach number. The functions return primitive variables (density, velocity, pressure) at cell centres,
`(2 + d, *S)`.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GAMMA = 5 / 3
"""Ratio of specific heats."""
WAVES = 3
"""Waves of a 1-D profile."""
WINDOW = 0.01
"""Width of the edges of a window, of a unit length."""
LARGEST = 4
"""Largest wave number along an axis."""


class States(Protocol):
    """Draws the initial state of one trajectory."""

    def __call__(self, random: np.random.Generator, shape: tuple[int, ...], mach: float) -> Array:
        """A state on cells of `shape`; `mach` matters to fields in two and three dimensions only."""
        ...


def random_waves(random: np.random.Generator, shape: tuple[int, ...], mach: float) -> Array:
    """Profiles of three waves on a line, half of them within a window.

    Density and pressure rise along a profile between two values, log-uniform in (1, 10) and (10, 100).
    """
    (place,) = centres(shape)
    density, velocity, pressure = (_profile(random, place) for _ in range(3))
    level = 10 ** random.random((2, 2)) * np.array([[1.0], [10.0]])
    inside = _window(random, shape)
    return np.stack(
        [
            level[0, 0] + (level[0, 1] - level[0, 0]) * _scaled(density) * inside,
            velocity * inside,
            level[1, 0] + (level[1, 1] - level[1, 0]) * _scaled(pressure) * inside,
        ]
    )


def shock_tube(random: np.random.Generator, shape: tuple[int, ...], mach: float) -> Array:
    """Two constant states side by side, the border between 1/4 and 3/4 of the line.

    Density and pressure are log-uniform in (1, 10) and (10, 100), the velocity is uniform in (-2, 2). The
    cell with the border has the averages of mass, momentum and energy.
    """
    border = 0.25 + 0.5 * random.random()
    density, pressure = 10 ** random.random((2, 2)) * np.array([[1.0], [10.0]])
    velocity = 4 * random.random(2) - 2
    (cells,) = shape
    left = np.clip(border * cells - np.arange(cells), 0, 1)
    share = np.stack([left, 1 - left])
    mass, momentum = density @ share, (density * velocity) @ share
    energy = (pressure / (GAMMA - 1) + density * velocity**2 / 2) @ share
    return np.stack([mass, momentum / mass, (GAMMA - 1) * (energy - momentum**2 / mass / 2)])


def random_fields(random: np.random.Generator, shape: tuple[int, ...], mach: float) -> Array:
    """Random Fourier fields around a uniform gas, half of them within a window.

    Density and temperature (p / rho) of the gas are uniform in (0.1, 10); the fields change density and
    pressure by at most a factor of 1 ± delta, delta uniform in (0.01, 0.2). The mean speed, without the
    window, is `mach` times the sound speed of the gas.
    """
    fields = _fourier(random, shape, len(shape) + 2)
    density, temperature = 0.1 + 9.9 * random.random(2)
    delta = 0.01 + 0.19 * random.random(2)
    inside = _window(random, shape)
    velocity = _with_mean_speed(fields[2:], mach * math.sqrt(GAMMA * temperature))
    relative = [
        1 + size * field / np.abs(field).max() * inside for size, field in zip(delta, fields[:2], strict=True)
    ]
    return np.stack([density * relative[0], *(velocity * inside), density * temperature * relative[1]])


def turbulence(random: np.random.Generator, shape: tuple[int, ...], mach: float) -> Array:
    """Divergence-free velocities of mean magnitude 1; the gas has density 1 and sound speed 1 / `mach`."""
    velocity = _with_mean_speed(_fourier(random, shape, len(shape), solenoidal=True), 1.0)
    uniform = np.ones((1, *shape))
    return np.concatenate([uniform, velocity, uniform / (GAMMA * mach**2)])


def centres(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Cell centres of the unit interval along every axis."""
    return tuple((np.arange(cells) + 0.5) / cells for cells in shape)


def _profile(random: np.random.Generator, place: Array) -> Array:
    """Sum of waves `(X,)`; two of the three are drawn, with replacement, and the others are constants."""
    draws = random.random(4 + 2 * WAVES)
    chosen = 1 + (WAVES * draws[:2]).astype(int)
    amplitude, phase = draws[4 : 4 + WAVES], 2 * np.pi * draws[4 + WAVES :]
    total = np.zeros_like(place)
    for wave in range(1, WAVES + 1):
        frequency = wave * int((chosen == wave).sum())
        total += amplitude[wave - 1] * np.sin(2 * np.pi * frequency * place + phase[wave - 1])
    if draws[2] < 0.1:
        total = np.abs(total)
    return total if draws[3] < 0.5 else -total


def _scaled(profile: Array) -> Array:
    """The profile from 0 to 1."""
    low, high = profile.min(), profile.max()
    scaled: Array = (profile - low) / max(high - low, np.finfo(float).tiny)
    return scaled


def _window(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """1 inside a box and 0 outside of it with probability 1/2, else 1 everywhere; broadcasts to `shape`."""
    draws = random.random(1 + 2 * len(shape))
    window = np.ones([1] * len(shape))
    if draws[0] < 0.5:
        for axis, place in enumerate(centres(shape)):
            left, right = 0.1 + 0.35 * draws[1 + 2 * axis], 0.55 + 0.35 * draws[2 + 2 * axis]
            inside = 0.5 * (np.tanh((place - left) / WINDOW) - np.tanh((place - right) / WINDOW))
            window = window * inside.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    return window


def _fourier(
    random: np.random.Generator, shape: tuple[int, ...], count: int, solenoidal: bool = False
) -> Array:
    """Random fields `(count, *shape)` with wave numbers up to 4 along each axis, amplitudes as |k|^-1/2."""
    dim = len(shape)
    waves = np.array(list(product(range(-LARGEST, LARGEST + 1), repeat=dim)))
    size = np.sqrt((waves**2).sum(axis=1))
    draws = random.standard_normal((count, len(waves), 2))
    amplitude = (draws[..., 0] + 1j * draws[..., 1]) / np.sqrt(np.where(size > 0, size, np.inf))
    if solenoidal:
        along = (waves.T * amplitude).sum(axis=0) / np.where(size > 0, size, 1) ** 2
        amplitude -= waves.T * along
    # Shifted by half a cell: the first point is a cell centre.
    amplitude = amplitude * np.exp(1j * np.pi * (waves / shape).sum(axis=1))
    spectrum = np.zeros((count, *shape), dtype=complex)
    spectrum[:, *(waves % shape).T] = amplitude
    fields: Array = np.fft.ifftn(spectrum, axes=range(1, 1 + dim)).real * np.prod(shape)
    return fields


def _with_mean_speed(velocity: Array, speed: float) -> Array:
    """The velocities `(d, *S)`, scaled to a mean magnitude of `speed`."""
    scaled: Array = velocity * (speed / np.sqrt((velocity**2).sum(axis=0)).mean())
    return scaled
