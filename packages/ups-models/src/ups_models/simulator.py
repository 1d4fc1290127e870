"""A simulator: physical fields in, physical fields out, with everything needed between inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from ups_core import Component, UPSError
from ups_data.batch import FieldBatch
from ups_data.statistics import Statistics
from ups_data.task import TaskInfo
from ups_models.network import Network, NetworkInput, module_key


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
        low = torch.tensor([parameter.low for parameter in task.parameters])
        high = torch.tensor([parameter.high for parameter in task.parameters])
        self.register_buffer("params_mid", (high + low) / 2, persistent=False)
        half = (high - low) / 2
        self.register_buffer("params_half", torch.where(half > 0, half, 1.0), persistent=False)

    def _constant(self, name: str, values: tuple[float, ...]) -> None:
        shaped = torch.tensor(values, dtype=torch.float32).reshape(-1, *([1] * self.task.dim))
        self.register_buffer(name, shaped, persistent=False)

    def network_input(self, batch: FieldBatch) -> NetworkInput:
        """Scale a batch for a network: fields `(B, H*C + Cs, *S)`."""
        frames = batch.state.flatten(1, 2)
        if self.task.history:
            frames = ((batch.state - self.state_mean) / self.state_std).flatten(1, 2)
        static = batch.static
        if self.task.static_channels:
            static = (batch.static - self.static_mean) / self.static_std
        params = torch.where(batch.params_mask, (batch.params - self.params_mid) / self.params_half, 0.0)
        low = torch.tensor([axis[0] for axis in self.task.domain], device=batch.coords.device)
        high = torch.tensor([axis[1] for axis in self.task.domain], device=batch.coords.device)
        coords = ((batch.coords - low) / (high - low)).reshape(*batch.static.shape[2:], self.task.dim)
        return NetworkInput(
            task=self.task.name,
            fields=torch.cat([frames, static], dim=1),
            params=params,
            params_mask=batch.params_mask,
            dt=batch.dt,
            coords=coords,
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
                batch = replace(batch, state=torch.cat([batch.state[:, 1:], prediction[:, None]], dim=1))
        return torch.stack(frames, dim=1)

    def parameter_count(self) -> int:
        """Number of trainable scalars."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)


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
