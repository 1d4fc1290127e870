"""Changes in conservation form: the divergence of a flux, which sums to zero over a periodic domain.

A conservation law u_t + div F = 0 conserves the mean of u. A network that predicts F instead of the change
conserves it too, to rounding, and its errors are damped at long waves, where they would otherwise accumulate
over a rollout.
"""

from __future__ import annotations

import torch
from torch import Tensor

REFERENCE_CELLS = 64
"""Cells per axis at which a flux difference has the magnitude of the flux, on grids of any resolution."""


def divergence(flux: Tensor, dim: int) -> Tensor:
    """Minus the divergence of face fluxes on a periodic grid.

    Args:
        flux: flux through the upper face of every cell, axis by axis, `(B, dim * C, *S)`.
        dim: grid dimension.

    Returns:
        `(B, C, *S)` with zero sum over S.
    """
    change: list[Tensor] = []
    for axis, along_axis in enumerate(flux.chunk(dim, dim=1)):
        where = axis - dim
        scale = along_axis.shape[where] / REFERENCE_CELLS
        change.append((along_axis.roll(1, where) - along_axis) * scale)
    return torch.stack(change).sum(0)
