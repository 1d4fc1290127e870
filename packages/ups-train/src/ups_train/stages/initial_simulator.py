"""The simulator that a training starts with: new weights, what is fitted fitted to pairs of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from ups_core import Component
from ups_data.prepare.opening import TaskData
from ups_data.prepare.statistics import Statistics
from ups_models.simulator import Simulator, build_simulator

INITIAL_PAIRS = 512


def new_simulator(component: Component, data: Mapping[str, TaskData], augmented: bool) -> Simulator:
    """An untrained simulator, its weights drawn from torch's generator.

    Args:
        component: the model.
        data: task name -> its prepared data.
        augmented: whether the training transforms batches by the tasks' symmetries.
    """
    return build_simulator(
        component,
        {name: opened.info for name, opened in data.items()},
        {name: _as_trained(opened.statistics, augmented) for name, opened in data.items()},
    )


def _as_trained(statistics: Statistics, augmented: bool) -> Statistics:
    if statistics.conditions is None:
        return statistics
    return replace(statistics, conditions=replace(statistics.conditions, augmented=augmented))


def fit_simulator(simulator: Simulator, data: Mapping[str, TaskData]) -> None:
    """Let the network fit to pairs of frames from all over the train split of every task."""
    for opened in data.values():
        windows = opened.windows("train", horizon=1)
        count = min(INITIAL_PAIRS, len(windows))
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
        simulator.initialise(windows.batch(order[:count].tolist()))
