"""Agreement between the gradients of several tasks on shared weights."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from ups_train.parallel.sharding import gather

METRIC = "train/gradient_cosine"


class GradientConflict(Callback):
    """Logs the mean cosine between gradients of successive batches of different tasks since the last
    validation.

    Only weights that both batches used count. 1: the tasks agree, 0: they are independent,
    below 0: progress on one harms the other.
    """

    def __init__(self) -> None:
        self.task = ""
        self.latest: dict[str, dict[str, Tensor]] = {}
        self.cosines: list[float] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Remember the task of the batch."""
        self.task = batch.task

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare this batch's gradient with the latest one of every other task."""
        # Cloned, because the next backward pass reuses the gradients' memory.
        ours = {
            name: gather(weight.grad).detach().flatten().clone()
            for name, weight in pl_module.named_parameters()
            if weight.grad is not None
        }
        for task, theirs in self.latest.items():
            shared = [name for name in ours if name in theirs]
            if task != self.task and shared:
                one, two = (torch.cat([grads[name] for name in shared]) for grads in (ours, theirs))
                self.cosines.append(float(torch.nn.functional.cosine_similarity(one, two, dim=0)))
        self.latest[self.task] = ours

    def state_dict(self) -> dict[str, Any]:
        """The gradients that are compared next."""
        return {"latest": self.latest, "cosines": list(self.cosines)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume with them."""
        self.latest, self.cosines = state["latest"], list(state["cosines"])

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the mean and start again."""
        if self.cosines:
            pl_module.log(METRIC, sum(self.cosines) / len(self.cosines), logger=False)
            self.cosines.clear()
