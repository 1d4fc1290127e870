"""Transformations that map solutions of a PDE to solutions, applied to batches: data for nothing.

A task declares which it has (:attr:`ups_data.tasks.base.TaskInfo.symmetries`); a model needs to know none of them.
What is drawn is a function of a seed and the trajectory, so however a batch is shared out to processes, a
sample is transformed alike: shifts for every trajectory, everything else for the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ups_data.batches.batch import FieldBatch
from ups_data.batches.seeds import coin, derive_seed
from ups_data.info import TaskInfo


def augment(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """A combination of the task's symmetries that the seed chooses."""
    for name in task.symmetries:
        batch = SYMMETRIES[name](batch, task, derive_seed(seed, name))
    return batch


def translate(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Shift every trajectory by its own whole number of cells along every periodic axis."""
    for axis, cells in enumerate(task.shape):
        shifts = [derive_seed(seed, axis, number) % cells for number in batch.index.tolist()]
        shift = torch.tensor(shifts, device=batch.target.device)
        index = (torch.arange(cells, device=shift.device) + shift[:, None]) % cells
        batch = _on_arrays(batch, partial(_gather, index=index, axis=axis, dim=task.dim))
    return batch


def reflect(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Mirror each axis with probability one half; states stay as they are.

    The grid is mirrored too. So this is exact also where the grid points do not lie evenly about the middle,
    as long as the model looks at the coordinates.
    """
    for axis, (low, high) in enumerate(task.domain):
        if coin(seed, axis):
            batch = _on_arrays(batch, partial(torch.flip, dims=(axis - task.dim,)))
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
    mirrored = _on_arrays(batch, lambda x: x.flip(-1))
    return replace(mirrored, state=-mirrored.state, target=-mirrored.target)


def transpose(batch: FieldBatch, task: TaskInfo, seed: int) -> FieldBatch:
    """Exchange the last two axes, which are alike, with probability one half."""
    if not coin(seed):
        return batch
    axes = task.dim - 2, task.dim - 1
    coords = batch.coords.reshape(*task.shape, task.dim).transpose(*axes).clone()
    coords[..., list(axes)] = coords[..., list(reversed(axes))]
    exchanged = _on_arrays(batch, lambda x: x.transpose(-1, -2))
    return replace(exchanged, coords=coords.reshape(batch.coords.shape))


SYMMETRIES: dict[str, Callable[[FieldBatch, TaskInfo, int], FieldBatch]] = {
    "translation": translate,
    "reflection": reflect,
    "sign": negate,
    "odd_reflection": reflect_oddly,
    "transpose": transpose,
}
"""Name in a task's declaration -> transformation."""


def _on_arrays(batch: FieldBatch, change: Callable[[Tensor], Tensor]) -> FieldBatch:
    """Change what has the grid as its last axes."""
    return replace(batch, state=change(batch.state), static=change(batch.static), target=change(batch.target))


def _gather(x: Tensor, index: Tensor, axis: int, dim: int) -> Tensor:
    """Rows of `x` `(B, ..., *S)` along spatial `axis` by per-sample indices `(B, cells)`."""
    where = x.dim() - dim + axis
    shape = [len(index), *([1] * (x.dim() - 1))]
    shape[where] = index.shape[1]
    return x.gather(where, index.reshape(shape).expand(x.shape))
