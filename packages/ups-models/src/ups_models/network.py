"""The contract of a network: normalised fields and conditions in, a normalised prediction out.

Physical units, normalisation, persistence and rollouts belong to
:class:`~ups_models.simulator.Simulator`, so a network is a plain function of arrays and a plugin's model is
short.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from ups_core import Component, UPSError
from ups_core.names import encoded
from ups_data.info import TaskInfo
from ups_models.noise_config import NoiseConfig


@dataclass(frozen=True)
class NetworkInput:
    """What a network sees of one batch.

    Attributes:
        task: name of the task; the complete batch belongs to it.
        fields: history frames, oldest first, then coefficients, `(B, Cin, *S)`; each channel has mean 0 and
            standard deviation 1 over the train split.
        params: PDE parameters scaled to [-1, 1] over the task's range `(B, P)`; 0 where unknown.
        params_mask: true where a parameter is known `(B, P)`.
        dt: time to advance as a condition `(B,)`; 0 for a steady task.
        coords: coordinates of the grid points scaled to [0, 1] `(*S, d)`; `(*S, 0)` on a periodic domain,
            where no place differs from another.
        grid_offset: offset of the grid from the domain centre, in quarter cells `(B, d)`: 0 for a centred
            grid, 1 or -1 for every second point of a finer one; `(B, 0)` on a periodic domain.
        increment: typical change of the normalised state over a frame `(C, 1, ...)`; 1 for a steady task.
        elapsed: physical time to advance `(B,)`, for networks that compute with it exactly.
        noise: standard normal numbers that tell the members of an ensemble apart `(B, Z)`; None for a network
            that takes none, and for a prediction without, which is the same as zeros.
        mean_field: mean of the normalised solution over the train split in every cell of the training grid
            `(Cout, *S)`; None if it is not known, as for an evolution.

    A parameter, a mask, `dt` or an offset that was the same in all of the training has that value here,
    whatever the batch says (:mod:`ups_models.constant_conditions`). `elapsed` is the batch's own.
    """

    task: str
    fields: Tensor
    params: Tensor
    params_mask: Tensor
    dt: Tensor
    coords: Tensor
    grid_offset: Tensor
    increment: Tensor
    elapsed: Tensor
    mean_field: Tensor | None = None
    noise: Tensor | None = None

    def cloned(self) -> NetworkInput:
        """Copies of all tensors: those of inference mode take no part in gradients."""
        parts = (getattr(self, part.name) for part in fields(self))
        copies: list[Any] = [part.clone() if isinstance(part, Tensor) else part for part in parts]
        return NetworkInput(*copies)

    def condition(self) -> Tensor:
        """Parameters, their mask, dt and the offset of the grid, `(B, condition_size)`."""
        mask = self.params_mask.to(self.params.dtype)
        return torch.cat([self.params, mask, self.dt[:, None], self.grid_offset], dim=1)


FORCED_FRAMES = 2
"""Frames of the forcing that a step sees: those from which and to which it leads."""


def in_channels(task: TaskInfo) -> int:
    """Channels of `NetworkInput.fields` for a task."""
    given = len(task.static_channels) + FORCED_FRAMES * len(task.forcing_channels)
    return task.history * len(task.state_channels) + given


def out_channels(task: TaskInfo) -> int:
    """Channels of a network's output for a task."""
    return len(task.target_channels)


def condition_size(task: TaskInfo) -> int:
    """Length of `NetworkInput.condition()` for a task."""
    return 2 * len(task.parameters) + 1 + len(placed_axes(task))


def placed_axes(task: TaskInfo) -> tuple[int, ...]:
    """Axes along which a place is known by its coordinate: those that do not wrap around."""
    return tuple(axis for axis, wraps in enumerate(task.periodic) if not wraps)


