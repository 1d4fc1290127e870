"""The network of a prior: it predicts the velocity of noisy coefficients and solutions.

Any registered model can be used, because its input is posed as a steady task: the coefficients are the noisy
fields, and of every channel the observations, between them the best linear estimate, and where they are; the
parameters are those of the problem, the flow time and the noise of the observations. Conditions that are not
given are a mask of zeros, so one network samples the joint distribution and every conditional one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ups_core import Component
from ups_data.info import Channel, Parameter, TaskInfo
from ups_models.network import NetworkInput, TaskModules, create_network, module_key
from ups_models.prior.linear_estimate import LinearEstimate
from ups_models.prior.observations import joint_channels

MAX_NOISE = 1.0
"""Noise of observations, relative to a channel's standard deviation, that a parameter of 1 stands for."""


class Evidence(NamedTuple):
    """Observations in normalised units.

    Attributes:
        values: `(B, J, *S)`, 0 where nothing is observed.
        mask: 1 at observed points `(B, J, *S)`.
        noise: standard deviation of the noise `(B, J)`, 0 in channels that are not observed.
        estimate: what follows linearly from the observations `(B, J, *S)`.
    """

    values: Tensor
    mask: Tensor
    noise: Tensor
    estimate: Tensor

    def without(self) -> Evidence:
        """No observation at all."""
        return Evidence(*map(torch.zeros_like, self))

    def repeated(self, times: int) -> Evidence:
        """All samples so many times, one complete copy after the other."""
        return Evidence(*(torch.cat([part] * times) for part in self))


def velocity_task(task: TaskInfo) -> TaskInfo:
    """The steady task that the network of a prior solves."""
    names = [channel.name for channel in joint_channels(task)]
    given = [f"{what}_{number}" for what in ("noisy", "seen", "mask") for number in range(len(names))]
    times = [Parameter("flow_time", "1", 0.0, 1.0)]
    noises = [Parameter(f"noise_{number}", "1", 0.0, MAX_NOISE) for number in range(len(names))]
    return replace(
        task,
        channels=(
            *(Channel(name, "1", "coefficient") for name in given),
            *(Channel(f"velocity_{number}", "1", "target") for number in range(len(names))),
        ),
        parameters=(*task.parameters, *times, *noises),
        symmetries=(),
    )


class JointFlow(nn.Module):
    """The velocity network, and what is known of the joint fields of every task: mean, scale, covariance.

    Args:
        component: the model.
        tasks: task name -> the steady problem.

    Raises:
        UPSError: the model does not create a network of this library.
    """

    def __init__(self, component: Component, tasks: Mapping[str, TaskInfo]) -> None:
        super().__init__()
        self.network = create_network(component, {name: velocity_task(task) for name, task in tasks.items()})
        for name, task in tasks.items():
            # Buffers, as in LinearEstimate.
            count = len(joint_channels(task))
            self.register_buffer(_key("mean", name), torch.zeros(count, *task.shape))
            self.register_buffer(_key("scale", name), torch.ones(count, *[1] * task.dim))
        self.linear = TaskModules(
            {
                name: LinearEstimate((len(joint_channels(task)), *task.shape), len(task.static_channels))
                for name, task in tasks.items()
            }
        )

    def mean(self, task: str) -> Tensor:
        """Mean of the normalised joint fields over the train split `(J, *S)`."""
        return self.get_buffer(_key("mean", task))

    def scale(self, task: str) -> Tensor:
        """Their standard deviation around it `(J, 1, ...)`."""
        return self.get_buffer(_key("scale", task))

    def evidence(self, task: str, values: Tensor, mask: Tensor, noise: Tensor) -> Evidence:
        """Observations of scaled fields and the linear estimate from them; arguments as :class:`Evidence`."""
        return Evidence(values, mask, noise, self.linear.of(task)(values, mask, noise))

    def forward(self, x: NetworkInput, noisy: Tensor, time: Tensor, evidence: Evidence) -> Tensor:
        """The velocity `(B, J, *S)`.

        Args:
            x: parameters and coordinates of the problem; its fields are not used.
            noisy: noisy joint fields z_t `(B, J, *S)`.
            time: flow time t, 1 for noise and 0 for fields `(B,)`.
            evidence: what is observed.
        """
        noise = (2 / MAX_NOISE) * evidence.noise - 1
        scalars = torch.cat([(2 * time - 1)[:, None], noise], dim=1)
        known = torch.ones_like(scalars, dtype=torch.bool)
        seen = torch.where(evidence.mask > 0, evidence.values, evidence.estimate)
        velocity: Tensor = self.network(
            replace(
                x,
                fields=torch.cat([noisy, seen, evidence.mask], dim=1),
                params=torch.cat([x.params, scalars], dim=1),
                params_mask=torch.cat([x.params_mask, known], dim=1),
                increment=torch.ones(noisy.shape[1], *[1] * (noisy.dim() - 2), device=noisy.device),
                mean_field=None,
                noise=None,
            )
        )
        return velocity.float()


def _key(what: str, task: str) -> str:
    return f"{what}_{module_key(task)}"
