"""Trainings of a tiny stage that end in the middle, and what must not depend on that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback

from small_stage import context
from ups_core import interrupts
from ups_core.console import Console
from ups_train.engine import stage
from ups_train.engine.metrics_file import read_metrics

ADAMW = {"optimizer": "adamw", "ema": None, "validate_every": 4, "measure_conflict": True}


class Killed(BaseException):
    """Stands for the end of the process."""


class At(Callback):
    """Does something at the n-th call of a hook."""

    def __init__(self, hook: str, number: int, action: Callable[[Trainer], None]) -> None:
        self.left = number
        self.action = action
        setattr(self, hook, self.hook)

    def hook(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.action(trainer)


def kill(trainer: Trainer) -> None:
    raise Killed


def train(
    root: Path,
    name: str,
    options: Mapping[str, Any],
    *callbacks: Callback,
    lines: Console | None = None,
    max_time: float | None = None,
) -> Path:
    """Train in the folder of this name; it resumes from what is there."""
    step, given = context(root / "data", root / name, **({"epochs": 3, "batch_size": 12} | dict(options)))
    if lines is not None:
        given = replace(given, console=lines)
    build = stage.build_trainer

    def with_callbacks(*arguments: Any, **options: Any) -> Trainer:
        trainer = build(*arguments, **options)
        trainer.callbacks[:0] = callbacks
        return trainer

    with pytest.MonkeyPatch.context() as patch, interrupts.listening(max_time):
        patch.setattr(stage, "build_trainer", with_callbacks)
        step.run(given)
    return root / name


def outcome(directory: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """What must not depend on interruptions: saved weights, and all figures but times."""
    lines = [
        {key: value for key, value in line.items() if not key.startswith("speed/") and "seconds" not in key}
        for line in read_metrics(directory / "metrics.jsonl")
    ]
    return (directory / "model" / "weights.safetensors").read_bytes(), lines
