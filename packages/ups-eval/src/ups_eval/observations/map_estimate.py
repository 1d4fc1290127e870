"""The most probable coefficient given points of the solution, by the exact adjoint of the equation."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_data.solvers.adjoint import solution
from ups_data.solvers.base import Given, IterativeSolver
from ups_eval.observations.classical import Method
from ups_eval.observations.observers import Inference

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_models.prior.observations import Observations

MODES = 256
"""Principal components of the coefficient that are inferred."""
ITERATIONS = 400
"""Maximum number of iterations of L-BFGS."""
HISTORY = 20
ERROR = 1e-2
"""Standard deviation of exact observations in units of the field's: missing components act as noise."""
SHARPNESS = 4.0
"""Slope of the transition between two materials, in widths of their difference."""


class MapEstimate(Method):
    """Minimises misfit² / 2 noise² + |z|² / 2 over the components z of the coefficient, by L-BFGS.

    The components are the principal ones of the training coefficients, with a Gaussian law. A coefficient of
    two values is the smooth step of its linear expansion, so that it stays between them."""

    def solves(self, problem: Inference) -> bool:
        """The coefficient of a solution, for one coefficient."""
        solver = self.solvers[problem.task.name]
        return (
            problem.direction == "inverse"
            and isinstance(solver, IterativeSolver)
            and solver.differentiable
            and len(problem.task.static_channels) == 1
        )

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        task = problem.task
        solver = self.solvers[task.name]
        assert isinstance(solver, IterativeSolver)
        known = self.known[task.name]
        noise = known.std[problem.observed] * (observations.noise[:, problem.observed] + ERROR)
        with torch.inference_mode(False), torch.enable_grad():
            # Copies, because tensors of inference mode take no part in gradients.
            basis, mean, noise = self._basis(task.name).clone(), known.mean[0].clone(), noise.clone()
            seen, wanted = observations.mask.clone(), observations.values.clone()
            seen, wanted = seen[:, problem.observed], wanted[:, problem.observed]
            noise = noise.reshape(*noise.shape, *[1] * task.dim)
            given = Given(*(part.clone() for part in Given.of(batch, torch.float32)))
            z = torch.zeros(len(batch), len(basis), requires_grad=True)
            optimizer = torch.optim.LBFGS(
                [z], max_iter=ITERATIONS, history_size=HISTORY, line_search_fn="strong_wolfe"
            )
            start: Tensor | None = None

            def misfit() -> Tensor:
                nonlocal start
                coefficient = self._coefficient(mean + z @ basis, problem)
                field = solution(solver, given._replace(static=coefficient), task, start)
                start = field.detach()
                errors = torch.where(seen, (field[:, 0] - wanted) / noise, 0.0)
                loss = errors.square().sum() / 2 + z.square().sum() / 2
                (z.grad,) = torch.autograd.grad(loss, z)
                return loss.detach()

            optimizer.step(misfit)  # type: ignore[no-untyped-call]
        return self._coefficient(mean + z.detach() @ basis, problem)

    def _coefficient(self, linear: Tensor, problem: Inference) -> Tensor:
        """The coefficient `(B, 1, *S)` of its linear expansion `(B, cells)`."""
        channel = problem.task.static_channels[0]
        if len(channel.values) == 2:
            low, high = channel.values
            place = SHARPNESS * (linear - (low + high) / 2) / (high - low)
            linear = low + (high - low) * torch.sigmoid(SHARPNESS * place)
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
