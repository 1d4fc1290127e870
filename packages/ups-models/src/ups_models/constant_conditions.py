"""Inputs that a training never varied, held at their values.

The weights of such an input get the gradient of a bias: they stay about as they were drawn. Another value at
prediction would add noise to it, not information.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from ups_data.info import TaskInfo
from ups_data.prepare.conditions import Conditions
from ups_models.network import NetworkInput, placed_axes

MIN_OFFSET = 1e-3
"""Quarter cells below which two offsets of a grid differ by rounding."""


class ConstantConditions(nn.Module):
    """Replaces conditions that were constant in training; see :class:`NetworkInput`.

    Args:
        task: the problem, with its training grid.
        conditions: what its training varied.
        scaled: maps physical parameters `(P,)` to those of a :class:`NetworkInput`.
    """

    params_constant: Tensor
    params_value: Tensor
    always_known: Tensor
    dt: Tensor
    offset_constant: Tensor
    offset_value: Tensor

    def __init__(self, task: TaskInfo, conditions: Conditions, scaled: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        low = torch.tensor([lowest for lowest, _ in conditions.parameters])
        high = torch.tensor([highest for _, highest in conditions.parameters])
        known = ~torch.tensor(conditions.unknown, dtype=torch.bool)
        offsets = _offsets(task, conditions.augmented)
        self.dt_constant = conditions.dt[0] == conditions.dt[1]
        constants = {
            "params_constant": (low == high) & known,
            "params_value": scaled(low),
            "always_known": known,
            "dt": torch.tensor(conditions.dt[0]),
            "offset_constant": torch.tensor([high - low < MIN_OFFSET for low, high in offsets]).bool(),
            "offset_value": torch.tensor([low for low, _ in offsets]),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, x: NetworkInput) -> NetworkInput:
        """The input as the training would have shown it; `elapsed` and the fields stay."""
        return replace(
            x,
            params=torch.where(self.params_constant, self.params_value, x.params),
            params_mask=x.params_mask | self.always_known,
            dt=self.dt.expand(x.dt.shape[0]) if self.dt_constant else x.dt,
            grid_offset=torch.where(self.offset_constant, self.offset_value, x.grid_offset),
        )


def _offsets(task: TaskInfo, augmented: bool) -> list[tuple[float, float]]:
    """Range of the offset of the training grid along every axis with a place, in quarter cells."""
    ranges = []
    placed = placed_axes(task)
    for axis in placed:
        (low, high), points, cells = task.domain[axis], task.axes[axis], task.shape[axis]
        offset = ((points[0] + points[-1] - 2 * low) / (high - low) - 1) * cells * 2
        mirrored = augmented and "reflection" in task.symmetries
        ranges.append((-abs(offset), abs(offset)) if mirrored else (offset, offset))
    if task.dim - 1 in placed and augmented and "transpose" in task.symmetries:
        both = [end for axis in ranges[-2:] for end in axis]
        ranges[-2:] = [(min(both), max(both))] * 2
    return ranges
