"""A simulator: physical fields in, physical fields out; normalisation and network are inside."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ups_core import Component, UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_models.grid_part import GridPart
from ups_models.member_noise import MemberNoise
from ups_models.network import LatentNetwork, Network, NetworkInput, TaskModules, create_network
from ups_models.normaliser import TaskNormaliser
from ups_models.prediction.grid import spacing_problem


class Simulator(nn.Module):
    """Normaliser and network: `step` and `rollout` map physical units to physical units.

    Args:
        network: predicts for all tasks.
        tasks: task name -> the problem.
        statistics: task name -> statistics of its train split, per channel.
    """

    def __init__(
        self, network: Network, tasks: Mapping[str, TaskInfo], statistics: Mapping[str, Statistics]
    ) -> None:
        super().__init__()
        self.network = network
        self.tasks = dict(tasks)
        self.statistics = dict(statistics)
        self.normalisers = TaskModules(
            {name: TaskNormaliser(task, statistics[name]) for name, task in tasks.items()}
        )
        # Grids of which a warning was given; predictions from own fields give their own.
        self.reported: set[tuple[str, tuple[int, ...]]] = set()

    def normaliser(self, task: str) -> TaskNormaliser:
        """The normaliser of a task.

        Raises:
            UPSError: the simulator was not made for this task.
        """
        if task not in self.tasks:
            raise UPSError(f"unknown task '{task}'; the simulator was made for: {', '.join(self.tasks)}")
        found = self.normalisers.of(task)
        assert isinstance(found, TaskNormaliser)
        return found

    def with_network(self, network: Network) -> Simulator:
        """This simulator around another network, such as a moving average; normalisers are shared."""
        other = copy.copy(self)
        # copy.copy copies the attribute dictionary only: both objects would register submodules in one dict.
        other._modules = dict(self._modules)
        other.network = network
        return other

    def supports(self, task: TaskInfo) -> bool:
        """Whether a prediction for this task is defined (persistence of a steady task is not)."""
        return task.name in self.tasks and not (self.network.evolution_only and task.kind == "steady")

    def step(self, batch: FieldBatch, noise: Tensor | None = None) -> Tensor:
        """The next frame, or the solution of a steady task, `(B, C, *S)` in physical units.

        Args:
            batch: what is given.
            noise: of a stochastic network `(B, Z)`; None for its prediction without noise.
        """
        normaliser = self.normaliser(batch.task)
        x = self._seen(normaliser, batch)
        if noise is not None:
            x = replace(x, noise=noise)
        # float() undoes autocast: bfloat16 has 8 bits for a change that is added to a float32 state.
        output: Tensor = self.network(x).float()
        if normaliser.task.kind == "steady" or not self.network.predicts_increment:
            return normaliser.target_mean + normaliser.target_std * output
        return batch.state[:, -1] + normaliser.delta_std * output

    def step_on(self, batch: FieldBatch, part: GridPart) -> Tensor:
        """:meth:`step` on a tile alone, `(B, C, *tile)`.

        Equal to the tile of a complete step if the halo is as wide as the network sees. A network that sees
        the complete grid takes the window for one.
        """
        normaliser = self.normaliser(batch.task)
        x = part.of_input(normaliser.network_input(batch))
        output = part.inner(self.network(x).float(), 2)
        if normaliser.task.kind == "steady" or not self.network.predicts_increment:
            return normaliser.target_mean + normaliser.target_std * output
        return part.tile(batch.state[:, -1], 2) + normaliser.delta_std * output

    def _seen(self, normaliser: TaskNormaliser, batch: FieldBatch) -> NetworkInput:
        """What the network sees of a batch; warns once per grid of another spacing than that of training."""
        task, shape = normaliser.task, tuple(batch.static.shape[2:])
        if not self.training and shape != task.shape and (task.name, shape) not in self.reported:
            self.reported.add((task.name, shape))
            if (problem := spacing_problem(task, shape)) is not None:
                warnings.warn(problem, stacklevel=3)
        return normaliser.network_input(batch)

    def frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """Frames `(B, C, *S)` one by one, each computed from those before; without the given frames.

        Memory does not grow with `steps`, and a loop may stop when it has seen enough. Of a stochastic
        simulator the frames without noise.
        """
        return self._frames(batch, steps, None)

    def rollout(self, batch: FieldBatch, steps: int) -> Tensor:
        """All of :meth:`frames` at once, `(B, steps, C, *S)`."""
        return torch.stack(list(self.frames(batch, steps)), dim=1)

    def member_frames(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Iterator[Tensor]:
        """Frames `(M, B, C, *S)` of an ensemble one by one; a deterministic simulator has one member.

        A member is a function of the seed, its trajectory's number and its own: it is the same in a batch of
        any size, on any number of devices.

        Args:
            batch: what is given.
            steps: frames to predict.
            members: M of a stochastic simulator.
            seed: of what is drawn.
        """
        if not self.stochastic:
            yield from (frame[None] for frame in self.frames(batch, steps))
            return
        noise = self._noise(batch, members, seed)
        for frame in self._frames(batch.repeated(members), steps, noise):
            yield frame.reshape(members, len(batch), *frame.shape[1:])

    def sample(self, batch: FieldBatch, steps: int, members: int, seed: int) -> Tensor:
        """All of :meth:`member_frames` at once, `(M, B, steps, C, *S)`."""
        return torch.stack(list(self.member_frames(batch, steps, members, seed)), dim=2)

    @property
    def stochastic(self) -> bool:
        """Whether :meth:`sample` has different members."""
        return self.network.noise is not None

    def predict(
        self,
        u0: Any,
        params: Mapping[str, Any] | None = None,
        steps: int | None = None,
        *,
        task: str | None = None,
        static: Any = None,
        forcing: Any = None,
        grid: Sequence[Any] | None = None,
        dt: float | None = None,
        members: int | None = None,
        seed: int = 0,
    ) -> NDArray[np.float32]:
        """Predict from a user's own fields; :func:`ups_models.prediction.predict.predict` documents it."""
        from ups_models.prediction.predict import predict  # it imports this module

        given = {"task": task, "static": static, "forcing": forcing, "grid": grid, "dt": dt}
        return predict(self, u0, params, steps, **given, members=members, seed=seed)

    def _frames(self, batch: FieldBatch, steps: int, noise: MemberNoise | None) -> Iterator[Tensor]:
        for frame in range(steps):
            prediction = self.step(batch, None if noise is None else noise.next())
            yield prediction
            if frame + 1 < steps:  # nothing reads the state after the last frame
                batch = feed_back(batch, prediction[:, None])

    def _noise(self, batch: FieldBatch, members: int, seed: int) -> MemberNoise:
        assert self.network.noise is not None
        return MemberNoise(self.network.noise, batch, members, seed)

    def latent_frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """Like :meth:`frames`, inside the latent space: fields are encoded once.

        Raises:
            UPSError: the network has no latent space, or the problem has a forcing, which only encoding sees.
        """
        network, normaliser = self.latent_network(), self.normaliser(batch.task)
        if batch.forcing is not None:
            raise UPSError(f"task '{batch.task}' has a forcing, which latent steps do not see; use `rollout`")
        x = self._seen(normaliser, batch)
        latent = network.encode(x)
        for _ in range(steps):
            latent = network.advance(latent, x)
            yield normaliser.target_mean + normaliser.target_std * network.decode(latent, x).float()

    def latent_rollout(self, batch: FieldBatch, steps: int) -> Tensor:
        """All of :meth:`latent_frames` at once, `(B, steps, C, *S)`."""
        return torch.stack(list(self.latent_frames(batch, steps)), dim=1)

    def reconstruct(self, batch: FieldBatch) -> Tensor:
        """Encode the newest given frame and decode it, `(B, C, *S)`: shows the error of the codec alone.

        Raises:
            UPSError: the network has no latent space.
        """
        network, normaliser = self.latent_network(), self.normaliser(batch.task)
        x = self._seen(normaliser, batch)
        return normaliser.target_mean + normaliser.target_std * network.decode(network.encode(x), x).float()

    def latent_network(self) -> LatentNetwork:
        """The network, as one with a latent space.

        Raises:
            UPSError: it has none.
        """
        if not isinstance(self.network, LatentNetwork):
            raise UPSError(f"a {type(self.network).__name__} has no latent space; use `rollout`")
        return self.network

    @property
    def has_latent(self) -> bool:
        """Whether the network has a latent space to encode to, roll out in and decode from."""
        return isinstance(self.network, LatentNetwork)

    def initialise(self, batch: FieldBatch) -> None:
        """Show the network training pairs before training; `batch` has one target frame or more."""
        normaliser = self.normaliser(batch.task)
        with torch.no_grad():
            self.network.initialise(
                normaliser.network_input(batch), normaliser.target_scaled(batch.target[:, 0])
            )

    def parameter_count(self) -> int:
        """Number of trainable scalars."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)


class LatentSimulator(Simulator):
    """A simulator with rollouts inside the latent space.

    Args:
        simulator: lends its network and its normalisers, which may be on a GPU.

    Raises:
        UPSError: the network has no latent space.
    """

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator.latent_network(), simulator.tasks, simulator.statistics)
        self.normalisers = simulator.normalisers

    def supports(self, task: TaskInfo) -> bool:
        """Evolutions without a forcing: a steady task has no rollout, and latent steps see no forcing."""
        return super().supports(task) and task.kind == "evolution" and not task.forcing_channels

    def frames(self, batch: FieldBatch, steps: int) -> Iterator[Tensor]:
        """See :meth:`Simulator.latent_frames`."""
        return self.latent_frames(batch, steps)


def feed_back(batch: FieldBatch, frames: Tensor) -> FieldBatch:
    """The batch with predicted frames `(B, T, C, *S)` as its newest given ones, and the forcing from there
    on."""
    history = batch.state.shape[1]
    state = torch.cat([batch.state, frames], dim=1)[:, -history:]
    forcing = None if batch.forcing is None else batch.forcing[:, frames.shape[1] :]
    return replace(batch, state=state, forcing=forcing)


def build_simulator(
    component: Component, tasks: Mapping[str, TaskInfo], statistics: Mapping[str, Statistics]
) -> Simulator:
    """A new simulator of a registered model; weights are drawn from torch's current generator.

    Raises:
        UPSError: the model's factory did not return a network.
    """
    return Simulator(create_network(component, tasks), tasks, statistics)
