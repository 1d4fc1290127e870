"""One form of optimizer states in checkpoints, whatever number of processes made them.

torch numbers an optimizer's parameters group by group and keeps no state of one that never had a gradient;
Lightning's sharded strategies number parameters as the module does and expect a state of each. With both in
every checkpoint, one of a single process loads sharded. The other direction needs nothing: loading goes by
position within the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ups_train.parallel.sharding import is_sharded


def make_portable(states: Sequence[dict[str, Any]], optimizer: Optimizer, module: nn.Module) -> None:
    """Complete and renumber the saved states of one optimizer of the module's parameters, in place."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    if any(map(is_sharded, weights)):  # so already
        return
    place = {weight: number for number, weight in enumerate(module.parameters())}
    new = {number: place[weight] for number, weight in enumerate(weights)}
    for saved in states:
        for group in saved["param_groups"]:
            _complete(saved["state"], {number: weights[number] for number in group["params"]})
            group["params"] = [new[number] for number in group["params"]]
        saved["state"] = {new[number]: value for number, value in saved["state"].items()}


def _complete(state: dict[int, dict[str, Any]], group: dict[int, Tensor]) -> None:
    """Zeros for the parameters of a group that have no state, in the form of one that has."""
    known = next((number for number in group if state.get(number)), None)
    if known is None:
        return
    for number, weight in group.items():
        if not state.get(number):
            state[number] = {
                name: torch.zeros_like(weight if value.shape == group[known].shape else value)
                if torch.is_tensor(value)
                else value
                for name, value in state[known].items()
            }
