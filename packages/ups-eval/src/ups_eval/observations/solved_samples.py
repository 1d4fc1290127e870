"""Samples of a prior's coefficients, solved by the classical solver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ups_eval.observations.classical import Method
from ups_eval.observations.observers import Inference, original

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_eval.observations.config import ObservationsConfig
    from ups_eval.observations.training_fields import TrainingFields
    from ups_models.prior.observations import Observations
    from ups_models.prior.simulator import PriorSimulator


class SolvedSamples(Method):
    """Solutions of posterior samples of the coefficient, by the equation instead of what was learned of it.

    Their mean is the expected solution if the samples have the law of the coefficient.

    Args:
        config: see :class:`Method`, and how to sample.
        known: see :class:`Method`.
        prior: the model.
    """

    def __init__(
        self, config: ObservationsConfig, known: Mapping[str, TrainingFields], prior: PriorSimulator
    ) -> None:
        super().__init__(config, known)
        self.prior = prior

    @property
    def stochastic(self) -> bool:
        """True."""
        return True

    def parameter_count(self) -> int:
        """Those of the prior."""
        return self.prior.parameter_count()

    def solves(self, problem: Inference) -> bool:
        """The solution of a coefficient, where the task has a solver."""
        return problem.direction == "forward" and self.solver(problem.task) is not None

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """Of one sample."""
        return self._solutions(batch, observations, problem, 1, self.config.seed)[0]

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        """See :class:`~ups_models.simulator.Simulator`."""
        problem = self.problems[batch.task]
        yield self._solutions(original(batch, problem.task), self.observe(batch), problem, members, seed)

    def _solutions(
        self, batch: FieldBatch, observations: Observations, problem: Inference, members: int, seed: int
    ) -> Tensor:
        """Sampled solutions `(M, B, C, *S)` of a batch of the steady task."""
        fields = self.prior.posterior(batch, observations, members, seed, self.config.sampler)
        coefficients = fields[:, :, problem.observed]
        return torch.stack([self.solution(batch, member, problem.task) for member in coefficients])
