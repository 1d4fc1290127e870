"""The contract of a classical solver: the equation of a task, solved on any grid."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ups_data.info import TaskInfo

Array = NDArray[np.float64]


class Given(NamedTuple):
    """What a solver starts from, for B samples.

    Attributes:
        state: the newest given frame `(B, C, *S)`; C is 0 when steady.
        static: given fields `(B, Cs, *S)`.
        params: `(B, P)`, in the order of the task's parameters.
    """

    state: Array
    static: Array
    params: Array


class ClassicalSolver(ABC):
    """Solves the equation of a task without learning.

    A subclass solves; the residual of an evolution follows from that.
    """

    name: ClassVar[str]
    """What it is called in tables."""

    @abstractmethod
    def solve(self, given: Given, info: TaskInfo, frames: int) -> Array:
        """The next frames, or the solution of a steady task as one frame, `(B, frames, C, *S)`.

        Args:
            given: what to start from.
            info: the problem, with the grid of the given fields.
            frames: how many, `info.dt` apart.
        """

    def residual(self, fields: Array, given: Given, info: TaskInfo) -> tuple[Array, Array]:
        """How far fields `(B, T, C, *S)` are from solving the equation, and the scale to compare it with.

        Of an evolution: what every frame differs from the solution that starts at the frame before, and how
        much that solution changes. Frames are too far apart for differences in time.

        Returns:
            Residual and scale, both `(B, T, C, *S)`.
        """
        before = np.concatenate([given.state[:, None], fields[:, :-1]], axis=1)
        flat, frames = before.reshape(-1, *before.shape[2:]), fields.shape[1]
        static, params = (np.repeat(values, frames, axis=0) for values in given[1:])
        after = self.solve(Given(flat, static, params), info, 1).reshape(fields.shape)
        return fields - after, after - before
