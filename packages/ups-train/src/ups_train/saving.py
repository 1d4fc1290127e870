"""When a training is saved, and when it stops: after validations, from time to time, and on request."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint

from ups_core import stopping
from ups_core.console import Console
from ups_train.checkpoints import RESUMABLE, SCORED, CheckpointFiles, prune, saved_steps, seal, set_aside
from ups_train.config import CheckpointsConfig

MONITOR = "val/nrmse"
DUE = 1
"""What ranks agree on where a checkpoint is due and no end was asked for, whose codes are larger."""


class Saving(Checkpoint):
    """Writes checkpoints, keeps the newest and the best, and ends a training that was asked to stop.

    A training goes on exactly from any place between two optimizer steps. So a checkpoint is written after a
    validation, and otherwise before the next batch for which no gradient is pending. A validation that is
    broken off begins anew.

    Attributes:
        improvements: steps of the validations that were the best so far; the last one is the best of all.
        last: step of the last validation.
    """

    def __init__(self, folder: Path, files: CheckpointFiles, config: CheckpointsConfig, console: Console):
        self.folder = folder
        self.files = files
        self.config = config
        self.console = console
        self.improvements: list[int] = []
        self.last: int | None = None
        self._best = math.inf
        self._due = False
        self._broken_off = False

    def path_of(self, step: int) -> Path:
        """The checkpoint of a validation."""
        resumable = self.folder / RESUMABLE.format(step)
        return resumable if resumable.exists() else self.folder / SCORED.format(step)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count the time since the last checkpoint; what is newer is of no use."""
        stopping.handle_signals()  # Lightning has put its own in front
        if trainer.is_global_zero:
            set_aside(self.folder, trainer.global_step)
        self._saved_at = time.monotonic()
        self._saved_step = trainer.global_step

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save or stop between two optimizer steps, where that is asked for."""
        wish = self._agree(trainer)
        if not wish or batch_idx % trainer.accumulate_grad_batches:
            return
        self._save_step(trainer)
        if wish > DUE:
            self._stop(wish)

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Break a validation off, unless it is the last one or gradients are pending."""
        wish = self._agree(trainer)
        fit = trainer.fit_loop
        if wish > DUE and not (trainer.should_stop or fit.done or fit.epoch_loop._should_accumulate()):
            self._broken_off = True
            self._save_step(trainer)
            self._stop(wish)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let a validation that is broken off count as one whose first batch has just begun.

        Lightning takes it up again by these counts, and goes on counting from them, so that later ones have
        to be put right.
        """
        counts = checkpoint["loops"]["fit_loop"]["epoch_loop.val_loop.batch_progress"]
        for count in (counts["total"], counts["current"]):
            done = 0 if self._broken_off else count["completed"]
            begun = done + self._broken_off
            count |= {"ready": begun, "started": begun, "processed": done, "completed": done}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what was scored."""
        step, score = trainer.global_step, float(trainer.callback_metrics[MONITOR])
        self.last = step
        if score < self._best or not self.improvements:
            self._best = score
            self.improvements.append(step)
        self._due = trainer.fit_loop.epoch_loop._should_accumulate()
        self._save(trainer, self.folder / (SCORED if self._due else RESUMABLE).format(step))
        wish = self._agree(trainer)
        if wish > DUE and not self._due:
            self._stop(wish)

    def _agree(self, trainer: pl.Trainer) -> int:
        """The end that any rank was asked for, :data:`DUE`, or 0; the same on all ranks."""
        every = self.config.every
        late = every is not None and time.monotonic() - self._saved_at >= every
        wish = stopping.requested() or (DUE if self._due or late else 0)
        if trainer.world_size > 1:
            told = torch.tensor(wish, device=trainer.strategy.root_device)
            wish = int(trainer.strategy.reduce(told, reduce_op="max"))
        return wish

    def _save_step(self, trainer: pl.Trainer) -> None:
        """Write a checkpoint of this step, unless there is one."""
        if trainer.global_step != self._saved_step:
            self._save(trainer, self.folder / RESUMABLE.format(trainer.global_step))

    def _save(self, trainer: pl.Trainer, path: Path) -> None:
        trainer.save_checkpoint(path)
        self._saved_at = time.monotonic()
        if path.name == RESUMABLE.format(trainer.global_step):
            self._saved_step, self._due = trainer.global_step, False
        if not trainer.is_global_zero:
            return
        if path.is_dir():  # DeepSpeed writes by itself
            seal(path)
        prune(self.folder, self._kept(path), self.console.say)

    def _kept(self, newest: Path) -> set[Path]:
        """The newest checkpoints, what was the best validation at each of them, and the last validation.

        What is being written in the background is not on disk yet, so it is not counted among the newest.
        """
        steps = saved_steps(self.folder)[-self.config.keep :]
        scored = [max((best for best in self.improvements if best <= step), default=None) for step in steps]
        scored += [self.last, *self.improvements[-1:]]
        kept = {self.folder / RESUMABLE.format(step) for step in steps}
        return {newest} | kept | {self.path_of(step) for step in scored if step is not None}

    def _stop(self, code: int) -> None:
        self.files.wait()
        raise stopping.Interrupted(code)

    def state_dict(self) -> dict[str, Any]:
        """The validations so far."""
        return {"improvements": list(self.improvements), "best": self._best, "last": self.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from them."""
        self.improvements, self._best, self.last = list(state["improvements"]), state["best"], state["last"]
