"""Clipping by the norm of the complete gradient, without waiting for the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from ups_train.parallel.sharding import is_sharded


def clip_gradients(weights: Sequence[nn.Parameter], max_norm: float | None) -> Tensor:
    """Scale the gradients down to a norm of at most `max_norm`; None leaves them as they are.

    Returns:
        the norm before clipping, a scalar tensor that nobody has looked at yet; zero without gradients.
    """
    used = [weight for weight in weights if weight.grad is not None]
    gradients = [weight.grad for weight in used if weight.grad is not None]
    if not gradients:
        return torch.zeros((), device=weights[0].device)
    # torch uses its fused loops by default on GPUs only; on CPUs they save Python's time.
    foreach = None if is_sharded(gradients[0]) else True
    norm = get_total_norm(gradients, foreach=foreach)
    if max_norm is not None:
        clip_grads_with_norm_(used, max_norm, norm, foreach=foreach)
    return norm
