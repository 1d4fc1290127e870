"""The most probable coefficient given points of the solution, by the exact adjoint of the equation."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_data.solvers.adjoint import solution
from ups_data.solvers.base import Given, IterativeSolver
from ups_eval.observations.classical import Method
from ups_eval.observations.lbfgs import minimise
from ups_eval.observations.observers import Inference
from ups_models.prior.simulator import over_fields_and_channels

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_models.prior.observations import Observations

MODES = 256
"""Principal components of the coefficient that are inferred."""
ITERATIONS = 400
"""Maximum number of iterations of L-BFGS for every sample."""
ERROR = 1e-2
"""Standard deviation of exact observations in units of the field's: missing components act as noise."""
SHARPNESS = 4.0
"""Slope of the smooth step from one of two values to the other, relative to that of the linear expansion."""


class MapEstimate(Method):
    """Minimises misfit² / 2 noise² + |z|² / 2 over the components z of the coefficient, by L-BFGS.

    The components are the principal ones of the training coefficients, with a Gaussian law. A coefficient of
    two values is the smooth step of its linear expansion, so that it stays between them."""

    def solves(self, problem: Inference) -> bool:
        """The coefficient of a solution, for one coefficient."""
        solver = self.solver(problem.task)
        return (
            problem.direction == "inverse"
            and isinstance(solver, IterativeSolver)
            and solver.differentiable
            and len(problem.task.static_channels) == 1
        )

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        known, solver = self.known[problem.task.name], self.solver(problem.task)
        assert isinstance(solver, IterativeSolver)
        noise = (self.noise(observations, problem.task) + ERROR * known.std)[:, problem.observed]
        with torch.inference_mode(False), torch.enable_grad():
            # Copies, because tensors of inference mode take no part in gradients.
            basis, mean, noise = self._basis(problem.task.name).clone(), known.mean[0].clone(), noise.clone()
            given = Given(*(part.clone() for part in Given.of(batch, torch.float32)))
            mask, values = (
                part[:, problem.observed].clone() for part in (observations.mask, observations.values)
            )
            noise = over_fields_and_channels(noise, values)
            fields = torch.zeros_like(values[:, None])

            def misfit(z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
                z = z.detach().requires_grad_()
                coefficient = self._coefficient(mean + z @ basis, problem)
                own = Given(*(part[rows] for part in given))._replace(static=coefficient)
                field = solution(solver, own, problem.task, fields[rows])
                fields[rows] = field.detach()
                errors = torch.where(mask[rows], (field[:, 0] - values[rows]) / noise[rows], 0.0)
                losses = errors.flatten(1).square().sum(dim=1) / 2 + z.square().sum(dim=1) / 2
                (slopes,) = torch.autograd.grad(losses.sum(), z)
                return losses.detach(), slopes

            z = minimise(misfit, torch.zeros(len(batch), len(basis)), ITERATIONS)
        return self._coefficient(mean + z @ basis, problem)

    def _coefficient(self, linear: Tensor, problem: Inference) -> Tensor:
        """The coefficient `(B, 1, *S)` of its linear expansion `(B, cells)`."""
        channel = problem.task.static_channels[0]
        if len(channel.values) == 2:
            low, high = channel.values
            place = (linear - (low + high) / 2) / (high - low)
            linear = low + (high - low) * torch.sigmoid(4 * SHARPNESS * place)  # its slope is a quarter at 0
        elif channel.positive:
            linear = linear.clamp(min=float(self.known[problem.task.name].fields[:, 0].min()))
        return linear.reshape(len(linear), 1, *problem.task.shape)

    @cache  # noqa: B019 - one object for a step, and the components take a while
    def _basis(self, task: str) -> Tensor:
        """Principal components times their standard deviations `(K, cells)`."""
        known = self.known[task]
        deviations = known.fields[:, 0] - known.mean[0]
        count = min(MODES, *deviations.shape)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            _, values, vectors = torch.svd_lowrank(deviations, q=count, niter=4)
        components: Tensor = (values / len(deviations) ** 0.5)[:, None] * vectors.T
        return components
