"""Observed values, continued between the points."""

from __future__ import annotations

from torch import Tensor, nn

POOL = {1: nn.functional.avg_pool1d, 2: nn.functional.avg_pool2d, 3: nn.functional.avg_pool3d}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
TINY = 1e-12
"""Smallest weight that is divided by."""


def fill(values: Tensor, mask: Tensor) -> Tensor:
    """The values where they are observed, means of near ones elsewhere, and 0 without any.

    The pull and push of Gortler et al., "The Lumigraph", SIGGRAPH 1996: means over the observed points of
    ever larger blocks, which fill what finer blocks leave open.

    Args:
        values: `(B, J, *S)`.
        mask: 1 where they are observed, 0 elsewhere `(B, J, *S)`.
    """
    dim = values.dim() - 2
    fields, weights = [values * mask], [mask]
    while max(weights[-1].shape[2:]) > 1:
        block = [min(2, cells) for cells in weights[-1].shape[2:]]
        weight = POOL[dim](weights[-1], block, ceil_mode=True)
        total = POOL[dim](weights[-1] * fields[-1], block, ceil_mode=True)
        fields.append(total / weight.clamp(min=TINY))
        weights.append((weight * 2**dim).clamp(max=1))  # one observed point fills its block
    filled = fields.pop()
    weights.pop()
    for field, weight in zip(reversed(fields), reversed(weights), strict=True):
        coarse = nn.functional.interpolate(filled, size=field.shape[2:], mode=LINEAR[dim])
        filled = weight * field + (1 - weight) * coarse
    return filled
