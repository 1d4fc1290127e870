"""What the operator knows besides the fields: PDE parameters, dt, and which task."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.network import NetworkInput, condition_size, module_key, per_task


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
