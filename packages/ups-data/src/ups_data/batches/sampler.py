"""Which windows of which task make the next batch: a pure function of (seed, epoch, position).

Nothing here depends on random state, so a run that stops anywhere resumes with exactly the batches that it
has not seen, and all ranks agree without communication.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from hashlib import sha256
from math import floor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError


class TaskBatch(NamedTuple):
    """This rank's part of a global batch of `size` windows of one task."""

    task: str
    indices: list[int]
    size: int


class MultiTaskBatchSampler:
    """Yields this rank's part of each global batch, one task at a time.

    A task of n samples is cut into m = ⌈n / (batch_size · world)⌉ global batches; an epoch has Σ m of them,
    whatever the temperature. A task's share of the epoch is proportional to m^temperature:

    - temperature 1: each task gets its m batches, so every sample appears exactly once per epoch;
    - temperature 0: all tasks get equally many batches. A small task starts again in a new order after its
      last sample; a large one continues in the next epoch where it stopped. So over many epochs all samples
      of a task still appear equally often.

    Tasks are interleaved evenly: in any prefix of the epoch the number of batches of a task differs from
    its share of the prefix by less than one.

    At each step all ranks draw the same task. Their parts of a global batch are disjoint, differ by at most
    one sample and are never empty: a remainder of fewer samples than ranks joins the batch before it.

    Args:
        sizes: task -> number of samples.
        batch_size: samples in each rank's batch.
        temperature: between 0 (equal shares) and 1 (proportional to size).
        seed: seed of the order of samples.
        rank: number of this process.
        world: number of processes.

    Raises:
        UPSError: an argument is out of range, or a task has fewer samples than there are ranks.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        batch_size: int,
        temperature: float = 1.0,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not sizes or batch_size < 1 or not 0 <= rank < world:
            raise UPSError(
                f"cannot draw batches of {batch_size} from {len(sizes)} tasks on rank {rank} of {world}"
            )
        if not 0 <= temperature <= 1:
            raise UPSError(
                f"temperature {temperature} is not between 0 (equal shares) and 1 (proportional to size)"
            )
        for task, size in sizes.items():
            if size < world:
                raise UPSError(
                    f"task '{task}' has {size} samples for {world} ranks; each rank needs at least one"
                )
        self.sizes = dict(sizes)
        self.batch_size = batch_size
        self.temperature = temperature
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self._position = 0
        self._resume_at = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return sum(self._passes.values())

    def __iter__(self) -> Iterator[TaskBatch]:
        """The batches of this epoch; after :meth:`load_state_dict` those that remain."""
        start, self._resume_at = self._resume_at, 0
        drawn = dict.fromkeys(self.sizes, 0)
        for position, task in enumerate(self.schedule):
            number, drawn[task] = drawn[task], drawn[task] + 1
            if position >= start:
                # Counted before the yield: a state saved while this batch is trained on resumes after it.
                self._position = position + 1
                yield self._batch(task, self.epoch * self.counts[task] + number)

    @property
    def start(self) -> int:
        """Number of batches that the next iteration skips."""
        return self._resume_at

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; a new one starts at its beginning."""
        if epoch != self.epoch:
            self.epoch, self._position, self._resume_at = epoch, 0, 0

    def state_dict(self) -> dict[str, Any]:
        """Epoch and number of batches drawn in it; the same on every rank."""
        return {"epoch": self.epoch, "position": self._position, "sampling": self._identity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state, also of a run with another number of ranks and the same global batches.

        Raises:
            UPSError: the state belongs to other tasks, sizes, batches or seed.
        """
        if state["sampling"] != self._identity:
            raise UPSError(f"the saved position belongs to {state['sampling']}, not to {self._identity}")
        self.epoch = state["epoch"]
        self._position = self._resume_at = state["position"]

    @property
    def _identity(self) -> dict[str, Any]:
        """What the order of global batches depends on, which is not the number of ranks."""
        return {
            "sizes": self.sizes,
            "batch": self.batch_size * self.world,
            "batches": self._passes,
            "temperature": self.temperature,
            "seed": self.seed,
        }

    @cached_property
    def counts(self) -> dict[str, int]:
        """Global batches of each task in an epoch: shares rounded by largest remainder."""
        weights = {task: batches**self.temperature for task, batches in self._passes.items()}
        total = sum(weights.values())
        shares = {task: len(self) * weight / total for task, weight in weights.items()}
        # A share that is 3 up to rounding must not lose a batch to the floor.
        counts = {task: floor(share + 1e-9) for task, share in shares.items()}
        left = len(self) - sum(counts.values())
        for task in sorted(shares, key=lambda task: counts[task] - shares[task])[:left]:
            counts[task] += 1
        return counts

    @cached_property
    def schedule(self) -> list[str]:
        """The task of every step of an epoch.

        Batch j of a task with c of M batches belongs to the steps after ⌊(j-1)M/c⌋ up to ⌈jM/c⌉; taking the
        earliest deadline first meets all of them (Steiner and Yeomans, 1993), which keeps every prefix
        within one of its share.
        """
        steps, counts = len(self), self.counts
        drawn = dict.fromkeys(self.sizes, 0)
        order = []
        for step in range(steps):
            released = [
                task
                for task, count in counts.items()
                if drawn[task] < count and drawn[task] * steps // count <= step
            ]
            # -(-a // b) is a / b rounded up, exactly.
            task = min(released, key=lambda task: -(-(drawn[task] + 1) * steps // counts[task]))
            drawn[task] += 1
            order.append(task)
        return order

    @cached_property
    def _passes(self) -> dict[str, int]:
        """Global batches in one pass over each task."""
        global_size = self.batch_size * self.world
        passes = {}
        for task, size in self.sizes.items():
            full, rest = divmod(size, global_size)
            # A remainder with fewer samples than ranks would leave a rank without work, and a hang in DDP.
            passes[task] = max(1, full + (rest >= self.world))
        return passes

    def _batch(self, task: str, number: int) -> TaskBatch:
        """This rank's part of batch `number` of a task's endless stream of passes."""
        lap, batch = divmod(number, self._passes[task])
        start = batch * self.batch_size * self.world
        last = batch == self._passes[task] - 1
        stop = self.sizes[task] if last else start + self.batch_size * self.world
        # Every world-th sample, so parts differ by at most one and their union does not depend on the ranks.
        chosen = self._permutation(task, lap)[start:stop][self.rank :: self.world]
        return TaskBatch(task, chosen.tolist(), stop - start)

    def _permutation(self, task: str, lap: int) -> NDArray[np.int64]:
        """The order of a task's samples in one pass; does not depend on the other tasks."""
        cached = self._orders.get(task)
        if cached is None or cached[0] != lap:
            # Seeded by the name, not by the position: another task in the spec must not change this order.
            name = int.from_bytes(sha256(task.encode()).digest()[:8], "big")
            order = np.random.default_rng((self.seed, name, lap)).permutation(self.sizes[task])
            cached = self._orders[task] = (lap, order)
        return cached[1]

    @cached_property
    def _orders(self) -> dict[str, tuple[int, NDArray[np.int64]]]:
        return {}
