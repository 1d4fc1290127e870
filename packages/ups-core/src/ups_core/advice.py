"""Advice about trainings of a plan and their models: what works, but is probably not intended."""

from __future__ import annotations

from collections.abc import Sequence

from ups_core.base_configs import ModelConfig
from ups_core.plan import Plan, PlannedStep


def advice_on(plan: Plan, steps: Sequence[PlannedStep]) -> list[str]:
    """One line per problem of a training or its model on the plan's tasks, with the step."""
    infos = {name: task.describe(plan.data_root) for name, task in plan.tasks.items()}
    lines = []
    for step in steps:
        model = step.spec.config.trained_model(plan.spec.model)
        if model is not None:
            assert isinstance(model.config, ModelConfig)
            lines += [f"{step.id}: model '{model.kind}': {text}" for text in model.config.advise(infos)]
            lines += [f"{step.id}: {text}" for text in step.spec.config.advise(infos, model)]
    return lines
