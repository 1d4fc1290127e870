"""Validation batches: complete trajectories of every task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ups_data.batches.batch import FieldBatch
from ups_data.batches.windows import Windows
from ups_train.parallel.ranks import Ranks


class ValidationLoader:
    """Every task's trajectories in turn, a batch holding one task.

    All ranks get equally many batches, because their networks must run equally often: a rank without a
    trajectory left gets one again, with `FieldBatch.loss_weight` 0.
    """

    def __init__(self, windows: Mapping[str, Windows], batch_size: int, ranks: Ranks) -> None:
        self.windows = windows
        self.batch_size = batch_size
        self.ranks = ranks

    def __len__(self) -> int:
        world_batch = self.batch_size * self.ranks.world
        return sum(math.ceil(len(windows) / world_batch) for windows in self.windows.values())

    def __iter__(self) -> Iterator[FieldBatch]:
        rank, world = self.ranks
        world_batch = self.batch_size * world
        for windows in self.windows.values():
            for start in range(0, len(windows), world_batch):
                part = range(start, min(start + world_batch, len(windows)))[rank::world]
                yield windows.batch(part) if part else replace(windows.batch([start]), loss_weight=0.0)
