"""Simulators that see a few points of the true fields, and a prior among them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ups_eval.observations.config import Direction, ObservationsConfig
from ups_eval.observations.problems import observed_channels, problem_name, wanted_channels
from ups_models.member_noise import MemberStreams
from ups_models.prior.observations import Observations
from ups_models.prior.simulator import over_fields_and_channels
from ups_models.simulator import Simulator

if TYPE_CHECKING:
    from ups_data.batches.batch import FieldBatch
    from ups_data.info import TaskInfo
    from ups_data.prepare.statistics import Statistics
    from ups_models.prior.simulator import PriorSimulator


class Inference(NamedTuple):
    """One problem.

    Attributes:
        task: the steady task.
        direction: what is inferred.
    """

    task: TaskInfo
    direction: Direction

    @property
    def wanted(self) -> slice:
        """Channels to infer, among coefficients and then solutions."""
        return wanted_channels(self.task, self.direction)

    @property
    def observed(self) -> slice:
        """Channels that are observed."""
        return observed_channels(self.task, self.direction)


class Observer(Simulator, ABC):
    """Base: infers the wanted fields of a problem from random points of the observed ones.

    Args:
        config: points, noise and seed.
        tasks: task name -> the steady task.
        statistics: task name -> statistics of its train split, which give the units of the noise.
        network: of the model; without one, a module without parameters.
    """

    def __init__(
        self,
        config: ObservationsConfig,
        tasks: Mapping[str, TaskInfo],
        statistics: Mapping[str, Statistics],
        network: nn.Module,
    ) -> None:
        super().__init__(network, {}, {})  # type: ignore[arg-type]
        self.problems: Mapping[str, Inference] = {
            problem_name(name, direction): Inference(task, direction)
            for name, task in tasks.items()
            for direction in config.directions
        }
        self.tasks = {name: problem.task for name, problem in self.problems.items()}
        self.statistics = dict(statistics)
        self.config = config

    @property
    def stochastic(self) -> bool:
        """False unless a subclass samples."""
        return False

    def supports(self, task: TaskInfo) -> bool:
        """Its problems."""
        return task.name in self.problems

    def std(self, task: str) -> Tensor:
        """Standard deviation of every channel of a joint field over the train split `(J,)`."""
        known = self.statistics[task]
        return torch.tensor([*known.static.std, *known.target.std])

    def frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """The inferred fields as one frame."""
        problem = self.problems[batch.task]
        yield self.infer(original(batch, problem.task), self.observe(batch), problem)

    @abstractmethod
    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """The wanted fields `(B, C, *S)` in physical units.

        Args:
            batch: samples of the steady task, with their true fields, which must not be used.
            observations: what is known of them.
            problem: what is inferred.
        """

    def observe(self, batch: FieldBatch) -> Observations:
        """Random points of the observed fields, the same for every method."""
        problem, fields = self.problems[batch.task], batch.static
        streams = MemberStreams(batch, 1, self.config.seed)
        cells = fields[0, 0].numel()
        order = streams.normal((cells,)).argsort(dim=1)[:, : self.config.count(cells)]
        points = torch.zeros(len(batch), cells, dtype=torch.bool, device=fields.device).scatter(
            1, order, True
        )
        mask = torch.zeros_like(fields, dtype=torch.bool)
        mask[:, problem.observed] = points.reshape(len(batch), 1, *fields.shape[2:])
        if not self.config.noise:
            return Observations.of_fields(fields, mask)
        std = over_fields_and_channels(self.std(problem.task.name)[None], fields).to(fields)
        errors = self.config.noise * std * streams.normal(fields.shape[1:])
        return Observations.of_fields(fields + errors, mask, self.config.noise)


class Expected(Observer):
    """What a prior expects, by one evaluation.

    Args:
        prior: the model.
        config: see :class:`Observer`, and how to sample.
    """

    def __init__(self, prior: PriorSimulator, config: ObservationsConfig) -> None:
        super().__init__(config, prior.tasks, prior.statistics, prior.network)
        self.prior = prior

    def parameter_count(self) -> int:
        """Those of the prior."""
        return self.prior.parameter_count()

    def infer(self, batch: FieldBatch, observations: Observations, problem: Inference) -> Tensor:
        """See :class:`Observer`."""
        return self.prior.expected(batch, observations)[:, problem.wanted]


class PosteriorSamples(Expected):
    """Samples of a prior's posterior; without sampling, what it expects."""

    @property
    def stochastic(self) -> bool:
        """True."""
        return True

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        """See :class:`~ups_models.simulator.Simulator`."""
        problem = self.problems[batch.task]
        fields = self.prior.posterior(
            original(batch, problem.task), self.observe(batch), members, seed, self.config.sampler
        )
        yield fields[:, :, problem.wanted]


def original(batch: FieldBatch, task: TaskInfo) -> FieldBatch:
    """The batch of the steady task that a batch of a problem was made from."""
    given = len(task.static_channels)
    return replace(
        batch, task=task.name, static=batch.static[:, :given], target=batch.static[:, None, given:]
    )
