"""The objective and the callback of the tests' plugin; apart from the registration, which imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save_file
from torch import Tensor, nn
from torchmetrics import MeanMetric
from ups_test_plugin import EnergyConfig, OutOfMemoryConfig

from ups_data.batches.batch import FieldBatch
from ups_models.network import Network
from ups_models.simulator import build_simulator
from ups_train.engine.objective import ObjectiveInputs
from ups_train.engine.stage import training_stage


class EnergyObjective(nn.Module):
    """Regression of the next frame's mean square, per channel, in normalised space."""

    def __init__(self, config: EnergyConfig, inputs: ObjectiveInputs) -> None:
        super().__init__()
        self.simulator = build_simulator(inputs.model, inputs.tasks, inputs.statistics)
        self.error = MeanMetric()

    @property
    def network(self) -> Network:
        return self.simulator.network

    def initialise(self) -> None:
        with torch.no_grad():  # something that a resumed training must not do again
            for weight in self.network.parameters():
                weight.add_(0.01 * torch.randn_like(weight))

    def _errors(self, network: Network, batch: FieldBatch) -> Tensor:
        scaled = self.simulator.normaliser(batch.task).target_scaled
        prediction = self.simulator.with_network(network).step(batch)
        energies = [scaled(field).square().flatten(2).mean(-1) for field in (prediction, batch.target[:, 0])]
        return (energies[0] - energies[1]).square().mean(1)

    def loss(self, batch: FieldBatch, seed: int, progress: float) -> Tensor:
        return self._errors(self.network, batch).mean()

    def validate(self, network: Network, batch: FieldBatch) -> None:
        errors = self._errors(network, batch)
        if batch.loss_weight:
            self.error.update(errors)

    def scores(self) -> dict[str, Tensor]:
        score: Tensor = self.error.compute()
        self.error.reset()
        return {"val/energy": score}

    def export(self, network: Network, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        save_file(dict(network.state_dict()), directory / "weights.safetensors")


energy = training_stage(EnergyObjective)


class OutOfMemory(Callback):
    """See its options."""

    def __init__(self, config: OutOfMemoryConfig) -> None:
        self.config = config

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        config, micro_batches = self.config, pl_module.micro_batches
        here = (trainer.global_rank, trainer.global_step) == (config.rank, config.step)
        if here and micro_batches <= config.max_micro_batches:  # type: ignore[operator]
            raise torch.OutOfMemoryError("simulated: out of memory")
