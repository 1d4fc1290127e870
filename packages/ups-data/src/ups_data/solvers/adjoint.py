"""Solutions of a steady equation as differentiable functions of its coefficient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ups_data.info import TaskInfo
from ups_data.solvers.base import Given, IterativeSolver

ITERATIONS = 16
"""Iterations of a solve: the error of multigrid falls below 1e-8 for contrasts of ten."""


def solution(solver: IterativeSolver, given: Given, info: TaskInfo, start: Tensor | None = None) -> Tensor:
    """The solution `(B, 1, C, *S)`, with the exact gradient of the discrete equation to `given.static`.

    The adjoint of a symmetric A is A itself: for a loss L(u), dL/da = -p (dA/da) u with A p = dL/du.

    Args:
        solver: of the equation; its residual must be differentiable in the coefficient.
        given: the problem.
        info: the grid.
        start: an approximation to start from; default: zero.
    """
    found: Tensor = _Solution.apply(given.static, solver, given, info, start)  # type: ignore[no-untyped-call]
    return found


class _Solution(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        static: Tensor,
        solver: IterativeSolver,
        given: Given,
        info: TaskInfo,
        start: Tensor | None,
    ) -> Tensor:
        own = given._replace(static=static)
        if start is None:
            start = static.new_zeros(len(static), 1, len(info.target_channels), *info.shape)
        found = solver.refine(start, own, info, ITERATIONS)
        context.save_for_backward(static, found)
        context.problem = solver, given, info
        return found

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Any:
        static, found = context.saved_tensors
        solver, given, info = context.problem
        own = given._replace(static=static)
        adjoint = solver.iterate(slope, torch.zeros_like(slope), own, info, ITERATIONS)
        with torch.enable_grad():
            coefficient = static.detach().requires_grad_()
            rest, _ = solver.residual(found, own._replace(static=coefficient), info)
            (gradient,) = torch.autograd.grad((adjoint * rest).sum(), coefficient)
        return -gradient, None, None, None, None
