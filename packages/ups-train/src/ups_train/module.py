"""The Lightning module that trains a simulator and validates it on decoded rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torchmetrics import Metric

from ups_core import Component, UPSError
from ups_data.batch import FieldBatch
from ups_eval.metrics import NRMSE
from ups_models.network import module_key
from ups_models.simulator import Simulator
from ups_train.config import OperatorConfig
from ups_train.randomness import derive_seed

Loss = Callable[[Tensor, Tensor], Tensor]


class NonFiniteLoss(UPSError):
    """The loss is NaN or infinite; raised before the optimizer sees its gradient."""


class SimulatorModule(pl.LightningModule):
    """Trains on windows in normalised space, validates on whole trajectories in physical units.

    Args:
        losses: weight and loss; each loss takes normalised `(B, T, C, *S)` twice.
        total_steps: optimizer steps of the whole training, for the schedule.
        seed: the spec's; randomness inside a step is a function of it, the rank and the step.
    """

    def __init__(
        self,
        simulator: Simulator,
        config: OperatorConfig,
        losses: Sequence[tuple[float, Loss]],
        total_steps: int,
        seed: int,
    ):
        super().__init__()
        self.simulator = simulator
        self.config = config
        self.losses = losses
        self.total_steps = total_steps
        self.seed = seed
        self.scores: dict[str, Metric] = {name: NRMSE() for name in simulator.tasks}
        self.validation = nn.ModuleDict({module_key(name): score for name, score in self.scores.items()})

    def on_train_batch_start(self, batch: FieldBatch, batch_idx: int) -> None:
        """Seed this step's randomness from where it stands in the training."""
        torch.manual_seed(derive_seed(self.seed, "step", self.global_rank, self.current_epoch, batch_idx))

    def training_step(self, batch: FieldBatch, batch_idx: int) -> Tensor:
        """The weighted loss of the model's own rollout over the window."""
        normaliser = self.simulator.normaliser(batch.task)
        prediction = self.simulator.rollout(batch, batch.target.shape[1])
        predicted, target = normaliser.target_scaled(prediction), normaliser.target_scaled(batch.target)
        loss = torch.stack([weight * term(predicted, target) for weight, term in self.losses]).sum()
        if not math.isfinite(loss.item()):
            raise NonFiniteLoss(
                f"the loss is {loss.item()} at epoch {self.current_epoch}, batch {batch_idx} (task "
                f"'{batch.task}', trajectories {sorted(set(batch.index.tolist()))[:8]}); the weights are "
                "those before this batch; lower optimizer.lr, or check the data with 'ups data inspect'"
            )
        return loss

    def validation_step(self, batch: FieldBatch, batch_idx: int) -> None:
        """Roll out a whole trajectory in physical units; given frames are not scored."""
        prediction = self.simulator.rollout(batch, batch.target.shape[1])
        self.scores[batch.task].update(prediction, batch.target)

    def on_validation_epoch_end(self) -> None:
        """Log every task's nRMSE and their mean, which model selection watches."""
        scores = {}
        for name in self.simulator.tasks:
            metric = self.scores[name]
            score = metric.compute().float()
            scores[name] = torch.nan_to_num(score, nan=math.inf)
            metric.reset()
        self.log_dict({f"val/{name}/nrmse": score for name, score in scores.items()}, logger=False)
        self.log("val/nrmse", torch.stack(list(scores.values())).mean(), prog_bar=True, logger=False)

    def configure_optimizers(self) -> Any:
        """The spec's optimizer and schedule, stepped per optimizer step."""
        optimizer = self.config.optimizer.create(module=self.simulator.network)
        schedule = self.config.scheduler.create(optimizer=optimizer, total_steps=self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def create_losses(components: Sequence[Component]) -> list[tuple[float, Loss]]:
    """Weight and callable of every loss that a stage names."""
    return [(getattr(component.config, "weight", 1.0), component.create()) for component in components]
