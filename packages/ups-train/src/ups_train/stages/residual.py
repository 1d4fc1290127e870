"""The stage `diffusion_residual`: a flow that samples what an operator's predictions lack.

The operator predicts, a network learns the law of its residual given everything that is known, by conditional
flow matching (:mod:`ups_models.residual.flow`). Correcting a regression by a generative model of its residual
is that of Mardani et al., "Residual corrective diffusion modeling for km-scale atmospheric downscaling",
arXiv 2309.15214; here for every step of a rollout."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import derive_seed
from ups_data.batches.symmetry import augment
from ups_models.bundle import load_bundle
from ups_models.member_noise import MemberStreams
from ups_models.network import NetworkInput
from ups_models.residual.corrector import Corrector
from ups_models.residual.flow import deviation, draw_time, on_the_way, over_fields
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import Simulator
from ups_train.engine.objective import ARTIFACT, ObjectiveInputs
from ups_train.engine.stage import training_stage
from ups_train.stages.corrector_objective import CorrectorObjective
from ups_train.stages.residual_config import ResidualConfig

INITIAL_WINDOWS = 512
"""Training windows from which the size of the residuals is measured."""


class ResidualObjective(CorrectorObjective):
    """Mean square error of the velocity, averaged over the way from noise to the residual.

    Args:
        config: of the stage.
        inputs: the corrector's model, the data, and the operator among the artifacts.
    """

    def __init__(self, config: ResidualConfig, inputs: ObjectiveInputs) -> None:
        source = inputs.artifacts["simulator"] / ARTIFACT
        corrector = Corrector(inputs.model, inputs.tasks, config.flow)
        simulator = CorrectedSimulator(load_operator(source, inputs), corrector, config.sampler)
        super().__init__(simulator, source, inputs, config.members)
        self.config = config

    def initialise(self) -> None:
        """Measure the operator's residuals on training windows, unless a saved corrector knows them."""
        if self.inputs.start is not None:
            return
        for name, opened in self.inputs.data.items():
            windows = opened.windows("train", horizon=1)
            count = min(INITIAL_WINDOWS, len(windows))
            order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))[:count].tolist()
            squares = []
            for begin in range(0, count, self.config.batch_size):
                batch = windows.batch(order[begin : begin + self.config.batch_size])
                with torch.no_grad():
                    residual = batch.target[:, 0] - self.simulator.step(batch)
                residual = residual / self.simulator.normaliser(name).target_std
                squares.append(residual.square().flatten(2).mean(dim=2))
            size = torch.cat(squares).mean(dim=0).sqrt()
            if not bool((size > 0).all()):
                raise UPSError(f"task '{name}': the operator makes no error that could be sampled")
            scale = self.simulator.corrector.scale(name)
            scale.data.copy_(size.reshape(scale.shape))

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        """The mean square error of the velocity at a time drawn for every window."""
        start = residual_start(self.simulator, batch, self.config.augment, seed)
        time = draw_time(start.streams.normal(()), self.config.flow)
        z = on_the_way(start.residual, start.noise, time)
        velocity = self.simulator.corrector(start.x, start.predicted, z, time, torch.zeros_like(time))
        error = velocity - (start.noise - start.residual)
        if self.config.flow == "edm":
            error = error * over_fields(deviation(time), error)  # that of what the network gives
        loss: Tensor = error.square().mean()
        return loss


diffusion_residual = training_stage(ResidualObjective)
"""Factory of the stage."""


class ResidualStart:
    """What a corrector learns from one batch.

    Args:
        simulator: gives the prediction, without gradients.
        batch: windows of one task.
        streams: of random numbers, one per window.

    Attributes:
        x: what the operator sees.
        predicted: its prediction, normalised `(B, C, *S)`.
        residual: what it lacks, with deviation 1 `(B, C, *S)`.
        noise: as large `(B, C, *S)`.
    """

    x: NetworkInput

    def __init__(self, simulator: CorrectedSimulator, batch: FieldBatch, streams: MemberStreams) -> None:
        self.streams = streams
        with torch.no_grad():
            prediction = simulator.step(batch)
        self.x, self.predicted = simulator.seen(batch, prediction)
        self.residual = (batch.target[:, 0] - prediction) / simulator.physical_scale(batch.task)
        self.noise = streams.normal(self.residual.shape[1:])


def residual_start(
    simulator: CorrectedSimulator, batch: FieldBatch, transformed: bool, seed: int
) -> ResidualStart:
    """What a corrector learns from one batch, which is transformed by the task's symmetries on request."""
    if transformed:
        batch = augment(batch, simulator.tasks[batch.task], derive_seed(seed, "augment"))
    return ResidualStart(simulator, batch, MemberStreams(batch, 1, derive_seed(seed, "residual")))


def load_operator(directory: Path, inputs: ObjectiveInputs) -> Simulator:
    """The frozen operator of a bundle, also of one that corrects it.

    Raises:
        UPSError: it was not made for a task of the training.
    """
    operator = load_bundle(directory).requires_grad_(False)
    missing = sorted(inputs.tasks.keys() - operator.tasks.keys())
    if missing:
        raise UPSError(f"{directory} was not trained on task '{missing[0]}'; name another step in 'needs'")
    return operator
