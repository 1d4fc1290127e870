"""`metrics.jsonl`: one line per validation, also printed for users without a progress bar.

The runner sends the lines to trackers (:mod:`ups_core.tracking`).
"""

from __future__ import annotations

import json
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from ups_core.console import Console
from ups_core.files import open_own, write_text
from ups_core.reading import read_text
from ups_train.engine.module import TrainingModule
from ups_train.engine.progress import Progress
from ups_train.engine.step_clock import StepClock

CURVE = "curve"
"""Key of a line: task -> its losses since the line before, evenly spaced."""
POINTS = 20
"""Maximum number of losses of a task between two lines."""


class MetricsFile(Callback):
    """Writes a line per validation: its metrics and, since the line before, mean losses and speed.

    Checkpoints hold all lines, so that on resume the file is what it was at the checkpoint.

    Args:
        monitor: the metric that the console line shows.
    """

    def __init__(
        self, path: Path, monitor: str, console: Console, progress: Progress, clock: StepClock
    ) -> None:
        self.path = path
        self.monitor = monitor
        self.console = console
        self.progress = progress
        self.clock = clock
        self.started = time.monotonic()
        self.losses: dict[str, list[float]] = {}
        self.lines: list[dict[str, Any]] = []
        self.restored = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the lines of the checkpoint that training resumes from."""
        self.trainer = trainer
        self.restored = True
        if trainer.is_global_zero:
            write_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A training that was stopped after its last step never starts, but its lines are needed."""
        if not self.restored:
            self.on_train_start(trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the line."""
        self._collect(trainer)
        losses = self._train_losses(trainer) | self.clock.take()
        if not trainer.is_global_zero:
            return
        metrics: dict[str, Any] = {"step": trainer.global_step, "epoch": trainer.current_epoch}
        for name, value in trainer.callback_metrics.items():
            metrics[name] = value.item() if torch.isfinite(value) else None
        metrics |= losses
        metrics["lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        metrics["seconds"] = round(time.monotonic() - self.started, 3)
        metrics["training_seconds"] = round(self.progress.seconds, 3)
        self.lines.append(metrics)
        with open_own(self.path, "a") as file:
            file.write(json.dumps(metrics) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if not self.console.interactive:
            self.console.say(self._line(metrics, trainer))

    def state_dict(self) -> dict[str, Any]:
        """Losses since the last line: over all ranks, because one of them writes the checkpoint."""
        self._collect(self.trainer)
        losses = {task: _over_ranks(self.trainer, values) for task, values in self.losses.items()}
        return {"losses": losses, "lines": list(self.lines)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume with them."""
        self.losses = {task: list(values) for task, values in state["losses"].items()}
        self.lines = list(state["lines"])

    def _collect(self, trainer: pl.Trainer) -> None:
        """Take over the losses that training steps have fetched since the last call."""
        module = trainer.lightning_module
        assert isinstance(module, TrainingModule)
        for task, loss in module.collector.take_losses():
            self.losses.setdefault(task, []).append(loss)

    def _train_losses(self, trainer: pl.Trainer) -> dict[str, Any]:
        """Mean loss since the last line over all ranks, of every task and of all batches, and its course."""
        tasks = sorted(self.losses.items())
        means: dict[str, Any] = {f"train/{task}/loss": _mean(trainer, values) for task, values in tasks}
        every = [value for values in self.losses.values() for value in values]
        if every:
            means["train/loss"] = _mean(trainer, every)
            means[CURVE] = {task: _over_ranks(trainer, _course(values)) for task, values in tasks}
        self.losses.clear()
        return means

    def _line(self, metrics: dict[str, Any], trainer: pl.Trainer) -> str:
        split, _, metric = self.monitor.partition("/")
        tasks = [
            f"{name.split('/')[1]} {_number(value)}"
            for name, value in metrics.items()
            if name.startswith(f"{split}/") and name.endswith(f"/{metric}") and name != self.monitor
        ]
        total = "" if trainer.max_steps < 0 else f"/{trainer.max_steps}"
        by_task = f" ({', '.join(tasks)})" if tasks else ""
        score = _number(metrics[self.monitor])
        return (
            f"  step {metrics['step']}{total}  {split} {metric} {score}{by_task}  {metrics['seconds']:.0f} s"
        )


def _course(values: list[float]) -> list[float]:
    """Means of at most :data:`POINTS` parts of equal length, in order."""
    parts = min(POINTS, len(values))
    ends = [len(values) * part // parts for part in range(parts + 1)]
    return [sum(values[begin:end]) / (end - begin) for begin, end in pairwise(ends)]


def _mean(trainer: pl.Trainer, values: list[float]) -> float:
    """Over the values of all ranks, which have equally many."""
    (mean,) = _over_ranks(trainer, [sum(values) / len(values)])
    return mean


def _over_ranks(trainer: pl.Trainer, values: list[float]) -> list[float]:
    """The mean of every value over all ranks."""
    ours = torch.tensor(values, dtype=torch.float64, device=trainer.strategy.root_device)
    means: list[float] = trainer.strategy.reduce(ours, reduce_op="mean").tolist()
    return means


def _number(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.4f}"


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`, or none without a file; an incomplete last line is ignored."""
    lines = []
    for text in read_text(path).splitlines() if path.exists() else ():
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines
