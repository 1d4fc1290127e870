"""The cosine between gradients of several tasks, on gradients that are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from ups_train.engine.gradient_conflict import METRIC, GradientConflict


class Shared(pl.LightningModule):
    """A shared weight and one of each task."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.zeros(2))
        self.a = nn.Parameter(torch.zeros(1))
        self.b = nn.Parameter(torch.zeros(1))
        self.logged: dict[str, float] = {}

    def log(self, name: str, value: Any, **_: Any) -> None:  # type: ignore[override]
        self.logged[name] = value


def step(callback: GradientConflict, module: Shared, task: str, gradient: list[float]) -> None:
    callback.on_train_batch_start(None, module, SimpleNamespace(task=task), 0)  # type: ignore[arg-type]
    module.zero_grad()
    module.shared.grad = torch.tensor(gradient)
    getattr(module, task).grad = torch.ones(1)
    callback.on_after_backward(None, module)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("second", "cosine"), [([2.0, 0.0], 1.0), ([-3.0, 0.0], -1.0), ([0.0, 1.0], 0.0), ([1.0, 1.0], 0.5**0.5)]
)
def test_the_cosine_is_over_shared_weights_only(second: list[float], cosine: float) -> None:
    callback, module = GradientConflict(), Shared()
    step(callback, module, "a", [1.0, 0.0])
    step(callback, module, "b", second)
    callback.on_validation_epoch_end(None, module)  # type: ignore[arg-type]
    assert module.logged[METRIC] == pytest.approx(cosine, abs=1e-6)


def test_batches_of_one_task_are_not_compared() -> None:
    callback, module = GradientConflict(), Shared()
    step(callback, module, "a", [1.0, 0.0])
    step(callback, module, "a", [-1.0, 0.0])
    callback.on_validation_epoch_end(None, module)  # type: ignore[arg-type]
    assert module.logged == {}


def test_the_mean_starts_again_after_a_validation() -> None:
    callback, module = GradientConflict(), Shared()
    step(callback, module, "a", [1.0, 0.0])
    step(callback, module, "b", [1.0, 0.0])
    callback.on_validation_epoch_end(None, module)  # type: ignore[arg-type]
    step(callback, module, "a", [-1.0, 0.0])  # against b's latest, which is remembered
    callback.on_validation_epoch_end(None, module)  # type: ignore[arg-type]
    assert module.logged[METRIC] == pytest.approx(-1.0)


def test_it_resumes_with_what_is_compared_next() -> None:
    callback, module = GradientConflict(), Shared()
    step(callback, module, "a", [1.0, 0.0])
    resumed = GradientConflict()
    resumed.load_state_dict(callback.state_dict())
    for each in (callback, resumed):
        step(each, module, "b", [1.0, 1.0])
    assert resumed.cosines == callback.cosines == [pytest.approx(0.5**0.5)]
