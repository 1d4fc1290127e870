"""Normalisation in float32 whatever the precision around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """`torch.nn.LayerNorm` in float32 under autocast, on CPUs too: means of many rounded numbers lose digits.

    Args: as for `torch.nn.LayerNorm`.
    """

    def forward(self, input: Tensor) -> Tensor:
        """`(..., C)` of any floating-point type to float32 of the same shape."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())
