"""Normalisation in float32 whatever the precision around it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """`torch.nn.LayerNorm` that autocast leaves in float32, on CPUs too: means of many rounded numbers lose
    digits."""

    def forward(self, input: Tensor) -> Tensor:
        """Any floating-point tensor to float32 of the same shape."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())
