"""When a training is saved, and when it stops: after validations, at intervals, and on request."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch.optim import Optimizer

from ups_core import UPSError, interrupts
from ups_core.console import Console
from ups_train.engine.checkpoint_files import (
    RESUMABLE,
    SCORED,
    CheckpointFiles,
    find_damage,
    prune,
    saved_steps,
    seal,
    set_aside,
)
from ups_train.engine.config import CheckpointsConfig
from ups_train.engine.lightning_progress import is_accumulating, store_validation, training_has_ended
from ups_train.engine.module import TrainingModule

DUE = 1
"""Value reduced over ranks when only a checkpoint is due; stop codes are larger, so max() lets a stop win."""


class Checkpointing(Checkpoint):
    """Writes checkpoints, keeps the newest and the best, and stops a training on request.

    A training resumes exactly from any place between two optimizer steps. So a checkpoint is written after a
    validation, and otherwise before the next batch for which no gradient is pending. A validation that is
    interrupted starts again on resume.

    Args:
        monitor: the metric to minimise.
        origin: the step at which a training ended that this one continues; None if there is none.

    Attributes:
        improvements: steps of the validations that were the best so far; the last one is the best of all.
        last: step of the last validation.
    """

    def __init__(
        self,
        folder: Path,
        files: CheckpointFiles,
        config: CheckpointsConfig,
        monitor: str,
        console: Console,
        origin: int | None = None,
    ) -> None:
        self.folder = folder
        self.origin = origin
        self.files = files
        self.config = config
        self.monitor = monitor
        self.console = console
        self.improvements: list[int] = []
        self.last: int | None = None
        self._best = math.inf
        self._ended = False
        self._due = False
        self._interrupted = False
        self._worked = False

    def path_of(self, step: int) -> Path:
        """The checkpoint of a validation."""
        resumable = self.folder / RESUMABLE.format(step)
        return resumable if resumable.exists() else self.folder / SCORED.format(step)

    def sound_step(self, selected: int) -> int:
        """The validation whose weights are exported: the selected one, or the best that is not damaged.

        Raises:
            UPSError: the checkpoints of all validations are damaged.
        """
        others = [step for step in (*reversed(self.improvements), self.last) if step is not None]
        for step in dict.fromkeys([selected, *others]):
            path = self.path_of(step)
            damage = find_damage(path)
            if damage is None:
                return step
            if step == selected or os.path.lexists(path):  # others are deleted in time
                self.console.say(f"  checkpoint {path} {damage}; trying another one", style="yellow")
        raise UPSError(
            f"no checkpoint of a validation in {self.folder} can be exported; to start this step from "
            "scratch, delete that folder"
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start to count the time since the last checkpoint; files newer than it are put aside."""
        interrupts.handle_signals()  # Lightning has just installed its own handlers
        if trainer.is_global_zero:
            set_aside(self.folder, trainer.global_step)
        self._saved_at = time.monotonic()
        self._saved_step = trainer.global_step
        # Whatever ended it: Lightning itself remembers only the number of steps.
        if self._ended and trainer.global_step != self.origin:
            trainer.should_stop = True

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save or stop between two optimizer steps, if that was requested.

        Several ranks act on the code that they agreed on in the last optimizer step, with its other numbers:
        asking again would make the host wait once more.
        """
        if batch_idx % trainer.accumulate_grad_batches:
            return
        stop_code = self._requested()
        if trainer.world_size > 1:
            assert isinstance(pl_module, TrainingModule)
            stop_code = pl_module.report.stop_code if pl_module.report is not None else 0
        if stop_code:
            self._save_step(trainer)
        if stop_code > DUE:
            self._stop(stop_code)

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Interrupt a validation on request, unless it is the last one or gradients are pending."""
        # Ranks have the same number of validation batches, so all of them meet here.
        stop_code = self._agree(trainer)
        if stop_code > DUE and not (training_has_ended(trainer) or is_accumulating(trainer)):
            self._interrupted = True
            self._save_step(trainer)
            self._stop(stop_code)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let an interrupted validation start again on resume."""
        store_validation(checkpoint, self._interrupted)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what was scored."""
        self._worked = True
        step, score = trainer.global_step, float(trainer.callback_metrics[self.monitor])
        self.last = step
        if score < self._best or not self.improvements:
            self._best = score
            self.improvements.append(step)
        self._due = is_accumulating(trainer)
        self._ended = training_has_ended(trainer)
        self._save(trainer, self.folder / (SCORED if self._due else RESUMABLE).format(step))
        stop_code = self._agree(trainer)
        if stop_code > DUE and not self._due:
            self._stop(stop_code)

    def _requested(self) -> int:
        """The stop that this rank was asked for, :data:`DUE`, or 0.

        A time limit counts only after a step or a validation of this process: one that is shorter than the
        start-up would otherwise stop the same training in the same place, every time.
        """
        every = self.config.every
        late = every is not None and time.monotonic() - self._saved_at >= every
        stop = interrupts.requested()
        if stop == interrupts.OUT_OF_TIME and not self._worked:
            stop = 0
        return stop or (DUE if self._due or late else 0)

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Give the training module the code that ranks agree on."""
        assert isinstance(pl_module, TrainingModule)
        self._worked = True
        pl_module.stop_code = self._requested()

    def _agree(self, trainer: pl.Trainer) -> int:
        """The largest code of all ranks, between training steps."""
        stop_code = self._requested()
        if trainer.world_size > 1:
            codes = torch.tensor(stop_code, device=trainer.strategy.root_device)
            stop_code = int(trainer.strategy.reduce(codes, reduce_op="max"))
        return stop_code

    def _save_step(self, trainer: pl.Trainer) -> None:
        """Write a checkpoint of this step, unless there is one."""
        if trainer.global_step != self._saved_step:
            self._save(trainer, self.folder / RESUMABLE.format(trainer.global_step))

    def _save(self, trainer: pl.Trainer, path: Path) -> None:
        trainer.save_checkpoint(path)  # on every rank: sharded strategies gather tensors for it
        self._saved_at = time.monotonic()
        if path.name == RESUMABLE.format(trainer.global_step):
            self._saved_step, self._due = trainer.global_step, False
        if not trainer.is_global_zero:
            return
        if path.is_dir():  # DeepSpeed writes by itself
            seal(path)
        prune(self.folder, self._kept(path), self.console.say)

    def _kept(self, newest: Path) -> set[Path]:
        """The newest checkpoints, the best validation at the time of each, and the last validation.

        A file that is being written in the background is not on disk yet, so it is not counted.
        """
        steps = saved_steps(self.folder)[-self.config.keep :]
        scored = [max((best for best in self.improvements if best <= step), default=None) for step in steps]
        scored += [self.last, *self.improvements[-1:]]
        kept = {self.folder / RESUMABLE.format(step) for step in steps}
        return {newest} | kept | {self.path_of(step) for step in scored if step is not None}

    def _stop(self, code: int) -> None:
        self.files.wait()
        raise interrupts.Interrupted(code)

    def state_dict(self) -> dict[str, Any]:
        """The validations so far, and whether the training has ended."""
        return {
            "improvements": list(self.improvements),
            "best": self._best,
            "last": self.last,
            "ended": self._ended,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume with them."""
        self.improvements, self._best, self.last = list(state["improvements"]), state["best"], state["last"]
        self._ended = state["ended"]
