"""A gradient without conflict between losses: ConFIG, Liu, Chu and Thuerey, "ConFIG: Towards Conflict-free
Training of Physics Informed Neural Networks", arXiv 2408.11104."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

TINY = 1e-30
"""Smallest norm of a gradient that has a direction."""
ROUNDING = 1e-8
"""Norm below which a gradient is rounding errors, relative to the largest: as that of a drift in a model that
conserves exactly."""


def conflict_free(losses: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """The sum of losses, with a gradient that has the same positive slope along that of every loss.

    The direction u of least norm solves U u = 1 for the matrix U of unit gradients; its length is the sum of
    the gradients' projections on it. Losses whose gradient is rounding errors are left out; any other one
    counts as much as the largest.

    Args:
        losses: scalars of one graph.
        weights: what is trained.

    Returns:
        A scalar whose backward pass gives the weights this gradient.
    """
    used = [weight for weight in weights if weight.requires_grad]
    flat = []
    for loss in losses:
        slopes = torch.autograd.grad(loss, used, retain_graph=True, materialize_grads=True)
        flat.append(torch.cat([slope.flatten() for slope in slopes]))
    gradients = torch.stack(flat)
    norms = gradients.norm(dim=1, keepdim=True)
    counts = norms > (ROUNDING * norms.max()).clamp(min=TINY)
    units = torch.where(counts, gradients / norms.clamp(min=TINY), 0.0)
    products = units @ units.T + torch.diag((~counts[:, 0]).to(units.dtype))
    direction = torch.linalg.lstsq(products, torch.ones_like(products[:, :1])).solution[:, 0] @ units
    direction = direction / direction.norm().clamp(min=TINY)
    combined = (gradients @ direction).sum() * direction
    total = torch.stack(list(losses)).sum().detach()
    parts = combined.split([weight.numel() for weight in used])
    surrogate = torch.stack(
        [(part.detach() * weight.flatten()).sum() for part, weight in zip(parts, used, strict=True)]
    ).sum()
    return total + surrogate - surrogate.detach()
