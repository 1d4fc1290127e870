"""Learning-rate schedules, stepped once per optimizer step."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ups_train.config import ConstantConfig, CosineConfig, StepDecayConfig
from ups_train.progress import Progress


def cosine(config: CosineConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """Linear warm-up over the first share of the training, then a cosine down to `final` times the peak."""

    def factor(step: int) -> float:
        done = progress.at(step)
        if done < config.warmup:
            return progress.at(step + 1) / config.warmup or 0.01
        falling = (done - config.warmup) / (1 - config.warmup)
        return config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * falling))

    return LambdaLR(optimizer, factor)


def step_decay(config: StepDecayConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """The peak times `gamma` after every `every` of the training: PDEBench's StepLR."""
    return LambdaLR(optimizer, lambda step: config.gamma ** math.floor(progress.at(step) / config.every))


def constant(config: ConstantConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """The peak learning rate at every step."""
    return LambdaLR(optimizer, lambda step: 1.0)
