"""What the data of a task are to everything above their files: trajectories on canonical axes.

Axes are (trajectory, time, channel, *space). Splits, statistics, windows and audit know nothing else: no file
name and no dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo

Array = NDArray[np.float32]
Integers = NDArray[np.int64]


class Fields(NamedTuple):
    """Complete trajectories.

    Attributes:
        frames: all frames `(n, T, C, *S)` of the channels to predict, then those of the forcing; T is 1 when
            steady.
        static: given fields `(n, Cs, *S)`; None if there are none.
    """

    frames: Array
    static: Array | None = None


class Chunk(NamedTuple):
    """Complete trajectories, next to each other in the store.

    Attributes:
        part: their numbers.
        frames: all frames `(n, T, C, *S)` of the channels to predict, then those of the forcing; T is 1 when
            steady.
        static: given fields `(n, Cs, *S)`; Cs is 0 if there are none.
    """

    part: slice
    frames: Array
    static: Array


class TrajectoryStore(Protocol):
    """All trajectories of a task, numbered from 0; steady samples are trajectories of one frame.

    Attributes:
        info: the problem, with the grid and the frames of these trajectories.
        groups: for every trajectory `(n,)`, the number of its initial condition or medium. Those of one
            group are in the same split, because they start alike.
        parameters: PDE parameters of every trajectory `(n, P)`, in the order of the task's.
        place: the file or files, for messages.

    Raises (from every method):
        UPSError: a file is missing, damaged, or not what the task needs; one line with its path.
    """

    @property
    def info(self) -> TaskInfo:
        """See above."""
        ...

    @property
    def groups(self) -> Integers:
        """See above."""
        ...

    @property
    def parameters(self) -> NDArray[np.float64]:
        """See above."""
        ...

    @property
    def place(self) -> str:
        """See above."""
        ...

    def frames(self, trajectories: Integers, starts: Integers, count: int) -> Array:
        """Frames `(B, count, C, *S)` of the channels to predict and of the forcing, from each start on."""
        ...

    def static(self, trajectories: Integers) -> Array:
        """Given fields `(B, Cs, *S)` of trajectories."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Everything in order, in pieces that fit in memory."""
        ...


@dataclass(frozen=True)
class SplitStores:
    """The store of every split: one for all of them, or one for each.

    Groups of different stores have different numbers.
    """

    train: TrajectoryStore
    val: TrajectoryStore
    test: TrajectoryStore

    @classmethod
    def same(cls, store: TrajectoryStore) -> SplitStores:
        """One store, which is split by trajectories."""
        return cls(store, store, store)

    def of(self, split: str) -> TrajectoryStore:
        """The store of a split."""
        store: TrajectoryStore = getattr(self, split)
        return store

    def distinct(self) -> list[TrajectoryStore]:
        """Every store once."""
        return list({id(store): store for store in (self.train, self.val, self.test)}.values())

    def count(self, split: str, groups: Sequence[int]) -> int:
        """How many trajectories these groups of a split have."""
        return int(np.isin(self.of(split).groups, groups).sum())
