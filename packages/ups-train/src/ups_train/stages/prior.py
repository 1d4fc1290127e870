"""The stage `steady_prior`: conditional flow matching on coefficient and solution together.

Trained given random observations, so that sampling given observations needs no gradient of a misfit. Half of
the samples are a regression, the flow's velocity at time 1 from no noise, which is minus the expectation."""

from __future__ import annotations

from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_data.batches.symmetry import augment
from ups_models.bundle import load_prior, save_bundle
from ups_models.member_noise import MemberStreams
from ups_models.network import TaskModules
from ups_models.prior.joint_flow import JointFlow
from ups_models.prior.observations import Observations, joint_channels, joint_fields
from ups_models.prior.simulator import PriorSimulator
from ups_models.residual.flow import interpolate
from ups_train.engine.objective import ObjectiveInputs
from ups_train.engine.stage import training_stage
from ups_train.stages.initial_simulator import freeze, load_weights, trained_statistics
from ups_train.stages.prior_config import PriorConfig
from ups_train.stages.random_observations import draw_observations

SEED = 0
"""Seed of the validation's random numbers."""
INITIAL_SAMPLES = 2048
"""Maximum number of training samples that determine mean, scale and covariance of the fields."""
INITIAL_NUMBERS = 2**27
"""Maximum number of values in them."""
DIRECTIONS = ("forward", "inverse")
"""The solution from points of the coefficient, the coefficient from points of the solution."""


class PriorObjective(nn.Module):
    """Mean squared error of the velocity over random flow times and observations.

    Args:
        config: of the stage.
        inputs: the model and the data.

    Raises:
        UPSError: the saved model that the training starts from is not a prior.
    """

    def __init__(self, config: PriorConfig, inputs: ObjectiveInputs) -> None:
        super().__init__()
        self.config = config
        self.inputs = inputs
        prior = JointFlow(inputs.model, inputs.tasks)
        start = None if inputs.start is None else load_prior(inputs.start)
        statistics = trained_statistics(inputs, config.augment, start)
        self.simulator = PriorSimulator(prior, inputs.tasks, statistics, config.sampler, config.learned)
        if start is not None:
            assert inputs.start is not None
            load_weights(prior, start.prior, inputs.start)
        freeze(prior, inputs.freeze)
        self.losses: dict[str, Metric] = {name: MeanMetric() for name in inputs.tasks}
        self.errors: dict[str, dict[str, Metric]] = {
            direction: {name: MeanMetric() for name in inputs.tasks} for direction in DIRECTIONS
        }
        self.validation = nn.ModuleList([TaskModules(part) for part in (self.losses, *self.errors.values())])

    @property
    def network(self) -> nn.Module:
        """The velocity network."""
        return self.simulator.prior

    def initialise(self) -> None:
        """Measure the law of the fields on training samples, unless starting from a saved prior."""
        if self.inputs.start is not None:
            return
        for opened in self.inputs.data.values():
            windows = opened.windows("train", horizon=1)
            numbers = len(joint_channels(opened.info)) * prod(opened.info.shape)
            size = max(1, min(INITIAL_SAMPLES, INITIAL_NUMBERS // numbers, len(windows)))
            order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))[:size].tolist()
            step = self.config.batch_size
            batches = [windows.batch(order[begin : begin + step]) for begin in range(0, size, step)]
            self.simulator.fit(opened.info.name, torch.cat([joint_fields(batch) for batch in batches]))

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """Mean squared error of the velocity given random observations, at one random time per sample."""
        if self.config.augment:
            batch = augment(batch, self.simulator.tasks[batch.task], derive_seed(seed, "augment"))
        loss: Tensor = self._errors(self.simulator, batch, seed).mean()
        return loss

    def _errors(self, simulator: PriorSimulator, batch: FieldBatch, seed: int) -> Tensor:
        """Mean squared error of every sample `(B,)`."""
        streams = MemberStreams(batch, 1, derive_seed(seed, "prior"))
        fields = simulator.scaled(batch.task, joint_fields(batch))
        unit = 1 / simulator.prior.scale(batch.task).flatten()
        observed = draw_observations(fields, batch.static.shape[1], self.config, streams, unit)
        evidence = simulator.prior.evidence(batch.task, *observed)
        time, regressed = torch.special.ndtr(streams.normal((2,))).unbind(dim=1)
        noise = streams.normal(fields.shape[1:])
        regressed = regressed < self.config.regression
        time = torch.where(regressed, 1.0, time)
        noise = torch.where(regressed.reshape(-1, *[1] * (fields.dim() - 1)), 0.0, noise)
        x = simulator.normaliser(batch.task).network_input(batch)
        velocity = simulator.prior(x, interpolate(fields, noise, time), time, evidence)
        errors: Tensor = (velocity - (noise - fields)).square().flatten(1).mean(dim=1)
        return errors

    def validate(self, network: nn.Module, batch: FieldBatch) -> None:
        """The loss, and errors of what is expected from a few points of one field."""
        assert isinstance(network, JointFlow)
        simulator = self.simulator.with_prior(network)
        errors = self._errors(simulator, batch, SEED)
        fields, given = joint_fields(batch), batch.static.shape[1]
        points = torch.special.ndtr(MemberStreams(batch, 1, SEED).normal((1, *fields.shape[2:])))
        for direction in DIRECTIONS:
            wanted = slice(given, None) if direction == "forward" else slice(0, given)
            mask = (points < self.config.validation_share).expand_as(fields).clone()
            mask[:, wanted] = False
            # A sample without any point has the first one.
            first = mask.flatten(2)[:, :, 0]
            first[:, [0 if direction == "forward" else given]] |= ~mask.flatten(1).any(dim=1)[:, None]
            expected = simulator.expected(batch, Observations.of_fields(fields, mask))
            scaled = (simulator.scaled(batch.task, part)[:, wanted] for part in (expected, fields))
            found, true = scaled
            error = (found - true).flatten(1).norm(dim=1) / true.flatten(1).norm(dim=1)
            if batch.loss_weight:
                self.errors[direction][batch.task].update(error)
        if batch.loss_weight:
            self.losses[batch.task].update(errors)

    def scores(self) -> dict[str, Tensor]:
        """Loss and errors of every task, and the mean loss, which selects the checkpoint."""
        scores, losses = {}, []
        for name, metric in self.losses.items():
            losses.append(metric.compute().float())
            metric.reset()
            scores[f"val/{name}/loss"] = losses[-1]
            for direction, metrics in self.errors.items():
                scores[f"val/{name}/{direction}"] = metrics[name].compute().float()
                metrics[name].reset()
        return scores | {"val/loss": torch.stack(losses).mean()}

    def export(self, network: nn.Module, directory: Path) -> None:
        """Write the bundle of the prior."""
        assert isinstance(network, JointFlow)
        simulator = self.simulator.with_prior(network)
        save_bundle(directory, simulator, self.inputs.model, self.inputs.fingerprint)


steady_prior = training_stage(PriorObjective)
"""Factory of the stage."""
