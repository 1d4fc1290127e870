"""Small simulators of the registered models, for the toy tasks."""

from __future__ import annotations

import torch

from toy_tasks import statistics
from ups_core import Component
from ups_core.component import validate_options
from ups_core.plugin_loader import registry_in_use
from ups_data.info import TaskInfo
from ups_models.simulator import Simulator, build_simulator

SMALL = {
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


def component(kind: str, **options: object) -> Component:
    registry = registry_in_use()
    entry = registry.get("models", kind)
    return Component(entry, validate_options(entry.load_config(), SMALL.get(kind, {}) | options, registry))


def simulator(kind: str, *tasks: TaskInfo, **options: object) -> Simulator:
    torch.manual_seed(0)
    return build_simulator(
        component(kind, **options),
        {task.name: task for task in tasks},
        {task.name: statistics(task) for task in tasks},
    )


def perturbed(sim: Simulator) -> Simulator:
    """As after some training: no weight is zero any more."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in sim.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return sim