class Network(nn.Module, ABC):
    """Base of all networks.

    `forward` maps a :class:`NetworkInput` to `(B, Cout, *S)`. With `predicts_increment` the output of an
    evolution task is the change over dt in units of the typical change, so that zero means persistence;
    otherwise it is the normalised field itself. The output of a steady task is always the normalised field.
    """

    predicts_increment: ClassVar[bool] = True
    evolution_only: ClassVar[bool] = False
    """True for a network that is not defined for steady tasks."""
    noise: NoiseConfig | None = None
    """The noise that it takes as `NetworkInput.noise`; None for a deterministic network."""
    noise_weights: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of weights that the network without noise does not have."""

    @abstractmethod
    def forward(self, x: NetworkInput) -> Tensor:
        """Predict; see the class."""

    def initialise(self, x: NetworkInput, target: Tensor) -> None:
        """Look at training pairs of one task before training; most networks need not.

        Args:
            x: inputs of B windows.
            target: the normalised next frame, or the solution of a steady task, `(B, Cout, *S)`.
        """


class LatentNetwork(Network):
    """A network that can roll out in its latent space: encode once, advance, decode the requested frames.

    `forward` is one such step. A latent is a tuple of tensors or None, batch first.
    """

    @abstractmethod
    def encode(self, x: NetworkInput) -> Any:
        """The latent of the newest given frame."""

    @abstractmethod
    def advance(self, latent: Any, x: NetworkInput) -> Any:
        """The latent one frame later; of `x` only the conditions are used, not the fields."""

    @abstractmethod
    def decode(self, latent: Any, x: NetworkInput) -> Tensor:
        """The normalised state `(B, C, *S)`."""


def module_key(name: str) -> str:
    """A task's name as a key of `nn.ModuleDict`, which allows neither dots nor names of its own attributes.

    `flow` stays `flow`, `flow.re100` is `flow%2Ere100`, and `keys` is `keys%`; no other name has that key.
    """
    key = encoded(name)
    return f"{key}%" if hasattr(_EMPTY, key) else key


_EMPTY = nn.ModuleDict()
"""Has the attributes that no key may be called."""


class TaskModules(nn.ModuleDict):
    """A module per task, found by the task's name.

    Args:
        modules: task name -> module.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__({module_key(name): module for name, module in modules.items()})
        # Made once: a forward pass would spend more on it than on a small layer, and compile it with a break.
        self._keys = {name: module_key(name) for name in modules}

    def of(self, task: str) -> nn.Module:
        """The module of a task. Raises KeyError if it has none."""
        return self[self._keys[task]]

    def has(self, task: str) -> bool:
        """Whether the task has a module."""
        return task in self._keys


def lifted_channels(task: TaskInfo) -> int:
    """Channels of :func:`as_channels` for a task."""
    return in_channels(task) + condition_size(task) + len(placed_axes(task))


def as_channels(x: NetworkInput) -> Tensor:
    """Fields, conditions and coordinates as channels, `(B, lifted_channels, *S)`: plain conditioning."""
    batch, grid = x.fields.shape[0], x.fields.shape[2:]
    condition = x.condition().reshape(batch, -1, *([1] * len(grid))).expand(-1, -1, *grid)
    return torch.cat([x.fields, condition, places(x.fields, x.coords)], dim=1)


def places(fields: Tensor, coords: Tensor) -> Tensor:
    """Coordinates `(*S, d)` as channels `(B, d, *S)` beside fields `(B, C, *S)`; d is 0 if periodic."""
    return coords.movedim(-1, 0).expand(fields.shape[0], -1, *fields.shape[2:])


class PerTaskNetwork(Network):
    """Independent networks, one per task, each a plain function of :func:`as_channels`.

    Args:
        tasks: task name -> the problem.
        build: creates the module of one task: `(B, lifted_channels, *S)` to `(B, out_channels, *S)`.
    """

    def __init__(self, tasks: Mapping[str, TaskInfo], build: Callable[[TaskInfo], nn.Module]) -> None:
        super().__init__()
        self.nets = per_task(tasks, build)

    def forward(self, x: NetworkInput) -> Tensor:
        """See :class:`Network`."""
        output: Tensor = self.nets.of(x.task)(as_channels(x))
        return output


def per_task(tasks: Mapping[str, TaskInfo], build: Callable[[TaskInfo], nn.Module]) -> TaskModules:
    """One module per task."""
    return TaskModules({name: build(task) for name, task in tasks.items()})


def create_network(component: Component, tasks: Mapping[str, TaskInfo]) -> Network:
    """A new network of a registered model; weights are drawn from torch's current generator.

    Raises:
        UPSError: the model's factory did not return a network.
    """
    network = component.create(tasks=tasks)
    if not isinstance(network, nn.Module):
        raise UPSError(f"model '{component.kind}' made a {type(network).__name__}, not a torch.nn.Module")
    return cast("Network", network)
