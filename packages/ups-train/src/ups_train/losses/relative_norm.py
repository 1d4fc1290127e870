"""The norm that losses of physics share: relative to a field's own size, whatever its unit is."""

from __future__ import annotations

import torch
from torch import Tensor

from ups_train.losses.constants import EPSILON, TINY


def relative_norm(squares: Tensor, scale: Tensor) -> Tensor:
    """Mean over samples, frames and channels of the root of squares / scale.

    Args:
        squares: mean squares over space `(B, T, C)`.
        scale: those of a field to compare with, `(B, T, C)` or `(B, 1, C)`. One near zero counts as a small
            part of the channel's mean over the batch, or of all channels'.
    """
    floor = EPSILON * (scale.mean(dim=(0, 1), keepdim=True) + EPSILON * scale.mean())
    size = (scale + floor).clamp(min=torch.finfo(scale.dtype).tiny)
    return (squares / size).add(TINY).sqrt().mean()
