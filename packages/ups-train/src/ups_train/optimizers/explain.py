"""`ups show optimizer KIND --spec SPEC`: which parameter of a step gets which optimizer."""

from __future__ import annotations

from collections.abc import Mapping

from ups_core import OptimizerConfig, StageConfig
from ups_core.spec import PipelineSpec, StepSpec
from ups_data.info import TaskInfo
from ups_train.optimizers.factories import groups_of
from ups_train.optimizers.groups import assign, trainable


def explain(
    config: OptimizerConfig, spec: PipelineSpec, step: StepSpec, tasks: Mapping[str, TaskInfo]
) -> list[tuple[str, ...]]:
    """A table of a step's parameters, headings first: what `ups show optimizer KIND --spec SPEC` prints."""
    assert isinstance(step.config, StageConfig)
    model = step.config.trained_model(spec.model)
    assert model is not None
    parameters = trainable(model.create(tasks=tasks))
    rows: list[tuple[str, ...]] = [("parameter", "shape", "optimizer", "lr", "weight decay")]
    for group, chosen in assign(groups_of(config), parameters, allow_empty=True):
        optimizer = group.optimizer.create(parameters=chosen)
        options = {id(weight): part for part in optimizer.param_groups for weight in part["params"]}
        for name, weight in chosen.items():
            values = options[id(weight)]
            shape = " x ".join(map(str, weight.shape)) or "1"
            decay = values.get("weight_decay", 0.0)
            rows.append((name, shape, group.optimizer.kind, f"{values['lr']:g}", f"{decay:g}"))
    return rows
