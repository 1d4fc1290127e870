"""What the operator knows besides the fields: PDE parameters, dt, the grid's offset, and the task."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.network import NetworkInput, condition_size, per_task


class Conditioner(nn.Module):
    """A linear projection per task, with its bias as task embedding, then a shared MLP.

    Args:
        tasks: task name -> the problem; gives the length of its conditions.
        width: length of the condition vector.
    """

    def __init__(self, tasks: Mapping[str, TaskInfo], width: int) -> None:
        super().__init__()
        self.embed = per_task(tasks, lambda task: nn.Linear(condition_size(task), width))
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, x: NetworkInput) -> Tensor:
        """The condition vector `(B, width)`."""
        vector: Tensor = self.mlp(self.embed.of(x.task)(x.condition()))
        return vector
