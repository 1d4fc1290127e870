"""Data augmentation: transformations that map solutions of a PDE to solutions, applied to batches.

A task declares its symmetries (:attr:`ups_data.info.TaskInfo.symmetries`); models need not know them. Shifts
are drawn per trajectory, everything else per batch, all as functions of a seed: a sample is transformed in
the same way however its batch is split over processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import coin, derive_seed
from ups_data.info import Channel, Symmetry, TaskInfo, exchanged


def augment(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Apply a combination of the task's symmetries that the seed chooses."""
    for name in task.symmetries:
        batch = SYMMETRIES[name](batch, task, derive_seed(seed, name))
    return batch


def translate(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Shift every trajectory by its own number of cells along every periodic axis."""
    numbers = batch.index.tolist()
    for axis in [axis for axis, wraps in enumerate(task.periodic) if wraps]:
        cells = task.shape[axis]
        shifts = torch.tensor([derive_seed(seed, axis, number) % cells for number in numbers])
        # Computed on the host and copied without waiting: a blocking copy would wait for all queued kernels.
        index = (torch.arange(cells) + shifts[:, None]) % cells
        index = index.to(batch.target.device, non_blocking=True)
        batch = _on_fields(batch, partial(_gather, index=index, axis=axis, dim=task.dim))
    return batch


def reflect(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Mirror each axis with probability one half; components along it change their sign, other fields do not.

    The coordinates are mirrored too, so this is exact also for a grid that is not symmetric about the centre
    of its domain, provided that the model uses the coordinates.
    """
    for axis, (low, high) in enumerate(task.domain):
        if coin(seed, axis):
            batch = _on_fields(batch, partial(torch.flip, dims=(axis - task.dim,)))
            batch = _with_signs(batch, task, axis)
            coords = batch.coords.reshape(*task.shape, task.dim).flip(axis).clone()
            coords[..., axis] = low + high - coords[..., axis]
            batch = replace(batch, coords=coords.reshape(batch.coords.shape))
    return batch


def negate(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Change the sign of states with probability one half."""
    return replace(batch, state=-batch.state, target=-batch.target) if coin(seed) else batch


def reflect_oddly(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Mirror a one-dimensional domain and change the sign of states, with probability one half."""
    if not coin(seed):
        return batch
    mirrored = _on_fields(batch, lambda x: x.flip(-1))
    return replace(mirrored, state=-mirrored.state, target=-mirrored.target)


def transpose(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Exchange the last two axes, of equal length, and components along them, with probability one half."""
    if not coin(seed):
        return batch
    axes = task.dim - 2, task.dim - 1
    coords = batch.coords.reshape(*task.shape, task.dim).transpose(*axes)
    # Slices instead of a list of indices, which indexing would copy to the device.
    swapped = torch.cat(
        [coords[..., : axes[0]], coords[..., axes[1] :], coords[..., axes[0] : axes[1]]], dim=-1
    )
    exchanged = _with_components(_on_fields(batch, lambda x: x.transpose(-1, -2)), task, axes)
    return replace(exchanged, coords=swapped.reshape(batch.coords.shape))


SYMMETRIES: dict[Symmetry, Callable[[FieldBatch, TaskInfo, int], FieldBatch]] = {
    "translation": translate,
    "reflection": reflect,
    "sign": negate,
    "odd_reflection": reflect_oddly,
    "transpose": transpose,
}
"""Name in a task's declaration -> transformation."""


def _on_fields(batch: FieldBatch, change: Callable[[Tensor], Tensor]) -> FieldBatch:
    """Transform every tensor that has the grid as its last axes."""
    return replace(
        batch,
        state=change(batch.state),
        static=change(batch.static),
        target=change(batch.target),
        forcing=None if batch.forcing is None else change(batch.forcing),
    )


def _with_signs(batch: FieldBatch, task: TaskInfo, axis: int) -> FieldBatch:
    """Change the sign of the components along a mirrored axis."""

    def signed(fields: Tensor, channels: tuple[Channel, ...]) -> Tensor:
        signs = [(-1.0) ** channel.component.count(axis) for channel in channels]
        if all(sign > 0 for sign in signs):
            return fields
        return fields * fields.new_tensor(signs).reshape(-1, *[1] * task.dim)

    return _by_channels(batch, task, signed)


def _with_components(batch: FieldBatch, task: TaskInfo, axes: tuple[int, int]) -> FieldBatch:
    """Exchange the components along two exchanged axes."""

    def swapped(fields: Tensor, channels: tuple[Channel, ...]) -> Tensor:
        order = [
            place if not channel.vector else exchanged(channel, axes, channels)
            for place, channel in enumerate(channels)
        ]
        if order == list(range(len(order))):
            return fields
        parts = fields.unbind(-task.dim - 1)
        return torch.stack([parts[place or 0] for place in order], dim=-task.dim - 1)

    return _by_channels(batch, task, swapped)


def _by_channels(
    batch: FieldBatch, task: TaskInfo, change: Callable[[Tensor, tuple[Channel, ...]], Tensor]
) -> FieldBatch:
    """Transform the fields of a batch, given the channels that each tensor has."""
    return replace(
        batch,
        state=change(batch.state, task.state_channels) if task.state_channels else batch.state,
        static=change(batch.static, task.static_channels) if task.static_channels else batch.static,
        target=change(batch.target, task.target_channels),
        forcing=None if batch.forcing is None else change(batch.forcing, task.forcing_channels),
    )


def _gather(x: Tensor, index: Tensor, axis: int, dim: int) -> Tensor:
    """Rows of `x` `(B, ..., *S)` along spatial `axis` by per-sample indices `(B, cells)`."""
    where = x.dim() - dim + axis
    shape = [len(index), *([1] * (x.dim() - 1))]
    shape[where] = index.shape[1]
    return x.gather(where, index.reshape(shape).expand(x.shape))
