"""Makes the optimizer of a stage: of the network's trainable parameters, on the device or in host memory."""

from __future__ import annotations

import copy

from torch import nn
from torch.optim import Optimizer

from ups_core import Component
from ups_train.optimizers.groups import trainable
from ups_train.optimizers.offload import OffloadedOptimizer
from ups_train.optimizers.state_layout import accept_names


def create_optimizer(component: Component, network: nn.Module, *, offload: bool = False) -> Optimizer:
    """The optimizer that a spec names, for a network.

    Args:
        offload: keep a copy of the weights and the optimizer's state in host memory.
    """
    home = copy.deepcopy(network).to("cpu") if offload else network
    parameters = trainable(home)
    optimizer: Optimizer = component.create(parameters=parameters)
    accept_names(optimizer, {weight: name for name, weight in parameters.items()})
    if not offload:
        return optimizer
    return OffloadedOptimizer(optimizer, dict(zip(home.parameters(), network.parameters(), strict=True)))
