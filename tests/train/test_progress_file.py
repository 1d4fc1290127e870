"""`progress.json`: what a training says of itself, and that nothing depends on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback

from small_stage import context
from ups_core.training_progress import PROGRESS, TrainingProgress, read_progress
from ups_train.engine import progress_file, stage
from ups_train.engine.metrics_file import read_metrics


def seen(root: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[TrainingProgress]:
    """What the file said after every batch of a training."""
    found: list[TrainingProgress] = []

    class Look(Callback):
        def on_train_batch_start(self, trainer: Any, *others: Any) -> None:
            if (progress := read_progress(root / "run")) is not None:
                found.append(progress)

    build = stage.build_trainer

    def with_look(*arguments: Any, **named: Any) -> Any:
        trainer = build(*arguments, **named)
        trainer.callbacks.append(Look())
        return trainer

    monkeypatch.setattr(stage, "build_trainer", with_look)
    step, given = context(root, root / "run", **options)
    step.run(replace(given))
    return found


def test_it_says_how_far_the_training_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    monkeypatch.setattr(progress_file, "EVERY", 0.0)
    found = seen(tmp_path, monkeypatch, objective=objective, max_steps=6, validate_every=2)
    assert [progress.step for progress in found] == [0, 1, 2, 3, 4, 5]
    assert {progress.steps for progress in found} == {6}
    assert [progress.done for progress in found] == [pytest.approx(step / 6) for step in range(6)]
    assert found[0].seconds_left is None
    assert all(progress.seconds_left is not None for progress in found[1:])
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    scores = [line[found[0].monitor] for line in lines]
    assert [progress.best for progress in found] == [
        None,
        None,
        scores[0],
        scores[0],
        min(scores[:2]),
        min(scores[:2]),
    ]
    assert not (tmp_path / "run" / PROGRESS).exists(), "it is no result"


def test_it_is_written_at_validations_and_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_file, "EVERY", 1e9)
    found = seen(tmp_path, monkeypatch, max_steps=6, validate_every=3)
    assert [progress.step for progress in found] == [0, 0, 0, 3, 3, 3]


def test_a_budget_counts_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_file, "EVERY", 0.0)
    found = seen(tmp_path, monkeypatch, budget=0.3, epochs=None)
    assert {progress.steps for progress in found} == {None}
    assert 0 < found[-1].done <= 1


def test_a_full_disk_is_left_to_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: TrainingProgress, directory: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TrainingProgress, "write", full)
    assert seen(tmp_path, monkeypatch, max_steps=2, validate_every=2) == []
