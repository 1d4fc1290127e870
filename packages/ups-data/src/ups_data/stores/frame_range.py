"""A part of the time of every trajectory, for splits of a few long ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo
from ups_data.stores.base import Array, Chunk, Integers, TrajectoryStore


class FrameRange:
    """A :class:`~ups_data.stores.base.TrajectoryStore` of the frames start..stop-1 of another store.

    Args:
        store: the other store.
        start: first frame.
        stop: frame after the last one.
        first_group: added to the numbers of groups, so that parts of a trajectory differ.
    """

    def __init__(self, store: TrajectoryStore, start: int, stop: int, first_group: int) -> None:
        self.store = store
        self.start = start
        self.stop = stop
        self.first_group = first_group

    @property
    def info(self) -> TaskInfo:
        """The problem, with the frames of the range."""
        return replace(self.store.info, frames=self.stop - self.start)

    @property
    def groups(self) -> Integers:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        return self.store.groups + self.first_group

    @property
    def parameters(self) -> NDArray[np.float64]:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        return self.store.parameters

    @property
    def place(self) -> str:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        return f"{self.store.place}, frames {self.start} to {self.stop - 1}"

    def frames(self, trajectories: Integers, starts: Integers, count: int) -> Array:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        return self.store.frames(trajectories, starts + self.start, count)

    def static(self, trajectories: Integers) -> Array:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        return self.store.static(trajectories)

    def chunks(self) -> Iterator[Chunk]:
        """See :class:`~ups_data.stores.base.TrajectoryStore`."""
        for chunk in self.store.chunks():
            yield chunk._replace(frames=chunk.frames[:, self.start : self.stop])
