"""The way between a residual and noise: rectified flow, and how it is followed back.

z_t = (1 - t) x + t e with residual x and standard normal e, so dz/dt = e - x, whose mean given z_t a network
learns (Liu et al., "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow",
arXiv 2209.03003; Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from ups_models.residual.config import SamplerConfig

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Residuals on their way `(B, C, *S)`, time and jump `(B,)` to the mean velocity over the jump."""


def on_the_way(residual: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """z_t of residuals and noise `(B, C, *S)` at times `(B,)`."""
    return torch.lerp(residual, noise, _over_fields(time, residual))


def step(velocity: Velocity, z: Tensor, start: Tensor, end: Tensor, kind: str) -> Tensor:
    """z at the time `end` from that at `start`, both `(B,)`, one step of the solver.

    Heun's last step, to 0, is one of Euler: the velocity at 0 is that of noise which is already gone.
    """
    length = _over_fields(start - end, z)
    if kind == "jumps":
        return z - length * velocity(z, start, start - end)
    still = torch.zeros_like(start)
    first = velocity(z, start, still)
    guess = z - length * first
    if kind == "euler":
        return guess
    second = velocity(guess, end, still)
    return torch.where(_over_fields(end, z) > 0, z - length * (first + second) / 2, guess)


def solve(velocity: Velocity, noise: Tensor, sampler: SamplerConfig) -> Tensor:
    """Residuals from noise `(B, C, *S)`."""
    times = torch.linspace(1, 0, sampler.steps + 1, device=noise.device)
    z = noise
    for number, (start, end) in enumerate(pairwise(times), start=1):
        last = number == sampler.steps and sampler.kind == "heun"
        kind = "euler" if last else sampler.kind
        z = step(velocity, z, start.expand(len(z)), end.expand(len(z)), kind)
    return z


def _over_fields(values: Tensor, fields: Tensor) -> Tensor:
    """`(B,)` shaped to multiply `(B, C, *S)`."""
    return values.reshape(-1, *[1] * (fields.dim() - 1))
