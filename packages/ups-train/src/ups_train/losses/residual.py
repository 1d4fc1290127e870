"""The loss `residual`: how far predicted fields are from solving the equation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_data.solvers.base import Given, IterativeSolver
from ups_eval.physics_metrics import Problem
from ups_train.losses.physics import PhysicsLoss
from ups_train.losses.relative_norm import relative_norm

if TYPE_CHECKING:
    from ups_train.losses.config import ResidualLossConfig


class ResidualLoss(PhysicsLoss):
    """Mean over samples, frames and channels of |residual| / |scale|, or of the estimated relative error.

    Residual and scale are those of :meth:`ups_data.solvers.base.ClassicalSolver.residual`. As such a residual
    weighs an error of wavelength l by 1/l², so that a gradient sees the finest waves alone;
    :meth:`ups_data.solvers.base.IterativeSolver.error` undoes that by a multigrid cycle.
    """

    config: ResidualLossConfig

    @property
    def needs(self) -> str:  # type: ignore[override]
        """See :class:`PhysicsLoss`."""
        return "a differentiable solver" + (" that iterates" if self.config.norm == "error" else "")

    def defined(self, problem: Problem) -> bool:
        """Where the task has a solver whose residual is differentiable."""
        if problem.solver is None or not problem.solver.differentiable:
            return False
        return self.config.norm != "error" or isinstance(problem.solver, IterativeSolver)

    def __call__(self, fields: Tensor, batch: FieldBatch, problem: Problem) -> Tensor:
        """See :class:`PhysicsLoss`."""
        solver = problem.solver
        assert solver is not None
        given = Given.of(batch, fields.dtype)
        if isinstance(solver, IterativeSolver) and self.config.norm != "residual":
            found, scale = solver.error(fields, given, problem.info), fields.detach()
        else:
            found, scale = solver.residual(fields, given, problem.info)
        squares, sizes = (part.flatten(3).square().mean(dim=3) for part in (found, scale.detach()))
        return relative_norm(squares, sizes)
