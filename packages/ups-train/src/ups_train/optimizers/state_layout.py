"""Optimizer states in checkpoints are keyed by parameter name, whatever number of processes wrote them.

torch numbers an optimizer's parameters group by group and has no state of one that never had a gradient;
Lightning's sharded strategies number them as the module does and expect a state of each. Names mean the same
to all, and a checkpoint of one process loads sharded and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ups_core import UPSError
from ups_train.parallel.sharding import is_sharded


def by_name(state: Mapping[str, Any], optimizer: Optimizer, module: nn.Module) -> dict[str, Any]:
    """A complete saved state with named parameters.

    Args:
        state: as the strategy gave it, with numbered parameters.
        module: the Lightning module; its parameter names are those of the checkpoint.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    names = {weight: name for name, weight in module.named_parameters()}
    # Lightning's sharded strategies have numbered the module's parameters, torch the optimizer's.
    sharded = any(map(is_sharded, weights))
    ordered = list(names.values()) if sharded else [names[weight] for weight in weights]
    found = {ordered[number]: values for number, values in state.get("state", {}).items()}
    groups = [
        group | {"params": [ordered[number] for number in group["params"]]}
        for group in state.get("param_groups", [])
    ]
    if not sharded:
        named = dict(zip(ordered, weights, strict=True))
        for group in groups:
            _complete(found, {name: named[name] for name in group["params"]})
    return {"state": found, "param_groups": groups}


def accept_names(optimizer: Optimizer, names: Mapping[nn.Parameter, str]) -> None:
    """Let an optimizer load states that :func:`by_name` made, in place of numbered ones.

    Args:
        names: parameter -> its name in the network; a checkpoint's names may have a prefix before that.
    """

    def to_numbers(optimizer: Optimizer, state: dict[str, Any]) -> dict[str, Any] | None:
        saved = state["param_groups"]
        if not any(isinstance(name, str) for group in saved for name in group["params"]):
            return None
        groups, states, number = [], {}, 0
        for group in optimizer.param_groups:
            wanted = [names[weight] for weight in group["params"]]
            source = next((part for part in saved if _find(wanted[0], part["params"])), None)
            if source is None:
                raise UPSError(f"the checkpoint's optimizer has no parameter '{wanted[0]}'")
            numbers = []
            for name in wanted:
                full = _find(name, state["state"])
                if full is not None:
                    states[number] = state["state"][full]
                numbers.append(number)
                number += 1
            groups.append(source | {"params": numbers})
        return {"state": states, "param_groups": groups}

    optimizer.register_load_state_dict_pre_hook(to_numbers)


def _find(name: str, among: Any) -> str | None:
    """The checkpoint's name of a parameter: the same, or with the path of the network before it."""
    return next((full for full in among if full == name or full.endswith(f".{name}")), None)


def _complete(state: dict[str, dict[str, Any]], group: Mapping[str, Tensor]) -> None:
    """Zeros for the parameters of a group that have no state, in the form of one that has."""
    known = next((name for name in group if state.get(name)), None)
    if known is None:
        return
    for name, weight in group.items():
        if not state.get(name):
            state[name] = {
                key: torch.zeros_like(weight if value.shape == group[known].shape else value)
                if torch.is_tensor(value)
                else value
                for key, value in state[known].items()
            }
