"""What the checks share: the tasks of a case, its simulators, and predictions with the right shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ups_core import ModelConfig
from ups_data.batches.batch import FieldBatch
from ups_data.info import Boundary, TaskInfo
from ups_data.prepare.conditions import Conditions
from ups_models.simulator import Simulator, build_simulator
from ups_models.testing.cases import ModelCase
from ups_models.testing.toys import perturb, toy_evolution, toy_statistics, toy_steady


def evolutions(
    case: ModelCase, boundary: Boundary = "periodic", parameters: int = 1, history: int = 2
) -> list[TaskInfo]:
    """An evolution of every supported dimension; the one in 1-D conserves its mean."""
    if "evolution" not in case.kinds:
        return []
    return [
        toy_evolution(
            f"evolution{dim}d", dim, None, history, boundary, parameters, ("mean",) if dim == 1 else ()
        )
        for dim in case.dims
    ]


def tasks_of(case: ModelCase, boundary: Boundary | None = None, parameters: int = 1) -> list[TaskInfo]:
    """An evolution and a steady task of every supported dimension."""
    steady = case.dims if "steady" in case.kinds else ()
    return [
        *evolutions(case, boundary or "periodic", parameters),
        *(toy_steady(f"steady{dim}d", dim, None, boundary or "dirichlet", parameters) for dim in steady),
    ]


def simulator_of(
    case: ModelCase, *tasks: TaskInfo, trained: bool = True, conditions: Conditions | None = None
) -> Simulator:
    """A simulator of the model; "trained" ones have no zero weights, and know what training varied."""
    component, infos = case.component(), {task.name: task for task in tasks}
    assert isinstance(component.config, ModelConfig)
    issues: Sequence[tuple[str, str]] = component.config.check(infos)
    require(not issues, f"the options do not fit the toy tasks: {'; '.join(text for _, text in issues)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        statistics = {task.name: replace(toy_statistics(task), conditions=conditions) for task in tasks}
        simulator = build_simulator(component, infos, statistics)
    if trained:
        perturb(simulator)
    return simulator.eval()


def predict(simulator: Simulator, batch: FieldBatch, task: TaskInfo) -> Tensor:
    """Two steps, or a steady solution, checked for its shape and for finite numbers."""
    steps = 1 if task.kind == "steady" else 2
    with torch.no_grad():
        prediction = simulator.rollout(batch, steps)
    expected = (len(batch), steps, len(task.target_channels), *task.shape)
    found = tuple(prediction.shape)
    require(found == expected, f"on {describe(task)} it predicts {found}, not {expected}")
    require(bool(prediction.isfinite().all()), f"on {describe(task)} it predicts NaN or infinity")
    return prediction


def describe(task: TaskInfo) -> str:
    """A toy task in messages."""
    grid = "x".join(map(str, task.shape))
    return f"{task.kind} on {grid} cells ({task.boundary}, {len(task.parameters)} parameters)"


def require(holds: bool, message: str) -> None:
    """Raise AssertionError with the message; a plain `assert` would vanish under `python -O`."""
    if not holds:
        raise AssertionError(message)
