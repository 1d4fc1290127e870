"""Grid encoder and local decoder: between fields on a grid and latent tokens on a coarser grid.

A token stands for a patch of cells and the decoder works patch by patch with features of the encoder at
full resolution beside it, so that no detail has to squeeze through the tokens. All of it is trained
end to end. Weights are shared by tasks of one dimension; only the first and last projections, whose shape
depends on a task's channels, are a task's own.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ups_data.task import TaskInfo
from ups_models.layers.convolution import grid_conv, zero_conv
from ups_models.network import in_channels, module_key, out_channels, per_task


class Codec(nn.Module):
    """Encodes `(B, Cin, *S)` into tokens `(B, *G, D)` with `G = S / patch`, and decodes tokens.

    Args:
        width: token width D.
        local: channels at full resolution.
        patch: cells per token and axis.
    """

    def __init__(self, tasks: Mapping[str, TaskInfo], width: int, local: int, patch: int):
        super().__init__()
        self.patch = patch
        self.local = local
        self.lift = per_task(
            tasks,
            lambda task: grid_conv(
                task.dim, in_channels(task), local, 3, periodic=task.boundary == "periodic"
            ),
        )
        dims = sorted({task.dim for task in tasks.values()})
        self.embed = nn.ModuleDict({str(dim): nn.Linear(local * patch**dim, width) for dim in dims})
        self.unembed = nn.ModuleDict({str(dim): nn.Linear(width, local * patch**dim) for dim in dims})
        self.refine = per_task(
            tasks,
            lambda task: grid_conv(task.dim, 2 * local, local, 3, periodic=task.boundary == "periodic"),
        )
        self.head = per_task(tasks, lambda task: zero_conv(task.dim, local, out_channels(task)))

    def encode(self, task: str, fields: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, Cin, *S)` to tokens `(B, *G, D)` and local features `(B, F, *S)`."""
        features = nn.functional.gelu(self.lift[module_key(task)](fields))
        tokens = self.embed[str(fields.dim() - 2)](patchify(features, self.patch))
        return tokens, features

    def decode(self, task: str, tokens: Tensor, features: Tensor) -> Tensor:
        """Tokens `(B, *G, D)` and local features `(B, F, *S)` to `(B, Cout, *S)`."""
        fine = unpatchify(self.unembed[str(features.dim() - 2)](tokens), self.patch)
        hidden = self.refine[module_key(task)](torch.cat([fine, features], dim=1))
        out: Tensor = self.head[module_key(task)](nn.functional.gelu(hidden))
        return out


def patchify(x: Tensor, patch: int) -> Tensor:
    """`(B, F, *S)` to `(B, *G, F * patch^d)`; a view of the grid in blocks of `patch` cells per axis."""
    batch, features, *grid = x.shape
    dim = len(grid)
    split = [size for cells in grid for size in (cells // patch, patch)]
    blocks = x.reshape(batch, features, *split)
    order = [0, *range(2, 2 + 2 * dim, 2), 1, *range(3, 3 + 2 * dim, 2)]
    return blocks.permute(order).reshape(batch, *(cells // patch for cells in grid), features * patch**dim)


def unpatchify(x: Tensor, patch: int) -> Tensor:
    """The inverse of :func:`patchify`."""
    batch, *grid, size = x.shape
    dim = len(grid)
    features = size // patch**dim
    blocks = x.reshape(batch, *grid, features, *([patch] * dim))
    order = [0, 1 + dim, *(axis for pair in range(dim) for axis in (1 + pair, 2 + dim + pair))]
    return blocks.permute(order).reshape(batch, features, *(cells * patch for cells in grid))
