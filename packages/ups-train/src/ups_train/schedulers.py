"""Learning-rate schedules, stepped once per optimizer step."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ups_train.config import ConstantConfig, CosineConfig


def cosine(config: CosineConfig, optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """Linear warm-up over the first steps, then a cosine to `final` times the peak at the last step."""
    warmup = round(config.warmup * total_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total_steps - 1 - warmup))
        return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def constant(config: ConstantConfig, optimizer: Optimizer, total_steps: int) -> LambdaLR:
    """The peak learning rate at every step."""
    return LambdaLR(optimizer, lambda step: 1.0)
