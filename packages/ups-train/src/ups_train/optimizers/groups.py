"""Which optimizer updates which parameter, decided by name and shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from ups_core import Component, UPSError
from ups_core.spec import PipelineSpec, StepSpec
from ups_data.task import TaskInfo
from ups_train.optimizers.config import MuonHybridConfig, ParameterGroup

BY_ROLE = (
    ParameterGroup(pattern="lift|embed|head", optimizer="adamw"),
    ParameterGroup(pattern="", optimizer="muon"),
    ParameterGroup(pattern="", optimizer="adamw"),
)
"""The default: first and last projections apart; a model need not have all of these."""


class Assignment(NamedTuple):
    """A group and the named parameters that it got."""

    group: ParameterGroup
    parameters: list[tuple[str, nn.Parameter]]


def trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters that need a gradient, each parameter once."""
    return [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]


def assign(config: MuonHybridConfig, module: nn.Module) -> list[Assignment]:
    """Every trainable parameter to the first group whose pattern finds its name and whose optimizer takes it.

    Raises:
        UPSError: a group of the spec gets nothing, or a parameter is in no group.
    """
    groups: Sequence[ParameterGroup] = config.groups or BY_ROLE
    found = [Assignment(group, []) for group in groups]
    for name, weight in trainable(module):
        fitting = (part for part in found if _fits(part.group, name, weight))
        chosen = next(fitting, None)
        if chosen is None:
            raise UPSError(
                f"parameter '{name}' {tuple(weight.shape)} is in no optimizer group; "
                "end optimizer.groups with {pattern: '', optimizer: adamw}"
            )
        chosen.parameters.append((name, weight))
    for part in found:
        if config.groups and not part.parameters:
            raise UPSError(
                f"optimizer group {{pattern: '{part.group.pattern}', optimizer: {part.group.optimizer}}} "
                "gets no parameter: its pattern finds none that earlier groups left and its optimizer takes; "
                "'ups show optimizer muon_hybrid --spec SPEC' prints the names"
            )
    return [part for part in found if part.parameters]


def assign_parameters_of(
    config: MuonHybridConfig, model: Component, tasks: Mapping[str, Mapping[str, Any]]
) -> list[Assignment]:
    """The groups of a model that is made for this, from the tasks' descriptions."""
    infos = {name: TaskInfo.from_dict(described) for name, described in tasks.items()}
    return assign(config, model.create(tasks=infos))


def is_muon_matrix(weight: Tensor) -> bool:
    """Whether Muon can update a parameter: a real matrix with more than one row and column."""
    return weight.dim() == 2 and min(weight.shape) > 1 and not weight.is_complex()


def decays(weight: Tensor) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to norms and biases."""
    return weight.dim() > 1


def _fits(group: ParameterGroup, name: str, weight: Tensor) -> bool:
    able = group.optimizer == "adamw" or is_muon_matrix(weight)
    return able and re.search(group.pattern, name) is not None


def explain(config: MuonHybridConfig, spec: PipelineSpec, step: StepSpec) -> list[tuple[str, ...]]:
    """A table of a step's parameters, headings first: what `ups show optimizer muon_hybrid --spec` prints."""
    model: Component = getattr(step.config, "model", None) or spec.model
    tasks = {name: component.create(name=name).describe() for name, component in spec.tasks.items()}
    rows: list[tuple[str, ...]] = [("parameter", "shape", "optimizer", "lr", "weight decay")]
    for group, parameters in assign_parameters_of(config, model, tasks):
        lr = config.lr if group.lr is None else group.lr
        decay = config.weight_decay if group.weight_decay is None else group.weight_decay
        rows += [
            (
                name, " x ".join(map(str, weight.shape)) or "1", group.optimizer, f"{lr:g}",
                f"{decay if decays(weight) else 0.0:g}",
            )
            for name, weight in parameters
        ]  # fmt: skip
    return rows
