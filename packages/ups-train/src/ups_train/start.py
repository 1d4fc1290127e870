"""Where a training starts: an untrained simulator of the spec's tasks, fitted to a few pairs of frames."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ups_core import Component
from ups_data.dataset import TaskData
from ups_models.simulator import Simulator, build_simulator

INITIAL_PAIRS = 512


def new_simulator(component: Component, data: Mapping[str, TaskData]) -> Simulator:
    """A new one with weights from torch's generator."""
    return build_simulator(
        component,
        {name: opened.info for name, opened in data.items()},
        {name: opened.statistics for name, opened in data.items()},
    )


def initialise(simulator: Simulator, data: Mapping[str, TaskData]) -> None:
    """Show the network pairs of frames from all over the train split of every task."""
    for opened in data.values():
        windows = opened.windows("train", horizon=1)
        count = min(INITIAL_PAIRS, len(windows))
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
        simulator.initialise(windows.batch(order[:count].tolist()))
