"""Some groups of a store's trajectories, as a store of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo
from ups_data.stores.base import Array, Chunk, Integers, TrajectoryStore


class GroupSubset:
    """The trajectories of some groups; a :class:`~ups_data.stores.base.TrajectoryStore`.

    Args:
        store: has them.
        groups: numbers of the groups.
        info: the problem as the task describes it; default: as the store does.
    """

    def __init__(self, store: TrajectoryStore, groups: Sequence[int], info: TaskInfo | None = None) -> None:
        self._store = store
        self._kept = np.flatnonzero(np.isin(store.groups, groups))
        self.info = info or store.info

    @property
    def groups(self) -> Integers:
        """Of every trajectory `(n,)`."""
        groups: Integers = self._store.groups[self._kept]
        return groups

    @property
    def parameters(self) -> NDArray[np.float64]:
        """Of every trajectory `(n, P)`."""
        parameters: NDArray[np.float64] = self._store.parameters[self._kept]
        return parameters

    @property
    def place(self) -> str:
        """The files, for messages."""
        return self._store.place

    def frames(self, trajectories: Integers, starts: Integers, count: int) -> Array:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        return self._store.frames(self._kept[trajectories], starts, count)

    def static(self, trajectories: Integers) -> Array:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        return self._store.static(self._kept[trajectories])

    def chunks(self) -> Iterator[Chunk]:
        """See :class:`~ups_data.stores.base.TrajectoryStore`; pieces without a trajectory are left out."""
        done = 0
        for chunk in self._store.chunks():
            inside = self._kept[(self._kept >= chunk.part.start) & (self._kept < chunk.part.stop)]
            if inside.size:
                rows = inside - chunk.part.start
                yield Chunk(slice(done, done + len(rows)), chunk.frames[rows], chunk.static[rows])
                done += len(rows)
