"""The exponential moving average of a network's weights: a network of its own beside the trained one.

Validation, selection and export use it. As a part of the training module it is sharded, saved and loaded like
everything else, under any strategy; Lightning's own weight averaging fails under FSDP2.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from ups_train.parallel.sharding import local_shard

Network = TypeVar("Network", bound=nn.Module)


def averaged_copy(network: Network) -> Network:
    """A copy that is not trained."""
    return copy.deepcopy(network).requires_grad_(False)


class MovingAverage:
    """Moves an averaged network towards the trained one.

    Args:
        average, network: as training uses them, on their device and sharded; their tensors are looked up
            here once, because looking them up at every step would take longer than averaging.
        decay: reached as updates / (9 + updates), so that a short training is not averaged with its random
            initial weights.
    """

    def __init__(self, average: nn.Module, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._weights = list(average.parameters()), list(network.parameters())
        self._buffers = list(zip(average.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Average once more, after optimizer step number `updates`, counted from 1."""
        means, values = ([local_shard(weight) for weight in weights] for weights in self._weights)
        # One call for all: a call per parameter takes longer in Python than the arithmetic.
        torch._foreach_lerp_(means, values, 1 - min(self.decay, updates / (9 + updates)))
        for mean, value in self._buffers:
            mean.copy_(value)
