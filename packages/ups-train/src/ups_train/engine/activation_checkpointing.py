"""Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): less memory for a second forward pass."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from ups_train.parallel.sharding import blocks


def recompute_blocks(network: nn.Module) -> int:
    """Make every block keep only its input and recompute the rest in the backward pass.

    The block's `forward` is wrapped in place, not the block: parameters keep their names, so weights with
    and without are interchangeable. Returns the number of blocks.
    """
    found = list(blocks(network))
    for block in found:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    return len(found)
