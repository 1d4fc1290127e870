"""`progress.json`: how far the training is, rewritten every few seconds, for `ups status`."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from ups_core.training_progress import PROGRESS, TrainingProgress
from ups_train.engine.progress import Progress

EVERY = 5.0
"""Seconds between two writes; each waits for the disk for some milliseconds."""


class ProgressFile(Callback):
    """Writes the file after validations and every few seconds; the first rank does.

    Args:
        directory: of the step.
        monitor: the metric that selects weights.
        progress: of the training.
    """

    def __init__(self, directory: Path, monitor: str, progress: Progress) -> None:
        self.directory = directory
        self.monitor = monitor
        self.progress = progress
        self.best: float | None = None
        self._written = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note where this process begins."""
        self._begin = self.progress.at(trainer.global_step)
        self._since = time.monotonic()
        self._write(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write if it is time."""
        if time.monotonic() - self._written >= EVERY:
            self._write(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write with the best score."""
        score = float(trainer.callback_metrics[self.monitor])
        if math.isfinite(score) and (self.best is None or score < self.best):
            self.best = score
        self._write(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Delete the file: it is no result of the step."""
        if trainer.is_global_zero:
            (self.directory / PROGRESS).unlink(missing_ok=True)

    def state_dict(self) -> dict[str, Any]:
        """The best score."""
        return {"best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume with it."""
        self.best = state["best"]

    def _write(self, trainer: pl.Trainer) -> None:
        self._written = now = time.monotonic()
        if not trainer.is_global_zero:
            return
        step = trainer.global_step
        done = self.progress.at(step)
        passed = done - self._begin
        written = TrainingProgress(
            step=step,
            steps=None if math.isinf(self.progress.steps) else int(self.progress.steps),
            epoch=trainer.current_epoch,
            done=done,
            seconds_left=(now - self._since) / passed * (1 - done) if passed > 0 else None,
            monitor=self.monitor,
            best=self.best,
            time=time.time(),
        )
        with suppress(OSError):  # a full disk: the next checkpoint says so, and loses nothing
            written.write(self.directory)
