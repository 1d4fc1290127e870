"""The stage `diffusion_residual`: conditional flow matching on the residual of a frozen operator.

The network learns the distribution of the operator's residual given everything the operator sees and predicts
(:mod:`ups_models.residual.flow`). A generative model of a regression's residual follows Mardani et al.,
"Residual corrective diffusion modeling for km-scale atmospheric downscaling", arXiv 2309.15214; here it is
applied at every step of a rollout."""

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
from ups_models.residual.flow import draw_time, interpolate, over_fields, path_std
from ups_models.residual.simulator import CorrectedSimulator
from ups_models.simulator import Simulator
from ups_train.engine.objective import ARTIFACT, ObjectiveInputs
from ups_train.engine.stage import training_stage
from ups_train.stages.corrector_objective import CorrectorObjective
from ups_train.stages.residual_config import ResidualConfig

INITIAL_WINDOWS = 512
"""Number of training windows that determine the scale of the residuals."""


class ResidualObjective(CorrectorObjective):
    """Mean squared error of the predicted velocity over random flow times.

    Args:
        config: of the stage.
        inputs: the corrector's model, the data, and the operator among the artifacts.
    """

    def __init__(self, config: ResidualConfig, inputs: ObjectiveInputs) -> None:
        source = inputs.artifacts["operator"] / ARTIFACT
        corrector = Corrector(inputs.model, inputs.tasks, config.flow)
        simulator = CorrectedSimulator(load_operator(source, inputs), corrector, config.sampler)
        super().__init__(simulator, source, inputs, config.members)
        self.config = config

    def initialise(self) -> None:
        """Measure the scale of the residuals on training windows, unless starting from a saved corrector."""
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
        """Mean squared error of the velocity, at one random time per window."""
        start = residual_start(self.simulator, batch, self.config.augment, seed)
        time = draw_time(start.streams.normal(()), self.config.flow)
        z = interpolate(start.residual, start.noise, time)
        velocity = self.simulator.corrector(start.x, start.predicted, z, time, torch.zeros_like(time))
        error = velocity - (start.noise - start.residual)
        if self.config.flow == "edm":
            error = error * over_fields(path_std(time), error)  # of the network's output
        loss: Tensor = error.square().mean()
        return loss


diffusion_residual = training_stage(ResidualObjective)
"""Factory of the stage."""


class ResidualStart:
    """Inputs and residuals of one batch, from which flow and student are trained.

    Args:
        simulator: predicts, without gradients.
        batch: windows of one task.
        streams: random numbers, one stream per window.

    Attributes:
        x: the operator's input.
        predicted: the operator's prediction, normalised `(B, C, *S)`.
        residual: truth minus prediction, scaled to standard deviation 1 `(B, C, *S)`.
        noise: standard normal `(B, C, *S)`.
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
    """The :class:`ResidualStart` of a batch, randomly transformed by the task's symmetries if
    `transformed`."""
    if transformed:
        batch = augment(batch, simulator.tasks[batch.task], derive_seed(seed, "augment"))
    return ResidualStart(simulator, batch, MemberStreams(batch, 1, derive_seed(seed, "residual")))


def load_operator(directory: Path, inputs: ObjectiveInputs) -> Simulator:
    """The frozen operator of a bundle.

    Raises:
        UPSError: it was not made for a task of the training.
    """
    operator = load_bundle(directory).requires_grad_(False)
    missing = sorted(inputs.tasks.keys() - operator.tasks.keys())
    if missing:
        raise UPSError(f"{directory} was not trained on task '{missing[0]}'; name another step in 'needs'")
    return operator
