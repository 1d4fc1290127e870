"""Between fields and latent features at the grid's own resolution: local, trained, with weights per task.

Encoder and decoder are the only parts with shapes that depend on a task's channels. The state itself is kept
beside the features (see :class:`~ups_models.latent.operator.Latent`), so it need not pass through them: the
decoder adds the change, or a steady task's solution.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_models.config import LIFT_KERNEL
from ups_models.latent.conservation import divergence
from ups_models.layers.convolution import grid_conv
from ups_models.network import (
    in_channels,
    out_channels,
    per_task,
    placed_axes,
    places,
)
from ups_models.per_dimension import at


class Codec(nn.Module):
    """Encodes `(B, Cin, *S)` as features `(B, *S, F)`, and decodes the change or the solution from features.

    If the task conserves the mean and its domain is periodic, the decoder's output is a flux, and the change
    is its divergence. If the domain has boundaries, the encoder gets coordinates too.

    Args:
        tasks: task name -> the problem; gives Cin and Cout.
        width: grid dimension -> F.
    """

    def __init__(self, tasks: Mapping[str, TaskInfo], width: Mapping[int, int]) -> None:
        super().__init__()
        self.tasks = dict(tasks)
        self.lift = per_task(tasks, lambda task: _lift(task, at(width, task.dim)))
        self.head = per_task(tasks, lambda task: _zero_linear(at(width, task.dim), _outputs(task)))
        evolving = {name: task for name, task in tasks.items() if task.kind == "evolution"}
        # At zero, features persist: an untrained latent rollout is persistence too.
        self.onward = per_task(evolving, lambda task: _zero_linear(at(width, task.dim), at(width, task.dim)))

    def encode(self, task: str, fields: Tensor, coords: Tensor) -> Tensor:
        """Fields `(B, Cin, *S)` and coordinates as in a `NetworkInput` to features `(B, *S, F)`."""
        features: Tensor = self.lift.of(task)(torch.cat([fields, places(fields, coords)], dim=1))
        return features.movedim(1, -1)

    def decode(self, task: str, features: Tensor) -> Tensor:
        """Features `(B, *S, F)` to a change or a solution `(B, Cout, *S)`."""
        out: Tensor = self.head.of(task)(features).movedim(-1, 1)
        return divergence(out, self.tasks[task].dim) if _conservative(self.tasks[task]) else out

    def carry(self, task: str, features: Tensor, hidden: Tensor) -> Tensor:
        """The features of the next frame without encoding it.

        Only a rollout inside the latent space uses it; the options `latent_unroll` and `consistency` of the
        training stage train it.

        Args:
            task: name of an evolution task.
            features: of the current frame `(B, *S, F)`.
            hidden: the trunk's output `(B, *S, F)`.
        """
        change: Tensor = self.onward.of(task)(hidden)
        return features + change


def _conservative(task: TaskInfo) -> bool:
    return task.kind == "evolution" and all(task.periodic) and "mean" in task.invariants


def _outputs(task: TaskInfo) -> int:
    return out_channels(task) * (task.dim if _conservative(task) else 1)


def _lift(task: TaskInfo, width: int) -> nn.Module:
    channels = in_channels(task) + len(placed_axes(task))
    return grid_conv(channels, width, LIFT_KERNEL, sides=task.sides)


def _zero_linear(width: int, outputs: int) -> nn.Linear:
    """The last projection: it starts at zero, and nothing after it rescales."""
    head = nn.Linear(width, outputs)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
