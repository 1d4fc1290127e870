"""The network of a corrected simulator: the velocity of a residual on its way from noise.

Any registered model can be it: the question is put to the model as a steady task, whose coefficients are what
the operator saw, what it predicted and the residual on its way, and whose parameters are those of the problem
and the time on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ups_core import Component
from ups_data.info import Channel, Parameter, TaskInfo
from ups_models.network import FORCED_FRAMES, Network, NetworkInput, module_key

TIMES = ("flow_time", "flow_jump")
"""Parameters that the question has beside those of the problem: the time on the way, 1 for noise and 0 for
the residual, and how far a jump goes towards 0; 0 asks for the velocity at this time."""


def question(task: TaskInfo) -> TaskInfo:
    """The steady task that a corrector solves for a problem."""
    given = task.history * len(task.state_channels) + len(task.static_channels)
    given += FORCED_FRAMES * len(task.forcing_channels)
    targets = len(task.target_channels)
    names = [f"given_{number}" for number in range(given)]
    names += [f"{name}_{number}" for name in ("predicted", "noisy") for number in range(targets)]
    coefficients = [Channel(name, "1", "coefficient") for name in names]
    velocities = [Channel(f"velocity_{number}", "1", "target") for number in range(targets)]
    return replace(
        task,
        kind="steady",
        channels=(*coefficients, *velocities),
        parameters=(*task.parameters, *(Parameter(name, "1", 0.0, 1.0) for name in TIMES)),
        dt=0.0,
        frames=1,
        history=0,
        invariants=(),
        symmetries=(),
    )


class Corrector(nn.Module):
    """A network that answers questions, and the size of the residuals of every task.

    Args:
        component: the model.
        tasks: task name -> the problem.

    Attributes:
        scales: root mean square of the operator's residual, per task and channel, in units of the channel's
            deviation: what is sampled has deviation 1. A residual of 1e-2 would lie below all noise levels.
    """

    def __init__(self, component: Component, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__()
        network = component.create(tasks={name: question(task) for name, task in tasks.items()})
        assert isinstance(network, Network)
        self.network = network
        self.scales = nn.ParameterDict(
            {
                module_key(name): nn.Parameter(
                    torch.ones(len(task.target_channels), *[1] * task.dim), requires_grad=False
                )
                for name, task in tasks.items()
            }
        )

    def scale(self, task: str) -> Tensor:
        """Size of the residuals `(C, 1, ...)`."""
        scale: Tensor = self.scales[module_key(task)]
        return scale

    def forward(
        self, x: NetworkInput, predicted: Tensor, noisy: Tensor, time: Tensor, jump: Tensor
    ) -> Tensor:
        """The mean velocity from `time` to `time - jump`, `(B, C, *S)`.

        Args:
            x: what the operator sees of the batch.
            predicted: what it predicts, normalised `(B, C, *S)`.
            noisy: the residual on its way `(B, C, *S)`.
            time: 1 for noise, 0 for the residual `(B,)`.
            jump: how far the velocity is for; 0 for that at `time` `(B,)`.
        """
        # Parameters of a task are scaled to [-1, 1]; a time of 0 to 1 is too.
        times = 2 * torch.stack([time, jump], dim=1) - 1
        known = torch.ones_like(times, dtype=torch.bool)
        velocity: Tensor = self.network(
            replace(
                x,
                fields=torch.cat([x.fields, predicted, noisy], dim=1),
                params=torch.cat([x.params, times], dim=1),
                params_mask=torch.cat([x.params_mask, known], dim=1),
                increment=torch.ones_like(x.increment),
                mean_field=None,
                noise=None,
            )
        )
        return velocity.float()
