"""A simulator of steady problems from a generative prior, and samples given sparse observations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_models.member_noise import MemberStreams
from ups_models.network import NetworkInput
from ups_models.prior.config import LearnedObservations, PosteriorConfig
from ups_models.prior.joint_flow import Evidence, JointFlow
from ups_models.prior.linear_estimate import LinearEstimate
from ups_models.prior.observations import Observations
from ups_models.simulator import Simulator


class PriorSimulator(Simulator):
    """A prior of coefficient and solution: a simulator given the coefficient, a sampler given anything.

    Args:
        prior: the velocity network of the joint fields.
        tasks: task name -> the steady problem.
        statistics: task name -> statistics of its train split.
        sampler: how samples are drawn.
        learned: the observations that the prior was trained with.
    """

    def __init__(
        self,
        prior: JointFlow,
        tasks: Mapping[str, TaskInfo],
        statistics: Mapping[str, Statistics],
        sampler: PosteriorConfig,
        learned: LearnedObservations,
    ) -> None:
        super().__init__(prior.network, tasks, statistics)
        self.prior = prior
        self.sampler = sampler
        self.learned = learned

    def with_prior(self, prior: JointFlow) -> PriorSimulator:
        """The same simulator with another network, such as a moving average; normalisers are shared."""
        other = self.with_network(prior.network)
        assert isinstance(other, PriorSimulator)
        other.prior = prior
        return other

    @property
    def stochastic(self) -> bool:
        """True: solutions are sampled."""
        return True

    def step(self, batch: FieldBatch, noise: Tensor | None = None) -> Tensor:
        """The expected solution given the coefficient, `(B, C, *S)`, by one evaluation."""
        # Without checks and masks, whose answers depend on values: a step can be exported.
        observations, given = self.coefficients(batch), batch.static.shape[1]
        linear = self.prior.linear.of(batch.task)
        assert isinstance(linear, LinearEstimate)
        known = self.scaled(batch.task, observations.values)[:, :given]
        expected = self._expected(batch, observations, linear.given_coefficients(known))
        return expected[:, given:]

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        """See :class:`~ups_models.simulator.Simulator`; solutions given the coefficient."""
        assert steps == 1, "a prior is of steady problems"
        yield self.posterior(batch, self.coefficients(batch), members, seed)[:, :, batch.static.shape[1] :]

    def coefficients(self, batch: FieldBatch) -> Observations:
        """The complete coefficients of a batch as observations."""
        solutions = len(self.normaliser(batch.task).task.target_channels)
        nothing = batch.static.new_zeros(batch.static.shape[0], solutions, *batch.static.shape[2:])
        fields = torch.cat([batch.static, nothing], dim=1)
        mask = torch.zeros_like(fields, dtype=torch.bool)
        mask[:, : batch.static.shape[1]] = True
        return Observations.of_fields(fields, mask)

    def expected(self, batch: FieldBatch, observations: Observations) -> Tensor:
        """The mean of the joint fields `(B, J, *S)` given observations, by one evaluation.

        Args:
            batch: parameters and coordinates of the samples; its fields are not used.
            observations: of the same samples.

        Raises:
            UPSError: see :meth:`Observations.check`; or the noise is more than the prior was trained with.
        """
        self._check(batch, observations, self.sampler)
        return self._expected(batch, observations)

    def _expected(
        self, batch: FieldBatch, observations: Observations, estimate: Tensor | None = None
    ) -> Tensor:
        x, evidence = (
            self.normaliser(batch.task).network_input(batch),
            self._evidence(batch, observations, estimate),
        )
        zero = torch.zeros_like(evidence.values)
        # From no noise at time 1 the velocity is minus the expectation: the network learned that case too.
        expected = self._physical(batch.task, -self.prior(x, zero, zero.new_ones(zero.shape[0]), evidence))
        exact = observations.mask & (over_fields_and_channels(observations.noise, expected) == 0)
        return torch.where(exact, observations.values, expected)

    @torch.no_grad()
    def posterior(
        self,
        batch: FieldBatch,
        observations: Observations,
        members: int,
        seed: int,
        sampler: PosteriorConfig | None = None,
    ) -> Tensor:
        """Samples of the joint fields given observations, `(M, B, J, *S)`.

        Args:
            batch: parameters and coordinates of the samples; its fields are not used.
            observations: of the same samples.
            members: M of every sample.
            seed: of what is drawn; a member depends on it, its number and that of its sample alone.
            sampler: how to sample; default: as the prior was trained to.

        Raises:
            UPSError: see :meth:`expected`; or members is less than 1, or the prior was not trained for the
                sampler's guidance.
        """
        sampler = self.sampler if sampler is None else sampler
        self._check(batch, observations, sampler)
        if members < 1:
            raise UPSError(f"members is {members}; give at least 1")
        noise = MemberStreams(batch, members, seed).normal(observations.values.shape[1:])
        x = self.normaliser(batch.task).network_input(batch.repeated(members))
        evidence, z = self._evidence(batch, observations).repeated(members), noise
        times = torch.linspace(1, 0, sampler.steps + 1).tolist()
        for start, end in pairwise(times):
            first = self._velocity(x, z, start, evidence, sampler)
            if sampler.kind == "heun" and end > 0:
                second = self._velocity(x, z - (start - end) * first, end, evidence, sampler)
                first = (first + second) / 2
            z = z - (start - end) * first
        fields = self._physical(batch.task, z)
        return fields.reshape(members, len(batch), *fields.shape[1:])

    def _velocity(
        self, x: NetworkInput, z: Tensor, time: float, evidence: Evidence, sampler: PosteriorConfig
    ) -> Tensor:
        """The velocity at one time, guided by the observations."""
        times = z.new_full((len(z),), time)
        if sampler.misfit_weight > 0:
            velocity = self._towards_observations(x, z, times, evidence, sampler)
        else:
            velocity = self._guided(x, z, times, evidence, sampler)
        if sampler.replace:
            exact = evidence.mask * (over_fields_and_channels(evidence.noise, z) == 0)
            velocity = torch.where(exact > 0, (z - evidence.values) / time, velocity)
        return velocity

    def _guided(
        self, x: NetworkInput, z: Tensor, times: Tensor, evidence: Evidence, sampler: PosteriorConfig
    ) -> Tensor:
        """The velocity with classifier-free guidance."""
        velocity: Tensor = self.prior(x, z, times, evidence)
        if sampler.guidance == 1:
            return velocity
        free: Tensor = self.prior(x, z, times, evidence.without())
        return free + sampler.guidance * (velocity - free)

    def _towards_observations(
        self, x: NetworkInput, z: Tensor, times: Tensor, evidence: Evidence, sampler: PosteriorConfig
    ) -> Tensor:
        """The velocity, and the gradient of half the squared misfit of the fields that it points to."""
        with torch.inference_mode(False), torch.enable_grad():
            # Copies, because tensors of inference mode take no part in gradients.
            x, evidence = x.cloned(), Evidence(*(part.clone() for part in evidence))
            z, times = z.clone().requires_grad_(), times.clone()
            velocity = self._guided(x, z, times, evidence, sampler)
            fields = z - over_fields_and_channels(times[:, None], z) * velocity
            misfit = (fields - evidence.values) * evidence.mask
            (slope,) = torch.autograd.grad(misfit.square().sum() / 2, z)
            towards: Tensor = velocity.detach() + sampler.misfit_weight * slope
        return towards

    def _check(self, batch: FieldBatch, observations: Observations, sampler: PosteriorConfig) -> None:
        observations.check(self.normaliser(batch.task).task)
        for _, problem in self.learned.problems(float(observations.noise.max()), sampler):
            raise UPSError(problem)
        if len(observations) != len(batch):
            raise UPSError(f"the observations have {len(observations)} samples, the batch has {len(batch)}")

    def _evidence(
        self, batch: FieldBatch, observations: Observations, estimate: Tensor | None = None
    ) -> Evidence:
        """The observations in scaled units, and what follows linearly from them unless it is given."""
        values = torch.where(observations.mask, self.scaled(batch.task, observations.values), 0.0)
        mask = observations.mask.to(values.dtype)
        seen = observations.mask.flatten(2).any(dim=2)
        noise = torch.where(seen, observations.noise, 0.0) / self.prior.scale(batch.task).flatten()
        if estimate is None:
            return self.prior.evidence(batch.task, values, mask, noise)
        return Evidence(values, mask, noise, estimate)

    def scaled(self, task: str, fields: Tensor) -> Tensor:
        """Physical joint fields `(B, J, *S)`, scaled to mean 0 in every cell and standard deviation 1.

        Raises:
            UPSError: they are on another grid than the prior.
        """
        shape = self.normaliser(task).task.shape
        if fields.shape[2:] != shape:
            raise UPSError(
                f"the prior of task '{task}' knows fields of {shape} points, got {tuple(fields.shape[2:])}; "
                "give fields on the same grid"
            )
        return (self.normalised(task, fields) - self.prior.mean(task)) / self.prior.scale(task)

    def normalised(self, task: str, fields: Tensor) -> Tensor:
        """Physical joint fields `(B, J, *S)` in units of the channels' statistics."""
        mean, std = self._statistics(task)
        return (fields - mean) / std

    def _physical(self, task: str, scaled: Tensor) -> Tensor:
        mean, std = self._statistics(task)
        return (scaled * self.prior.scale(task) + self.prior.mean(task)) * std + mean

    def _statistics(self, task: str) -> tuple[Tensor, Tensor]:
        normaliser = self.normaliser(task)
        return (
            torch.cat([normaliser.static_mean, normaliser.target_mean]),
            torch.cat([normaliser.static_std, normaliser.target_std]),
        )

    def fit(self, task: str, samples: Tensor) -> None:
        """Measure mean, scale and covariance of the joint fields on training samples of a task.

        Args:
            task: its name.
            samples: in physical units `(N, J, *S)`.
        """
        fields, scale = self.normalised(task, samples), self.prior.scale(task)
        mean = self.prior.mean(task).copy_(fields.double().mean(dim=0))
        deviation = (fields - mean).square().transpose(0, 1).flatten(1).mean(dim=1).sqrt()
        scale.copy_(deviation.clamp(min=1e-6).reshape(scale.shape))
        linear = self.prior.linear.of(task)
        assert isinstance(linear, LinearEstimate)
        linear.fit((fields - mean) / scale)


def over_fields_and_channels(values: Tensor, fields: Tensor) -> Tensor:
    """Reshape `(B, J)` so that it broadcasts over `(B, J, *S)`."""
    return values.reshape(*values.shape, *[1] * (fields.dim() - 2))
