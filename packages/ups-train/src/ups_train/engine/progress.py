"""Progress of a training: the input of schedules, curricula and the decision to end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """A number from 0 to 1: the used share of the steps, or of a budget of seconds.

    Time in training steps, and in the network's fit before them, counts against the budget; validations,
    checkpoints and the first `WARM_UP` steps, which compile and fill caches, do not.

    Args:
        steps: optimizer steps of the training; infinite if only the budget counts.
        budget: seconds of training; None if only the steps count.
    """

    WARM_UP = 3

    def __init__(self, steps: float, budget: float | None = None) -> None:
        self.steps = steps
        self.budget = budget
        self.seconds = 0.0
        self._since: float | None = None

    def start(self, step: int) -> None:
        """Start the clock of a training step."""
        self._since = time.monotonic() if step >= self.WARM_UP else None

    def stop(self) -> None:
        """Stop the clock of a training step."""
        if self._since is not None:
            self.seconds += time.monotonic() - self._since
            self._since = None

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the time of the block."""
        since = time.monotonic()
        yield
        self.seconds += time.monotonic() - since

    def at(self, step: int) -> float:
        """Progress before optimizer step number `step`, counted from 0."""
        by_steps = min(1.0, step / self.steps)
        if self.budget is None:
            return by_steps
        return max(by_steps, min(1.0, self.seconds / self.budget))

    def over(self, step: int) -> bool:
        """Whether the training ends after `step` optimizer steps."""
        return step >= self.steps or (self.budget is not None and self.seconds >= self.budget)

    def state_dict(self) -> dict[str, Any]:
        """Seconds used, for a checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.seconds = float(state["seconds"])
