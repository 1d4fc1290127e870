"""Darcy flow: the finite volumes of :mod:`ups_data.generators.darcy`, on the given points."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ups_data.generators.darcy import POINTS, Walls, solve_darcy
from ups_data.info import TaskInfo
from ups_data.solvers.base import Given, IterativeSolver
from ups_data.solvers.five_point import FivePoint, Multigrid


class SparseDirect(IterativeSolver):
    """Sparse factorisation of the five-point scheme, multigrid to refine.

    PDEBench's problem: the source is the parameter β, and u = 0 half a native cell outside the domain.
    """

    name = "sparse direct solve"
    differentiable = True
    outside: ClassVar[float] = 0.5 / POINTS
    """Distance of the boundary from the domain, relative to its length."""

    def source(self, given: Given) -> Tensor:
        """The constant source of every sample `(B,)`."""
        return given.params[:, 0]

    def solve(self, given: Given, info: TaskInfo, frames: int) -> Tensor:
        """See :class:`~ups_data.solvers.base.ClassicalSolver`."""
        spacing, walls = self._grid(info)
        media, sources = given.static[:, 0].double().cpu().numpy(), self.source(given).tolist()
        solutions = [
            solve_darcy(medium, source, spacing, walls) for medium, source in zip(media, sources, strict=True)
        ]
        return torch.from_numpy(np.stack(solutions)[:, None, None]).to(given.static)

    def residual(self, fields: Tensor, given: Given, info: TaskInfo) -> tuple[Tensor, Tensor]:
        """What is left of -∇·(a∇u) = β on the given points, and β.

        A coefficient that jumps between points is not resolved by the scheme on a coarser grid than that of
        the data's solver, so the true solution has a residual too.
        """
        load = self._load(given, fields)
        rest = self._scheme(given, info)(fields[:, 0, 0])[:, None, None] - load
        return rest, load.expand_as(fields)

    def iterate(self, load: Tensor, start: Tensor, given: Given, info: TaskInfo, iterations: int) -> Tensor:
        """See :class:`~ups_data.solvers.base.IterativeSolver`."""
        multigrid = Multigrid(self._scheme(given, info))
        return multigrid.solve(load[:, 0, 0], start[:, 0, 0], iterations)[:, None, None]

    def error(self, fields: Tensor, given: Given, info: TaskInfo) -> Tensor:
        """See :class:`~ups_data.solvers.base.IterativeSolver`."""
        rest, _ = self.residual(fields, given, info)
        return Multigrid(self._scheme(given, info))(rest[:, 0, 0])[:, None, None]

    def _scheme(self, given: Given, info: TaskInfo) -> FivePoint:
        return FivePoint(given.static[:, 0], *self._grid(info))

    def _grid(self, info: TaskInfo) -> tuple[tuple[float, float], Walls]:
        """Spacing of the points, and their walls: a grid may have every so many points of the data's."""
        spacings, walls = [], []
        for (low, high), points in zip(info.domain, info.axes, strict=True):
            spacing = points[1] - points[0] if len(points) > 1 else high - low
            beyond = self.outside * (high - low)
            spacings.append(spacing)
            walls.append(((points[0] - low + beyond) / spacing, (high + beyond - points[-1]) / spacing))
        return (spacings[0], spacings[1]), (walls[0], walls[1])

    def _load(self, given: Given, fields: Tensor) -> Tensor:
        return self.source(given).reshape(-1, *[1] * (fields.dim() - 1)).to(fields)


class UnitSource(SparseDirect):
    """The problem of `darcy_grf`: the source is 1, and u = 0 on the faces of the outermost cells."""

    outside = 0.0

    def source(self, given: Given) -> Tensor:
        """See :class:`SparseDirect`."""
        return torch.ones_like(given.static[:, 0, 0, 0])
