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
DEPENDENT = 1e-5
"""Eigenvalue of the unit gradients' products below which they are linearly dependent, relative to the
largest; products have the rounding errors of float32."""
OPPOSITE = 1e-3
"""Length below which a direction is rounding errors, relative to the largest slope that it should have: a
solution is at least as long as that, and opposite gradients have none."""


def conflict_free(losses: Sequence[Tensor], weights: Sequence[float], parameters: Sequence[Tensor]) -> Tensor:
    """The weighted sum of losses, with a gradient along which all decrease in proportion to their weights.

    The direction u of least norm solves U u = w for the matrix U of unit gradients and the weights w, the
    direction weights of the paper; its length is the sum of the weighted gradients' projections on it. Losses
    whose gradient is rounding errors, and those of weight 0, are left out; the size of any other gradient
    does not matter.

    Args:
        losses: scalars of one graph.
        weights: of the losses, at least 0.
        parameters: what is trained.

    Returns:
        A scalar whose backward pass gives the parameters this gradient.
    """
    used = [parameter for parameter in parameters if parameter.requires_grad]
    # Autocast would round products of gradients to bfloat16, which is too coarse to solve for equal slopes.
    with torch.autocast(losses[0].device.type, enabled=False):
        gradients = torch.stack([_gradient(loss, used) for loss in losses])
        wanted = torch.stack([torch.full_like(gradients[0, 0], weight) for weight in weights])
        direction = _direction(gradients, wanted)
        combined = (wanted @ gradients @ direction) * direction
        total = (wanted * torch.stack([loss.detach().float() for loss in losses])).sum()
        parts = torch.split(combined, [parameter.numel() for parameter in used])
        surrogate = torch.stack(
            [(part * parameter.flatten()).sum() for part, parameter in zip(parts, used, strict=True)]
        ).sum()
        return total + surrogate - surrogate.detach()


def _gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The gradient `(P,)` of a loss."""
    slopes = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
    return torch.cat([slope.flatten() for slope in slopes])


def _direction(gradients: Tensor, wanted: Tensor) -> Tensor:
    """The unit vector `(P,)` whose slopes along gradients `(N, P)` are in proportion to `wanted` `(N,)`.

    Zero where there is none, as between two opposite gradients.
    """
    norms = gradients.norm(dim=1, keepdim=True)
    counts = (norms > (ROUNDING * norms.max()).clamp(min=TINY)) & (wanted[:, None] > 0)
    units = torch.where(counts, gradients / norms.clamp(min=TINY), 0.0)
    wanted = torch.where(counts[:, 0], wanted, 0.0)
    # A pseudo-inverse, because collinear gradients leave the products singular.
    inverse = torch.linalg.pinv(units @ units.T, rtol=DEPENDENT, hermitian=True)
    direction = inverse @ wanted @ units
    length = direction.norm()
    return torch.where(length > OPPOSITE * wanted.max(), direction / length.clamp(min=TINY), 0.0)
