"""A rank that updates the same matrices whole and sharded, with both kinds of Muon.

torchrun --standalone --nproc-per-node 2 sharded_muon.py

Rank 0 prints, by kind and shape, the norm of the difference over the norm of the update.
"""

from __future__ import annotations

import json

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from ups_core.worker import leave
from ups_train.optimizers.muon import Float32Muon

SHAPES = (12, 12), (20, 6), (6, 20), (7, 5)


def main() -> None:
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (2,))

    def sharded(tensor: torch.Tensor) -> DTensor:
        return distribute_tensor(tensor, mesh, [Shard(0)])

    differences = {}
    for kind in (Float32Muon, torch.optim.Muon):
        for shape in SHAPES:
            torch.manual_seed(0)
            start, gradients = torch.randn(shape), [torch.randn(shape) for _ in range(3)]
            whole, parts = nn.Parameter(start.clone()), nn.Parameter(sharded(start))
            optimizers = [kind([weight], lr=1e-2) for weight in (whole, parts)]
            for gradient in gradients:
                whole.grad, parts.grad = gradient.clone(), sharded(gradient)
                for optimizer in optimizers:
                    optimizer.step()
            assert parts.to_local().shape[0] < shape[0]
            distance = (parts.full_tensor() - whole).norm() / (whole - start).norm()
            differences[f"{kind.__name__} {shape}"] = distance.item()
    if dist.get_rank() == 0:
        print(json.dumps(differences))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
    leave(0)
