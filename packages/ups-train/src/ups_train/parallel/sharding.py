"""Splitting a network's parameters over processes, block by block (FSDP2)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    OffloadPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from ups_models.network import LatentNetwork


def shard(network: nn.Module, mesh: DeviceMesh, offload: bool = False) -> None:
    """Shard every block of a network by itself, then what is left: one block is gathered at a time.

    Args:
        offload: keep the shards in host memory.
    """
    policy = CPUOffloadPolicy(pin_memory=torch.cuda.is_available()) if offload else OffloadPolicy()
    for block in blocks(network):
        fully_shard(block, mesh=mesh, offload_policy=policy)
    # By default FSDP2 keeps the root's gathered parameters until the backward pass. A network that is never
    # trained, such as a moving average, has none: its next forward pass would use outdated weights.
    trained = any(weight.requires_grad for weight in network.parameters())
    fully_shard(network, mesh=mesh, offload_policy=policy, reshard_after_forward=None if trained else True)
    if isinstance(network, LatentNetwork):
        # FSDP2 gathers parameters in hooks of `forward`; other entry points have to be registered.
        for method in ("encode", "advance", "decode"):
            register_fsdp_forward_method(network, method)


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The repeated parts of a network: outermost entries of its module lists that have parameters."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from (block for block in child if any(True for _ in block.parameters()))
        else:
            yield from blocks(child)


def is_sharded(tensor: Tensor) -> bool:
    """Whether every process has only its shard."""
    return isinstance(tensor, DTensor)


def gather(tensor: Tensor) -> Tensor:
    """All of a sharded tensor, on every process; other tensors unchanged."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local_shard(tensor: Tensor) -> Tensor:
    """This process's shard of a sharded tensor; other tensors unchanged."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, weight: Tensor) -> Tensor:
    """A tensor that is complete on every process, sharded as a weight is."""
    if not isinstance(weight, DTensor):
        return tensor
    everywhere = DTensor.from_local(tensor, weight.device_mesh, run_check=False)
    return everywhere.redistribute(weight.device_mesh, weight.placements)
