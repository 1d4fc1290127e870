"""Validation batches: whole trajectories of every task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ups_data.batch import FieldBatch
from ups_data.dataset import Windows
from ups_train.parallel.ranks import Ranks


class TrajectoryLoader:
    """Every task's trajectories in turn, a batch holding one task.

    All ranks get equally many batches, because their networks must run equally often: a rank without a
    trajectory left gets one again, with `FieldBatch.share` 0.
    """

    def __init__(self, windows: Mapping[str, Windows], batch_size: int, ranks: Ranks):
        self.windows = windows
        self.batch_size = batch_size
        self.ranks = ranks

    def __len__(self) -> int:
        whole = self.batch_size * self.ranks.world
        return sum(math.ceil(len(windows) / whole) for windows in self.windows.values())

    def __iter__(self) -> Iterator[FieldBatch]:
        rank, world = self.ranks
        whole = self.batch_size * world
        for windows in self.windows.values():
            for start in range(0, len(windows), whole):
                part = range(start, min(start + whole, len(windows)))[rank::world]
                yield windows.batch(part) if part else replace(windows.batch([start]), share=0.0)
