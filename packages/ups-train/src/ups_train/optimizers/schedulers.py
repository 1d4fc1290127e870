"""Learning-rate schedules, stepped once per optimizer step; `plateau` once per validation."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from ups_train.engine.progress import Progress
from ups_train.optimizers.config import (
    ConstantConfig,
    CosineConfig,
    OneCycleConfig,
    PlateauConfig,
    StepDecayConfig,
    WSDConfig,
)


def cosine(config: CosineConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """Linear warm-up over the first share of the training, then a cosine down to `final` times the peak."""

    def factor(step: int) -> float:
        done = progress.at(step)
        if done < config.warmup:
            return progress.at(step + 1) / config.warmup or 0.01
        return _cosine_between(1.0, config.final, (done - config.warmup) / (1 - config.warmup))

    return LambdaLR(optimizer, factor)


def step_decay(config: StepDecayConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """The peak times `gamma` after every `every` of the training: PDEBench's StepLR."""
    return LambdaLR(optimizer, lambda step: config.gamma ** math.floor(progress.at(step) / config.every))


def warmup_stable_decay(config: WSDConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """Linear warm-up, the peak, then a fall as 1 - sqrt over the last share of the training."""

    def factor(step: int) -> float:
        done = progress.at(step)
        if done < config.warmup:
            return progress.at(step + 1) / config.warmup or 0.01
        falling = max(0.0, (done - (1 - config.decay)) / config.decay)
        return config.final + (1 - config.final) * (1 - math.sqrt(falling))

    return LambdaLR(optimizer, factor)


def one_cycle(config: OneCycleConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """A cosine from `initial` times the peak up to it, then one down to `final` times the peak."""

    def factor(step: int) -> float:
        done = progress.at(step)
        if done < config.rise:
            return _cosine_between(config.initial, 1.0, done / config.rise)
        return _cosine_between(1.0, config.final, (done - config.rise) / (1 - config.rise))

    return LambdaLR(optimizer, factor)


def plateau(config: PlateauConfig, optimizer: Optimizer, progress: Progress) -> ReduceLROnPlateau:
    """Falls with the validation rollout; the stage steps it after every validation."""
    return ReduceLROnPlateau(
        optimizer,
        factor=config.factor,
        patience=config.patience,
        threshold=config.threshold,
        min_lr=[config.final * group["lr"] for group in optimizer.param_groups],
    )


def constant(config: ConstantConfig, optimizer: Optimizer, progress: Progress) -> LambdaLR:
    """The peak learning rate at every step."""
    return LambdaLR(optimizer, lambda step: 1.0)


def _cosine_between(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` to `end`."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))
