"""Small simulators of the registered models, for the toy tasks."""

from __future__ import annotations

from typing import Any

import torch

from toy_tasks import statistics
from ups_core import Component
from ups_data.info import TaskInfo
from ups_models.simulator import Simulator, build_simulator
from ups_models.testing import ModelCase, perturb

SMALL: dict[str, dict[str, Any]] = {
    "latent_operator": {
        "width": 16,
        "depth": 2,
        "middle_width": 12,
        "middle_blocks": {"2": 1},
        "local_width": {"1": 8, "2": 4},
        "kernel": {"1": 5, "2": 3},
        "condition_width": 8,
        "heads": 2,
        "modes": 2,
    },
    "fno": {"width": 8, "modes": {"1": 4, "2": 3}, "layers": 2},
    "unet": {"width": 8, "levels": 2},
}
"""Options of the trainable models, for grids of a few cells."""


def component(kind: str, **options: object) -> Component:
    """A registered model with small options."""
    return ModelCase(kind, SMALL.get(kind, {}) | options).component()


def simulator(kind: str, *tasks: TaskInfo, **options: object) -> Simulator:
    """A simulator of a registered model with small options, always with the same weights."""
    torch.manual_seed(0)
    return build_simulator(
        component(kind, **options),
        {task.name: task for task in tasks},
        {task.name: statistics(task) for task in tasks},
    )


def perturbed(sim: Simulator) -> Simulator:
    """As after some training: no weight is zero any more."""
    perturb(sim)
    return sim
