"""The training data loader: batches of several tasks in the sampler's order, resumable anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ups_core import UPSError
from ups_data.batch import FieldBatch
from ups_data.dataset import Windows
from ups_data.sampler import MultiTaskBatchSampler


class MultiTaskLoader:
    """Pairs tasks' windows with a sampler; a train dataloader for Lightning or a plain `for` loop.

    Lightning saves and restores its position through `state_dict` and `load_state_dict`, and announces
    epochs to `sampler`.

    Raises:
        UPSError: the sampler was made for other tasks or sizes.
    """

    def __init__(self, windows: Mapping[str, Windows], sampler: MultiTaskBatchSampler):
        sizes = {task: len(part) for task, part in windows.items()}
        if sizes != sampler.sizes:
            raise UPSError(f"the sampler draws from {sampler.sizes}, the windows are {sizes}")
        self.windows = dict(windows)
        self.sampler = sampler

    def __len__(self) -> int:
        """Batches of an epoch on this rank."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[FieldBatch]:
        for task, indices, size in self.sampler:
            batch = self.windows[task].batch(indices)
            yield replace(batch, share=len(indices) * self.sampler.world / size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The sampler's epoch and position."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state: the next iteration gives the batches that are left of its epoch."""
        self.sampler.load_state_dict(state)
