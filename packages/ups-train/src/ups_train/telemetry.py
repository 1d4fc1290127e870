"""Where the time of training steps goes, how fast they are, and how much memory they take."""

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

from ups_data.batch import FieldBatch
from ups_train.module import SimulatorModule
from ups_train.parallel.sharding import is_sharded

PARTS = ("data", "forward", "backward", "optimizer")
GPU_SAMPLE = 10
"""On a GPU every so many micro-batches are timed: to time one, the device has to be waited for."""
PEAK_FLOPS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "A10G": 125e12, "L40S": 362e12, "L4": 121e12}
"""Dense 16-bit floating-point operations a second of tensor cores, from NVIDIA's data sheets."""


class StepClock(Callback):
    """Splits the wall time of micro-batches into loading, forward, backward and optimizer.

    Validations and checkpoints are not counted.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._clear()

    def _clear(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.batches = self.samples = self.tokens = 0
        self.flops = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to wait for data; count the operations of a sample of every task where that is of use."""
        self.device = trainer.strategy.root_device
        self.world = trainer.world_size
        sharded = any(map(is_sharded, pl_module.parameters()))  # counting would need all ranks
        self.peak = None if sharded else peak_flops(self.device)
        self.flops_of: dict[str, float] = {}
        self._mark()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: FieldBatch, batch_idx: int
    ) -> None:
        """The batch has come."""
        self.timed = self._is_timed(batch_idx)
        if self.peak and batch.task not in self.flops_of:
            assert isinstance(pl_module, SimulatorModule)
            self.flops_of[batch.task] = count_flops(pl_module, partial(pl_module.loss, batch, 0)) / len(batch)
            self._since = None
        self._add("data")

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """The loss is there."""
        self._add("forward")

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gradients are there."""
        self._add("backward")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: FieldBatch,
        batch_idx: int,
    ) -> None:
        """Weights are updated, or gradients added up."""
        self._add("optimizer")
        if self.timed:
            self.batches += 1
            self.samples += len(batch)
            self.tokens += len(batch) * math.prod(batch.target.shape[3:])
            self.flops += self.flops_of.get(batch.task, 0.0) * len(batch)
        if self._is_timed(batch_idx + 1):
            self._wait()
            self._mark()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go on to wait for data."""
        self._mark()

    def take(self) -> dict[str, float]:
        """Figures since the last call, for one line of `metrics.jsonl`; times are of one micro-batch."""
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

    def _is_timed(self, batch_idx: int) -> bool:
        return self.device.type != "cuda" or batch_idx % GPU_SAMPLE == 0

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _mark(self) -> None:
        self._since = time.perf_counter()

    def _add(self, part: str) -> None:
        if self.timed:
            self._wait()
            if self._since is not None:
                self.seconds[part] += time.perf_counter() - self._since
        self._mark()


def count_flops(module: nn.Module, loss: Callable[[], Tensor]) -> float:
    """Floating-point operations of the matrix products and convolutions of a forward and backward pass."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(loss(), weights, allow_unused=True)
    return float(counter.get_total_flops())


def peak_memory(device: torch.device) -> float:
    """Most bytes in use so far: of tensors on a GPU, of the whole process elsewhere."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def peak_flops(device: torch.device) -> float | None:
    """What a GPU can do at most, where that is known."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for part, peak in PEAK_FLOPS.items() if part in name), None)
