"""Compares the invariants that a task declares with its training data."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ups_core import UPSError
from ups_core.console import Console
from ups_data.info import Invariant, TaskInfo
from ups_data.prepare.statistics import Moments

Array = NDArray[np.floating]

NOTICEABLE = 0.01
"""Drift over the field's standard deviation from which it is reported. Few points sample an integral badly:
the mean of Burgers flow at ν = 0.001 drifts by 0.05 % on 256 points and by 3 % on 16, its norm by 48 %."""
FALSE = 1.0
"""Drift from which data are refused: the quantity varies as much as the field itself."""

QUANTITIES: dict[Invariant, Callable[[Array, tuple[int, ...]], Array]] = {
    "mean": lambda field, space: field.mean(axis=space, dtype=np.float64),
    "l2": lambda field, space: np.sqrt(np.square(field, dtype=np.float64).mean(axis=space)),
}
"""Invariant -> its value in each frame of a field, given the spatial axes."""


class InvariantCheck:
    """Root mean square drift of declared invariants from the first frame, over all trajectories and frames.

    Args:
        info: the problem.
    """

    def __init__(self, info: TaskInfo) -> None:
        self.info = info
        self.squares: dict[Invariant, float] = dict.fromkeys(info.invariants, 0.0)
        self.frames = 0

    def add(self, solution: Array) -> None:
        """Measure trajectories `(n, T, *S)`."""
        space = tuple(range(2, solution.ndim))
        for invariant in self.squares:
            values = QUANTITIES[invariant](solution, space)
            self.squares[invariant] += float(np.square(values[:, 1:] - values[:, :1]).sum())
        self.frames += solution.shape[0] * (solution.shape[1] - 1)

    def check(self, field: Moments, console: Console) -> None:
        """Report invariants that drift noticeably, in one line each.

        Args:
            field: mean and standard deviation of the same trajectories.
            console: shows a warning.

        Raises:
            UPSError: an invariant drifts so much that its declaration is wrong.
        """
        for invariant, squares in self.squares.items():
            drift = math.sqrt(squares / max(1, self.frames)) / field.scale
            found = (
                f"task '{self.info.name}': the declared invariant '{invariant}' drifts by "
                f"{100 * drift:.3g} % of the field's standard deviation in the training data"
            )
            if drift > FALSE:
                raise UPSError(f"{found}; check the data, or remove it from the task's invariants")
            if drift > NOTICEABLE:
                console.say(f"{found}; models that conserve it exactly cannot follow", "yellow")
