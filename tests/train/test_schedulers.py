"""Learning-rate schedules against their definitions."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from ups_train.engine.progress import Progress
from ups_train.optimizers.config import (
    CosineConfig,
    OneCycleConfig,
    PlateauConfig,
    StepDecayConfig,
    WSDConfig,
)
from ups_train.optimizers.schedulers import cosine, one_cycle, plateau, step_decay, warmup_stable_decay


def rates(make: Any, config: Any, steps: int = 100) -> list[float]:
    """The learning rate of every step of a training; the peak is 1."""
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    schedule = make(config, optimizer, Progress(steps))
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_cosine_warms_up_and_ends_at_its_final_share() -> None:
    found = rates(cosine, CosineConfig(warmup=0.1, final=0.1))
    assert found[0] == pytest.approx(0.1)
    assert found[9] == found[10] == 1.0
    assert found[-1] == pytest.approx(0.1, abs=1e-3)
    assert all(later <= earlier for earlier, later in pairwise(found[10:]))


def test_wsd_is_stable_between_warm_up_and_decay() -> None:
    found = rates(warmup_stable_decay, WSDConfig(warmup=0.1, decay=0.25, final=0.2))
    assert found[4] == pytest.approx(0.5)
    assert set(found[10:76]) == {1.0}
    for step in range(76, 100):
        assert found[step] == pytest.approx(0.2 + 0.8 * (1 - math.sqrt((step / 100 - 0.75) / 0.25)))
    with pytest.raises(ValueError, match="are more than the training"):
        WSDConfig(warmup=0.5, decay=0.6)


def test_one_cycle_equals_torch() -> None:
    """torch counts the cycle's steps from 0 to steps - 1, ours from 0 to steps."""
    steps, config = 1000, OneCycleConfig()
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=steps, cycle_momentum=False
    )
    for rate in rates(one_cycle, config, steps):
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], abs=5e-3)
        optimizer.step()
        theirs.step()


def test_step_decay_falls_at_equal_intervals() -> None:
    found = rates(step_decay, StepDecayConfig(every=0.25, gamma=0.5))
    assert [found[step] for step in (0, 24, 25, 50, 99)] == [1, 1, 0.5, 0.25, 0.125]


def test_plateau_falls_after_its_patience() -> None:
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
    schedule = plateau(PlateauConfig(factor=0.1, patience=1, final=0.05), optimizer, Progress(10))
    found = []
    for score in (1.0, 0.5, 0.4999, 0.4999, 0.4999, 0.4999, math.inf, 0.4):
        schedule.step(score)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([1, 1, 1, 0.1, 0.1, 0.05, 0.05, 0.05])
