"""The progress bar of a training; it never makes the host wait for the device."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar

from ups_train.engine.module import TrainingModule


class ProgressBar(RichProgressBar):
    """Lightning's bar with the loss that the last optimizer step fetched and the last validation's score.

    Lightning's own metrics are tensors on the device, which the bar would read at every refresh.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__(leave=False)
        self.monitor = monitor
        self._score: float | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Read the score once."""
        self._score = float(trainer.callback_metrics[self.monitor])
        super().on_validation_end(trainer, pl_module)

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The values beside the bar."""
        assert isinstance(pl_module, TrainingModule)
        found: dict[str, Any] = {}
        if pl_module.report is not None:
            found["loss"] = pl_module.report.micro_batches[-1].loss
        if self._score is not None:
            found[self.monitor] = self._score
        return found
