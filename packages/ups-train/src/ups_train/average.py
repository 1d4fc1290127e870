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


@torch.no_grad()
def update_average(average: Simulator, simulator: Simulator, decay: float, updates: int) -> None:
    """Move the average towards the weights after optimizer step number `updates`, counted from 1.

    The decay grows as min(decay, updates / (9 + updates)), so that a short training is not averaged with its
    random start.
    """
    weight = 1 - min(decay, updates / (9 + updates))
    means = [local(mean) for mean in average.parameters()]
    torch._foreach_lerp_(means, [local(value) for value in simulator.parameters()], weight)
    for mean, value in zip(average.buffers(), simulator.buffers(), strict=True):
        mean.copy_(value)
