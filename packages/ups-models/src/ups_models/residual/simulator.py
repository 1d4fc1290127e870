"""A simulator that adds a sampled residual to what an operator predicts."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_models.member_noise import MemberStreams
from ups_models.network import NetworkInput
from ups_models.residual.config import SamplerConfig
from ups_models.residual.corrector import Corrector
from ups_models.residual.flow import solve
from ups_models.simulator import Simulator, feed_back


class CorrectedSimulator(Simulator):
    """An operator and a corrector: `rollout` is the operator's, `sample` corrects it.

    Args:
        operator: predicts frames; of a corrected simulator its operator is taken.
        corrector: models the operator's residual.
        sampler: how residuals are sampled, and how often.
    """

    def __init__(self, operator: Simulator, corrector: Corrector, sampler: SamplerConfig) -> None:
        if isinstance(operator, CorrectedSimulator):
            operator = operator.operator
        super().__init__(operator.network, operator.tasks, operator.statistics)
        self.operator: Simulator = operator
        self.normalisers = operator.normalisers
        self.corrector = corrector
        self.sampler = sampler

    @property
    def stochastic(self) -> bool:
        """True: residuals are sampled."""
        return True

    def with_corrector(self, corrector: Corrector) -> CorrectedSimulator:
        """The same operator with another corrector, such as a moving average."""
        return CorrectedSimulator(self, corrector, self.sampler)

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        """See :meth:`Simulator.member_frames`."""
        streams, size = MemberStreams(batch, members, seed), len(batch)
        batch = batch.repeated(members)
        for frame in range(steps):
            prediction = self.step(batch)
            if frame % self.sampler.every == 0:
                noise = streams.normal(prediction.shape[1:])
                prediction = prediction + self.residual(batch, prediction, noise)
            yield prediction.reshape(members, size, *prediction.shape[1:])
            if frame + 1 < steps:
                batch = feed_back(batch, prediction[:, None])

    def residual(self, batch: FieldBatch, prediction: Tensor, noise: Tensor) -> Tensor:
        """Sampled residuals in physical units, from noise; all `(B, C, *S)`."""
        x, predicted = self.seen(batch, prediction)

        def velocity(z: Tensor, time: Tensor, jump: Tensor) -> Tensor:
            found: Tensor = self.corrector(x, predicted, z, time, jump)
            return found

        return solve(velocity, noise, self.sampler, self.corrector.flow) * self.physical_scale(batch.task)

    def seen(self, batch: FieldBatch, prediction: Tensor) -> tuple[NetworkInput, Tensor]:
        """The corrector's view of a batch and of a physical prediction `(B, C, *S)`, normalised."""
        normaliser = self.normaliser(batch.task)
        return self._seen(normaliser, batch), normaliser.target_scaled(prediction)

    def physical_scale(self, task: str) -> Tensor:
        """Size of the operator's residuals in physical units, `(C, 1, ...)`."""
        return self.corrector.scale(task) * self.normaliser(task).target_std
