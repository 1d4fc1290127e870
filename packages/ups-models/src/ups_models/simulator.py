"""A simulator: physical fields in, physical fields out, with everything needed between inside it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ups_core import Component, UPSError
from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_models.network import LatentNetwork, Network, NetworkInput, module_key


class TaskNormaliser(nn.Module):
    """Channel statistics of one task's train split, as buffers shaped to broadcast over the grid.

    Numbers live in float32 buffers so that they move with the simulator; they are saved in the bundle's
    JSON, not among the weights.
    """

    state_mean: Tensor
    state_std: Tensor
    static_mean: Tensor
    static_std: Tensor
    target_mean: Tensor
    target_std: Tensor
    delta_std: Tensor
    params_log: Tensor
    params_mid: Tensor
    params_half: Tensor

    def __init__(self, task: TaskInfo, statistics: Statistics):
        super().__init__()
        self.task = task
        for name in ("state", "static", "target"):
            channels = getattr(statistics, name)
            self._constant(f"{name}_mean", channels.mean)
            self._constant(f"{name}_std", channels.std)
        self._constant("delta_std", statistics.delta)
        log = torch.tensor([float(parameter.scale == "log") for parameter in task.parameters])
        self.register_buffer("params_log", log, persistent=False)
        low = self._on_scale(torch.tensor([parameter.low for parameter in task.parameters]))
        high = self._on_scale(torch.tensor([parameter.high for parameter in task.parameters]))
        self.register_buffer("params_mid", (high + low) / 2, persistent=False)
        half = (high - low) / 2
        self.register_buffer("params_half", torch.where(half > 0, half, 1.0), persistent=False)

    def _constant(self, name: str, values: tuple[float, ...]) -> None:
        shaped = torch.tensor(values, dtype=torch.float32).reshape(-1, *([1] * self.task.dim))
        self.register_buffer(name, shaped, persistent=False)

    def _on_scale(self, params: Tensor) -> Tensor:
        """Parameters, or their logarithms where the task says so."""
        return torch.where(self.params_log > 0, params.clamp(min=1e-30).log(), params)

    def network_input(self, batch: FieldBatch) -> NetworkInput:
        """Scale a batch for a network: fields `(B, H*C + Cs, *S)`."""
        frames = batch.state.flatten(1, 2)
        if self.task.history:
            frames = ((batch.state - self.state_mean) / self.state_std).flatten(1, 2)
        static = batch.static
        if self.task.static_channels:
            static = (batch.static - self.static_mean) / self.static_std
        params = torch.where(
            batch.params_mask, (self._on_scale(batch.params) - self.params_mid) / self.params_half, 0.0
        )
        low = torch.tensor([axis[0] for axis in self.task.domain], device=batch.coords.device)
        high = torch.tensor([axis[1] for axis in self.task.domain], device=batch.coords.device)
        coords = ((batch.coords - low) / (high - low)).reshape(*batch.static.shape[2:], self.task.dim)
        first, last = coords.flatten(0, -2)[0], coords.flatten(0, -2)[-1]
        cells = torch.tensor(coords.shape[:-1], device=coords.device)
        offset = (first + last - 1) * cells * 2
        return NetworkInput(
            task=self.task.name,
            fields=torch.cat([frames, static], dim=1),
            params=params,
            params_mask=batch.params_mask,
            dt=batch.dt,
            coords=coords,
            grid_offset=offset.expand(len(batch), -1),
            increment=self.delta_std / self.state_std
            if self.task.history
            else torch.ones_like(self.target_std),
        )

    def target_scaled(self, field: Tensor) -> Tensor:
        """Physical `(..., C, *S)` to mean 0, deviation 1."""
        return (field - self.target_mean) / self.target_std


class Simulator(nn.Module):
    """Normaliser and network: `step` and `rollout` take and give physical units.

    Statistics come from the train split only, per task and channel.
    """

    def __init__(self, network: Network, tasks: Mapping[str, TaskInfo], statistics: Mapping[str, Statistics]):
        super().__init__()
        self.network = network
        self.tasks = dict(tasks)
        self.statistics = dict(statistics)
        self.normalisers = nn.ModuleDict(
            {module_key(name): TaskNormaliser(task, statistics[name]) for name, task in tasks.items()}
        )

    def normaliser(self, task: str) -> TaskNormaliser:
        """The normaliser of a task. Raises :class:`UPSError` for a task it was not made for."""
        if task not in self.tasks:
            raise UPSError(f"this simulator knows no task '{task}'; tasks: {', '.join(self.tasks)}")
        found = self.normalisers[module_key(task)]
        assert isinstance(found, TaskNormaliser)
        return found

    def with_network(self, network: Network) -> Simulator:
        """The same simulator around another network (a moving average, say); normalisers are shared."""
        other = copy.copy(self)
        other._modules = dict(self._modules)  # copy.copy shares the registry of submodules
        other.network = network
        return other

    def supports(self, task: TaskInfo) -> bool:
        """Whether a prediction for this task means anything (persistence of a steady task does not)."""
        return task.name in self.tasks and not (self.network.evolution_only and task.kind == "steady")

    def step(self, batch: FieldBatch) -> Tensor:
        """The next frame, or a steady task's solution, `(B, C, *S)` in physical units."""
        normaliser = self.normaliser(batch.task)
        output: Tensor = self.network(normaliser.network_input(batch)).float()
        if normaliser.task.kind == "steady" or not self.network.predicts_increment:
            return normaliser.target_mean + normaliser.target_std * output
        return batch.state[:, -1] + normaliser.delta_std * output

    def rollout(self, batch: FieldBatch, steps: int) -> Tensor:
        """`steps` frames `(B, T, C, *S)`, each computed from the ones before; given frames not included."""
        frames = []
        for frame in range(steps):
            prediction = self.step(batch)
            frames.append(prediction)
            if frame + 1 < steps:
                batch = feed_back(batch, prediction[:, None])
        return torch.stack(frames, dim=1)

    def latent_rollout(self, batch: FieldBatch, steps: int) -> Tensor:
        """As :meth:`rollout`, inside the latent space: fields are encoded once.

        Raises:
            UPSError: the network has no latent space.
        """
        network, normaliser = self.latent_network(), self.normaliser(batch.task)
        x = normaliser.network_input(batch)
        latent = network.encode(x)
        frames = []
        for _ in range(steps):
            latent = network.advance(latent, x)
            frames.append(normaliser.target_mean + normaliser.target_std * network.decode(latent, x).float())
        return torch.stack(frames, dim=1)

    def reconstruct(self, batch: FieldBatch) -> Tensor:
        """Encode the newest given frame and decode it, `(B, C, *S)`: the codec's own error.

        Raises:
            UPSError: the network has no latent space.
        """
        network, normaliser = self.latent_network(), self.normaliser(batch.task)
        x = normaliser.network_input(batch)
        return normaliser.target_mean + normaliser.target_std * network.decode(network.encode(x), x).float()

    def latent_network(self) -> LatentNetwork:
        """The network, if it can roll out in a latent space; else raises :class:`UPSError`."""
        if not isinstance(self.network, LatentNetwork):
            raise UPSError(f"a {type(self.network).__name__} has no latent space to roll out in")
        return self.network

    @property
    def has_latent(self) -> bool:
        """Whether the network has a latent space to encode to, roll out in and decode from."""
        return isinstance(self.network, LatentNetwork)

    def initialise(self, batch: FieldBatch) -> None:
        """Let the network look at training pairs before training; a batch with one target frame or more."""
        normaliser = self.normaliser(batch.task)
        with torch.no_grad():
            self.network.initialise(
                normaliser.network_input(batch), normaliser.target_scaled(batch.target[:, 0])
            )

    def parameter_count(self) -> int:
        """Number of trainable scalars."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)


class LatentSimulator(Simulator):
    """The same simulator, whose rollouts stay in the latent space."""

    def __init__(self, simulator: Simulator):
        super().__init__(simulator.latent_network(), simulator.tasks, simulator.statistics)

    def supports(self, task: TaskInfo) -> bool:
        """A steady task has no rollout to take a short cut in."""
        return super().supports(task) and task.kind == "evolution"

    def rollout(self, batch: FieldBatch, steps: int) -> Tensor:
        """See :meth:`Simulator.latent_rollout`."""
        return self.latent_rollout(batch, steps)


def feed_back(batch: FieldBatch, frames: Tensor) -> FieldBatch:
    """The batch whose newest given frames are predicted ones `(B, T, C, *S)`."""
    history = batch.state.shape[1]
    return replace(batch, state=torch.cat([batch.state, frames], dim=1)[:, -history:])


def build_simulator(
    component: Component, tasks: Mapping[str, TaskInfo], statistics: Mapping[str, Statistics]
) -> Simulator:
    """A new simulator of a registered model; weights are drawn from torch's current generator.

    Raises:
        UPSError: the model's factory returned something that is no network.
    """
    network = component.create(tasks=tasks)
    if not isinstance(network, nn.Module):
        raise UPSError(f"model '{component.kind}' made a {type(network).__name__}, not a torch.nn.Module")
    return Simulator(network, tasks, statistics)  # type: ignore[arg-type]
