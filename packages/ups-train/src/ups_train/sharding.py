"""Splitting a network's parameters over processes, block by block (FSDP2)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from ups_models.network import LatentNetwork, Network


def shard(network: Network, mesh: DeviceMesh) -> None:
    """Shard every block of a network by itself, then what is left: one block is whole at a time."""
    for block in blocks(network):
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    if isinstance(network, LatentNetwork):
        for method in ("encode", "advance", "decode"):
            register_fsdp_forward_method(network, method)


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The repeated parts of a network: outermost entries of its module lists that have parameters."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from (block for block in child if any(True for _ in block.parameters()))
        else:
            yield from blocks(child)
