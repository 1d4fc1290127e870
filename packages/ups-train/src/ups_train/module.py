"""The Lightning module that trains a simulator and validates it on decoded rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchmetrics import Metric

from ups_core import Component, UPSError
from ups_data.batch import FieldBatch
from ups_data.symmetry import augment
from ups_eval.metrics import NRMSE
from ups_models.network import module_key
from ups_models.simulator import Simulator, feed_back
from ups_train.config import OperatorConfig
from ups_train.consistency import latent_consistency
from ups_train.curriculum import draw_depth
from ups_train.progress import Progress
from ups_train.randomness import derive_seed

Loss = Callable[[Tensor, Tensor], Tensor]


class NonFiniteLoss(UPSError):
    """The loss is NaN or infinite; raised before the optimizer sees its gradient."""


class SimulatorModule(pl.LightningModule):
    """Trains on windows in normalised space, validates on whole trajectories in physical units.

    Args:
        losses: weight and loss; each loss takes normalised `(B, T, C, *S)` twice.
        progress: how far the training is, for schedule and curriculum.
        seed: the spec's; randomness inside a step is a function of it, the rank and the step.
    """

    def __init__(
        self,
        simulator: Simulator,
        config: OperatorConfig,
        losses: Sequence[tuple[float, Loss]],
        progress: Progress,
        seed: int,
    ):
        super().__init__()
        self.simulator = simulator
        self.config = config
        self.losses = losses
        self.progress = progress
        self.seed = seed
        self.scores: dict[str, Metric] = {name: NRMSE() for name in simulator.tasks}
        self.validation = nn.ModuleDict({module_key(name): score for name, score in self.scores.items()})

    def on_train_batch_start(self, batch: FieldBatch, batch_idx: int) -> None:
        """Seed this step's randomness from where it stands in the training."""
        torch.manual_seed(derive_seed(self.seed, "step", self.global_rank, self.current_epoch, batch_idx))
        self.progress.start(self.global_step)

    def on_train_batch_end(self, outputs: Any, batch: FieldBatch, batch_idx: int) -> None:
        """Count the time; end the training when its budget is used up."""
        self.progress.stop()
        if self.progress.over:
            self.trainer.should_stop = True

    def training_step(self, batch: FieldBatch, batch_idx: int) -> Tensor:
        """The weighted loss of the model's own rollout over the window."""
        loss = self.loss(batch) * self.config.task_weights.get(batch.task, 1.0)
        if not math.isfinite(loss.item()):
            raise NonFiniteLoss(
                f"the loss is {loss.item()} at epoch {self.current_epoch}, batch {batch_idx} (task "
                f"'{batch.task}', trajectories {sorted(set(batch.index.tolist()))[:8]}); the weights are "
                "those before this batch; lower optimizer.lr, or check the data with 'ups data inspect'"
            )
        return loss

    def loss(self, batch: FieldBatch) -> Tensor:
        """The loss of one batch: augmented, disturbed, rolled out as deep as the curriculum says."""
        config, task = self.config, self.simulator.tasks[batch.task]
        if config.augment:
            batch = augment(batch, task)
        depth = draw_depth(config, self.progress.at(self.global_step))
        if task.kind == "steady":
            return self._compare(batch, self.simulator.rollout(batch, 1), batch.target)
        if config.noise:
            scale = config.noise * self.simulator.normaliser(batch.task).state_std
            batch = replace(batch, state=batch.state + scale * torch.randn_like(batch.state))
        start = batch
        if depth.free:
            with torch.no_grad():
                start = feed_back(batch, self.simulator.rollout(batch, depth.free))
        end = depth.free + depth.graded
        loss = self._compare(
            batch, self.simulator.rollout(start, depth.graded), batch.target[:, depth.free : end]
        )
        if config.latent_unroll:
            latent = self.simulator.latent_rollout(batch, config.latent_unroll)
            loss = loss + self._compare(batch, latent, batch.target[:, : config.latent_unroll])
        if config.consistency:
            loss = loss + config.consistency * latent_consistency(self.simulator, batch)
        return loss

    def _compare(self, batch: FieldBatch, prediction: Tensor, target: Tensor) -> Tensor:
        """Weighted sum of the losses of physical `(B, T, C, *S)` fields, which losses see normalised."""
        scaled = self.simulator.normaliser(batch.task).target_scaled
        predicted, wanted = scaled(prediction), scaled(target)
        return torch.stack([weight * term(predicted, wanted) for weight, term in self.losses]).sum()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The time that was used belongs to the training's state."""
        checkpoint["progress"] = self.progress.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the clock."""
        self.progress.load_state_dict(checkpoint["progress"])

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
        mean = torch.stack(list(scores.values())).mean()
        self.log("val/nrmse", mean, prog_bar=True, logger=False)
        schedule = self.lr_schedulers()
        if isinstance(schedule, ReduceLROnPlateau):  # now, so that this validation's checkpoint knows of it
            schedule.step(float(mean))

    def configure_optimizers(self) -> Any:
        """The spec's optimizer and schedule, stepped per optimizer step."""
        optimizer = self.config.optimizer.create(module=self.simulator.network)
        schedule = self.config.scheduler.create(optimizer=optimizer, progress=self.progress)
        watched = {"monitor": "val/nrmse", "strict": False} if isinstance(schedule, ReduceLROnPlateau) else {}
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", **watched},
        }

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Once per optimizer step, save a schedule that follows the validations."""
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)


def create_losses(components: Sequence[Component]) -> list[tuple[float, Loss]]:
    """Weight and callable of every loss that a stage names."""
    return [(getattr(component.config, "weight", 1.0), component.create()) for component in components]
