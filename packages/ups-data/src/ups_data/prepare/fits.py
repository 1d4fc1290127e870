"""Least-squares maps from input to output, small enough for an audit.

- An evolution's map is the change to the next frame at a point, a quadratic function of the values around it,
  because a PDE is local. It is fitted in one half of every axis; transformed copies bring there what happens
  in the other.
- A steady problem's map is linear in the complete field.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ups_data.batches.batch import FieldBatch
from ups_data.info import TaskInfo

WIDTH = {1: 15, 2: 5, 3: 3}
"""Dimension -> cells along an axis of the neighbourhood that a change depends on."""
FULL_PRODUCTS = 20
"""Neighbourhoods up to this many values have all their products, larger ones those with their centres."""
MODES = 24
"""Most components of a coefficient field that its solution depends on."""
ROWS = 8192
"""Most points that changes are fitted to."""
RIDGE = 1e-4
"""Regularisation relative to the mean square of each feature."""

Rows = tuple[Tensor, Tensor]
"""Features `(N, F)` and what they shall predict `(N, Y)`."""
Sets = tuple[Rows, Rows, Rows]
"""Rows to fit, the same of transformed copies, and rows to predict."""


def rows_of_changes(batch: FieldBatch, copies: FieldBatch, fit: Tensor, info: TaskInfo) -> Sets:
    """The change at a point, from the values around it.

    Args:
        batch: steps of trajectories.
        copies: the same, transformed.
        fit: which steps are fitted; the others are predicted.
        info: the problem on this grid.
    """
    width = [min(WIDTH[info.dim], cells - 1 + cells % 2) for cells in info.shape]
    scale = batch.state.std().clamp_min(1e-300)

    def rows(part: FieldBatch, where: Tensor) -> Rows:
        newest = part.state[where, -1]
        given = torch.cat([part.state[where].flatten(1, 2), part.static[where]], dim=1) / scale
        wrap = "circular" if all(info.periodic) else "replicate"
        margins = [cells // 2 for cells in reversed(width) for _ in range(2)]
        around = functional.pad(given, margins, mode=wrap)
        change = (part.target[where, 0] - newest) / scale
        for axis, cells in enumerate(width):
            around = around.unfold(2 + axis, cells, 1)
            middle = (info.shape[axis] + 1) // 2
            around, change = around.narrow(2 + axis, 0, middle), change.narrow(2 + axis, 0, middle)
        channels = around.flatten(2 + info.dim).movedim(1, -2).flatten(0, info.dim)
        change = change.movedim(1, -1).flatten(0, info.dim)
        stride = max(1, len(change) // ROWS)
        return _quadratic(channels[::stride]), change[::stride]

    return rows(batch, fit), rows(copies, fit), rows(batch, ~fit)


def _quadratic(channels: Tensor) -> Tensor:
    """1, values and products of neighbourhoods `(N, C, width)`; of large ones only products with centres."""
    values = channels.flatten(1)
    if values.shape[1] <= FULL_PRODUCTS:
        first, second = torch.triu_indices(values.shape[1], values.shape[1])
        products = values[:, first] * values[:, second]
    else:
        centres = channels[:, :, channels.shape[2] // 2]
        products = (values[:, :, None] * centres[:, None]).flatten(1)
    return torch.cat([torch.ones_like(values[:, :1]), values, products], dim=1)


def rows_of_solutions(batch: FieldBatch, copies: FieldBatch, fit: Tensor, info: TaskInfo) -> Sets:
    """The solution, from the leading components of the given field; arguments as above."""
    basis = torch.cat([batch.static[fit], copies.static[fit]]).flatten(1)
    mean = basis.mean(dim=0)
    _, spread, components = torch.linalg.svd(basis - mean, full_matrices=False)
    leading = max(1, min(len(spread) // 8, MODES))
    project = components[:leading].T / spread[:leading].clamp_min(1e-300) * math.sqrt(len(basis))

    def rows(part: FieldBatch, where: Tensor) -> Rows:
        scores = (part.static.flatten(1)[where] - mean) @ project
        return torch.cat([torch.ones_like(scores[:, :1]), scores], dim=1), part.target.flatten(1)[where]

    return rows(batch, fit), rows(copies, fit), rows(batch, ~fit)


def least_squares(x: Tensor, y: Tensor) -> Tensor:
    """Weights `(features, outputs)` of the slightly regularised linear fit of y to x."""
    size = x.square().mean(dim=0).sqrt().clamp_min(1e-300)
    scaled = x / size
    normal = scaled.T @ scaled
    normal.diagonal().add_(RIDGE * len(x))
    weights: Tensor = torch.linalg.solve(normal, scaled.T @ y)
    return weights / size[:, None]
