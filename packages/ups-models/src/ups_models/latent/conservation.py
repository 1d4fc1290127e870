"""Changes in conservation form: the divergence of a flux, whose sum over a periodic domain is zero.

A conservation law u_t + div F = 0 keeps the mean of u. A network that predicts F instead of the change keeps
it too, to round-off, and its errors are damped at long waves, where they would otherwise pile up over a
rollout.
"""

from __future__ import annotations

import torch
from torch import Tensor

REFERENCE_CELLS = 64
"""Grid on which a flux difference has the flux's own magnitude; makes the scale independent of resolution."""


def divergence(flux: Tensor, dim: int) -> Tensor:
    """Minus the divergence of face fluxes on a periodic grid.

    Args:
        flux: `(B, dim * C, *S)`, the flux through the upper face of every cell, axis by axis.

    Returns:
        `(B, C, *S)` with zero sum over S.
    """
    change: list[Tensor] = []
    for axis, part in enumerate(flux.chunk(dim, dim=1)):
        where = axis - dim
        change.append((part.roll(1, where) - part) * (part.shape[where] / REFERENCE_CELLS))
    return torch.stack(change).sum(0)
