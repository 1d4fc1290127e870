"""Compares the invariants that a task declares with its training data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
        channels = len(info.target_channels)
        self.squares = {invariant: np.zeros(channels) for invariant in info.invariants}
        self.frames = 0

    def add(self, solution: Array) -> None:
        """Measure trajectories `(n, T, C, *S)`."""
        space = tuple(range(3, solution.ndim))
        for invariant in self.squares:
            values = QUANTITIES[invariant](solution, space)
            self.squares[invariant] += np.square(values[:, 1:] - values[:, :1]).sum(axis=(0, 1))
        self.frames += solution.shape[0] * (solution.shape[1] - 1)

    def check(self, channels: Sequence[Moments], console: Console) -> None:
        """Report invariants that drift noticeably, in one line each.

        Args:
            channels: mean and standard deviation of the same trajectories, for each channel.
            console: shows a warning.

        Raises:
            UPSError: an invariant drifts so much that its declaration is wrong.
        """
        names = [channel.name for channel in self.info.target_channels]
        for invariant, squares in self.squares.items():
            drifts = np.sqrt(squares / max(1, self.frames)) / [moments.scale for moments in channels]
            for name, drift in zip(names, drifts, strict=True):
                of = f" of channel '{name}'" if len(names) > 1 else ""
                found = (
                    f"task '{self.info.name}': the declared invariant '{invariant}'{of} drifts by "
                    f"{100 * drift:.3g} % of the field's standard deviation in the training data"
                )
                if drift > FALSE:
                    raise UPSError(f"{found}; check the data, or remove it from the task's invariants")
                if drift > NOTICEABLE:
                    console.say(f"{found}; models that conserve it exactly cannot follow", "yellow")
