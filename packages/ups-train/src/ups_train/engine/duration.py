"""How long a training is, and when it validates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from ups_train.engine.config import TrainingConfig

DEFAULT_EPOCHS = 20
VALIDATIONS_IN_BUDGET = 10


@dataclass(frozen=True)
class Duration:
    """How long a training is.

    Attributes:
        steps: optimizer steps; -1: until the budget is used up.
        validate_every: micro-batches, or time, between validations.
    """

    steps: int
    validate_every: int | timedelta


def training_duration(config: TrainingConfig, batches: int, micro_batches: int = 1) -> Duration:
    """How long to train on `batches` per epoch, each split into `micro_batches`.

    Validations are spaced evenly, as near to `validate_every` as that allows, and the last one is at the end.
    A remainder of steps that would follow it is left out, unless gradients are accumulated: there the end may
    lie between two validations, and is validated once more.
    """
    if config.budget is not None:
        return Duration(-1, timedelta(seconds=config.budget / VALIDATIONS_IN_BUDGET))
    epoch = math.ceil(batches / config.accumulate)
    steps = min(epoch * (config.epochs or DEFAULT_EPOCHS), config.max_steps or math.inf)
    epochs, rest = divmod(int(steps), epoch)
    total = epochs * batches + rest * config.accumulate
    validations = max(1, round(total / (config.validate_every or batches)))
    every = total // validations
    return Duration(every * validations if config.accumulate == 1 else int(steps), every * micro_batches)
