"""Muon for processors without bfloat16 matrix products.

`torch.optim.Muon` orthogonalises in bfloat16, one matrix after the other. On a GPU that is fast; on a CPU
whose bfloat16 products are emulated it takes longer than the rest of a training step. Here the same iteration
runs in float32, on all matrices of one shape at once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ups_train.optimizers.closure import evaluate
from ups_train.parallel.sharding import gather, shard_like


class Float32Muon(torch.optim.Muon):
    """`torch.optim.Muon` with the same options and state, orthogonalising in batches and in float32.

    Nesterov momentum only.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every matrix that has a gradient."""
        loss = evaluate(closure)
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    by_shape[weight.shape].append(weight)
            for weights in by_shape.values():
                self._update(group, weights)
        return loss

    def _update(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        """Update matrices of one shape."""
        momentum, lr = group["momentum"], float(group["lr"])
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        buffers = [self._buffer(weight) for weight in weights]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)
        updates = torch._foreach_lerp(gradients, buffers, momentum)  # Nesterov: look one step ahead
        # Orthogonalising shards would be another method. Gathering is collective: all ranks visit the shapes
        # in the order of the groups, which is the same everywhere.
        matrices = torch.stack([gather(update) for update in updates])
        directions = orthogonalise(
            matrices, group["ns_coefficients"], group["ns_steps"], group["eps"]
        ).unbind()
        scale = _shape_factor(group["adjust_lr_fn"], *weights[0].shape)
        torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
        torch._foreach_add_(
            weights, [shard_like(*pair) for pair in zip(directions, weights, strict=True)], alpha=-lr * scale
        )

    def _buffer(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _shape_factor(rule: str | None, rows: int, columns: int) -> float:
    """Step size of an orthogonal update: to AdamW's root mean square (Liu et al. 2025), or Jordan's rule."""
    return (
        0.2 * math.sqrt(max(rows, columns))
        if rule == "match_rms_adamw"
        else math.sqrt(max(1, rows / columns))
    )


def orthogonalise(
    matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Approximate U V^T of every matrix U S V^T by Newton-Schulz (Jordan et al. 2024).

    Each step maps the singular values s to a s + b s^3 + c s^5; a few of them bring every value near one.

    Args:
        matrices: `(B, M, N)` float32.
        coefficients: a, b, c.

    Returns:
        `(B, M, N)`.
    """
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
