"""Between physical fields and what a network sees: scaled fields, parameters and coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo
from ups_data.prepare.statistics import Statistics
from ups_models.constant_conditions import ConstantConditions
from ups_models.network import FORCED_FRAMES, NetworkInput, placed_axes


class _Grid(NamedTuple):
    """The scaled grid of a batch, and what it was computed from."""

    source: Tensor
    inference: bool
    coords: Tensor
    offset: Tensor


class TaskNormaliser(nn.Module):
    """Channel statistics of one task's train split, as buffers shaped to broadcast over the grid.

    The numbers are non-persistent float32 buffers, so that they move with the simulator: a forward pass makes
    no tensor from Python numbers, which would make a GPU wait. They are saved in the bundle's JSON, not among
    the weights.

    Args:
        task: the problem.
        statistics: of its train split.
    """

    state_mean: Tensor
    state_std: Tensor
    static_mean: Tensor
    static_std: Tensor
    forcing_mean: Tensor
    forcing_std: Tensor
    target_mean: Tensor
    target_std: Tensor
    delta_std: Tensor
    increment: Tensor
    params_log: Tensor
    params_mid: Tensor
    params_half: Tensor
    domain_low: Tensor
    domain_length: Tensor
    cells: Tensor

    def __init__(self, task: TaskInfo, statistics: Statistics) -> None:
        super().__init__()
        self.task = task
        for name in ("state", "static", "target", "forcing"):
            channels = getattr(statistics, name)
            self._constant(f"{name}_mean", self._per_channel(channels.mean))
            self._constant(f"{name}_std", self._per_channel(channels.std))
        self._constant("delta_std", self._per_channel(statistics.delta))
        change = self.delta_std / self.state_std if task.history else torch.ones_like(self.target_std)
        self._constant("increment", change)
        field = torch.tensor(statistics.mean_field, dtype=torch.float32)
        self.mean_field: Tensor | None
        if len(field):
            self._constant("mean_field", self.target_scaled(field.reshape(-1, *task.shape)))
        else:
            self.mean_field = None
        log = [float(parameter.scale == "log") for parameter in task.parameters]
        self._constant("params_log", torch.tensor(log))
        self.has_log = any(log)
        low = self._on_scale(torch.tensor([parameter.low for parameter in task.parameters]))
        high = self._on_scale(torch.tensor([parameter.high for parameter in task.parameters]))
        # A task with a single value has no range; dividing by 1 puts the value at 0.
        half = (high - low) / 2
        self._constant("params_mid", (high + low) / 2)
        self._constant("params_half", torch.where(half > 0, half, 1.0))
        low = torch.tensor([axis[0] for axis in task.domain], dtype=torch.float32)
        high = torch.tensor([axis[1] for axis in task.domain], dtype=torch.float32)
        self._constant("domain_low", low)
        self._constant("domain_length", high - low)
        self._constant("cells", torch.tensor(task.shape, dtype=torch.float32))
        self.placed = placed_axes(task)
        self._last_grid: _Grid | None = None
        self.constant: ConstantConditions | None = None
        if statistics.conditions is not None:
            self.constant = ConstantConditions(task, statistics.conditions, self._scaled_params)

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def _per_channel(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32).reshape(-1, *([1] * self.task.dim))

    def _on_scale(self, params: Tensor) -> Tensor:
        """Parameters, or their logarithms if the task says so."""
        if not self.has_log:
            return params
        # Clamped, because unknown or linear parameters may be 0, and where() computes both branches.
        return torch.where(self.params_log > 0, params.clamp(min=1e-30).log(), params)

    def _scaled_params(self, params: Tensor) -> Tensor:
        """Physical parameters `(..., P)` scaled to [-1, 1] over the task's range."""
        return (self._on_scale(params) - self.params_mid) / self.params_half

    def network_input(self, batch: FieldBatch) -> NetworkInput:
        """Scale a batch for a network; shapes as in :class:`~ups_models.network.NetworkInput`."""
        frames, static = batch.state.flatten(1, 2), batch.static
        if self.task.history:
            frames = ((batch.state - self.state_mean) / self.state_std).flatten(1, 2)
        if self.task.static_channels:
            static = (batch.static - self.static_mean) / self.static_std
        given = [frames, static]
        if batch.forcing is not None:
            newest = batch.state.shape[1] - 1
            forced = batch.forcing[:, newest : newest + FORCED_FRAMES]
            given.append(((forced - self.forcing_mean) / self.forcing_std).flatten(1, 2))
        grid = self._grid(batch)
        x = NetworkInput(
            task=self.task.name,
            fields=torch.cat(given, dim=1),
            params=torch.where(batch.params_mask, self._scaled_params(batch.params), 0.0),
            params_mask=batch.params_mask,
            dt=batch.dt,
            coords=grid.coords,
            grid_offset=grid.offset.expand(batch.dt.shape[0], -1),
            increment=self.increment,
            elapsed=batch.dt,
            mean_field=self.mean_field,
        )
        return x if self.constant is None else self.constant(x)

    def _grid(self, batch: FieldBatch) -> _Grid:
        """The scaled grid, reused while batches share one tensor of coordinates, as steps of a rollout do."""
        last, inference = self._last_grid, torch.is_inference_mode_enabled()
        # A tensor made in inference mode cannot take part in training, so the two modes share nothing.
        if last is None or last.source is not batch.coords or last.inference != inference:
            last = self._last_grid = self._scaled_grid(batch, inference)
        return last

    def _scaled_grid(self, batch: FieldBatch, inference: bool) -> _Grid:
        shape = batch.static.shape[2:]
        if not self.placed:  # no place differs from another
            nowhere = batch.coords[:1, :0]
            return _Grid(batch.coords, inference, nowhere.expand(*shape, 0), nowhere)
        coords = ((batch.coords - self.domain_low) / self.domain_length).reshape(*shape, self.task.dim)
        points = coords.flatten(0, -2)
        cells = self.cells
        if tuple(shape) != self.task.shape:  # a rollout on another grid than the training data's
            cells = torch.tensor(shape, dtype=torch.float32).to(coords.device, non_blocking=True)
        offset = (points[0] + points[-1] - 1) * cells * 2
        if len(self.placed) < self.task.dim:  # slices instead of indices, which indexing copies to the device
            coords = torch.stack([coords[..., axis] for axis in self.placed], dim=-1)
            offset = torch.stack([offset[axis] for axis in self.placed])
        return _Grid(batch.coords, inference, coords, offset)

    def target_scaled(self, field: Tensor) -> Tensor:
        """Physical targets `(..., C, *S)`, scaled to mean 0 and standard deviation 1."""
        return (field - self.target_mean) / self.target_std
