"""The one host sync of an optimizer step: losses, gradient norm and stop codes fetched together.

Reading a number from a device makes the host wait for everything queued before it. So the losses of all
micro-batches stay on the device until the gradient is complete, and one transfer brings all numbers that
guards, logs and the progress bar need. A loss that is not finite makes a gradient that is not finite, so
nothing reaches the weights before this check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch.strategies import Strategy
from torch import Tensor

from ups_data.batches.batch import FieldBatch


class Place(NamedTuple):
    """One batch of a training: the epoch and the number within it."""

    epoch: int
    batch: int


@dataclass(frozen=True)
class MicroBatch:
    """One micro-batch of an optimizer step.

    Attributes:
        place: the batch that it belongs to.
        index: its trajectory numbers `(B,)`, on the host.
        loss_weight: see :class:`~ups_data.batches.batch.FieldBatch`.
        loss: of this rank.
        mean_loss: mean over the ranks, where it was asked for; else this rank's.
    """

    place: Place
    task: str
    index: Tensor
    loss_weight: float
    loss: float
    mean_loss: float


@dataclass(frozen=True)
class StepReport:
    """What one optimizer step fetched.

    Attributes:
        norm: of the gradient over all ranks, before clipping.
        stop_code: the largest of all ranks.
    """

    micro_batches: list[MicroBatch]
    norm: float
    stop_code: int


class ReportCollector:
    """Collects losses during the micro-batches of an optimizer step.

    Args:
        mean_losses: whether losses are averaged over ranks too, which spike detection needs.
    """

    def __init__(self, mean_losses: bool) -> None:
        self.mean_losses = mean_losses
        self._batches: list[tuple[Place, FieldBatch]] = []
        self._losses: list[Tensor] = []
        self._log: list[tuple[str, float]] = []
        self._logged = 0

    def add(self, place: Place, batch: FieldBatch, loss: Tensor) -> None:
        """Note the loss of a micro-batch, without looking at it."""
        self._batches.append((place, batch))
        self._losses.append(loss.detach())

    def fetch(self, norm: Tensor, stop_code: int, strategy: Strategy, world: int) -> StepReport:
        """Fetch everything with one host sync, and start again."""
        losses = torch.stack(self._losses).float()
        means, code = losses, None
        if world > 1:
            means = strategy.reduce(losses.clone(), reduce_op="mean") if self.mean_losses else losses
            code = strategy.reduce(torch.tensor(float(stop_code), device=losses.device), reduce_op="max")
        parts = [norm.detach().float().reshape(1), losses, means]
        parts += [] if code is None else [code.reshape(1)]
        values: list[float] = torch.cat(parts).tolist()
        count = len(self._losses)
        micro_batches = [
            MicroBatch(place, batch.task, batch.index, batch.loss_weight, loss, mean)
            for (place, batch), loss, mean in zip(
                self._batches, values[1 : 1 + count], values[1 + count : 1 + 2 * count], strict=True
            )
        ]
        self._note(losses=values[1 : 1 + count])
        self._batches.clear()
        self._losses.clear()
        self._logged = 0
        return StepReport(micro_batches, values[0], stop_code if code is None else int(values[-1]))

    def take_losses(self) -> list[tuple[str, float]]:
        """Task and weighted loss of every micro-batch since the last call, also of those without an update.

        Waits for the device where gradients are pending, so it is for validations and checkpoints.
        """
        if self._logged < len(self._losses):
            self._note(losses=torch.stack(self._losses).float().tolist())
        taken, self._log = self._log, []
        return taken

    def _note(self, losses: list[float]) -> None:
        """Log the losses of this optimizer step's micro-batches that are not logged yet, times their weight
        in the precision that the device multiplies in."""
        for (_, batch), loss in list(zip(self._batches, losses, strict=True))[self._logged :]:
            weighted = (
                loss if batch.loss_weight == 1.0 else float(np.float32(loss) * np.float32(batch.loss_weight))
            )
            self._log.append((batch.task, weighted))
        self._logged = len(losses)
