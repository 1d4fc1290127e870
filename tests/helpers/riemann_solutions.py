"""Exact solutions of Riemann problems, and a fine one-dimensional solution of the radial dam break."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ups_data.generators.finite_volume.reconstruction import face_values
from ups_data.generators.finite_volume.riemann import hll_shallow_water

Array = NDArray[np.float64]
Sides = tuple[tuple[float, float, float], tuple[float, float, float]]


def gas(sides: Sides, gamma: float, slope: Array) -> Array:
    """Density, velocity and pressure `(3, X)` at x / t = `slope`, after E. F. Toro's book, chapter 4.

    Args:
        sides: density, velocity and pressure on the left and on the right.
    """
    (density_l, speed_l, pressure_l), (density_r, speed_r, pressure_r) = sides

    def change(p: float, density: float, pressure: float) -> float:
        """Change of the velocity across the wave that leads from `pressure` to p."""
        if p > pressure:
            mass = (p + (gamma - 1) / (gamma + 1) * pressure) * (gamma + 1) / 2 * density
            return float((p - pressure) / np.sqrt(mass))
        sound = np.sqrt(gamma * pressure / density)
        return float(2 * sound / (gamma - 1) * ((p / pressure) ** ((gamma - 1) / (2 * gamma)) - 1))

    def closes(p: float) -> float:
        return change(p, density_l, pressure_l) + change(p, density_r, pressure_r) + speed_r - speed_l

    star = brentq(closes, 1e-12 * min(pressure_l, pressure_r), 1e3 * max(pressure_l, pressure_r), xtol=1e-14)
    middle = (
        speed_l + speed_r + change(star, density_r, pressure_r) - change(star, density_l, pressure_l)
    ) / 2
    left = _wave(density_l, speed_l, pressure_l, star, middle, gamma, slope)
    right = _wave(density_r, -speed_r, pressure_r, star, -middle, gamma, -slope)
    right[1] *= -1
    return np.where(slope < middle, left, right)


def _wave(
    density: float, speed: float, pressure: float, star: float, middle: float, gamma: float, slope: Array
) -> Array:
    """The left wave, its undisturbed state, and the star state on its right."""
    sound = np.sqrt(gamma * pressure / density)
    ratio = (gamma - 1) / (gamma + 1)
    before = np.array([density, speed, pressure])[:, None]
    if star > pressure:
        front = speed - sound * np.sqrt(((gamma + 1) * star / pressure + gamma - 1) / (2 * gamma))
        dense = density * (star / pressure + ratio) / (ratio * star / pressure + 1)
        return np.where(slope < front, before, np.array([dense, middle, star])[:, None])
    behind = np.array([density * (star / pressure) ** (1 / gamma), middle, star])[:, None]
    tail = middle - sound * (star / pressure) ** ((gamma - 1) / (2 * gamma))
    inner = np.clip(slope, speed - sound, tail)
    local = 2 / (gamma + 1) * (sound + (gamma - 1) / 2 * (speed - inner))
    fan = np.stack(
        [
            density * (local / sound) ** (2 / (gamma - 1)),
            inner + local,
            pressure * (local / sound) ** (2 * gamma / (gamma - 1)),
        ]
    )
    return np.where(slope < speed - sound, before, np.where(slope > tail, behind, fan))


def dam(high: float, low: float, slope: Array) -> Array:
    """Height and velocity `(2, X)` at x / t = `slope` of still water, g = 1 (J. J. Stoker, "Water waves")."""
    wave = np.sqrt(high)

    def closes(h: float) -> float:
        return 2 * (wave - np.sqrt(h)) - (h - low) * np.sqrt((h + low) / (2 * h * low))

    middle = brentq(closes, low, high, xtol=1e-14)
    speed = 2 * (wave - np.sqrt(middle))
    front = middle * speed / (middle - low)
    fan = (2 * wave - slope) / 3
    height = np.select(
        [slope < -wave, slope < speed - np.sqrt(middle), slope < front], [high, fan**2, middle], low
    )
    velocity = np.select(
        [slope < -wave, slope < speed - np.sqrt(middle), slope < front],
        [0.0, 2 * (wave + slope) / 3, speed],
        0.0,
    )
    return np.stack([height, velocity])


def radial_dam(radius: float, time: float, reach: float, cells: int = 4096) -> Callable[[Array], Array]:
    """Height as a function of the distance from the centre: (r h)_t + (r h u)_r = 0, (r h u)_t + (r (h u² +
    h² / 2))_r = h² / 2, water 2 high within `radius` and 1 outside, g = 1."""
    edges = np.linspace(0, reach, cells + 1)
    volume = np.diff(edges**2)[:, None] / 2
    state = np.ones((2, cells, 1))
    state[0] += np.clip((radius**2 - edges[:-1] ** 2) / np.diff(edges**2), 0, 1)[:, None]
    state[1] = 0

    def change(state: Array) -> Array:
        primitive = np.stack([state[0], state[1] / state[0]])
        mirrored = primitive[:, 1::-1] * np.array([1, -1])[:, None, None]
        wide = np.concatenate([mirrored, primitive, primitive[:, -1:], primitive[:, -1:]], axis=1)
        left, right = face_values(wide)
        flux = edges[:, None] * hll_shallow_water(left, right, 1, 1.0)
        rate: Array = -np.diff(flux, axis=1) / volume
        rate[1] += primitive[0] ** 2 / 2 * np.diff(edges)[:, None] / volume
        return rate

    elapsed = 0.0
    while elapsed < time:
        fastest = (np.abs(state[1] / state[0]) + np.sqrt(state[0])).max()
        step = min(0.5 * reach / cells / fastest, time - elapsed)
        first = state + step * change(state)
        state = (state + first + step * change(first)) / 2
        elapsed += step
    centres = (edges[1:] + edges[:-1]) / 2
    return lambda distance: np.interp(distance, centres, state[0, :, 0])
