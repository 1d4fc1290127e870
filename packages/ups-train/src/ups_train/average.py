"""The exponential moving average of a simulator's weights: a simulator of its own beside the trained one.

Validation, selection and export use it. Being a part of the training module it is sharded, saved and loaded
like everything else, under any strategy.
"""

from __future__ import annotations

import copy

import torch

from ups_models.simulator import Simulator
from ups_train.parallel.sharding import local


def averaged_copy(simulator: Simulator) -> Simulator:
    """A copy that is not trained."""
    return copy.deepcopy(simulator).requires_grad_(False)


class MovingAverage:
    """Moves an averaged simulator towards the trained one.

    Args:
        average, simulator: as training uses them, on their device and sharded; their tensors are looked up
            here once, which at every step would take longer than the averaging.
        decay: grows to this as updates / (9 + updates), so that a short training is not averaged with its
            random start.
    """

    def __init__(self, average: Simulator, simulator: Simulator, decay: float):
        self.decay = decay
        self._weights = list(average.parameters()), list(simulator.parameters())
        self._buffers = list(zip(average.buffers(), simulator.buffers(), strict=True))

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Average once more, after optimizer step number `updates`, counted from 1."""
        means, values = ([local(weight) for weight in weights] for weights in self._weights)
        torch._foreach_lerp_(means, values, 1 - min(self.decay, updates / (9 + updates)))
        for mean, value in self._buffers:
            mean.copy_(value)
