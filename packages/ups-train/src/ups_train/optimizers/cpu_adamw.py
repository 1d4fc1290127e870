"""AdamW for CPUs: torch's arithmetic in loops over lists of tensors, without asking tensors for numbers.

`torch.optim.AdamW` on a CPU updates one parameter after the other from Python and reads its step count from a
tensor each time. For a network of 200 parameters that takes longer than the arithmetic. Here all parameters
of equal step count are updated together, to the same bits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ups_train.optimizers.closure import evaluate
from ups_train.parallel.sharding import local_shard


class CPUAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` with the same options, state and results (Loshchilov and Hutter 2019,
    arXiv:1711.05101), without AMSGrad."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counts: dict[Tensor, tuple[Tensor, int]] = {}
        """Parameter -> its step count as torch stores it, and as a number."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = evaluate(closure)
        for group in self.param_groups:
            by_count: dict[int, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_count[self._count(weight)].append(weight)
            for count, weights in by_count.items():
                self._update(group, weights, count)
        return loss

    def _count(self, weight: Tensor) -> int:
        """The number of this update of a parameter; makes its state if it is the first."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
            self._counts[weight] = state["step"], 0
        step, count = self._counts.get(weight, (None, 0))
        if step is not state["step"]:  # loaded from a checkpoint
            count = int(state["step"])
        self._counts[weight] = state["step"], count + 1
        return count + 1

    def _update(self, group: dict[str, Any], weights: list[Tensor], count: int) -> None:
        """Update parameters for the `count`-th time, operation by operation as torch does."""
        beta1, beta2 = group["betas"]
        lr = float(group["lr"])
        states = [self.state[weight] for weight in weights]
        values = [_real(weight) for weight in weights]
        gradients = [_real(weight.grad) for weight in weights if weight.grad is not None]
        means = [_real(state["exp_avg"]) for state in states]
        squares = [_real(state["exp_avg_sq"]) for state in states]
        torch._foreach_add_([state["step"] for state in states], 1)
        # The order of operations is that of torch's loop over single tensors: it decides how results round.
        if group["weight_decay"]:
            torch._foreach_mul_(values, 1 - lr * group["weight_decay"])
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        root = torch._foreach_sqrt(squares)
        torch._foreach_div_(root, (1 - beta2**count) ** 0.5)
        torch._foreach_add_(root, group["eps"])
        torch._foreach_addcdiv_(values, means, root, value=-(lr / (1 - beta1**count)))


def _real(tensor: Tensor) -> Tensor:
    """This rank's shard; complex numbers as pairs of real ones, which are updated one by one."""
    shard = local_shard(tensor)
    return torch.view_as_real(shard) if shard.is_complex() else shard
