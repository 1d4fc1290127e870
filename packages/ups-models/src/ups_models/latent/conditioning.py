"""What the operator knows besides the fields: PDE parameters, dt, which task, and where a token is."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ups_data.task import TaskInfo
from ups_models.network import NetworkInput, condition_size, module_key, per_task

FREQUENCIES = 5
AXES = 3


class Conditioner(nn.Module):
    """One vector `(B, D)` per sample: a task's own projection, its bias being the task embedding; an MLP."""

    def __init__(self, tasks: Mapping[str, TaskInfo], width: int):
        super().__init__()
        self.embed = per_task(tasks, lambda task: nn.Linear(condition_size(task), width))
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, x: NetworkInput) -> Tensor:
        """`(B, D)`."""
        vector: Tensor = self.mlp(self.embed[module_key(x.task)](x.condition()))
        return vector


class Position(nn.Module):
    """Adds a token's place to it where place matters.

    On a periodic domain it does not, so nothing is added: the trunk commutes with shifts by whole tokens.
    """

    def __init__(self, width: int):
        super().__init__()
        self.embed = nn.Linear(2 * FREQUENCIES * AXES, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """`(B, *G, D)` to the same shape."""
        grid = tokens.shape[1:-1]
        axes = [(torch.arange(cells, device=tokens.device) + 0.5) / cells for cells in grid]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        scale = math.pi * 2.0 ** torch.arange(FREQUENCIES, device=tokens.device)
        angles = (places[..., None] * scale).flatten(-2)
        angles = nn.functional.pad(angles, (0, FREQUENCIES * (AXES - len(grid))))
        placed: Tensor = tokens + self.embed(torch.cat([angles.sin(), angles.cos()], dim=-1))
        return placed
