"""Viscosity of PDEBench's form, by super-time-stepping.

The kinematic viscosities are constant: s_ij = rho (eta d_j v_i + (zeta + eta / 3) delta_ij div v), momentum
changes by div s and energy by div(v s) (Takamoto et al., arXiv 2210.07182). The differences on faces are of
second order.

RKL2: C. D. Meyer, D. S. Balsara, T. D. Aslam, "A stabilized Runge-Kutta-Legendre method for explicit
super-time-stepping of parabolic and mixed equations", J. Comput. Phys. 257 (2014) 594,
doi:10.1016/j.jcp.2013.08.021. A step of s stages is stable up to (s² + s - 2) / 4 explicit steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ups_data.generators.finite_volume.boundaries import Ends, padded
from ups_data.generators.finite_volume.lines import along

Array = NDArray[np.floating[Any]]

SAFETY = 1.05
"""Factor on the estimated largest eigenvalue."""
FEWEST = 3
"""Stages; their number is odd, as its authors advise."""


@dataclass(frozen=True)
class Viscosity:
    """Kinematic viscosities.

    Attributes:
        eta: shear viscosity.
        zeta: bulk viscosity.
        spacing: width of a cell along each axis.
        ends: of the domain.
    """

    eta: float
    zeta: float
    spacing: tuple[float, ...]
    ends: Ends

    def advance(self, state: Array, step: NDArray[np.float64]) -> Array:
        """Momentum and energy after `step` `(n,)` of viscosity alone.

        Args:
            state: density, momentum and energy, `(n, C, *S)`.
            step: of each trajectory; 0 leaves it as it is.
        """
        faces = [self._on_faces(state[:, :1], axis) for axis in range(len(self.spacing))]
        stages = _stages(step * self._largest_eigenvalue(state[:, 0], faces))
        made = state.copy()
        for count in np.unique(stages):
            rows = np.flatnonzero(stages == count)
            if len(rows) == len(state):
                made[:, 1:] = self._legendre(state, faces, step, int(count))
            else:
                some = [face[:, :, rows] for face in faces]
                made[rows, 1:] = self._legendre(state[rows], some, step[rows], int(count))
        return made

    def _legendre(
        self, state: Array, faces: Sequence[Array], step: NDArray[np.float64], stages: int
    ) -> Array:
        """Momentum and energy after RKL2 with `stages` stages."""
        size = step.astype(state.dtype).reshape(-1, *[1] * (state.ndim - 1))
        volume = 1 / state[:, :1]
        width = 4 / (stages**2 + stages - 2)
        weights = [1 / 3, 1 / 3, *((j * j + j - 2) / (2 * j * (j + 1)) for j in range(2, stages + 1))]
        start = state[:, 1:]
        first = self._change(start, volume, faces)
        first *= size
        before, last = start, start + (weights[1] * width) * first
        for j in range(2, stages + 1):
            mu = (2 * j - 1) / j * weights[j] / weights[j - 1]
            nu = -(j - 1) / j * weights[j] / weights[j - 2]
            made = self._change(last, volume, faces)
            made *= size
            made -= (1 - weights[j - 1]) * first
            made *= mu * width
            made += mu * last
            made += nu * before
            made += (1 - mu - nu) * start
            before, last = last, made
        return last

    def _change(self, flow: Array, volume: Array, faces: Sequence[Array]) -> Array:
        """Rate of change of momentum and energy, `flow` `(n, d + 1, *S)`, with `volume` = 1 / rho."""
        dim = len(self.spacing)
        velocity = flow[:, :dim] * volume
        change = np.zeros_like(flow)
        slopes = [self._slope(velocity[:, axis : axis + 1], axis) for axis in range(dim)] if dim > 1 else []
        for axis, width in enumerate(self.spacing):
            wide = padded(along(velocity, axis), self.ends, 1)
            stress = wide[:, 1:] - wide[:, :-1]
            stress *= 1 / width
            divergence = stress[axis].copy()
            across = [slope for other, slope in enumerate(slopes) if other != axis]
            if across:
                divergence += self._on_faces(sum(across[1:], start=across[0]), axis)[0]
            stress *= self.eta
            stress[axis] += (self.zeta + self.eta / 3) * divergence
            stress *= faces[axis]
            work = 0.5 * (stress * (wide[:, 1:] + wide[:, :-1])).sum(axis=0)
            view = along(change, axis)
            view[:dim] += (stress[:, 1:] - stress[:, :-1]) / width
            view[dim] += (work[1:] - work[:-1]) / width
        return change

    def _slope(self, field: Array, axis: int) -> Array:
        """Central difference of `(n, 1, *S)` along an axis."""
        wide = padded(along(field, axis), self.ends, 1)
        slope = np.empty_like(field)
        along(slope, axis)[...] = (wide[:, 2:] - wide[:, :-2]) * (0.5 / self.spacing[axis])
        return slope

    def _on_faces(self, field: Array, axis: int) -> Array:
        """Means of neighbours along an axis, `(1, N + 1, n, *rest)`."""
        wide = padded(along(field, axis), self.ends, 1)
        return 0.5 * (wide[:, 1:] + wide[:, :-1])

    def _largest_eigenvalue(self, density: Array, faces: Sequence[Array]) -> NDArray[np.float64]:
        """Bound of the operator's eigenvalues for each trajectory, `(n,)`."""
        total, most = np.zeros_like(density), np.zeros_like(density)
        for axis, (width, face) in enumerate(zip(self.spacing, faces, strict=True)):
            rows = np.moveaxis((face[0, 1:] + face[0, :-1]), 0, 1 + axis) * (2 / width**2) / density
            total += rows
            np.maximum(most, rows, out=most)
        bound = self.eta * total + (self.zeta + self.eta / 3) * most
        largest: NDArray[np.float64] = bound.reshape(len(bound), -1).max(axis=1).astype(np.float64)
        return SAFETY * largest


def _stages(extent: NDArray[np.float64]) -> NDArray[np.int64]:
    """Odd numbers of stages for steps times the largest eigenvalue: (s² + s - 2) / 2 must not be less."""
    least = np.ceil((np.sqrt(9 + 8 * extent) - 1) / 2).astype(np.int64)
    odd: NDArray[np.int64] = np.maximum(FEWEST, least + 1 - least % 2)
    return odd
