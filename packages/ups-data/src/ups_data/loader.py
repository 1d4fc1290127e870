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

    Args:
        parts: how many micro-batches a batch comes in, one after the other; their gradients add up to that of
            the batch. A part without a sample left gets one again, with `FieldBatch.share` 0.

    Raises:
        UPSError: the sampler was made for other tasks or sizes.
    """

    def __init__(self, windows: Mapping[str, Windows], sampler: MultiTaskBatchSampler, parts: int = 1):
        sizes = {task: len(part) for task, part in windows.items()}
        if sizes != sampler.sizes:
            raise UPSError(f"the sampler draws from {sampler.sizes}, the windows are {sizes}")
        self.windows = dict(windows)
        self.sampler = sampler
        self.parts = parts

    def __len__(self) -> int:
        """Micro-batches of an epoch on this rank."""
        return len(self.sampler) * self.parts

    def __iter__(self) -> Iterator[FieldBatch]:
        whole = self.sampler.world * self.parts
        for task, indices, size in self.sampler:
            for start in range(self.parts):
                part = indices[start :: self.parts]
                batch = self.windows[task].batch(part or indices[:1])
                yield replace(batch, share=len(part) * whole / size)

    def firsts(self) -> Iterator[FieldBatch]:
        """A micro-batch of the usual size of every task, for measurements; its position stays."""
        size = -(-self.sampler.batch_size // self.parts)
        for windows in self.windows.values():
            yield windows.batch(range(min(size, len(windows))))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The sampler's epoch and position."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state: the next iteration gives the batches that are left of its epoch."""
        self.sampler.load_state_dict(state)
