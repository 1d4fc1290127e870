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
    """One micro-batch that is to be made."""

    task: str
    indices: list[int]
    loss_weight: float


class _Batches(Dataset[FieldBatch | UPSError]):
    """What worker processes make: the batch of a request, which stands where torch has an index.

    An error for people is handed over as it is: raised, torch would wrap it in the worker's traceback.
    """

    def __init__(self, windows: Mapping[str, Windows]):
        self.windows = windows

    def __getitem__(self, request: _Request) -> FieldBatch | UPSError:
        try:
            return replace(self.windows[request.task].batch(request.indices), loss_weight=request.loss_weight)
        except UPSError as error:
            return error


class MultiTaskLoader:
    """Pairs tasks' windows with a sampler; a train dataloader for Lightning or a plain `for` loop.

    Lightning saves and restores its position through `state_dict` and `load_state_dict`, and announces
    epochs to `sampler`.

    Args:
        micro_batches: number of micro-batches that a batch is split into; their gradients add up to the
            batch's. One without a sample left gets one again, with `FieldBatch.loss_weight` 0.
        workers: processes that make batches ahead; batches are the same with any number of them.

    Raises:
        UPSError: the sampler was made for other tasks or sizes.
    """

    def __init__(
        self,
        windows: Mapping[str, Windows],
        sampler: MultiTaskBatchSampler,
        micro_batches: int = 1,
        workers: int = 0,
    ):
        sizes = {task: len(part) for task, part in windows.items()}
        if sizes != sampler.sizes:
            raise UPSError(f"the sampler draws from {sampler.sizes}, the windows are {sizes}")
        self.windows = dict(windows)
        self.sampler = sampler
        self.micro_batches = micro_batches
        self.workers = workers
        self._position: int | None = None

    def __len__(self) -> int:
        """Micro-batches of an epoch on this rank."""
        return len(self.sampler) * self.micro_batches

    def __iter__(self) -> Iterator[FieldBatch]:
        start = self.sampler.start
        for number, batch in enumerate(self._made(), start=1):
            if isinstance(batch, UPSError):
                raise batch
            # Workers are ahead of whoever trains: what counts is what was handed out, in whole batches.
            self._position = start + number // self.micro_batches
            yield batch

    def _made(self) -> Iterable[FieldBatch | UPSError]:
        batches = _Batches(self.windows)
        if not self.workers:
            return map(batches.__getitem__, self._requests())
        for _ in self.firsts():  # what is kept in memory is read here once, and the workers share it
            pass
        return DataLoader(
            batches, sampler=self._requests(), batch_size=None, num_workers=self.workers,
            generator=torch.Generator(),  # torch's own would be moved on
        )  # fmt: skip

    def _requests(self) -> Iterator[_Request]:
        whole = self.sampler.world * self.micro_batches
        for task, indices, size in self.sampler:
            for start in range(self.micro_batches):
                part = indices[start :: self.micro_batches]
                yield _Request(task, part or indices[:1], len(part) * whole / size)

    def firsts(self) -> Iterator[FieldBatch]:
        """A micro-batch of the usual size of every task, for measurements; its position stays."""
        size = -(-self.sampler.batch_size // self.micro_batches)
        for windows in self.windows.values():
            yield windows.batch(range(min(size, len(windows))))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        if epoch != self.sampler.epoch:
            self._position = None
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The sampler's epoch and position, less what is only made ahead."""
        state = self.sampler.state_dict()
        return state if self._position is None else state | {"position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state: the next iteration gives the batches that are left of its epoch."""
        self._position = None
        self.sampler.load_state_dict(state)
