"""Several optimizers behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from ups_train.optimizers.closure import evaluate


class CombinedOptimizer(torch.optim.Optimizer):
    """Several optimizers as one: a scheduler, a checkpoint and Lightning see a single object.

    Groups and states are the parts' own objects, and the state dictionary has torch's usual form, so whatever
    handles an optimizer (sharded checkpoints, schedules) handles this one.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let the parts work on this object's groups and states."""
        # torch replaces groups and state when it loads a state, so the parts have to get the new ones.
        groups = iter(self.param_groups)
        for part in self.parts:
            part.param_groups = [next(groups) for _ in part.param_groups]
            part.state = self.state

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the closure once, then let every part update."""
        loss = evaluate(closure)
        for part in self.parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        super().load_state_dict(state_dict)
        self._share()
