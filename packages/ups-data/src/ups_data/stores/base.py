"""What a layout gives to everything above it: trajectories on canonical axes, whatever files hold them.

Axes are (trajectory, time, channel, *space). Splits, statistics, windows and audit know nothing else: no file
name and no dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Integers = NDArray[np.int64]


class Chunk(NamedTuple):
    """Complete trajectories, next to each other in the store.

    Attributes:
        part: their numbers.
        frames: all frames `(n, T, C, *S)` of the channels to predict.
        static: given fields `(n, Cs, *S)`; Cs is 0 if there are none.
    """

    part: slice
    frames: Array
    static: Array


class TrajectoryStore(Protocol):
    """All trajectories of a task, numbered from 0; steady samples are trajectories of one frame.

    Attributes:
        groups: for every trajectory `(n,)`, the number of its initial condition or medium, from 0 without
            gaps. Those of one group are in the same split, because they start alike.
        parameters: PDE parameters of every trajectory `(n, P)`, in the order of the task's.
        place: the file or files, for messages.

    Raises (from every method):
        UPSError: a file is missing, damaged, or not what the task needs; one line with its path.
    """

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
        """Frames `(B, count, C, *S)`: of each trajectory `count` from its start on."""
        ...

    def static(self, trajectories: Integers) -> Array:
        """Given fields `(B, Cs, *S)` of trajectories."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Everything in order, in pieces that fit in memory."""
        ...
