"""`ups-run --profile`: a trace of a few training steps and the operators that cost most."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch.profiler import ProfilerActivity, profile, schedule

from ups_core.context import PROFILE
from ups_core.files import write_text

WAIT, WARM_UP, ACTIVE = 3, 2, 5
"""Numbers of micro-batches that are skipped, that warm up the profiler, that are recorded."""
ROWS = 10


def profile_requested() -> bool:
    """Whether the command asked for a profile."""
    return bool(os.environ.get(PROFILE))


class ProfileSteps(Callback):
    """Writes `trace.json` (for chrome://tracing or perfetto.dev) and `operators.txt` below a directory.

    A training of fewer than ten micro-batches is too short and writes nothing.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.profiler: profile | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the profiler."""
        activities = [ProfilerActivity.CPU]
        if trainer.strategy.root_device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self.directory.mkdir(exist_ok=True)
        self.profiler = profile(
            activities=activities,
            schedule=schedule(wait=WAIT, warmup=WARM_UP, active=ACTIVE, repeat=1),
            on_trace_ready=self._write,
        )
        self.profiler.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *batch: Any) -> None:
        """Count a micro-batch."""
        if self.profiler is not None:
            self.profiler.step()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the profiler."""
        if self.profiler is not None:
            self.profiler.stop()
            self.profiler = None

    def _write(self, profiler: profile) -> None:
        profiler.export_chrome_trace(str(self.directory / "trace.json"))
        order = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        table = profiler.key_averages().table(sort_by=order, row_limit=ROWS, max_name_column_width=50)
        write_text(self.directory / "operators.txt", table + "\n")
