"""Activation checkpointing (Chen et al. 2016): less memory for a second forward pass."""

from __future__ import annotations

from functools import partial

from torch.utils.checkpoint import checkpoint

from ups_models.network import Network
from ups_train.parallel.sharding import blocks


def recompute_blocks(network: Network) -> int:
    """Let every block keep only its input and compute the rest again in the backward pass.

    Names of parameters stay, so weights of a network with and without are the same. Returns the number of
    blocks.
    """
    found = list(blocks(network))
    for block in found:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    return len(found)
