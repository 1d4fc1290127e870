"""The network of a corrected simulator: it predicts the velocity of a noisy residual.

Any registered model can be used, because its input is posed as a steady task: the coefficients are the
operator's inputs, its prediction and the noisy residual; the parameters are those of the problem and the flow
time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ups_core import Component
from ups_data.info import Channel, Parameter, TaskInfo
from ups_models.network import FORCED_FRAMES, NetworkInput, create_network, module_key
from ups_models.residual.config import Flow
from ups_models.residual.flow import over_fields, path_std

TIMES = ("flow_time", "flow_jump")
"""Parameters of the steady task beside those of the problem: the flow time (1 for noise, 0 for the residual)
and the length of the jump towards 0; length 0 asks for the velocity at this time."""


def velocity_task(task: TaskInfo) -> TaskInfo:
    """The steady task that a corrector solves for a task."""
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
    """The velocity network and the scale of the residuals of every task.

    Args:
        component: the model.
        tasks: task name -> the problem that the operator solves.
        flow: parametrisation of the network's input and output.
    """

    def __init__(self, component: Component, tasks: Mapping[str, TaskInfo], flow: Flow = "rectified") -> None:
        super().__init__()
        self.flow = flow
        self.network = create_network(component, {name: velocity_task(task) for name, task in tasks.items()})
        for name, task in tasks.items():
            # Buffers: parameters may be sharded over ranks and are gathered only inside a forward pass.
            self.register_buffer(_scale(name), torch.ones(len(task.target_channels), *[1] * task.dim))

    def scale(self, task: str) -> Tensor:
        """RMS of the operator's residual in units of each channel's standard deviation, `(C, 1, ...)`.

        Residuals are divided by it: those of 1e-2 would lie below every noise level.
        """
        return self.get_buffer(_scale(task))

    def forward(
        self, x: NetworkInput, predicted: Tensor, noisy: Tensor, time: Tensor, jump: Tensor
    ) -> Tensor:
        """The mean velocity from `time` to `time - jump`, `(B, C, *S)`.

        Args:
            x: the operator's input.
            predicted: the operator's prediction, normalised `(B, C, *S)`.
            noisy: noisy residuals z_t `(B, C, *S)`.
            time: flow time t, 1 for noise and 0 for the residual `(B,)`.
            jump: length of the jump; 0 for the velocity at `time` `(B,)`.
        """
        if self.flow == "rectified":
            # Scaled to [-1, 1] like the parameters of a task.
            return self._network(x, predicted, noisy, 2 * time - 1, jump)
        size = over_fields(path_std(time), noisy)
        noisy = noisy / size
        # EDM: the network sees (ln s) / 4 and predicts (s x - e) / sqrt(1 + s²), of standard deviation 1.
        given = self._network(x, predicted, noisy, torch.logit(time, eps=1e-3) / 4, jump)
        return ((2 * over_fields(time, noisy) - 1) * noisy - given) / size

    def _network(
        self, x: NetworkInput, predicted: Tensor, noisy: Tensor, time: Tensor, jump: Tensor
    ) -> Tensor:
        times = torch.stack([time, 2 * jump - 1], dim=1)
        known = torch.ones_like(times, dtype=torch.bool)
        given: Tensor = self.network(
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
        return given.float()


def _scale(task: str) -> str:
    return f"scale_{module_key(task)}"
