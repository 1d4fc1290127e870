"""Which optimizer updates which parameter, decided by name and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor, nn

from ups_core import Component, OptimizerConfig, UPSError
from ups_train.optimizers.config import ParameterGroup
from ups_train.optimizers.name_patterns import name_matcher

Parameters = Mapping[str, nn.Parameter]
"""Full name -> parameter."""


class Assignment(NamedTuple):
    """A group and the named parameters that it got."""

    group: ParameterGroup
    parameters: dict[str, nn.Parameter]


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> parameter that needs a gradient, each parameter once."""
    return {name: weight for name, weight in module.named_parameters() if weight.requires_grad}


def assign(
    groups: Sequence[ParameterGroup], parameters: Parameters, *, allow_empty: bool = False
) -> list[Assignment]:
    """Every parameter to the first group with a matching pattern and an optimizer that accepts it.

    Raises:
        UPSError: a group gets nothing (unless that is allowed), or a parameter is in no group.
    """
    found = [Assignment(group, {}) for group in groups]
    for name, weight in parameters.items():
        chosen = next((part for part in found if _fits(part.group, name, weight)), None)
        if chosen is None:
            raise UPSError(
                f"parameter '{name}' {tuple(weight.shape)} is in no optimizer group; "
                "end optimizer.groups with {pattern: '', optimizer: adamw}"
            )
        chosen.parameters[name] = weight
    for part in found:
        if not part.parameters and not allow_empty:
            kind = part.group.optimizer.kind
            raise UPSError(
                f"optimizer group {{pattern: '{part.group.pattern}', optimizer: {kind}}} gets no parameter: "
                "no name that earlier groups left matches it and is accepted by its optimizer; "
                "'ups show optimizer grouped --spec SPEC' prints the names"
            )
    return [part for part in found if part.parameters]


def decays(weight: Tensor) -> bool:
    """Whether weight decay applies: to matrices and kernels, not to norms and biases."""
    return weight.dim() > 1


def _fits(group: ParameterGroup, name: str, weight: Tensor) -> bool:
    config = group.optimizer.config
    assert isinstance(config, OptimizerConfig)
    accepted = config.accepts(weight.shape, weight.is_complex())
    return accepted and name_matcher(group.pattern)(name)


def group_problems(
    groups: Sequence[ParameterGroup], model: Component, tasks: Mapping[str, Any], allow_empty: bool
) -> list[tuple[str, str]]:
    """Why the groups do not fit a model, as `(option, message)`; the model is built to find out."""
    try:
        assign(groups, _parameters(model, tuple(tasks.items())), allow_empty=allow_empty)
    except UPSError as error:
        return [("groups", str(error))]
    return []


@lru_cache(maxsize=8)
def _parameters(model: Component, tasks: tuple[tuple[str, Any], ...]) -> dict[str, nn.Parameter]:
    """The parameters of a new model; a plan asks for the same one with every step that trains it."""
    return trainable(model.create(tasks=dict(tasks)))
