"""The training data loader: batches of several tasks in the sampler's order, resumable anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from ups_core import UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.batches.sampler import MultiTaskBatchSampler
from ups_data.batches.windows import Windows


class _Request(NamedTuple):
    """One micro-batch to assemble."""

    task: str
    indices: list[int]
    loss_weight: float


class _MicroBatches(Dataset[FieldBatch | UPSError]):
    """Maps a request to its batch; torch passes the request in place of an index.

    A user-facing error is returned, not raised: torch would wrap it in the worker's traceback.
    """

    def __init__(self, windows: Mapping[str, Windows]) -> None:
        self.windows = windows

    def __getitem__(self, request: _Request) -> FieldBatch | UPSError:
        try:
            return replace(self.windows[request.task].batch(request.indices), loss_weight=request.loss_weight)
        except UPSError as error:
            return error


class MultiTaskLoader:
    """Batches of several tasks in a sampler's order; a train dataloader for Lightning or a plain `for` loop.

    Lightning saves and restores its position through `state_dict` and `load_state_dict`, and announces
    epochs to `sampler`.

    Args:
        windows: task name -> windows of its train split.
        sampler: draws from the same tasks.
        micro_batches: number of micro-batches that a batch is split into; their gradients add up to the
            batch's. If there are fewer samples than micro-batches, the others repeat a sample with
            `FieldBatch.loss_weight` 0.
        workers: processes that assemble batches ahead; batches are the same with any number of them.

    Raises:
        UPSError: the sampler was made for other tasks or sizes.
    """

    def __init__(
        self,
        windows: Mapping[str, Windows],
        sampler: MultiTaskBatchSampler,
        micro_batches: int = 1,
        workers: int = 0,
    ) -> None:
        sizes = {task: len(of_task) for task, of_task in windows.items()}
        if sizes != sampler.sizes:
            raise UPSError(f"the sampler draws from {sampler.sizes}, but the windows are {sizes}")
        self.windows = dict(windows)
        self.sampler = sampler
        self.micro_batches = micro_batches
        self.workers = workers
        self._position: int | None = None

    def __len__(self) -> int:
        """Micro-batches of an epoch on this rank."""
        return len(self.sampler) * self.micro_batches

    def __iter__(self) -> Iterator[FieldBatch]:
        """The micro-batches of this epoch; after :meth:`load_state_dict` those that remain."""
        start = self.sampler.start
        for number, batch in enumerate(self._assembled(), start=1):
            if isinstance(batch, UPSError):
                raise batch
            # Workers run ahead of the training loop, so the sampler's own position is too large: a state
            # counts what was handed out, in complete batches.
            self._position = start + number // self.micro_batches
            yield batch

    def _assembled(self) -> Iterable[FieldBatch | UPSError]:
        micro_batches = _MicroBatches(self.windows)
        if not self.workers:
            return map(micro_batches.__getitem__, self._requests())
        for _ in self.firsts():  # data kept in memory are read once before the workers fork and share them
            pass
        # A generator of its own: DataLoader would draw a base seed from torch's global one.
        generator = torch.Generator()
        return DataLoader(
            micro_batches,
            sampler=self._requests(),
            batch_size=None,
            num_workers=self.workers,
            generator=generator,
        )

    def _requests(self) -> Iterator[_Request]:
        # Gradients are averaged over ranks and micro-batches as if all had one size; the weight turns the
        # result into the mean over samples.
        count = self.sampler.world * self.micro_batches
        for task, indices, size in self.sampler:
            for start in range(self.micro_batches):
                chosen = indices[start :: self.micro_batches]
                yield _Request(task, chosen or indices[:1], len(chosen) * count / size)

    def firsts(self) -> Iterator[FieldBatch]:
        """A micro-batch of the usual size of every task, for measurements; the position stays."""
        size = -(-self.sampler.batch_size // self.micro_batches)
        for windows in self.windows.values():
            yield windows.batch(range(min(size, len(windows))))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; a new one starts at its beginning."""
        if epoch != self.sampler.epoch:
            self._position = None
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The sampler's epoch and the position in it, without batches that were only assembled ahead."""
        state = self.sampler.state_dict()
        return state if self._position is None else state | {"position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state: the next iteration yields the remaining batches of its epoch."""
        self._position = None
        self.sampler.load_state_dict(state)
