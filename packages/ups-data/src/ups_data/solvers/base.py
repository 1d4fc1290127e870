"""The contract of a classical solver: the equation of a task, solved on any grid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo

RIDGE = 1e-9
"""Added to the inner products of candidates' errors, relative to their sum of squares."""


class Given(NamedTuple):
    """What a solver starts from, for B samples.

    Attributes:
        state: the newest given frame `(B, C, *S)`; C is 0 when steady.
        static: given fields `(B, Cs, *S)`.
        params: `(B, P)`, in the order of the task's parameters.
    """

    state: Tensor
    static: Tensor
    params: Tensor

    @classmethod
    def of(cls, batch: FieldBatch, dtype: torch.dtype = torch.float64) -> Given:
        """What a batch gives."""
        newest = batch.state[:, -1] if batch.state.shape[1] else batch.state.flatten(1, 2)
        return cls(newest.to(dtype), batch.static.to(dtype), batch.params.to(dtype))


class ClassicalSolver(ABC):
    """Solves the equation of a task without learning.

    A subclass solves; the residual of an evolution follows from that.
    """

    name: ClassVar[str]
    """What it is called in tables."""
    differentiable: ClassVar[bool] = False
    """Whether gradients pass through :meth:`residual`, so that a loss can use it."""

    @abstractmethod
    def solve(self, given: Given, info: TaskInfo, frames: int) -> Tensor:
        """The next frames, or the solution of a steady task as one frame, `(B, frames, C, *S)`.

        Args:
            given: what to start from.
            info: the problem, with the grid of the given fields.
            frames: how many, `info.dt` apart.
        """

    def residual(self, fields: Tensor, given: Given, info: TaskInfo) -> tuple[Tensor, Tensor]:
        """How far fields `(B, T, C, *S)` are from solving the equation, and the scale to compare it with.

        Of an evolution: what every frame differs from the solution that starts at the frame before, and how
        much that solution changes. Frames are too far apart for differences in time.

        Returns:
            Residual and scale, both `(B, T, C, *S)`.
        """
        before = torch.cat([given.state[:, None], fields[:, :-1]], dim=1)
        frames = fields.shape[1]
        static, params = (values.repeat_interleave(frames, dim=0) for values in given[1:])
        after = self.solve(Given(before.flatten(0, 1), static, params), info, 1).reshape(fields.shape)
        return fields - after, after - before


class IterativeSolver(ClassicalSolver):
    """A classical solver of a steady task A u = f with A symmetric and positive definite.

    Its residual is A u - f, with f as the scale. Cheap iterations improve any approximation.
    """

    @abstractmethod
    def iterate(self, load: Tensor, start: Tensor, given: Given, info: TaskInfo, iterations: int) -> Tensor:
        """Approximate solutions of A u = load after so many iterations; all `(B, 1, C, *S)`.

        The error in the norm of the equation's energy does not grow.
        """

    def refine(self, fields: Tensor, given: Given, info: TaskInfo, iterations: int) -> Tensor:
        """Approximate solutions `(B, 1, C, *S)` of the equation after so many iterations from `fields`."""
        _, load = self.residual(fields, given, info)
        return self.iterate(load, fields, given, info, iterations)

    @abstractmethod
    def error(self, fields: Tensor, given: Given, info: TaskInfo) -> Tensor:
        """An estimate of the error of approximate solutions `(B, 1, C, *S)`: the residual, preconditioned.

        A residual as such measures small scales: an error of wavelength l has a residual of its size over l².
        """

    def combine(self, candidates: Tensor, given: Given, info: TaskInfo) -> Tensor:
        """The weighted mean `(B, 1, C, *S)` of candidates `(M, B, 1, C, *S)` with the least estimated error.

        The weights add up to one and may be negative. Residuals, and the errors estimated from them, are then
        the same weighted means, so the weights follow from the inner products of the candidates' errors.
        """
        errors = torch.stack([self.error(fields, given, info).flatten(1) for fields in candidates], dim=1)
        products = errors @ errors.transpose(1, 2)
        # Candidates may be nearly the same: then many weights are as good, and the smallest are taken.
        size = products.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None]
        products = products + RIDGE * size * torch.eye(len(candidates)).to(products)
        weights = torch.linalg.solve(products, torch.ones_like(products[:, :, :1]))
        weights = (weights / weights.sum(dim=1, keepdim=True)).transpose(0, 1)
        weights = weights.reshape(*weights.shape[:2], *[1] * (candidates.dim() - 2))
        combined: Tensor = (candidates * weights).sum(dim=0)
        return combined
