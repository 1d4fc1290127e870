"""An optimizer in CPU memory: the device keeps weights and gradients, the CPU the optimizer's state.

It works with every registered optimizer, Muon hybrid included. (torchao's `CPUOffloadOptimizer` makes one
optimizer a parameter, with a state of its own form: schedules, checkpoints and Muon's batches of equal
matrices do not see them.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ups_train.optimizers.closure import evaluate


class OffloadedOptimizer(Optimizer):
    """Copies gradients to the host, lets an optimizer of the host's weights step, copies weights back.

    Its groups name the device's weights, for clipping, gradient scaling and schedules; its state is the
    host's.

    Args:
        inner: the optimizer of the host's weights.
        device_of: host weight -> device weight.
    """

    def __init__(self, inner: Optimizer, device_of: dict[nn.Parameter, nn.Parameter]) -> None:
        self.inner = inner
        self.device_of = device_of
        groups = [
            {**group, "params": [device_of[weight] for weight in group["params"]]}
            for group in inner.param_groups
        ]
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the closure, then update."""
        loss = evaluate(closure)
        for ours, theirs in zip(self.param_groups, self.inner.param_groups, strict=True):
            theirs |= {name: value for name, value in ours.items() if name != "params"}
        for host, device in self.device_of.items():
            host.grad = None if device.grad is None else device.grad.to(host.device)
        self.inner.step()
        for host, device in self.device_of.items():
            if host.grad is not None:
                device.copy_(host)
                host.grad = None
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The inner optimizer's."""
        return self.inner.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Into the inner optimizer; the host's weights become the device's."""
        self.inner.load_state_dict(state_dict)
        for ours, theirs in zip(self.param_groups, self.inner.param_groups, strict=True):
            ours |= {name: value for name, value in theirs.items() if name != "params"}
        with torch.no_grad():
            for host, device in self.device_of.items():
                host.copy_(device)
