"""Time of training steps by part, speed and memory."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ups_data.batches.batch import FieldBatch
from ups_train.engine.module import TrainingModule
from ups_train.parallel.sharding import is_sharded

PARTS = ("data", "forward", "backward", "optimizer")
GPU_SAMPLE = 10
"""On a GPU, one of this number of micro-batches is timed."""
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "A10G": 125e12, "L40S": 362e12, "L4": 121e12}
"""Dense 16-bit floating-point operations per second of tensor cores, from NVIDIA's data sheets."""


class StepClock(Callback):
    """Splits the time of micro-batches into loading, forward, backward and optimizer.

    Validations and checkpoints are not counted. On a GPU the device's own events are timed and read at the
    next validation, so that no step waits for the clock.
    """

    def __init__(self) -> None:
        self._since: Any = None
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._clear()

    def _clear(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.batches = self.samples = self.tokens = 0
        self.flops = 0.0
        self._events.clear()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.device = trainer.strategy.root_device
        self.gpu = self.device.type == "cuda"
        self.world = trainer.world_size
        sharded = any(map(is_sharded, pl_module.parameters()))  # counting would need all ranks
        self.peak = None if sharded else peak_flops(self.device)
        self.flops_of: dict[str, float] = {}
        self.timed = True
        self._since = self._now()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: FieldBatch, batch_idx: int
    ) -> None:
        """The batch has arrived."""
        self.timed = not self.gpu or batch_idx % GPU_SAMPLE == 0
        self._add("data")
        if self.peak and batch.task not in self.flops_of:
            assert isinstance(pl_module, TrainingModule)
            self.flops_of[batch.task] = count_flops(pl_module, partial(pl_module.loss, batch, 0)) / len(batch)
            self._since = self._now()  # counting is not part of the forward pass

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """The loss is computed."""
        self._add("forward")

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gradients are computed."""
        self._add("backward")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: FieldBatch,
        batch_idx: int,
    ) -> None:
        """Weights are updated, or gradients accumulated."""
        self._add("optimizer")
        if self.timed:
            self.batches += 1
            self.samples += len(batch)
            self.tokens += len(batch) * math.prod(batch.target.shape[3:])
            self.flops += self.flops_of.get(batch.task, 0.0) * len(batch)
        elif (batch_idx + 1) % GPU_SAMPLE == 0:
            self._since = self._now()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restart the clock."""
        self._since = self._now()

    def take(self) -> dict[str, float]:
        """Figures since the last call, for one line of `metrics.jsonl`; times are per micro-batch."""
        if self._events:
            torch.cuda.synchronize(self.device)
        for part, start, end in self._events:
            self.seconds[part] += start.elapsed_time(end) / 1000
        total = sum(self.seconds.values())
        if not self.batches or not total:
            return {}
        found = {
            "speed/samples_per_second": self.samples * self.world / total,
            "speed/tokens_per_second": self.tokens * self.world / total,
            **{f"speed/{part}_seconds": self.seconds[part] / self.batches for part in PARTS},
            "speed/peak_memory_mb": peak_memory(self.device) / 1e6,
        }
        if self.peak and self.flops:
            found["speed/mfu"] = self.flops / total / self.peak
        self._clear()
        return found

    def _now(self) -> Any:
        """The host's clock, or an event in the GPU's queue."""
        if not self.gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _add(self, part: str) -> None:
        if not self.timed:
            return
        now = self._now()
        if self.gpu:
            self._events.append((part, self._since, now))
        else:
            self.seconds[part] += now - self._since
        self._since = now


def count_flops(module: nn.Module, loss: Callable[[], Tensor]) -> float:
    """Floating-point operations of the matrix products and convolutions of a forward and backward pass."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(loss(), weights, allow_unused=True)
    return float(counter.get_total_flops())


def peak_memory(device: torch.device) -> float:
    """Maximum number of bytes in use so far: of tensors on a GPU, of the process elsewhere."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def peak_flops(device: torch.device) -> float | None:
    """Peak operations per second of a GPU, if known."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for part, peak in PEAK_FLOPS.items() if part in name), None)
