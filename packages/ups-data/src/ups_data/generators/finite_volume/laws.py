"""Conservation laws: conserved and primitive variables, fluxes, wave speeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ups_data.generators.finite_volume.riemann import hll_shallow_water, hllc_gas

Array = NDArray[np.floating[Any]]


class Law(Protocol):
    """A hyperbolic conservation law.

    Its variables are channels of arrays `(n, C, *S)`: first a density, then the components of the momentum
    (conserved variables) or velocity (primitive variables).
    """

    def primitive(self, state: Array) -> Array:
        """Primitive variables of conserved ones, with positive density and pressure."""
        ...

    def conserved(self, primitive: Array) -> Array:
        """Conserved variables of primitive ones."""
        ...

    def flux(self, left: Array, right: Array, axis: int) -> Array:
        """Fluxes `(C, F, M)` across faces normal to `axis`, from primitive variables on both sides."""
        ...

    def rates(self, primitive: Array, spacing: Sequence[float]) -> NDArray[np.float64]:
        """Cells that waves cross in a unit of time, summed over axes: maximum of each trajectory, `(n,)`."""
        ...

    def troubled(self, state: Array) -> NDArray[np.bool_]:
        """Which cells have no positive density or pressure, `(n, *S)`."""
        ...


@dataclass(frozen=True)
class ShallowWater:
    """h_t + div(hv) = 0, (hv)_t + div(h v v) + grad(g h² / 2) = 0.

    Attributes:
        gravity: g.
    """

    gravity: float = 1.0

    def primitive(self, state: Array) -> Array:
        """h, v."""
        made = np.empty_like(state)
        np.maximum(state[:, 0], np.finfo(state.dtype).tiny ** 0.25, out=made[:, 0])
        np.divide(state[:, 1:], made[:, :1], out=made[:, 1:])
        return made

    def conserved(self, primitive: Array) -> Array:
        """h, hv."""
        made = primitive.copy()
        made[:, 1:] *= primitive[:, :1]
        return made

    def flux(self, left: Array, right: Array, axis: int) -> Array:
        """See :class:`Law`."""
        return hll_shallow_water(left, right, 1 + axis, self.gravity)

    def rates(self, primitive: Array, spacing: Sequence[float]) -> NDArray[np.float64]:
        """See :class:`Law`."""
        wave = np.sqrt(self.gravity * primitive[:, 0])
        return _rates(primitive, wave, spacing)

    def troubled(self, state: Array) -> NDArray[np.bool_]:
        """See :class:`Law`."""
        return ~(state[:, 0] > 0)


@dataclass(frozen=True)
class Gas:
    """rho_t + div(rho v) = 0, (rho v)_t + div(rho v v) + grad p = 0, E_t + div((E + p) v) = 0.

    Attributes:
        gamma: ratio of specific heats, E = p / (gamma - 1) + rho v² / 2.
    """

    gamma: float = 5 / 3

    def primitive(self, state: Array) -> Array:
        """rho, v, p."""
        made = np.empty_like(state)
        np.maximum(state[:, 0], np.finfo(state.dtype).tiny ** 0.25, out=made[:, 0])
        np.divide(state[:, 1:-1], made[:, :1], out=made[:, 1:-1])
        self._pressure(state, made[:, 1:-1], out=made[:, -1])
        np.maximum(made[:, -1], np.finfo(state.dtype).tiny ** 0.25, out=made[:, -1])
        return made

    def conserved(self, primitive: Array) -> Array:
        """rho, rho v, E."""
        made = primitive.copy()
        made[:, 1:-1] *= primitive[:, :1]
        kinetic = 0.5 * (made[:, 1:-1] * primitive[:, 1:-1]).sum(axis=1)
        made[:, -1] = primitive[:, -1] / primitive.dtype.type(self.gamma - 1) + kinetic
        return made

    def flux(self, left: Array, right: Array, axis: int) -> Array:
        """See :class:`Law`."""
        return hllc_gas(left, right, 1 + axis, self.gamma)

    def rates(self, primitive: Array, spacing: Sequence[float]) -> NDArray[np.float64]:
        """See :class:`Law`."""
        sound = np.sqrt(primitive.dtype.type(self.gamma) * primitive[:, -1] / primitive[:, 0])
        return _rates(primitive, sound, spacing)

    def troubled(self, state: Array) -> NDArray[np.bool_]:
        """See :class:`Law`."""
        density = state[:, 0]
        positive = density > 0
        safe = np.where(positive, density, 1)
        pressure = self._pressure(state, state[:, 1:-1] / safe[:, None], out=safe)
        return ~(positive & (pressure > 0))

    def _pressure(self, state: Array, velocity: Array, out: Array) -> Array:
        kinetic = state[:, 1] * velocity[:, 0]
        for component in range(1, velocity.shape[1]):
            kinetic += state[:, 1 + component] * velocity[:, component]
        kinetic *= state.dtype.type(0.5)
        np.subtract(state[:, -1], kinetic, out=out)
        out *= state.dtype.type(self.gamma - 1)
        return out


def _rates(primitive: Array, wave: Array, spacing: Sequence[float]) -> NDArray[np.float64]:
    total = np.zeros_like(wave)
    for axis, width in enumerate(spacing):
        total += (np.abs(primitive[:, 1 + axis]) + wave) / wave.dtype.type(width)
    most: NDArray[np.float64] = total.reshape(len(total), -1).max(axis=1).astype(np.float64)
    return most
