"""Darcy flow: the finite volumes of :mod:`ups_data.generators.darcy`, on the given points."""

from __future__ import annotations

import numpy as np

from ups_data.generators.darcy import darcy_matrix, solve_darcy
from ups_data.info import TaskInfo
from ups_data.solvers.base import Array, ClassicalSolver, Given


class SparseDirect(ClassicalSolver):
    """Sparse factorisation of the five-point scheme."""

    name = "sparse direct solve"

    def solve(self, given: Given, info: TaskInfo, frames: int) -> Array:
        """See :class:`ClassicalSolver`."""
        spacing = _spacing(info)
        solutions = [
            solve_darcy(medium, float(beta), spacing)
            for medium, beta in zip(given.static[:, 0], given.params[:, 0], strict=True)
        ]
        return np.stack(solutions)[:, None, None]

    def residual(self, fields: Array, given: Given, info: TaskInfo) -> tuple[Array, Array]:
        """What is left of -∇·(a∇u) = β on the given points, and β.

        A coefficient that jumps between points is not resolved by the scheme on a coarser grid than that of
        the data's solver, so the true solution has a residual too.
        """
        spacing = _spacing(info)
        beta = given.params[:, :1].reshape(-1, *[1] * (fields.ndim - 1))
        found = np.empty_like(fields)
        for row, medium in enumerate(given.static[:, 0]):
            found[row] = (darcy_matrix(medium, spacing) @ fields[row].ravel()).reshape(fields[row].shape)
        return found - beta, np.broadcast_to(beta, fields.shape)


def _spacing(info: TaskInfo) -> tuple[float, float]:
    """Of the points as equal cells of the domain."""
    first, second = ((high - low) / cells for (low, high), cells in zip(info.domain, info.shape, strict=True))
    return first, second
